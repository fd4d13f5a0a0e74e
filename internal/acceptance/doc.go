// Package acceptance has no code: its tests use the local platform through clients that others wrote.
//
//	(cd apps && npm ci --ignore-scripts)
//	go test ./internal/acceptance
package acceptance
