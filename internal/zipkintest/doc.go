// Package zipkintest runs a real Zipkin server for tests.
//
//	url := zipkintest.Start(t) // ends the test if there is no Java or the jar has not been fetched
//
// make fetch-zipkin fetches the jar from Maven Central. Only tests with the build tag integration may use it.
package zipkintest
