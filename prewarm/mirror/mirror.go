package mirror

import (
	"errors"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Options are what a mirror knows from the beginning.
type Options struct {
	// Epoch is the moment from which times are counted.
	Epoch time.Time
	// Platform is what is known of the platform. Where its IdleTimeout is 0, 10 minutes are assumed.
	Platform prewarm.Platform
	// Replicas says that the number of containers is not decided by invocations, but told by ObserveLoad.
	Replicas bool
	// Functions are those that are known from the beginning; others are added when they are first heard of.
	Functions []prewarm.Function
	// Describe returns what is known of a function that is not among Functions; nil, or one without memory, stands for a function with DefaultMemoryMB.
	Describe func(name string) prewarm.Function
	// DefaultMemoryMB is the memory of functions of which it is not known; 0 stands for 256.
	DefaultMemoryMB int
	// StartTime is the start time of containers as long as none was measured; 0 stands for 1 s.
	StartTime time.Duration
	// Limits bound what is kept; those that are 0 have usual values.
	Limits Limits
}

// Limits bound what a mirror keeps.
type Limits struct {
	// Functions, Traces, Invocations and Containers are how many there are at most, InvocationsPerTrace how many of one trace, Clocks how many
	// clocks are told apart.
	Functions, Traces, Invocations, InvocationsPerTrace, Containers, Clocks int
	// Length is the length of a name or id at most, in bytes.
	Length int
	// Silence is how long an announced invocation is waited for of which nothing else comes.
	Silence time.Duration
	// Run is how long a run is waited for at least whose end is not heard of; ten times the longest usual run of the function, if that is longer.
	Run time.Duration
	// Memory is how long a trace is remembered after the last that was heard of it; what comes later of it is ignored.
	Memory time.Duration
}

// Counts count what a mirror was told, and what it has left out.
type Counts struct {
	// Observations were taken.
	Observations uint64
	// Repeated said nothing new. Invalid had no function, no id, or a name that is too long. Stale came so late that their trace is forgotten.
	Repeated, Invalid, Stale uint64
	// Full were left out because a limit was reached.
	Full uint64
	// Guessed is the number of guesses of where an invocation is run, Corrected the part of them that was wrong.
	Guessed, Corrected uint64
	// Silent are invocations of which nothing came after their announcement, Lost runs whose end was not heard of.
	Silent, Lost uint64
	// Found are containers that nothing was known of before a warm start, Gone those that were believed idle when a start was cold.
	Found, Gone uint64
}

// StartTime is a start time that was measured, and that the fleet cannot know from events because the start was understood only afterwards.
type StartTime struct {
	Function int
	Took     time.Duration
}

// Invocation says by which names an invocation is known.
type Invocation struct {
	Function                int
	Trace, Call, Activation string
}

// Container says what is known of a container beyond what the fleet knows.
type Container struct {
	Function int
	// Instance is its id on the platform, "" if it is not known.
	Instance string
	// Warmed says that the controller has asked for it, Used that an invocation has used it.
	Warmed, Used bool
	// Until is when the platform is expected to remove it if nothing uses it, Never if it is not idle.
	Until prewarm.Time
}

// Mirror is a model of a platform.
type Mirror struct {
	options Options
}

// New returns a mirror of a platform of whose containers nothing is known. An error is as of prewarm.NewFleet.
func New(o Options) (*Mirror, error) { return nil, errors.ErrUnsupported }

// Observe takes an observation that came at now, and appends what it means to events. An error says that the observation was of no use, and why;
// what it has counted stands in Counts.
func (m *Mirror) Observe(now prewarm.Time, o *source.Observation, events []prewarm.Event) ([]prewarm.Event, error) {
	return events, errors.ErrUnsupported
}

// ObserveLoad takes the number of replicas of a function, and appends what it means to events. It does so only if Options.Replicas is set.
func (m *Mirror) ObserveLoad(now prewarm.Time, l *source.Load, events []prewarm.Event) ([]prewarm.Event, error) {
	return events, errors.ErrUnsupported
}

// Pass appends to events what the passing of time means: idle timeouts, announced invocations of which nothing came, runs whose end was lost.
func (m *Mirror) Pass(now prewarm.Time, events []prewarm.Event) []prewarm.Event { return events }

// Next returns when Pass should be called next, Never if there is no need.
func (m *Mirror) Next() prewarm.Time { return prewarm.Never }

// Warm notes that n containers of a function were asked for. Their numbers are ids; fewer than n if there are too many containers.
func (m *Mirror) Warm(now prewarm.Time, function, n int, events []prewarm.Event) (ids []prewarm.ID, _ []prewarm.Event) {
	return nil, events
}

// Warmed notes what has become of a container that was asked for.
func (m *Mirror) Warmed(now prewarm.Time, id prewarm.ID, r actuator.Result, events []prewarm.Event) []prewarm.Event {
	return events
}

// Scaled notes that a number of replicas was asked for: those that are missing are starting. Those that are too many stay until ObserveLoad says
// that they are gone.
func (m *Mirror) Scaled(now prewarm.Time, function, replicas int, events []prewarm.Event) []prewarm.Event {
	return events
}

// Functions returns the functions, to which others are added while they are heard of. The caller does not change them.
func (m *Mirror) Functions() []prewarm.Function { return nil }

// Function returns the index of the function with a name, −1 if it is not known.
func (m *Mirror) Function(name string) int { return -1 }

// Version returns the version of a function that was observed last, "" if none was.
func (m *Mirror) Version(function int) string { return "" }

// Redeployed returns the functions of which the last call has noticed that they have new code. The slice is valid until the next call.
func (m *Mirror) Redeployed() []int { return nil }

// Measured returns the start times that the last call has measured and the fleet cannot know. The slice is valid until the next call.
func (m *Mirror) Measured() []StartTime { return nil }

// TraceID returns the id of a trace, "" if it is not remembered.
func (m *Mirror) TraceID(id prewarm.ID) string { return "" }

// Invocation returns what is known of an invocation, and false if it is not remembered.
func (m *Mirror) Invocation(id prewarm.ID) (Invocation, bool) { return Invocation{}, false }

// Container returns what is known of a container, and false if there is none with the number.
func (m *Mirror) Container(id prewarm.ID) (Container, bool) { return Container{}, false }

// Counts returns what was counted.
func (m *Mirror) Counts() Counts { return Counts{} }
