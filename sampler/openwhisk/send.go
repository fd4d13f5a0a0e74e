package openwhisk

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler"
)

// maxSenders bounds the requests that are sent at the same time. More wait for their turn.
const maxSenders = 128

// request is a request that is to be sent, or whose trace is not complete.
type request struct {
	plan sampler.Request
	done func(sampler.Trace, error)

	traceID    string
	activation string // that of main, "" if OpenWhisk's answer was lost
	sentAt     time.Time
	lost       string // why there is no answer

	// For the fetching:
	expectedEnd time.Time // on a platform without delays
	nextLook    time.Time
	pause       time.Duration // before the look after that
	spans       int           // that were there at the last look
	incomplete  *sampler.Incomplete
}

// restored is a request whose trace an earlier run has collected.
type restored struct {
	index int
	done  func(sampler.Trace, error)
}

// Send queues the request to be sent by one of the senders. One that an earlier run has sent is only looked for at Zipkin.
func (t *Target) Send(r sampler.Request, done func(sampler.Trace, error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := &request{plan: r, done: done}
	switch at, before := t.sentAt.get(r.Index); {
	case before:
		t.sendRestored(q, at)
	case t.stopped: // whoever stopped it knows
	default:
		t.queue = append(t.queue, q)
		t.unfinished++
		if t.senders < maxSenders {
			t.senders++
			t.workers.Go(t.sendQueued)
		}
	}
	return nil
}

// sendRestored takes over a request that an earlier run has sent: to be fetched, or if that run has its trace, to be handed over. The lock
// is held.
func (t *Target) sendRestored(q *request, at time.Time) {
	e := t.journal.found[q.plan.Index]
	if e.complete == 0 {
		q.traceID, q.activation = e.trace, e.activation
		if q.activation == "" {
			q.lost = "the process died before OpenWhisk's answer was recorded"
		}
		t.addPending(q, at)
		return
	}
	t.unfinished++
	if t.restored = append(t.restored, restored{q.plan.Index, q.done}); len(t.restored) == 1 {
		t.workers.Go(t.handOverRestored)
	}
}

// handOverRestored hands over the traces that earlier runs have collected.
func (t *Target) handOverRestored() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.restored) > 0 {
		r := t.restored[0]
		t.mu.Unlock()
		r.done(t.journal.trace(r.index))
		t.mu.Lock()
		t.restored = t.restored[1:]
		t.unfinished--
		t.signal()
	}
}

// sendQueued is a sender: it sends what is in the queue until that is empty.
func (t *Target) sendQueued() {
	for {
		t.mu.Lock()
		if len(t.queue) == 0 {
			t.senders--
			t.mu.Unlock()
			return
		}
		q := t.queue[0]
		t.queue = t.queue[1:]
		t.mu.Unlock()
		sent, err := t.invokeMain(q)
		t.mu.Lock()
		t.unfinished--
		if sent {
			t.sentAt.set(q.plan.Index, q.sentAt)
			t.lastProgress = time.Now()
			t.addPending(q, q.sentAt)
		}
		n := t.sentAt.count
		t.mu.Unlock()
		if err != nil {
			q.done(nil, err)
		}
		if sent && t.options.OnSend != nil {
			t.options.OnSend(n, t.planEnd-q.plan.Time)
		}
		t.signal()
	}
}

// payload is the body of an invocation of main.
type payload struct {
	Calls any `json:"calls"`
	// TraceParent determines the id of the trace, so that the trace is found even if OpenWhisk's answer is lost.
	TraceParent string `json:"traceparent"`
	// CallID is the id under which the request is announced.
	CallID string `json:"call.id,omitempty"`
	// announce announces the request, and returns that id; nil if it was announced, or is not to be.
	announce func() string
}

// invokeMain invokes main, and reports whether that was done. What OpenWhisk cannot have taken is sent again: for as long as it takes
// where OpenWhisk only asks to wait, else until patience has passed. What it may have taken counts as sent.
func (t *Target) invokeMain(q *request) (sent bool, err error) {
	var id [24]byte
	_, _ = rand.Read(id[:]) // it never fails
	q.traceID = hex.EncodeToString(id[:16])
	body := &payload{Calls: action.Calls(q.plan.Calls), TraceParent: "00-" + q.traceID + "-" + hex.EncodeToString(id[16:]) + "-01"}
	main := t.options.App.DeployedName(apps.Main)
	if t.announcer != nil {
		body.announce = func() string { return t.announcer.announce([16]byte(id[:16]), [8]byte(id[16:]), main) }
	}
	name := t.pack + "/" + main
	for {
		release, ok := t.sendBreaker.acquire(t.stop)
		if !ok {
			return false, nil
		}
		again, err := t.invokeOnce(q, name, body)
		release()
		if !again {
			return err == nil && !q.sentAt.IsZero(), err
		}
	}
}

// invokeOnce makes one attempt, and reports whether there should be another. Each step is in the journal before the next begins. The first
// attempt is announced.
func (t *Target) invokeOnce(q *request, name string, body *payload) (again bool, err error) {
	select {
	case <-t.stop:
		return false, nil
	default:
	}
	at := time.Now()
	if err := t.journal.send(q.plan.Index, q.traceID, at); err != nil {
		return false, err
	}
	if body.announce != nil {
		body.CallID, body.announce = body.announce(), nil
	}
	// The context is not that of the sampling: an interrupt should not lose an answer that is about to come.
	activation, err := t.client.Invoke(t.sending, name, body)
	if err == nil {
		t.sendBreaker.succeeded(t.client.Name())
		q.sentAt, q.activation = at, activation
		// That it was sent is on disk already. If this line is missing, the trace is found by its id.
		if err := t.journal.sent(q.plan.Index, activation); err != nil {
			t.warnJournal(err)
		}
		return false, nil
	}
	var e *whisk.Error
	if !errors.As(err, &e) {
		return false, err
	}
	if e.MaybeProcessed && t.sending.Err() != nil {
		q.sentAt, q.lost = at, "OpenWhisk had not answered when the sampling ended"
		return false, nil
	}
	if e.MaybeProcessed {
		t.message(fmt.Sprintf("request %d may have been lost: %v", q.plan.Index, e))
		q.sentAt, q.lost = at, "OpenWhisk's answer was lost"
		return false, nil
	}
	if err := t.journal.refused(q.plan.Index); err != nil {
		return false, err
	}
	if !e.Temporary() {
		return false, e
	}
	if down, _ := t.sendBreaker.down(); !e.AsksToWait() && down > t.options.Patience {
		return false, e
	}
	t.sendBreaker.failed(e)
	return true, nil
}

// addPending adds a request that was sent to those that Wait fetches. The lock is held.
func (t *Target) addPending(q *request, at time.Time) {
	q.sentAt = at
	q.expectedEnd = at.Add(duration(q.plan.Calls))
	q.pause = firstPause
	q.nextLook = q.expectedEnd.Add(firstPause)
	t.pending = append(t.pending, q)
	t.signal()
}

// duration returns how long a request takes on a platform without delays: until its last function ends.
func duration(calls []apps.Call) time.Duration {
	begins := make([]time.Duration, len(calls))
	var last time.Duration
	for k, c := range calls { // callers stand before those they call
		end := begins[k] + c.Sleep
		for i, next := range c.Invokes {
			begins[next] = end + time.Duration(i)*apps.CallGap
		}
		last = max(last, end)
	}
	return last
}
