package prewarm

import (
	"math"
	"time"
)

// Time is a moment: the time since the epoch of whoever runs the policy.
type Time = time.Duration

// Never is a moment that does not come.
const Never Time = math.MaxInt64

// ID is the number of a container, an invocation or a trace, given by whoever runs the policy: each kind has numbers of its own, none is
// used twice, and 0 stands for none.
type ID uint64

// Policy decides which containers are warm. It is used by one goroutine at a time.
type Policy interface {
	// Handle is told of an event, in the order of time, and adds what it decides to d. The fleet has the event already; it and the event
	// are valid during the call only, and must not be changed. The first event of all is a Woken without an Event.Key.
	Handle(e *Event, fleet *Fleet, d *Decisions)
}

// Grower is a policy that goes on, with all that it knows, when its fleet has got more functions by Fleet.AddFunction.
type Grower interface {
	Policy
	// Grown is told that there are more functions than before, before any event of these, and adds what it decides to d.
	Grown(fleet *Fleet, d *Decisions)
}

// PolicyFunc is a function that is a Policy.
type PolicyFunc func(e *Event, fleet *Fleet, d *Decisions)

// Grown implements Grower: a function finds the new ones in the fleet.
func (f PolicyFunc) Grown(*Fleet, *Decisions) {}

// Handle calls f.
func (f PolicyFunc) Handle(e *Event, fleet *Fleet, d *Decisions) { f(e, fleet, d) }

// Platform says what a platform can do, and how it treats invocations for which no container is idle.
type Platform struct {
	// Warm says that containers can be started without an invocation.
	Warm bool
	// GiveBack says that an idle container can be removed before its time, and Hold that an idle container can be kept to a time that the
	// policy chooses, shorter or longer than IdleTimeout. Where it cannot, decisions to do so have no effect.
	GiveBack, Hold bool
	// Renew says that the idle time of an idle container can be begun anew, by an invocation that it answers at once, and that a decision to hold it for longer than
	// IdleTimeout is carried out so, see Renewals; it cannot be removed before its time by that. It says nothing where Hold is set.
	Renew bool
	// Arrivals says that the policy is told of invocations when they arrive (the caller or a gateway announces them). Otherwise it first
	// hears of an invocation when its run has started: there are no events Arrived and Placed.
	Arrivals bool
	// Late is what becomes of an invocation for whose function a container is being started for nobody.
	Late LateKind
	// FirstCall says that a container which is started for nobody makes its first outgoing call before it is idle, so that the first
	// call of its first run is as fast as all others.
	FirstCall bool
	// IdleTimeout is how long the platform keeps an idle container on which the policy has decided nothing.
	IdleTimeout time.Duration
	// MemoryMB is the memory for containers in MiB; 0 if it is not known or not limited.
	MemoryMB int
}

// Renews reports whether containers are held by renewing their idle time.
func (p Platform) Renews() bool {
	return p.Renew && !p.Hold && p.IdleTimeout > 0 && p.IdleTimeout != Never
}

// RenewLead returns how long before the platform removes an idle container its idle time is renewed: a twentieth of it, and between a tenth of a second and five seconds,
// by which it may be wrong when it became idle.
func (p Platform) RenewLead() time.Duration {
	return min(max(p.IdleTimeout/20, 100*time.Millisecond), 5*time.Second, p.IdleTimeout/2)
}

// LateKind is what becomes of an invocation that arrives while a container of its function is being started for nobody.
type LateKind uint8

const (
	// TakesStarting gives it that container, whose remaining start time it waits (FPC of OpenWhisk, OpenFaaS, Knative).
	TakesStarting LateKind = iota
	// OwnContainer has a container created for it, as for any other (OpenWhisk's classic pool): the one on the way came too late.
	OwnContainer
)

// Function is a function of a platform.
type Function struct {
	// Name is its name on the platform.
	Name string
	// MemoryMB is the memory of each of its containers in MiB.
	MemoryMB int
	// Application is the name of the application that it belongs to; "" if it is not known.
	Application string
	// Concurrency is how many invocations one container runs at once; 0 stands for 1.
	Concurrency int
	// Kind is its runtime, such as nodejs:20; "" if it is not known.
	Kind string
	// StemCell says that this is no function but a stock: its containers are of a Kind, belong to no function, and take no invocations. The
	// platform makes a container for an invocation of an idle one if that has the Kind and the MemoryMB of its function: it removes the one
	// and places the invocation in a new one, Cold, which needs only be initialised.
	StemCell bool
}
