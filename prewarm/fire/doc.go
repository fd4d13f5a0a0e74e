// Package fire tests the controller under fire: the tests run prewarm serve as a process, send it what it is told on a busy platform, and
// much that it should not be told, and look at how late it decides and how much memory it takes.
//
//	go test ./prewarm/fire                            # each test for some seconds
//	go test ./prewarm/fire -soak -v -timeout 30m      # in full: 10,000 traces in flight for ten minutes
//
// With a processor for each, generator and controller, and with profiles of the latter:
//
//	GOMAXPROCS=1 taskset -c 0 go test ./prewarm/fire -run TestLoad -soak -core 1 -v -timeout 30m
//	go test ./prewarm/fire -run TestLoad -soak -for 2m -profiles /tmp -v
package fire
