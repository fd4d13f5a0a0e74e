package openwhiskprocessor

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v7"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tppfaas/tppfaas/internal/circuit"
)

// pending is the queue of the spans that have been accepted and not yet delivered. A span first waits for the record of its
// activation, then for the next component:
//
//	enlist ──▶ ready ──take──▶ worker ──settle──▶ worker ──finish──▶ finished ──takeFinished──▶ forwarder ──release──▶
//	             ▲                         │
//	             └────tick──── later ◀─────┘ if the record is to be looked up again
//
// It is safe for concurrent use. The zero value is not usable; see newPending.
type pending struct {
	limits PendingConfig
	retry  RetryConfig
	pause  time.Duration // at least, of a circuit that is throttled

	mu         sync.Mutex
	phase      phase
	workReady  sync.Cond // signals take: an activation may be looked up, or the phase is closed
	batchReady sync.Cond // signals takeFinished: spans are finished, or the phase is closed
	timer      *time.Timer

	activations map[string]*activation // all whose spans wait, by id
	ready       []*activation          // to be looked up now
	later       schedule               // to be looked up when they are due
	finished    []item                 // to be delivered
	circuit     circuit.Circuit
	spans       int           // number of spans with room reserved
	bytes       int           // size of the batches that have such spans
	drained     chan struct{} // closed when the phase is draining and no span has room reserved
}

// activation is an invocation whose record spans wait for. It is in one place at a time: in ready, in later, or with the
// worker that looks it up.
type activation struct {
	id      string
	items   []item
	seen    map[identity]struct{} // the identities of items; nil while there are few
	since   time.Time             // when the first span began to wait
	down    time.Duration         // downtime of the circuit at that time
	backoff backoff.ExponentialBackOff
	due     time.Time // of the next lookup
}

// fewItems is how many spans of an activation are looked through one by one. There is one of most.
const fewItems = 8

// add adds a span. There are many of one activation where a function takes the id of its container's first run for that of each.
func (a *activation) add(it item) {
	a.items = append(a.items, it)
	switch {
	case a.seen != nil:
		a.seen[identityOf(it.span)] = struct{}{}
	case len(a.items) > fewItems:
		a.seen = make(map[identity]struct{}, 2*fewItems)
		for i := range a.items {
			a.seen[identityOf(a.items[i].span)] = struct{}{}
		}
	}
}

// has reports whether the span waits for the activation already.
func (a *activation) has(span ptrace.Span) bool {
	id := identityOf(span)
	if a.seen != nil {
		_, ok := a.seen[id]
		return ok
	}
	return slices.ContainsFunc(a.items, func(it item) bool { return identityOf(it.span) == id })
}

func newPending(config *Config) *pending {
	q := &pending{
		limits: config.Pending, retry: config.Retry, pause: config.Circuit.Pause, circuit: circuit.New(circuit.Config(config.Circuit)),
		activations: map[string]*activation{}, drained: make(chan struct{}),
	}
	q.workReady.L, q.batchReady.L = &q.mu, &q.mu
	return q
}

// open moves the phase from created to running.
func (q *pending) open() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.phase = running
	q.timer = time.AfterFunc(math.MaxInt64, q.tick)
}

// drain moves the phase from running to draining, makes all lookups due at once, and reports true. If the phase is not
// running, there is nothing to drain: it becomes closed.
func (q *pending) drain() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase != running {
		q.phase = closed
		return false
	}
	q.phase = draining
	q.ready = append(q.ready, q.later...)
	q.later = nil
	q.checkDrained()
	q.workReady.Broadcast()
	return true
}

// close moves the phase to closed and returns the number of spans that are left.
func (q *pending) close() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.phase = closed
	q.timer.Stop()
	q.workReady.Broadcast()
	q.batchReady.Broadcast()
	return q.spans
}

// load returns the number of spans with room reserved and the size of their batches.
func (q *pending) load() (spans, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.spans, q.bytes
}

// circuitOpen reports whether lookups are suspended after failures.
func (q *pending) circuitOpen() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.circuit.Open()
}

// isWaiting reports whether the span waits for the record of the activation.
func (q *pending) isWaiting(id string, span ptrace.Span) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.activations[id]
	return a != nil && a.has(span)
}

// reserve makes room for spans in a batch of the given size. The error is a gRPC status that asks the sender to send the
// spans again: ResourceExhausted with the time to wait where the room does not suffice, Unavailable after Shutdown.
func (q *pending) reserve(spans, bytes int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase >= draining {
		return status.Error(codes.Unavailable, "the collector is stopping")
	}
	// A batch that is too large on its own is accepted while nothing else waits.
	if spans > 0 && q.spans > 0 && (q.spans+spans > q.limits.Spans || q.bytes+bytes > q.limits.Bytes) {
		s := status.Newf(codes.ResourceExhausted, "%d spans (%d bytes) wait for their activation records", q.spans, q.bytes)
		if detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(q.limits.RetryAfter)}); err == nil {
			s = detailed
		}
		return s.Err()
	}
	q.spans += spans
	q.bytes += bytes
	return nil
}

// release gives up reserved room.
func (q *pending) release(spans, bytes int) {
	if spans == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spans -= spans
	q.bytes -= bytes
	q.checkDrained()
}

// checkDrained closes drained once its condition holds. It is called when drain begins and when the number of spans falls,
// and no room is reserved after drain: so the condition becomes true only once. The lock is held.
func (q *pending) checkDrained() {
	if q.phase == draining && q.spans == 0 {
		close(q.drained)
	}
}

// restore reserves room for a batch from the storage, whatever the limits are, and enlists it.
func (q *pending) restore(b *batch) {
	q.mu.Lock()
	q.spans += b.left
	q.bytes += b.bytes
	q.mu.Unlock()
	q.enlist(b)
}

// enlist makes the spans of a batch, which has room reserved, wait for their records.
func (q *pending) enlist(b *batch) {
	items := b.items()
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, it := range items {
		a := q.activations[it.activation]
		if a == nil {
			a = &activation{id: it.activation, since: now, down: q.circuit.Downtime(now), backoff: q.retry.backOff()}
			q.activations[a.id] = a
			q.ready = append(q.ready, a)
			q.workReady.Signal()
		}
		a.add(it)
	}
}

// take waits until an activation may be looked up, and returns it; nil when the phase is closed.
func (q *pending) take() *activation {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.phase != closed {
		if len(q.ready) > 0 {
			now := time.Now()
			if q.circuit.Allow(now) {
				a := q.ready[0]
				q.ready[0] = nil
				q.ready = q.ready[1:]
				return a
			}
			q.setTimer(now)
		}
		q.workReady.Wait()
	}
	return nil
}

// tick is called by the timer: it moves the activations that are due from later to ready, and wakes the workers if the
// circuit allows lookups.
func (q *pending) tick() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase == closed {
		return
	}
	now := time.Now()
	for a := q.later.take(now); a != nil; a = q.later.take(now) {
		q.ready = append(q.ready, a)
	}
	if len(q.ready) > 0 && q.circuit.Wait(now) == 0 {
		q.workReady.Broadcast()
	}
	q.setTimer(now)
}

// setTimer sets the timer to the next time at which a lookup is due, or at which the circuit allows the lookups that are
// ready. The lock is held.
func (q *pending) setTimer(now time.Time) {
	if q.phase == closed {
		return
	}
	next := time.Duration(math.MaxInt64)
	if len(q.later) > 0 {
		next = max(q.later[0].due.Sub(now), 0)
	}
	if pause := q.circuit.Wait(now); len(q.ready) > 0 && pause > 0 {
		next = min(next, pause)
	}
	q.timer.Reset(next)
}

// settlement tells what follows from the answer to a lookup.
type settlement struct {
	again     bool   // the activation will be looked up again
	items     []item // otherwise: the spans that wait no longer; to be passed to finish
	reason    string // why they have no record; empty if they have one
	recovered bool   // OpenWhisk answers again after failures
	failing   bool   // OpenWhisk fails, and not only once, or its answer is no record
	spans     int    // number of spans with room reserved
}

// settle reports the answer to a lookup to the circuit, and either plans the next lookup of the activation or removes it. An activation
// is removed once it has waited for MaxElapsedTime, whatever the answers were. Time for which the circuit suspended lookups does not count
// as waiting.
func (q *pending) settle(a *activation, answer answer, retryAfter time.Duration, now time.Time) settlement {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := settlement{spans: q.spans}
	switch answer {
	case found, notYet:
		s.recovered = q.circuit.Success(now)
	case malformed: // OpenWhisk is there
		s.recovered = q.circuit.Success(now)
		s.failing = true
	case impossible:
		q.circuit.Rest(now, 0)
	case throttled:
		q.circuit.Rest(now, max(retryAfter, q.pause))
		s.failing = true
	case failed:
		q.circuit.Failure(now, retryAfter, a.id)
		s.failing = q.circuit.Open()
	default:
		q.circuit.Failure(now, retryAfter, "")
		s.failing = q.circuit.Open() || answer == refused
	}
	s.reason = q.reasonToGiveUp(a, answer, now)
	switch {
	case q.activations[a.id] != a: // abandoned during the lookup
	case answer == found || s.reason != "":
		s.items = a.items
		delete(q.activations, a.id)
	default:
		s.again = true
		a.due = now.Add(a.backoff.NextBackOff())
		q.later.add(a)
	}
	q.setTimer(now)
	switch {
	case s.recovered:
		q.workReady.Broadcast()
	case len(q.ready) > 0: // the lookup may have been the circuit's trial, during which no other worker could go on
		q.workReady.Signal()
	}
	return s
}

// reasonToGiveUp returns why the activation is not looked up again after the answer, or "" if it was found or is looked up again. The
// lock is held.
func (q *pending) reasonToGiveUp(a *activation, answer answer, now time.Time) string {
	down := q.circuit.Downtime(now) - a.down
	over := q.retry.exhausted(now.Sub(a.since) - down)
	switch {
	case answer == found:
		return ""
	case answer == impossible:
		return reasonImpossible
	case answer == notYet && over:
		return reasonMissing
	case answer == malformed && over:
		return reasonMalformed
	case answer == notYet || answer == malformed:
		return "" // OpenWhisk is there
	case down >= q.retry.Outage:
		return reasonUnreachable
	case over:
		return reasonFailed
	}
	return ""
}

// abandon removes all activations and returns their items, which are to be passed to finish. Answers to lookups that are
// under way come to nothing.
func (q *pending) abandon() []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	var items []item
	for _, a := range q.activations {
		items = append(items, a.items...)
	}
	clear(q.activations)
	q.ready, q.later = nil, nil
	return items
}

// finish makes the items ready for delivery.
func (q *pending) finish(items []item) {
	if len(items) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finished = append(q.finished, items...)
	q.batchReady.Signal()
}

// takeFinished waits until there are finished items, and removes and returns at most limit of them; nil when the phase is
// closed.
func (q *pending) takeFinished(limit int) []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.finished) == 0 && q.phase != closed {
		q.batchReady.Wait()
	}
	if q.phase == closed {
		return nil
	}
	n := min(len(q.finished), limit)
	items := append([]item(nil), q.finished[:n]...)
	q.finished = append(q.finished[:0], q.finished[n:]...)
	return items
}
