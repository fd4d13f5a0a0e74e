package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/acquire"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// Pull is a Source that asks another one for what has been measured since: Prometheus, files.
type Pull struct {
	acquire.Source
	// Step is the time between two samples; 0 stands for acquire.DefaultStep.
	Step time.Duration
}

// overlap is how long before the last sample Prometheus is asked about again: what took the place of a container is known only beside that one, of which a
// rate over 5 min tells for so long.
const overlap = 10 * time.Minute

// Samples asks for the samples after a time, and for the containers that took the place of others since.
func (p Pull) Samples(ctx context.Context, function string, after time.Time) (Batch, error) {
	step := p.Step
	if step == 0 {
		step = acquire.DefaultStep
	}
	now := time.Now()
	if after.Add(step).After(now) {
		return Batch{}, nil
	}
	from := after.Add(step - overlap)
	r, err := p.Acquire(ctx, acquire.Request{Function: function, From: from, To: now, Step: p.Step, Kills: true})
	if r == nil || r.Usage == nil {
		return Batch{}, err
	}
	b := Batch{Restarts: r.Restarts}
	for _, s := range samplesOf(r.Usage) {
		if s.Time > after.UnixMilli() {
			b.Samples = append(b.Samples, s)
		}
	}
	if b.Restarts > 0 {
		// Those that were known before are not counted again. Where that cannot be asked, a kill too many is better than one too few.
		if before, err := p.Acquire(ctx, acquire.Request{Function: function, From: from, To: after, Step: p.Step}); err == nil {
			b.Restarts = max(b.Restarts-before.Restarts, 0)
		}
	}
	if b.Restarts > 0 {
		b.Kills = min(r.Kills, b.Restarts)
	}
	return b, err
}

func samplesOf(u *rightsize.Usage) []recommend.Sample {
	samples := make([]recommend.Sample, u.Len())
	for i := range samples {
		samples[i] = recommend.Sample{Time: u.Times[i], Memory: u.Memory[i], CPU: u.CPU[i]}
	}
	return samples
}

// mostWaiting bounds the samples of a function that nobody has asked for, of which the oldest are forgotten.
const mostWaiting = 10_000

// Live is a Source that follows sources that look at what is the case now: processes, the Metrics API. It looks at a function from the first time that
// it is asked for it, until it is closed.
type Live struct {
	source acquire.Source
	step   time.Duration

	mu        sync.Mutex
	followers map[string]*follower
	closed    bool
	running   sync.WaitGroup
}

// NewLive returns a Live that takes a sample each step; 0 stands for acquire.DefaultStep.
func NewLive(source acquire.Source, step time.Duration) *Live {
	return &Live{source: source, step: step, followers: map[string]*follower{}}
}

// follower follows a function.
type follower struct {
	mu      sync.Mutex
	samples []recommend.Sample
	err     error
	ended   bool
	first   chan struct{} // closed when there is a sample, or an end
	begun   bool
	cancel  context.CancelFunc
}

// Samples returns the samples that were taken since the last time. The first time it waits for one.
func (l *Live) Samples(ctx context.Context, function string, _ time.Time) (Batch, error) {
	f, err := l.follow(function)
	if err != nil {
		return Batch{}, err
	}
	select {
	case <-f.first:
	case <-ctx.Done():
		return Batch{}, fmt.Errorf("%s: no usage was seen: %w", function, ctx.Err())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b := Batch{Samples: f.samples}
	f.samples = nil
	if f.ended { // and is begun anew the next time
		l.mu.Lock()
		delete(l.followers, function)
		l.mu.Unlock()
		if f.err == nil && len(b.Samples) == 0 {
			return b, fmt.Errorf("%s: there is no usage any more", function)
		}
		return b, f.err
	}
	return b, nil
}

// follow returns the follower of a function, a new one if there is none.
func (l *Live) follow(function string) (*follower, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.New("the source is closed")
	}
	if f := l.followers[function]; f != nil {
		return f, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{first: make(chan struct{}), cancel: cancel}
	l.followers[function] = f
	l.running.Go(func() {
		defer cancel()
		_, err := l.source.Acquire(ctx, acquire.Request{Function: function, Step: l.step, OnlyLast: true, OnSample: func(s acquire.Sample) error {
			f.add(recommend.Sample{Time: s.Time, Memory: s.Memory, CPU: s.CPU})
			return nil
		}})
		f.end(err)
	})
	return f, nil
}

func (f *follower) add(s recommend.Sample) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.samples) == mostWaiting {
		f.samples = f.samples[1:]
	}
	f.samples = append(f.samples, s)
	f.begin()
}

func (f *follower) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.ended = err, true
	f.begin()
}

func (f *follower) begin() {
	if !f.begun {
		f.begun = true
		close(f.first)
	}
}

// Close ends it, and waits until it has ended.
func (l *Live) Close() {
	l.mu.Lock()
	l.closed = true
	for _, f := range l.followers {
		f.cancel()
	}
	l.mu.Unlock()
	l.running.Wait()
}
