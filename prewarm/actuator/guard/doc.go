// Package guard stands between whoever decides and an actuator: it carries commands out in the background, within limits, and whatever the
// actuator does, fails or hangs, the one who decides does not wait.
//
//	g, err := guard.New(openWhisk, guard.Options{InFlight: 8, PerFunction: 4, MemoryMB: 4096, Done: func(c actuator.Command, results []actuator.Result) { … }})
//	…
//	if err := g.Do(command); err != nil { // it will not be tried: the queue is full
//	…
//	err = g.Close(ctx)
package guard
