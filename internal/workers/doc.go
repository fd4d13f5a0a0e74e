// Package workers runs short parallel loops, over and over, on goroutines that spin between them.
//
// A training step is a loop of a few items that takes a millisecond. Waking a parked goroutine for each costs as much as
// it gains; the workers of a Pool spin for a tenth of a millisecond before they park.
//
//	p := workers.New(2)
//	defer p.Close()
//	for range steps {
//		p.Run(4, func(worker, item int) { … })
//	}
package workers
