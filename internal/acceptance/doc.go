// Package acceptance has no code, only tests that use the local platform through clients of others.
//
//	(cd apps && npm ci --ignore-scripts)
//	go test ./internal/acceptance
package acceptance
