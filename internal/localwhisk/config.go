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

	// Call is the time from a function's sending of an invocation to its arrival at the controller.
	Call Delay
	// FirstCall is what the first call of a container that was cold takes on top (it connects): the process stands
	// still for that long, and the share FirstCallPerInit of its initTime longer.
	FirstCall Delay
	// FirstCallPerInit is the share of the container's initTime that FirstCall takes longer.
	FirstCallPerInit float64
	// Dispatch is the time from the arrival of an invocation, or the moment it leaves the queue, to the start of the
	// work on its container: routing, message bus, scheduling.
	Dispatch Delay
	// Creation is the creation of a container.
	Creation Delay
	// Init is the /init call of a cold container; its Min must be at least 1 ms, because an initTime of 0 says warm.
	Init Delay
	// Unpause is the unpausing of a container.
	Unpause Delay
	// RunStart is the time from the start of the run to the start of the handler.
	RunStart Delay
	// Logs is the time from the end of a run until its logs are in; the container is busy and the record not to be read
	// until then.
	Logs Delay
}

// DefaultConfig returns the configuration of a platform fitted to real traces.
func DefaultConfig() Config {
	const ms = time.Millisecond
	return Config{
		MemoryMB:         64 * 256,
		FunctionMemoryMB: 256,
		StemCells:        2,
		IdleTimeout:      10 * time.Minute,
		PauseGrace:       10 * time.Second,

		Call:             Delay{Min: 7 * ms, Median: 3 * ms, Sigma: 0.3},
		FirstCall:        Delay{Min: 30 * ms, Median: 30 * ms, Sigma: 0.4},
		FirstCallPerInit: 0.7,
		Dispatch:         Delay{Min: 2500 * time.Microsecond, Median: 1700 * time.Microsecond, Sigma: 0.35, TailShare: 0.01, TailSharePerCreating: 0.01, TailMedian: 20 * ms, TailSigma: 1},
		Creation:         Delay{Min: 100 * ms, Median: 1450 * ms, MedianPerCreating: 100 * ms, Sigma: 0.3, Step: 1025 * ms},
		Init:             Delay{Min: 110 * ms, Median: 25 * ms, MedianPerCreating: 400 * time.Microsecond, Sigma: 0.5, TailShare: 0.01, TailSharePerCreating: 0.002, TailMedian: 150 * ms, TailSigma: 0.6},
		Unpause:          Delay{Min: 28 * ms, Median: 7 * ms, Sigma: 0.3},
		RunStart:         Delay{Min: 1 * ms, Median: 2 * ms, Sigma: 0.5},
		Logs:             Delay{Min: 8 * ms, Median: 12 * ms, Sigma: 0.6},
	}
}

// delays returns the delays of c by name, in the order of their fields.
func (c Config) delays() []namedDelay {
	return []namedDelay{
		{"Call", c.Call}, {"FirstCall", c.FirstCall}, {"Dispatch", c.Dispatch}, {"Creation", c.Creation}, {"Init", c.Init},
		{"Unpause", c.Unpause}, {"RunStart", c.RunStart}, {"Logs", c.Logs},
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
