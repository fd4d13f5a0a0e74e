package source

import (
	"context"
	"errors"
	"time"
)

// Kind is what was observed of an invocation.
type Kind uint8

const (
	// Invoked: its caller, or a gateway, says that it is making the invocation now.
	Invoked Kind = iota
	// Started: its run has begun.
	Started
	// Ended: its run has ended. It is the finished span, or the platform's record, and tells of the whole run.
	Ended
)

// String returns invoked, started or ended.
func (k Kind) String() string { return [...]string{"invoked", "started", "ended"}[k] }

// Temperature is what is known of the container that an invocation was run in.
type Temperature uint8

const (
	// Unknown: nothing.
	Unknown Temperature = iota
	// Cold: it is the first run of its container, which was not warmed before.
	Cold
	// Warm: the container was there.
	Warm
)

// Observation is something that was observed of an invocation. The same may be observed several times, late, and in any order; what is not known
// is zero.
type Observation struct {
	Kind Kind
	// Function is the name of the function on the platform, without namespace and package, and Version that of its code.
	Function, Version string
	// Trace is the id of the request. Call is the id of the call, unique in its trace, and ParentCall that of the call whose run has made it.
	Trace, Call, ParentCall string
	// Span is the id of the span of the run, ParentSpan that of its caller's run; an Invoked has no Span of its own.
	Span, ParentSpan string
	// Activation is the platform's id of the invocation.
	Activation string
	// Instance is the id of the container (faas.instance).
	Instance string
	// Clock names the clock that Time, Begin and End are of: those of one machine agree. "" is the clock of the controller.
	Clock string
	// Time is when it happened: of Invoked the call, of Started the begin of the run, of Ended the end. Begin is when the run began, if this is an
	// Ended; zero if it is not known.
	Time, Begin time.Time
	// Wait and Init are how long it waited for its container, and for the initialisation, as the platform has recorded it; negative if not known.
	Wait, Init time.Duration
	// Temperature is what it found.
	Temperature Temperature
	// Failed says that the run has failed.
	Failed bool
}

// Load is what a source knows of a function as a whole, such as Prometheus: for policies that scale by load. Counters only grow; a smaller one
// means that who counts has started anew.
type Load struct {
	Function string
	Time     time.Time
	// Arrived, Ended, Failed and Refused count invocations, InFlight is how many there are now; negative where it is not known.
	Arrived, Ended, Failed, Refused, InFlight float64
	// CPU is the processor time that its replicas have used, Queued the number of messages that wait in front of it; negative if not known.
	CPU    time.Duration
	Queued float64
	// Replicas is how many there are, and Ready how many of them take requests; negative if not known.
	Replicas, Ready float64
}

// ErrBusy is returned by a Sink that has no room now. Whoever sent the observations should send them again, after RetryAfter.
var ErrBusy = errors.New("too much is waiting to be looked at")

// RetryAfter is how long a sender should wait that was told ErrBusy.
const RetryAfter = time.Second

// Sink takes what was observed. It does not keep the slices, does not wait, and returns ErrBusy if it has no room: it has taken all of them, or none. It
// is safe for concurrent use.
type Sink interface {
	Observe(ctx context.Context, observations []Observation) error
	ObserveLoad(ctx context.Context, loads []Load) error
}

// Follower is a Sink that says how far it is, for sources that may only forget what was looked at: what a sink has taken is in memory, and is lost if its
// process is killed.
type Follower interface {
	Sink
	// Progress returns how many observations and loads the sink has taken since there is one, and how many of these, the first ones, were looked at.
	Progress() (taken, looked uint64)
}

// Source tells a sink what it observes until the context is done; it returns when nothing of it runs any more. An error says why it cannot go on.
type Source interface {
	Run(ctx context.Context, sink Sink) error
}
