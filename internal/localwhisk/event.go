package localwhisk

import "time"

// EventKind is what has happened in the engine.
type EventKind uint8

const (
	// Arrived: the controller has received an invocation.
	Arrived EventKind = iota + 1
	// Placed: an invocation was given a container. Start says how it came to it.
	Placed
	// Started: the run of an invocation has started in its container, after /init. Wait is the time since its arrival, Init its InitTime.
	Started
	// Ended: the run of an invocation has ended, or could not start; Err says why it failed. The container is busy until it is Idle or Removed.
	Ended
	// Refused: an invocation was answered without being run.
	Refused
	// Starting: the creation of a container has begun for nobody. By says at whose wish.
	Starting
	// Idle: a container is idle: its logs are collected, or its start for nobody is complete.
	Idle
	// Removed: a container was removed, or taken from a stock of stem cells. By says at whose wish.
	Removed
	// Pressure: the number of invocations that wait because memory is full has changed, to Queue.
	Pressure
	// Leaving: a replica takes no more requests, and is removed when those that it has have ended. Only Replicas have it.
	Leaving
)

// String returns the kind in one word, in lower case.
func (k EventKind) String() string {
	names := [...]string{"none", "arrived", "placed", "started", "ended", "refused", "starting", "idle", "removed", "pressure", "leaving"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// StartKind is how an invocation came to its container.
type StartKind uint8

const (
	// Warm: an idle container took it.
	Warm StartKind = iota
	// Late: it waits for a container that was being started already, for nobody.
	Late
	// Cold: a container is created for it, or a stem cell was initialised for it.
	Cold
)

// String returns warm, late or cold.
func (s StartKind) String() string { return [...]string{"warm", "late", "cold"}[s] }

// By is at whose wish a container was started or removed.
type By uint8

const (
	// ByPolicy: a call of StartContainer or GiveBack, or a hold that has ended.
	ByPolicy By = iota
	// ByPlatform: the idle timeout, a failure, the removal of a function.
	ByPlatform
	// ByEviction: its memory was needed.
	ByEviction
)

// String returns policy, platform or eviction.
func (b By) String() string { return [...]string{"policy", "platform", "eviction"}[b] }

// Event is something that has happened in the engine. What its Kind does not have is zero. Stem cells of [Config.StemCells] have no events
// before an invocation, or StartContainer, takes them; those of a stock have those of its containers.
type Event struct {
	Kind EventKind
	// At is when.
	At time.Time
	// Function is the name of the function.
	Function string
	// Container is the number of the container.
	Container int
	// ID is the activation id of the invocation, Cause that of the activation which has sent it; Params are its parameters.
	ID, Cause string
	Params    any
	// Start belongs to Placed.
	Start StartKind
	// By belongs to Starting and Removed.
	By By
	// Wait and Init belong to Started.
	Wait, Init time.Duration
	// Err belongs to Ended.
	Err error
	// Queue belongs to Pressure.
	Queue int
}

// Watch registers a callback that is called with every event from now on: in the order in which they happen, at the time of the event, and
// without the lock, so that it may call the methods of the platform. What these do in turn is told after the events that had happened before
// the call. The platform can be further than the event: a container that became idle may have been given the next invocation of the queue. With a clock of real time, an event may be told by another goroutine than the one that has caused it.
func (p *Platform) Watch(f func(Event)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers = append(p.watchers, f)
}

// emit notes an event, which is told when the lock is released. Its container and its activation may be nil.
func (p *Platform) emit(e Event, c *PoolContainer, a *activation) {
	if len(p.watchers) == 0 {
		return
	}
	e.At = p.clock.Now()
	if c != nil {
		if c.function == nil {
			return
		}
		e.Container, e.Function = c.id, c.function.Name
	}
	if a != nil {
		e.Function, e.ID, e.Cause, e.Params = a.record.Name, a.record.ID, a.record.Cause, a.record.Params
	}
	p.events = append(p.events, e)
}

// tellEvents tells the watchers of the events until there are none. Only one call at a time does so, which keeps their order.
func (p *Platform) tellEvents() {
	for {
		p.mu.Lock()
		if len(p.events) == 0 {
			p.telling = false
			p.mu.Unlock()
			return
		}
		events, watchers := p.events, p.watchers
		p.events = p.toldEvents[:0]
		p.mu.Unlock()
		for i := range events {
			for _, watch := range watchers {
				watch(events[i])
			}
		}
		clear(events)
		p.mu.Lock()
		p.toldEvents = events
		p.mu.Unlock()
	}
}
