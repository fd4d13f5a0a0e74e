package actuator

import (
	"context"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Kind is what a command asks for.
type Kind uint8

const (
	// Warm asks for N containers of Function more than there are.
	Warm Kind = iota
	// Scale asks for N replicas of Function in all, for as long as nothing else is asked for, but not longer than until Until.
	Scale
	// Renew asks that the idle time of N containers of Function, all that are idle, begins anew, so that the platform keeps them for longer. Where fewer are idle it may
	// make a container.
	Renew
)

// String returns warm, scale or renew.
func (k Kind) String() string { return [...]string{"warm", "scale", "renew"}[k] }

// Command is something that is to be done on the platform.
type Command struct {
	// ID tells commands apart; a command that is sent again after a restart has the same.
	ID       uint64
	Kind     Kind
	Function string
	N        int
	// MemoryMB is the memory of each container, in MiB.
	MemoryMB int
	// Until is when its effect should end if the controller is not heard of any more.
	Until time.Time
	// Reason says in words why, for people.
	Reason string
	// There is how many containers of Function there are already, as far as is known, starting ones among them, and Idle how many of these are idle.
	// A platform that is told a number in all needs the one, and one that can only be made to start containers by occupying those that are idle the
	// other.
	There, Idle int
}

// Results returns how many results the command has: one for each container that Warm or Renew is for, and one for Scale.
func (c *Command) Results() int {
	if c.Kind == Scale {
		return 1
	}
	return max(c.N, 0)
}

// Outcome is what has become of a container that was to be warmed.
type Outcome uint8

const (
	// Created: there is a new container, which is ready.
	Created Outcome = iota
	// Collapsed: the warm-up was run by a container that was there, whose idle time begins anew by that: which is what Renew is for.
	Collapsed
	// Failed: the platform has not done it.
	Failed
	// Held: it was not tried, because of a limit, a pause, or a circuit that is open.
	Held
	// Dry: it was not tried, because nothing is to be done in fact.
	Dry
	// Unknown: the platform does not say what has become of it.
	Unknown
)

// String returns the outcome in one word.
func (o Outcome) String() string {
	return [...]string{"created", "collapsed", "failed", "held", "dry", "unknown"}[o]
}

// Result is what has become of one container of a command, or of a Scale.
type Result struct {
	Outcome Outcome
	// Instance is the id of the container, if the platform or the function says so.
	Instance string
	// Asked and Ready are when it was asked for and when it was ready.
	Asked, Ready time.Time
	// Err says why it has failed or was held.
	Err error
}

// Actuator carries commands out. It is safe for concurrent use.
type Actuator interface {
	// Name is its kind, such as openwhisk, for people.
	Name() string
	// Platform says what the platform can do; IdleTimeout and MemoryMB are what is known of it.
	Platform() prewarm.Platform
	// Act carries out a command and returns when its outcome is known, with a result for each container (one for Scale), or when the context is
	// done. The error is that of the command as a whole; results that are known come with it.
	Act(ctx context.Context, c Command) ([]Result, error)
	// Close ends what it has started, and gives back what it can.
	Close(ctx context.Context) error
}

// Sizer is an Actuator that knows how much memory a container of a function has, in MiB.
type Sizer interface {
	Actuator
	MemoryMB(ctx context.Context, function string) (int, error)
}
