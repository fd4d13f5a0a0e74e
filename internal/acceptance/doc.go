// Package acceptance has no code: its tests use the local platform through clients that others wrote.
//
//	make fetch-serverless
//	go test -tags integration ./internal/acceptance
package acceptance
