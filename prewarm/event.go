package prewarm

import "time"

// Kind is what has happened.
type Kind uint8

const (
	// Woken: it is a time at which the policy wanted to be asked, see Decisions.Wake; Key is the one given there.
	Woken Kind = iota
	// Arrived: an invocation has arrived. It has Function, Trace, Invocation and Parent.
	Arrived
	// Placed: an invocation was given its Container, which is busy from now on if Start is Warm, and otherwise starting for it.
	Placed
	// Started: the run of an invocation has started in its Container. Wait is the time since its arrival, Init the part of it that was spent
	// on initialising, 0 if the container was initialised before.
	Started
	// Ended: the run of an invocation has ended. Failed says that it has failed. Its Container is returning until it is Idle.
	Ended
	// Refused: the platform has answered an invocation without running it: no replica has capacity (429), or a queue is full.
	Refused
	// Starting: the creation of a Container has begun for nobody. By says at whose wish. (Where it is created for an invocation there is only
	// Placed, with Start Cold.)
	Starting
	// Idle: a Container is idle: after its last run, or after a start for nobody.
	Idle
	// Removed: a Container is gone. By says at whose wish.
	Removed
	// Pressure: the number of invocations that wait because memory is full has changed, to Queue.
	Pressure
	// Leaving: a Container takes no more invocations, and is removed when those that it has have ended. Only replicas leave, see
	// ScaleFunction; of containers that are removed at once there is only Removed.
	Leaving
	// Displaced: an invocation is not in the Container in which it was Placed, which was a guess of whoever tells the events: it waits to be Placed
	// again; Start is how it was Placed. Where it was Cold, the container is Starting for nobody until it is Removed, or another invocation is Placed
	// in it, Cold. Only platforms that are observed from outside have it.
	Displaced
	// Called: who has sent an invocation that has Arrived without a Parent has become known: Parent. By Late before At it has arrived. Only platforms that are
	// observed from outside have it: a run may be heard of before the call that it is of.
	Called
	// Renewed: the idle time of an idle Container has begun anew, see Platform.Renew: it has run something that is no invocation.
	Renewed
)

// String returns the kind in one word, in lower case.
func (k Kind) String() string {
	names := [...]string{"woken", "arrived", "placed", "started", "ended", "refused", "starting", "idle", "removed", "pressure", "leaving", "displaced", "called", "renewed"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Start is how an invocation came to its container.
type Start uint8

const (
	// Warm: an idle container took it.
	Warm Start = iota
	// Late: it waits for a container that was being started already, for nobody.
	Late
	// Cold: a container is created for it.
	Cold
)

// String returns warm, late or cold.
func (s Start) String() string { return [...]string{"warm", "late", "cold"}[s] }

// By is at whose wish a container was started or removed.
type By uint8

const (
	// ByPolicy: the policy has decided it; of Removed also where the time of a hold has passed.
	ByPolicy By = iota
	// ByPlatform: the platform's own rule: of Starting its stock (stem cells, replicas); of Removed its idle timeout, or a failure.
	ByPlatform
	// ByEviction: the platform has removed an idle container because it needed the memory.
	ByEviction
)

// String returns policy, platform or eviction.
func (b By) String() string { return [...]string{"policy", "platform", "eviction"}[b] }

// Event is something that has happened on the platform. What is not named at its Kind is zero.
type Event struct {
	Kind Kind
	// At is when; the events that a policy is told of are in the order of it.
	At Time
	// Late is by how much it has happened before At, where it is known too late to be told in order. Only platforms that are observed from outside
	// have it.
	Late time.Duration
	// Function is the index of the function in Fleet.Functions.
	Function int
	// Container is the container, for the kinds that have one.
	Container ID
	// Trace is the request that the invocation belongs to, and Parent the invocation that has sent it; 0 if it is the root or unknown.
	Trace, Invocation, Parent ID
	// Start is how a Placed or Displaced invocation came to its container.
	Start Start
	// By is at whose wish a container is Starting or was Removed.
	By By
	// Wait and Init belong to Started.
	Wait, Init time.Duration
	// Failed belongs to Ended.
	Failed bool
	// Queue belongs to Pressure.
	Queue int
	// Key belongs to Woken.
	Key uint64
}
