package requests

import "github.com/tppfaas/tppfaas/prewarm"

// Model is what is known beforehand of the arrivals of an application's requests. It does not change, and may be used by many goroutines.
type Model interface {
	// Name says in a few words what kind of model it is, such as "gamma renewal".
	Name() string
	// New returns a process that follows the requests from start on. How long the first one takes is foretold as if one had come at start, or
	// where they come in bursts, as if one of those had begun then; but nothing is learned from it.
	New(start prewarm.Time) Process
	// Score returns the log densities of gaps, in seconds, from the number first on, each as it is foretold after those before it.
	Score(gaps []float64, first int) []float64
}

// Process follows the requests of one application. It is used by one goroutine at a time.
type Process interface {
	// Observe is told of each request when it arrives, in the order of time.
	Observe(at prewarm.Time)
	// Forecast sets f to what is expected at now, given the requests that were observed and that none has come since the last of them. It
	// keeps nothing of f, and f nothing of the process: it holds after later requests as a forecast made at now.
	Forecast(now prewarm.Time, f *Forecast)
}
