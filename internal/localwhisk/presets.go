package localwhisk

import "time"

// StandaloneConfig returns the configuration of a standalone OpenWhisk: one server with its containers under Docker on two cores,
// without a cluster. TestStandaloneFitsTimings fits Dispatch, Creation, Init, Unpause and Logs to timings of one of 2026, and
// TestStandaloneReproducesTimings does in virtual time what was done then.
//
// Dispatch is the wait of warm invocations that nobody blocks for; those that somebody blocks for wait some 2 ms longer.
// Capacity is 1, and Removal 0.11 s, because twelve at once wait for each other's creations, and a cold start that has to
// remove another container first takes that much longer. RunStart is what the duration of an action that sleeps has over its
// sleep. MemoryMB is that of the timings with limited memory. How long a function's call to the controller travels was
// not recorded: Call is what passed between the sending of a request by a client on the same machine and its receipt.
func StandaloneConfig() Config {
	const (
		ms = time.Millisecond
		us = time.Microsecond
	)
	return Config{
		MemoryMB:         1024,
		FunctionMemoryMB: 256,
		IdleTimeout:      10 * time.Minute,
		PauseGrace:       10 * time.Second,

		Capacity: 1,
		Call:     Delay{Min: 500 * us, Median: 500 * us, Sigma: 0.5},
		Dispatch: Delay{Min: 4 * ms, Median: 2460 * us, Sigma: 0.372},
		Creation: Delay{Min: 102 * ms, Median: 161 * ms, Sigma: 0.146},
		Removal:  Delay{Min: 110 * ms},
		Init:     Delay{Min: 21 * ms, Median: 26400 * us, Sigma: 0.381},
		Unpause:  Delay{Median: 33 * ms, Sigma: 0.108},
		RunStart: Delay{Min: 1 * ms, Median: 1 * ms, Sigma: 0.5},
		Logs:     Delay{Min: 28700 * us, Median: 18600 * us, Sigma: 0.398},
	}
}

// LocalConfig returns the configuration of this repository's own platform in real time (sampler platform), for samplings in virtual
// time that are to be like those on it.
//
// Measured, on two cores that had other work too, with the function of apps/action over the REST API: sixteen cold starts
// (median wait 13 ms, 6 to 19; initTime 5 ms, 4 to 10), sixty warm ones (wait 0 ms, duration 0 to 2 ms for a function that ends
// at once) and sixteen of paused containers (wait 0 or 1 ms). Set, because records in whole milliseconds do not show them: Call,
// Logs, and how Dispatch, Unpause and RunStart share what is less than a millisecond. FirstCall was not measured, and is 0.
// For another machine fit a dataset that was sampled there: bench/fidelity -fit, which is [Config.Fit].
func LocalConfig() Config {
	const (
		ms = time.Millisecond
		us = time.Microsecond
	)
	return Config{
		MemoryMB:         2048,
		FunctionMemoryMB: 256,
		IdleTimeout:      10 * time.Minute,
		PauseGrace:       10 * time.Second,

		Call:     Delay{Min: 500 * us, Median: 500 * us, Sigma: 0.5},
		Dispatch: Delay{Min: 50 * us, Median: 150 * us, Sigma: 0.5},
		Creation: Delay{Min: 4 * ms, Median: 8500 * us, Sigma: 0.5},
		Init:     Delay{Min: 3 * ms, Median: 2 * ms, Sigma: 0.5},
		Unpause:  Delay{Median: 200 * us, Sigma: 0.5},
		RunStart: Delay{Min: 100 * us, Median: 300 * us, Sigma: 0.5},
		Logs:     Delay{Min: 100 * us, Median: 300 * us, Sigma: 0.5},
	}
}
