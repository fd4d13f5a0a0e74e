package guard

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tppfaas/tppfaas/internal/circuit"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// What Options stand for that are 0.
const (
	DefaultInFlight    = 16
	DefaultPerFunction = 8
	DefaultContainers  = 64
	DefaultMemoryMB    = 8192
)

// Options are the limits. A value of 0 stands for its default, a negative one for no limit, where that is possible.
type Options struct {
	// Timeout bounds each command; by default 30 s. There is always one.
	Timeout time.Duration
	// InFlight is how many containers are asked for at once; by default 16. What a single command asks for beyond it is held. A Scale counts as
	// one. There is always a limit.
	InFlight int
	// Queue is how many commands wait for that; by default 256. There is always a limit.
	Queue int
	// Wait is how long a command waits at most; by default 1 s: what is warmed later comes too late.
	Wait time.Duration
	// PerFunction, Containers and MemoryMB bound what has been asked for and still stands, see Guard.Release: containers of each function, by
	// default 8, containers of all, by default 64, and their memory in MiB, by default 8192. Replicas of a Scale count too, and containers whose idle time was
	// renewed.
	PerFunction, Containers, MemoryMB int
	// Interval is the least time between two commands of a function, by default none. What comes earlier is held. Those that renew idle times do not count.
	Interval time.Duration
	// Pace is the least time between two containers, of whatever function, by default none. What comes earlier waits.
	Pace time.Duration
	// CoolDown is for how long a function is left alone after a command of it has failed, by default 5 s; it doubles with each failure that
	// follows, up to MaxCoolDown, by default 5 min.
	CoolDown, MaxCoolDown time.Duration
	// Failures is how many commands have to fail in a row for the circuit to open, by default 5; several of one function count as one, unless
	// the platform as a whole has failed. It is then open for Pause, by default 5 s, and doubles up to MaxPause, by default 1 min; in between
	// one command is tried.
	Failures        int
	Pause, MaxPause time.Duration
	// Done is told what has become of each command that Do has taken, once, with as many results as Command.Results says. It is called by several
	// goroutines, and what is in flight ends only when it returns. It may call methods of the Guard, but not Close. It is needed.
	Done func(c actuator.Command, results []actuator.Result)
}

// complete returns the options with what they leave out.
func (o Options) complete() (Options, error) {
	if o.Done == nil {
		return o, errors.New("nobody is told what becomes of commands")
	}
	for name, v := range map[string]int64{"timeout": int64(o.Timeout), "number in flight": int64(o.InFlight), "queue": int64(o.Queue)} {
		if v < 0 {
			return o, fmt.Errorf("the %s must have a limit, and it is %d", name, v)
		}
	}
	o.Timeout = orDefault(o.Timeout, 30*time.Second)
	o.InFlight = orDefault(o.InFlight, DefaultInFlight)
	o.Queue = orDefault(o.Queue, 256)
	o.Wait = orDefault(o.Wait, time.Second)
	o.PerFunction = orDefault(o.PerFunction, DefaultPerFunction)
	o.Containers = orDefault(o.Containers, DefaultContainers)
	o.MemoryMB = orDefault(o.MemoryMB, DefaultMemoryMB)
	o.Interval = max(o.Interval, 0)
	o.Pace = max(o.Pace, 0)
	if o.CoolDown < 0 {
		o.CoolDown = 0
	} else {
		o.CoolDown = orDefault(o.CoolDown, 5*time.Second)
	}
	o.MaxCoolDown = max(orDefault(o.MaxCoolDown, 5*time.Minute), o.CoolDown)
	o.Failures = orDefault(o.Failures, 5)
	o.Pause = orDefault(max(o.Pause, 0), 5*time.Second)
	o.MaxPause = max(orDefault(max(o.MaxPause, 0), time.Minute), o.Pause)
	return o, nil
}

func (o *Options) circuit() circuit.Circuit {
	return circuit.New(circuit.Config{Failures: o.Failures, Pause: o.Pause, MaximumPause: o.MaxPause})
}

// orDefault returns v, its default in place of 0, and the largest number in place of a negative one.
func orDefault[N int | time.Duration](v, otherwise N) N {
	switch {
	case v == 0:
		return otherwise
	case v < 0:
		return N(math.MaxInt64)
	}
	return v
}
