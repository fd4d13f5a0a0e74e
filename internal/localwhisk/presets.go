package localwhisk

import "time"

// StandaloneConfig returns the configuration of a standalone OpenWhisk: one server on two cores, without a cluster, whose containers run under
// Docker. TestStandaloneFitsTimings fits Dispatch, Creation, Init, Unpause and Logs to timings of such a server of 2026, and
// TestStandaloneReproducesTimings repeats the measurements in virtual time.
//
// Dispatch is the wait of warm non-blocking invocations; blocking ones wait about 2 ms longer. Capacity is 1, because twelve creations at once
// wait for each other; Removal is 0.11 s, because a cold start that evicts another container takes that much longer. RunStart is the duration
// of an action that sleeps minus its sleep. MemoryMB is that of the timings with limited memory. The time of a function's call to the
// controller was not recorded: Call is the time from sending a request by a client on the same machine to its receipt.
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

// LocalConfig returns the configuration of this repository's platform in real time (sampler platform), so that sampling in virtual time gives similar
// datasets.
//
// It was measured on two cores without other load, with the compositions' functions: 220 traces each of tree_small and of sequence at a low load,
// and 66 cold starts, one at a time (six traces of sequence, each on a new platform). Init is the result of bench/fidelity -fit. The others are
// set so that their sums are what the records, in whole milliseconds, show on average:
// 0.8 ms from the arrival of a function that does not sleep to that of its first successor (Dispatch, RunStart and Call), 1.15 ms
// and the sleep where it sleeps (Oversleep and CallAfterSleep too), whatever its length; between two successors 15.15 ms, of
// which the timer takes the part over 15 (Oversleep), but 15.3 ms where the first was called without a sleep before
// (CallAfterSleep); 0.3 ms more after a cold start (FirstCall); 8 ms of wait for the first container of a platform (Creation),
// next to none for the others, whose process was started before they were asked for (the stem cell). Set without a measurement:
// Unpause and Logs, each less than a millisecond.
//
// MemoryMB is that of sampler platform plus that of the stem cell, which sampler platform does not count. For another machine, fit a dataset that
// was sampled there, with bench/fidelity -fit, which uses [Config.Fit]; bench/fidelity -local compares.
func LocalConfig() Config {
	const (
		ms = time.Millisecond
		us = time.Microsecond
	)
	return Config{
		MemoryMB:         2048 + 256,
		FunctionMemoryMB: 256,
		StemCells:        1,
		IdleTimeout:      10 * time.Minute,
		PauseGrace:       10 * time.Second,

		Call:           Delay{Min: 200 * us, Median: 250 * us, Sigma: 0.6},
		FirstCall:      Delay{Median: 300 * us, Sigma: 0.5},
		CallAfterSleep: Delay{Median: 140 * us, Sigma: 0.4},
		Dispatch:       Delay{Min: 50 * us, Median: 90 * us, Sigma: 0.4},
		Creation:       Delay{Min: 4 * ms, Median: 4 * ms, Sigma: 0.4},
		StemCell:       Delay{Median: 200 * us, Sigma: 0.5},
		Init:           Delay{Min: 1 * ms, Median: 4670 * us, Sigma: 0.239},
		Unpause:        Delay{Median: 200 * us, Sigma: 0.5},
		RunStart:       Delay{Min: 80 * us, Median: 100 * us, Sigma: 0.5},
		Oversleep:      Delay{Min: 100 * us, Median: 45 * us, Sigma: 0.5},
		Logs:           Delay{Min: 100 * us, Median: 300 * us, Sigma: 0.5},
	}
}
