// Package zipkintest runs a real Zipkin server for tests.
//
//	url := zipkintest.Start(t) // skips the test if there is no Java or the jar has not been fetched
//
// The jar comes from Maven Central by
//
//	go run ./internal/zipkintest/fetch
package zipkintest
