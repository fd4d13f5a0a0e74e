// Package fire tests the controller under fire: the tests run prewarm serve as a process, send it what it is told on a busy platform, and
// much that it should not be told, and look at how late it decides and how much memory it takes.
//
//	go test ./prewarm/fire                            # each test for some seconds
//	go test ./prewarm/fire -soak -v -timeout 30m      # in full: 10,000 traces in flight for ten minutes
package fire
