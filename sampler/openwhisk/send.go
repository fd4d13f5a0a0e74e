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

// flight is a request that is being sent, or whose trace is not complete.
type flight struct {
	request sampler.Request
	done    func(sampler.Trace, error)

	trace      string // its trace id
	activation string // of main; "" if the answer was lost
	at         time.Time
	lost       string // why there is no answer

	// Of the fetching:
	expected time.Time // its end, on a platform without delays
	next     time.Time // when to look next
	pause    time.Duration
	spans    int // that were there the last time
	state    *sampler.Incomplete
}

// recalled is a request whose trace an earlier run has collected.
type recalled struct {
	request int
	done    func(sampler.Trace, error)
}

// Send has the request sent by a goroutine beside, or, if an earlier run has sent it, only looked for.
func (t *Target) Send(r sampler.Request, done func(sampler.Trace, error)) error {
	f := &flight{request: r, done: done}
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, before := t.sentAt.get(r.Index); before {
		e := t.journal.found[r.Index]
		if e.complete != 0 {
			t.unsent++ // Wait waits for it
			if t.recalled = append(t.recalled, recalled{r.Index, done}); len(t.recalled) == 1 {
				t.workers.Go(t.handOver)
			}
			return nil
		}
		f.trace, f.activation = e.trace, e.activation
		if f.activation == "" {
			f.lost = "the process died before OpenWhisk's answer was recorded"
		}
		t.fly(f, at)
		return nil
	}
	if t.stopped {
		return nil // whoever stopped it knows
	}
	t.queue = append(t.queue, f)
	t.unsent++
	if t.senders < maxSenders {
		t.senders++
		t.workers.Go(t.sendAll)
	}
	return nil
}

// handOver hands over the traces that earlier runs have collected.
func (t *Target) handOver() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.recalled) > 0 {
		r := t.recalled[0]
		t.mu.Unlock()
		r.done(t.journal.trace(r.request))
		t.mu.Lock()
		t.recalled = t.recalled[1:]
		t.unsent--
		t.signal()
	}
}

// fly notes that a request is on its way. The lock is held.
func (t *Target) fly(f *flight, at time.Time) {
	f.at = at
	f.expected = at.Add(length(f.request.Calls))
	f.pause = firstPoll
	f.next = f.expected.Add(firstPoll)
	t.flights = append(t.flights, f)
	t.signal()
}

// sendAll sends what is in the queue.
func (t *Target) sendAll() {
	for {
		t.mu.Lock()
		if len(t.queue) == 0 {
			t.senders--
			t.mu.Unlock()
			return
		}
		f := t.queue[0]
		t.queue = t.queue[1:]
		t.mu.Unlock()
		sent, err := t.transmit(f)
		t.mu.Lock()
		t.unsent--
		if sent {
			t.sentAt.set(f.request.Index, f.at)
			t.news = time.Now()
			t.fly(f, f.at)
		}
		n := t.sentAt.count
		t.mu.Unlock()
		if err != nil {
			f.done(nil, err)
		}
		if sent && t.options.OnSend != nil {
			t.options.OnSend(n, t.last-f.request.Time)
		}
		t.signal()
	}
}

// payload is the body of an invocation of main.
type payload struct {
	Calls any `json:"calls"`
	// TraceParent makes the trace's id one that we know, so that the trace is found even if the answer is lost.
	TraceParent string `json:"traceparent"`
}

// transmit has main invoked, and tells whether it was. What OpenWhisk cannot have taken is sent again: for as long as it takes
// where there are only too many requests, else until patience has passed. Where it may have taken it, it is taken as sent.
func (t *Target) transmit(f *flight) (sent bool, err error) {
	var id [24]byte
	_, _ = rand.Read(id[:]) // it never fails
	f.trace = hex.EncodeToString(id[:16])
	body := payload{action.Calls(f.request.Calls), "00-" + f.trace + "-" + hex.EncodeToString(id[16:]) + "-01"}
	name := t.pack + "/" + t.options.App.DeployedName(apps.Main)
	for {
		leave, ok := t.sending.enter(t.stop)
		if !ok {
			return false, nil
		}
		again, err := t.attempt(f, name, body)
		leave()
		if !again {
			return err == nil && f.at != time.Time{}, err
		}
	}
}

// attempt sends once, and tells whether to do so again.
func (t *Target) attempt(f *flight, name string, body payload) (again bool, err error) {
	select {
	case <-t.stop:
		return false, nil
	default:
	}
	at := time.Now()
	if err := t.journal.send(f.request.Index, f.trace, at); err != nil {
		return false, err
	}
	// The context is not that of the sampling: an interrupt should not lose an answer that is about to come.
	activation, err := t.client.Invoke(t.life, name, body)
	if err == nil {
		t.sending.worked(t.client.Name())
		f.at, f.activation = at, activation
		// That it was sent is on disk already: what is missing is found by the trace's id.
		_ = t.journal.sent(f.request.Index, activation)
		return false, nil
	}
	var e *whisk.Error
	if !errors.As(err, &e) {
		return false, err
	}
	if e.MaybeProcessed {
		t.say(fmt.Sprintf("request %d may have been lost: %v", f.request.Index, e))
		f.at, f.lost = at, "OpenWhisk's answer was lost"
		return false, nil
	}
	if err := t.journal.refused(f.request.Index); err != nil {
		return false, err
	}
	if !e.Temporary() {
		return false, e
	}
	if down, _ := t.sending.down(); !e.AsksToWait() && down > t.options.Patience {
		return false, e
	}
	t.sending.failed(e)
	return true, nil
}
