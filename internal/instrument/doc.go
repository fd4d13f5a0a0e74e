// Package instrument has no code, only tests that run the functions of examples/instrument: on the local platform with the real collector,
// and with doubles of both that fail.
//
//	make fetch-instrument
//	go test -tags integration ./internal/instrument
//
// The local platform has no runtimes for Node.js and Python. The launchers in testdata take their place: like OpenWhisk's runtimes they load
// the function once, set the environment anew before each run, and speak the action loop.
package instrument
