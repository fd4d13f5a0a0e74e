package localwhisk

import (
	"errors"
	"fmt"
	"time"
)

// Config has the size of a platform and the delays of its parts. [DefaultConfig] returns one that is fitted to a real cluster.
type Config struct {
	// MemoryMB is the memory for containers, in MiB.
	MemoryMB int
	// FunctionMemoryMB is the default memory of a function, in MiB.
	FunctionMemoryMB int
	// StemCells is the number of containers of FunctionMemoryMB that are kept ready without a function: an invocation that takes one needs
	// /init, but does not wait for the creation of a container. The platform starts with as many as memory allows. It replaces one that was
	// taken, and evicts idle containers for that if necessary, as for an invocation.
	StemCells int
	// IdleTimeout is how long a container is kept after its last run.
	IdleTimeout time.Duration
	// PauseGrace is how long an idle container stays unpaused.
	PauseGrace time.Duration
	// TakesStarting makes an invocation for which no container is idle take one of its function that is being started for nobody, the one that
	// was asked for first, and wait for it. Otherwise it is given a container as if there were none.
	TakesStarting bool
	// WarmFirstCall makes a container that is started for nobody make its first call, see FirstCall, before it is idle.
	WarmFirstCall bool
	// WarmedLast makes invocations take the containers of a function that have made their first call before those that have not; among these
	// still the one that became idle last.
	WarmedLast bool

	// ParallelCreations is the number of containers that can be created at once without slowing down other work. The load of the delays is the
	// number that are being created beyond it, without stem cells.
	ParallelCreations int
	// Call is the time from the moment when a function sends an invocation to its arrival at the controller.
	Call Delay
	// FirstCall is the additional time of a container's first call, which opens a connection. The whole process is stalled for that time, and
	// for the share FirstCallPerInit of its initTime.
	FirstCall Delay
	// FirstCallPerInit is the share of the container's initTime that is added to FirstCall.
	FirstCallPerInit float64
	// CallAfterSleep is the additional time of a call if the function has slept before: the processor was idle meanwhile.
	CallAfterSleep Delay
	// Dispatch is the time from the arrival of an invocation at the controller to its arrival at the container pool: routing, message bus,
	// scheduling.
	Dispatch Delay
	// Capacity is the number of creations and removals of containers that run at full speed at the same time; more of them share that capacity.
	// 0 means no limit.
	Capacity int
	// Creation is the time of creating a container at full speed. Its Min does not depend on the speed.
	Creation Delay
	// Removal is the time for which the removal of a container uses a part of Capacity, at full speed. Nothing waits for it: the container's memory
	// is free at once.
	Removal Delay
	// StemCell is the time from the choice of a stem cell to the start of /init.
	StemCell Delay
	// Init is the duration of /init. Its Min must be at least 1 ms, because an initTime of 0 means a warm start.
	Init Delay
	// Unpause is the time of unpausing a container.
	Unpause Delay
	// RunStart is the time from the start of the run to the start of the handler.
	RunStart Delay
	// Oversleep is the time by which a function's sleep is longer than requested.
	Oversleep Delay
	// Logs is the time from the end of a run until its logs are collected. Until then the container is busy, and the record cannot be read.
	Logs Delay
}

// DefaultConfig returns the configuration of the cluster on which the published traces of the seven compositions were recorded (OpenWhisk on
// Kubernetes, June 2021), as far as the traces show it.
//
// Dispatch, StemCell, Init, Call and FirstCall maximise the likelihood of the waits, initTimes and gaps between a
// function's sleep and its successor's arrival in the low_* and batched_* traces, with the number of containers being
// created at each moment counted from the traces themselves; TestDefaultDelaysFitTraces repeats that. Creation is near the maximum under
// light load: 22 % of the creations have ended at the first check instead of 14 %. Creation.Step is the distance between the clusters in which
// the waits for a creation lie. FirstCallPerInit is near the slope of the first call over the initTime under low load (0.55; in bursts 0.87).
// RunStart is the spread of a function's first call that exceeds the spread of the gap between two siblings. ParallelCreations is the number
// from which on the other delays grow; the likelihood is about the same from 10 to 12.
//
// MemoryMB follows from the traces without a simulation: a replay of the recorded arrivals and ends, which removes the container whose last run
// began longest ago when memory is full, explains all cold starts of batched_sequence_det but 2 % with room for at most 52 containers, but
// leaves 19 % unexplained with room for 53; for the low load, recorded a week before, the room is from 52 to 56. TestMemoryExplainsColdStarts
// does that. There are two StemCells for the whole cluster, not for each of several invokers: the first two starts of a recording wait less than
// 0.15 s, of whichever functions, and all others of the first two seconds wait for a creation.
//
// Capacity and Removal explain what Creation alone cannot: thirty creations at once are as fast as one if no container has to be removed for them
// (low_fanout_large_rand); if each evicts another container, the cluster creates seven a second, however many wait (the bursts of all
// applications). TestCreationsUnderLoad and TestCreationsInBursts compare both with the recordings, and bench/fidelity compares the resulting
// datasets. A shorter Removal with a smaller Capacity fits the bursts a little better, a longer one the low load.
//
// Under the low load of a large application such a cluster has two stable states. At the beginning all starts are cold, and requests pile up. If
// they need more containers than there is room for, each evicts one that another needs, and the cluster never catches up. No recording shows
// that. It happened in 2 of 120 simulations with requests 1 to 1.5 s apart, and in 9 of 120 with 0.9 to 1.4 s.
//
// Logs are collected at once: containers are used again within 2 ms after the arrival of what their run has invoked. Unpausing takes no time:
// invocations that use a container that was idle for up to 570 s wait 3 to 5 ms like all others.
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

// Validate returns an error that names every invalid value, nil if there is none.
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
