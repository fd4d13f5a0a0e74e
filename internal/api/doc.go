// Package api keeps the exported declarations of the packages that others import, as files: a change of the API is then a
// change of a file, which a reviewer sees.
//
//	go test ./internal/api -update
package api
