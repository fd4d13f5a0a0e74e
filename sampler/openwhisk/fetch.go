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
	fetchers  = 8                      // at the same time
	firstPoll = 200 * time.Millisecond // after a trace should be there, and the first pause
	maxPoll   = 5 * time.Second        // the longest pause
	// After an interrupt nobody wants to wait long.
	interruptSettle = 5 * time.Second
	interruptMost   = time.Minute
)

// Wait sends what is planned, fetches the traces, and returns when every request is done. When the context is done before, it
// sends nothing more and fetches what still comes of what was sent, for a minute at most.
func (t *Target) Wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, t.stopSending)
	defer stop()
	fetching, cancel := context.WithCancel(t.life)
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
			t.news = time.Now()
			n := len(t.flights)
			t.mu.Unlock()
			if n > 0 {
				t.say(fmt.Sprintf("nothing more is sent; %d traces may still come", n))
			}
			timer := time.AfterFunc(interruptMost, cancel)
			defer timer.Stop()
		default:
		}
		now := time.Now()
		due, next, quiet := t.due(now, settle)
		if len(due) > 0 && fetching.Err() == nil {
			t.fetchAll(fetching, due, settle)
			continue
		}
		t.warn(fetching, now, settle)
		if quiet || fetching.Err() != nil {
			t.giveUp(fetching)
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

// due returns the flights to look for now, else when there is something to do next, and whether nothing will come any more.
func (t *Target) due(now time.Time, settle time.Duration) (due []*flight, next time.Time, quiet bool) {
	down, retry := t.fetching.down()
	t.mu.Lock()
	defer t.mu.Unlock()
	next = now.Add(time.Minute)
	sent := len(t.timers) == 0 && t.unsent == 0
	if sent && len(t.flights) == 0 {
		return nil, next, true
	}
	settled := t.news
	for _, f := range t.flights {
		if f.expected.After(settled) {
			settled = f.expected
		}
		if at := f.next; down == 0 && !at.After(now) {
			due = append(due, f)
		} else if at.Before(next) {
			next = at
		}
	}
	if down > 0 {
		if sent && down > t.options.Patience {
			return nil, next, true
		}
		// One is enough to try.
		if !retry.After(now) && len(t.flights) > 0 {
			return slices.Clone(t.flights[:1]), next, false
		}
		return nil, retry, false
	}
	if end := settled.Add(settle); sent {
		quiet = !end.After(now)
		if end.Before(next) {
			next = end
		}
	}
	return due, next, quiet
}

// fetchAll looks for traces, several at the same time.
func (t *Target) fetchAll(ctx context.Context, due []*flight, settle time.Duration) {
	work := make(chan *flight)
	var wait sync.WaitGroup
	for range min(fetchers, len(due)) {
		wait.Go(func() {
			for f := range work {
				t.fetch(ctx, f, settle)
			}
		})
	}
	for _, f := range due {
		// When one has failed the others would only fail as well.
		if down, _ := t.fetching.down(); down > 0 && len(due) > 1 {
			break
		}
		work <- f
	}
	close(work)
	wait.Wait()
}

// fetch looks once for the trace of a flight, which is done if it is complete.
func (t *Target) fetch(ctx context.Context, f *flight, settle time.Duration) {
	spans, err := t.look(ctx, f)
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		var e *whisk.Error
		if !errors.As(err, &e) {
			e = &whisk.Error{Kind: whisk.Nonsense, Server: t.zipkin.server.Name, Text: whisk.OneLine(err.Error())}
		}
		t.fetching.failed(e)
		return
	}
	if down, _ := t.fetching.down(); down > 0 {
		// Spans may have waited for Zipkin as long as we have.
		t.mu.Lock()
		t.news = time.Now()
		t.mu.Unlock()
		t.fetching.worked(t.zipkin.server.Name)
	}
	trace, state := gather(t.options.App, f.request.Calls, spans)
	if trace != nil {
		t.keep(f.request.Index, trace)
		t.land(f, trace, nil)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f.state = state
	if len(spans) != f.spans {
		t.spans += len(spans) - f.spans
		f.spans = len(spans)
		t.news = time.Now()
		f.pause = firstPoll
	} else {
		f.pause = min(f.pause*3/2, maxPoll, max(settle/5, 20*time.Millisecond))
	}
	f.next = time.Now().Add(f.pause)
}

// look asks Zipkin for the spans of a flight: by the activation of main, and if that is not known, or its span not there, by the
// trace.
func (t *Target) look(ctx context.Context, f *flight) ([]span, error) {
	if f.activation != "" {
		spans, err := t.zipkin.byActivation(ctx, f.activation, f.at)
		if err != nil || len(spans) > 0 {
			return spans, err
		}
	}
	return t.zipkin.byID(ctx, f.trace)
}

// land ends a flight.
func (t *Target) land(f *flight, trace sampler.Trace, err error) {
	t.mu.Lock()
	t.flights = slices.DeleteFunc(t.flights, func(other *flight) bool { return other == f })
	if trace != nil {
		t.news = time.Now()
		t.spans += len(trace)
	}
	t.mu.Unlock()
	f.done(trace, err)
}

// warn tells the user, long before the end of a long run, that nothing comes.
func (t *Target) warn(ctx context.Context, now time.Time, settle time.Duration) {
	down, _ := t.fetching.down()
	t.mu.Lock()
	var first *flight
	if !t.warned && t.spans == 0 && down == 0 && len(t.flights) > 0 && t.flights[0].expected.Add(settle).Before(now) {
		first, t.warned = t.flights[0], true
	}
	t.mu.Unlock()
	if first == nil {
		return
	}
	text := fmt.Sprintf("no span has arrived in %s: the functions send theirs to the collector at %s (from %s), which must pass them on",
		t.zipkin.server.Name, t.options.Collector.Value, t.options.Collector.From)
	if first.activation != "" {
		if fate := t.fate(ctx, first.activation); fate != "" {
			text += "; of the first request, " + fate
		}
	}
	t.say(text)
}

// giveUp ends all flights that are left, each with what is missing.
func (t *Target) giveUp(ctx context.Context) {
	t.mu.Lock()
	left := slices.Clone(t.flights)
	t.mu.Unlock()
	down, _ := t.fetching.down()
	const asked = 3 // the others will have failed alike
	for i, f := range left {
		state := f.state
		if state == nil {
			_, state = gather(t.options.App, f.request.Calls, nil)
		}
		switch {
		case down > 0:
			state.Reason = "not fetched: Zipkin has not answered"
		case f.spans == 0 && f.lost != "":
			state.Reason = f.lost
		case f.spans == 0 && f.activation != "" && i < asked:
			state.Reason = t.fate(ctx, f.activation)
		}
		t.land(f, nil, state)
	}
}

// fate is what OpenWhisk says of an activation of which no span has come.
func (t *Target) fate(ctx context.Context, activation string) string {
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
