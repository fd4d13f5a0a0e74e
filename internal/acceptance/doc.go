// Package acceptance has no code, only tests that use the local platform through clients of others.
//
//	make fetch-serverless
//	go test -tags integration ./internal/acceptance
package acceptance
