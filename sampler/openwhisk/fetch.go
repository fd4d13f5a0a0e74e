package openwhisk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler"
)

// Bounds of the fetching.
const (
	fetchers   = 8                      // goroutines
	firstPause = 200 * time.Millisecond // after a trace should be there, and the first pause between two looks
	maxPause   = 5 * time.Second        // the longest pause
	// After an interrupt nobody wants to wait long.
	interruptSettle = 5 * time.Second // also for the answers to what was sent, and for what OpenWhisk says of it in the end
	interruptMost   = time.Minute
)

// Wait fetches the traces of what is sent meanwhile, and returns when every request is done. When the context is done before, it stops
// the sending, and fetches what still comes of what was sent, for a minute at most. For OpenWhisk's answers it then waits a few seconds.
func (t *Target) Wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, t.stopSending)
	defer stop()
	fetching, cancel := context.WithCancel(t.ctx)
	defer cancel()
	settle := t.options.Settle
	interrupted := ctx.Done()
	for {
		select {
		case <-interrupted:
			interrupted = nil
			settle = min(settle, interruptSettle)
			t.stopSending()
			t.mu.Lock()
			t.lastProgress = time.Now()
			n := len(t.pending)
			t.mu.Unlock()
			if n > 0 {
				t.message(fmt.Sprintf("nothing more is sent; %d traces may still come", n))
			}
			answers := time.AfterFunc(interruptSettle, t.breakOffSend)
			defer answers.Stop()
			timer := time.AfterFunc(interruptMost, cancel)
			defer timer.Stop()
		default:
		}
		now := time.Now()
		due, next, over := t.due(now, settle)
		if len(due) > 0 && fetching.Err() == nil {
			t.fetchAll(fetching, due, settle)
			continue
		}
		t.warnIfNothingArrives(fetching, now, settle)
		if over || fetching.Err() != nil {
			if ctx.Err() != nil {
				last := time.AfterFunc(interruptSettle, cancel)
				defer last.Stop()
			}
			t.abandonPending(fetching)
			return ctx.Err()
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-t.wake:
		case <-fetching.Done():
		case <-interrupted:
		}
		timer.Stop()
	}
}

// due returns the requests to look for now. Where there are none it returns when there is something to do next, and over reports whether
// nothing will come any more.
func (t *Target) due(now time.Time, settle time.Duration) (due []*request, next time.Time, over bool) {
	down, retry := t.fetchBreaker.down()
	t.mu.Lock()
	defer t.mu.Unlock()
	next = now.Add(time.Minute)
	allSent := len(t.timers) == 0 && t.unfinished == 0
	if allSent && len(t.pending) == 0 {
		return nil, next, true
	}
	lastEvent := t.lastProgress // or the end of a request, if that is expected later
	for _, q := range t.pending {
		if q.expectedEnd.After(lastEvent) {
			lastEvent = q.expectedEnd
		}
		if at := q.nextLook; down == 0 && !at.After(now) {
			due = append(due, q)
		} else if at.Before(next) {
			next = at
		}
	}
	if down > 0 {
		if allSent && down > t.options.Patience {
			return nil, next, true
		}
		// One request is enough for a trial.
		if !retry.After(now) && len(t.pending) > 0 {
			return slices.Clone(t.pending[:1]), next, false
		}
		return nil, retry, false
	}
	if settled := lastEvent.Add(settle); allSent {
		over = !settled.After(now)
		if settled.Before(next) {
			next = settled
		}
	}
	return due, next, over
}

// fetchAll looks for the traces of requests, several at the same time.
func (t *Target) fetchAll(ctx context.Context, due []*request, settle time.Duration) {
	work := make(chan *request)
	var wait sync.WaitGroup
	for range min(fetchers, len(due)) {
		wait.Go(func() {
			for q := range work {
				t.fetch(ctx, q, settle)
			}
		})
	}
	for _, q := range due {
		// After a failure the others would only fail as well.
		if down, _ := t.fetchBreaker.down(); down > 0 && len(due) > 1 {
			break
		}
		work <- q
	}
	close(work)
	wait.Wait()
}

// fetch looks once for the trace of a request, and finishes the request if the trace is complete.
func (t *Target) fetch(ctx context.Context, q *request, settle time.Duration) {
	spans, err := t.findSpans(ctx, q)
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		var e *whisk.Error
		if !errors.As(err, &e) {
			e = &whisk.Error{Kind: whisk.Nonsense, Server: t.zipkin.Server.Name, Text: whisk.OneLine(err.Error())}
		}
		t.fetchBreaker.failed(e)
		return
	}
	if down, _ := t.fetchBreaker.down(); down > 0 {
		// Spans may have waited for Zipkin for as long as we have.
		t.mu.Lock()
		t.lastProgress = time.Now()
		t.mu.Unlock()
		t.fetchBreaker.succeeded(t.zipkin.Server.Name)
	}
	trace, incomplete := assemble(t.options.App, q.plan.Calls, spans)
	if trace != nil {
		t.store(q.plan.Index, trace)
		t.finish(q, trace, nil)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	q.incomplete = incomplete
	if len(spans) != q.spans {
		t.arrived += len(spans) - q.spans
		q.spans = len(spans)
		t.lastProgress = time.Now()
		q.pause = firstPause
	} else {
		q.pause = min(q.pause*3/2, maxPause, max(settle/5, 20*time.Millisecond))
	}
	q.nextLook = time.Now().Add(q.pause)
}

// findSpans asks Zipkin for the spans of a request: by the activation of main, and if that is not known or its span is not there, by the
// id of the trace.
func (t *Target) findSpans(ctx context.Context, q *request) ([]span, error) {
	if q.activation != "" {
		spans, err := t.zipkin.byActivation(ctx, q.activation, q.sentAt)
		if err != nil || len(spans) > 0 {
			return spans, err
		}
	}
	return t.zipkin.byID(ctx, q.traceID)
}

// warnIfNothingArrives tells the user, long before the end of a long run, that no spans arrive.
func (t *Target) warnIfNothingArrives(ctx context.Context, now time.Time, settle time.Duration) {
	down, _ := t.fetchBreaker.down()
	t.mu.Lock()
	var first *request
	if !t.warned && t.arrived == 0 && down == 0 && len(t.pending) > 0 && t.pending[0].expectedEnd.Add(settle).Before(now) {
		first, t.warned = t.pending[0], true
	}
	t.mu.Unlock()
	if first == nil {
		return
	}
	text := fmt.Sprintf("no span has arrived in %s: the functions send theirs to the collector at %s (from %s), which must pass them on",
		t.zipkin.Server.Name, t.options.Collector.address(), t.options.Collector.From)
	if u, err := whisk.ParseAddress(t.options.Collector.Value); err == nil && whisk.IsLoopback(u) {
		text += "; that address is this machine's, and in a container it is the container's"
	}
	if first.activation != "" {
		if outcome := t.outcome(ctx, first.activation); outcome != "" {
			text += "; of the first request, " + outcome
		}
	}
	t.message(text)
}

// abandonPending finishes all requests that are left, each with what is missing of its trace.
func (t *Target) abandonPending(ctx context.Context) {
	t.mu.Lock()
	left := slices.Clone(t.pending)
	t.mu.Unlock()
	down, _ := t.fetchBreaker.down()
	const asked = 3 // the others will have failed alike
	for i, q := range left {
		incomplete := q.incomplete
		if incomplete == nil {
			_, incomplete = assemble(t.options.App, q.plan.Calls, nil)
		}
		switch {
		case down > 0:
			incomplete.Reason = "not fetched: Zipkin has not answered"
		case q.spans == 0 && q.lost != "":
			incomplete.Reason = q.lost
		case q.spans == 0 && q.activation != "" && i < asked:
			incomplete.Reason = t.outcome(ctx, q.activation)
		}
		t.finish(q, nil, incomplete)
	}
}

// outcome returns what OpenWhisk says about an activation of main of which no span has arrived, "" if it does not say.
func (t *Target) outcome(ctx context.Context, activation string) string {
	record, err := t.client.Activation(ctx, activation)
	switch {
	case errors.Is(err, whisk.ErrNotYet):
		return "OpenWhisk has no record of its activation " + activation
	case err != nil:
		return ""
	case record.Error == "":
		return "main has run, as activation " + activation
	}
	return whisk.OneLine("main has failed: " + record.Error)
}

// finish hands over the trace of a request, or the reason why there is none.
func (t *Target) finish(q *request, trace sampler.Trace, err error) {
	t.mu.Lock()
	t.pending = slices.DeleteFunc(t.pending, func(other *request) bool { return other == q })
	if trace != nil {
		t.lastProgress = time.Now()
		t.arrived += len(trace)
	}
	t.mu.Unlock()
	q.done(trace, err)
}

// signal wakes Wait.
func (t *Target) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}
