// Package fire tests the collector under fire. The tests run the real program as a process, with an OpenWhisk and a Zipkin that fail,
// kill it, overload it, and count the spans that go in and come out.
//
//	go test ./collector/fire                            # each test for some seconds
//	go test ./collector/fire -soak -v -timeout 30m      # in full
package fire
