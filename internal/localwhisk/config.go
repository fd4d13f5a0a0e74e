package localwhisk

import (
	"errors"
	"fmt"
	"time"
)

// Config says how large a platform is and how long its parts take. [DefaultConfig] returns one fitted to a real cluster.
type Config struct {
	// MemoryMB is the memory for containers, in MiB.
	MemoryMB int
	// FunctionMemoryMB is the memory of a function that names none, in MiB.
	FunctionMemoryMB int
	// StemCells is the number of containers of FunctionMemoryMB that are kept ready without a function: who takes one pays
	// /init, but does not wait for its creation. The platform starts with as many as memory allows, and replaces one
	// that was taken in the same way as it makes room for an invocation.
	StemCells int
	// IdleTimeout is how long a container is kept after its last run.
	IdleTimeout time.Duration
	// PauseGrace is how long an idle container stays unpaused.
	PauseGrace time.Duration

	// ParallelCreations is the number of containers that can be created at once before they slow other work on the platform
	// down. How many are being created beyond it, stem cells not counted, is the load of the delays.
	ParallelCreations int
	// Call is the time from a function's sending of an invocation to its arrival at the controller.
	Call Delay
	// FirstCall is what the first call of a container that was cold takes on top (it connects): the process stands
	// still for that long, and the share FirstCallPerInit of its initTime longer.
	FirstCall Delay
	// FirstCallPerInit is the share of the container's initTime that FirstCall takes longer.
	FirstCallPerInit float64
	// CallAfterSleep is what a call takes on top if the function has slept before it: the processor was idle meanwhile.
	CallAfterSleep Delay
	// Dispatch is the time from the arrival of an invocation, or the moment it leaves the queue, to the start of the
	// work on its container: routing, message bus, scheduling.
	Dispatch Delay
	// Capacity is the number of creations and removals of containers that go on at full speed; more of them share what those
	// have. 0 stands for no limit.
	Capacity int
	// Creation is the creation of a container, at full speed. Min is waited on top, whatever the speed.
	Creation Delay
	// Removal is how long the removal of a container keeps what creates containers busy, at full speed. Nobody waits for it: the
	// container's memory is free at once.
	Removal Delay
	// StemCell is what it takes to make use of a stem cell.
	StemCell Delay
	// Init is the /init call of a cold container; its Min must be at least 1 ms, because an initTime of 0 says warm.
	Init Delay
	// Unpause is the unpausing of a container.
	Unpause Delay
	// RunStart is the time from the start of the run to the start of the handler.
	RunStart Delay
	// Oversleep is how much later than it should a function's sleep ends.
	Oversleep Delay
	// Logs is the time from the end of a run until its logs are in; the container is busy and the record not to be read
	// until then.
	Logs Delay
}

// DefaultConfig returns the configuration of the cluster that the published traces of the seven compositions were recorded
// on (OpenWhisk on Kubernetes, June 2021), as far as they show it.
//
// Dispatch, StemCell, Init, Call and FirstCall maximise the likelihood of the waits, initTimes and gaps between a
// function's sleep and its successor's arrival in the low_* and batched_* traces, with the number of containers being
// created at each moment counted from the traces themselves; TestDefaultDelaysFitTraces repeats that. Creation is near what does so
// under light load: 22 % of the creations are over at the first look instead of 14 %. Creation.Step is set: the waits for a
// creation lie in clusters that far apart. FirstCallPerInit is near the
// slope of the first call over the initTime under low load (0.55; in bursts 0.87), RunStart is what the spread of a
// function's first call has over that of the gap between two siblings. ParallelCreations is where the other delays begin to
// grow; the likelihood is about the same from 10 to 12.
//
// MemoryMB follows from the traces without any simulation: whoever replays the recorded arrivals and ends, and removes the
// container whose last run began longest ago when memory is full, finds every cold start of batched_sequence_det but
// 2 % with room for 52 containers or less, and misses 19 % with 53; the low load, recorded a week before, would have room for
// 52 to 56. TestMemoryExplainsColdStarts does that.
// There are two StemCells for the whole cluster, not for each of several invokers: the first two starts of a recording
// wait for less than 0.15 s whichever functions they are of, and all others of the first two seconds for a creation.
//
// Capacity and Removal explain what Creation alone cannot: thirty creations at once go as fast as one as long as nothing has to
// be removed for them (low_fanout_large_rand); where each takes the place of another container, the cluster gets through seven a
// second, however many wait (the bursts of all applications). TestCreationsUnderLoad and TestCreationsInBursts compare both, and
// bench/fidelity what comes of it. A shorter Removal with a smaller Capacity fits the bursts a little better, a longer one the low load.
//
// Under the low load of a large application such a cluster has two states. At the beginning all is cold, and requests pile up; if
// they need more containers than there is room for, each removes one that another needs, and the cluster never catches
// up. No recording shows that. Of 120 simulated beginnings, with requests 1 to 1.5 s apart, it came to that in 2, of 120 with
// 0.9 to 1.4 s in 9.
//
// Logs are in at once: containers are used again within 2 ms of the arrival of what their run invoked. Unpausing takes no
// time: invocations that take a container which none other has needed for up to 570 s wait for 3 to 5 ms like all the others.
func DefaultConfig() Config {
	const (
		ms = time.Millisecond
		us = time.Microsecond
	)
	return Config{
		MemoryMB:         52 * 256,
		FunctionMemoryMB: 256,
		StemCells:        2,
		IdleTimeout:      10 * time.Minute,
		PauseGrace:       10 * time.Second,

		ParallelCreations: 12,
		Call: Delay{
			Min: 4200 * us, Median: 6150 * us, MedianPerLoad: 270 * us, Sigma: 0.128,
			TailShare: 0.05, TailSharePerLoad: 0.065, TailMedian: 10700 * us, TailSigma: 0.42,
		},
		FirstCall: Delay{
			Median: 92 * ms, MedianPerLoad: 250 * us, Sigma: 0.171,
			TailSharePerLoad: 0.0062, TailMedian: 168 * ms, TailSigma: 0.675,
		},
		FirstCallPerInit: 0.5,
		Dispatch: Delay{
			Min: 2 * ms, Median: 2190 * us, Sigma: 0.259,
			TailShare: 0.0192, TailSharePerLoad: 0.078, TailMedian: 9740 * us, TailMedianPerLoad: 160 * us, TailSigma: 1.24,
		},
		Capacity: 44,
		Creation: Delay{Min: 120 * ms, Median: 1170 * ms, Sigma: 0.2, Step: 1027 * ms},
		Removal:  Delay{Median: 5000 * ms, Sigma: 0.3},
		StemCell: Delay{Min: 38300 * us, Median: 21700 * us, MedianPerLoad: 1800 * us, Sigma: 0.81},
		Init: Delay{
			Min: 105800 * us, Median: 32900 * us, MedianPerLoad: 490 * us, Sigma: 0.453,
			TailSharePerLoad: 0.00254, TailMedian: 224 * ms, TailSigma: 0.43,
		},
		RunStart: Delay{Min: 1 * ms, Median: 2 * ms, Sigma: 0.5},
		Logs:     Delay{Median: 1 * ms, Sigma: 0.5},
	}
}

// delays returns the delays of c by name, in the order of their fields.
func (c Config) delays() []namedDelay {
	return []namedDelay{
		{"Call", c.Call}, {"FirstCall", c.FirstCall}, {"CallAfterSleep", c.CallAfterSleep}, {"Dispatch", c.Dispatch}, {"Creation", c.Creation}, {"Removal", c.Removal}, {"StemCell", c.StemCell},
		{"Init", c.Init}, {"Unpause", c.Unpause}, {"RunStart", c.RunStart}, {"Oversleep", c.Oversleep}, {"Logs", c.Logs},
	}
}

type namedDelay struct {
	name string
	Delay
}

// Validate returns an error that names every value that no platform can have, nil if there is none.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("localwhisk: config: "+format, args...))
	}
	if c.MemoryMB <= 0 {
		bad("MemoryMB is %d, must be positive", c.MemoryMB)
	}
	if c.FunctionMemoryMB <= 0 || c.FunctionMemoryMB > c.MemoryMB {
		bad("FunctionMemoryMB is %d, must be from 1 to MemoryMB (%d)", c.FunctionMemoryMB, c.MemoryMB)
	}
	if c.StemCells < 0 {
		bad("StemCells is %d, must not be negative", c.StemCells)
	}
	if c.ParallelCreations < 0 {
		bad("ParallelCreations is %d, must not be negative", c.ParallelCreations)
	}
	if c.Capacity < 0 {
		bad("Capacity is %d, must not be negative", c.Capacity)
	}
	if c.IdleTimeout < 0 {
		bad("IdleTimeout is %v, must not be negative", c.IdleTimeout)
	}
	if c.PauseGrace < 0 {
		bad("PauseGrace is %v, must not be negative", c.PauseGrace)
	}
	if !(c.FirstCallPerInit >= 0 && c.FirstCallPerInit <= 100) {
		bad("FirstCallPerInit is %v, must be from 0 to 100", c.FirstCallPerInit)
	}
	for _, d := range c.delays() {
		if err := d.Validate(); err != nil {
			bad("%s: %w", d.name, err)
		}
	}
	if c.Init.Min < time.Millisecond {
		bad("Init: Min is %v, must be at least 1ms: an initTime of 0 says that the start was warm", c.Init.Min)
	}
	return errors.Join(errs...)
}
