// Package api compares the exported declarations of all importable packages with golden files, so that a change of the API
// shows in review. After an intended change:
//
//	go test ./internal/api -update
package api
