package activations

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Options says whom to ask and how often. Only Client must be set.
type Options struct {
	// Name is that of its counts; "" stands for activations.
	Name string
	// Client asks OpenWhisk, with a key that may read activations. Its answers should be bounded to a few MB: a list is asked for in smaller parts where it
	// is longer.
	Client *whisk.Client
	// Every is the time between two questions; 0 stands for 1 s.
	Every time.Duration
	// Recent is how far back each question looks, before the latest record that is known: runs of that length are heard of at once. 0 stands for 20 s.
	Recent time.Duration
	// Longest is how far back one question in Often looks: the longest that a run may take, since a record is found by when its run began. 0 stands for
	// 6 min: OpenWhisk's own bound of 5 and a margin.
	Longest time.Duration
	// Often is how many questions there are for one that looks back for Longest; 0 stands for 15.
	Often int
	// MaxRecords bounds the records that are remembered, so that none is told twice; 0 stands for 100,000. A question asks for half of them at most.
	MaxRecords int
}

// Source is a source.Source that polls OpenWhisk's records.
type Source struct {
	o       Options
	counter atomic.Pointer[source.Counter]
}

// New returns a Source; it asks nothing yet.
func New(o Options) (*Source, error) {
	if o.Client == nil {
		return nil, errors.New("records of activations need a client of OpenWhisk")
	}
	if o.Every < 0 || o.Recent < 0 || o.Longest < 0 || o.Often < 0 || o.MaxRecords < 0 {
		return nil, errors.New("times and bounds of the questions for records cannot be negative")
	}
	if o.Name == "" {
		o.Name = "activations"
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&o.Every, time.Second}, {&o.Recent, 20 * time.Second}, {&o.Longest, 6 * time.Minute}} {
		if *d.value == 0 {
			*d.value = d.otherwise
		}
	}
	o.Longest = max(o.Longest, o.Recent)
	if o.Often == 0 {
		o.Often = 15
	}
	if o.MaxRecords == 0 {
		o.MaxRecords = 100_000
	}
	return &Source{o: o}, nil
}

// Counts returns what has come so far.
func (s *Source) Counts() source.Counts {
	if c := s.counter.Load(); c != nil {
		return c.Counts()
	}
	return source.Counts{Name: s.o.Name}
}

// Run asks for records until the context is done, and tells the sink of runs whose records have become readable since the first question. It returns an error
// only if OpenWhisk refuses the key; what else goes wrong passes, and is in the counts.
func (s *Source) Run(ctx context.Context, sink source.Sink) error {
	counter := source.NewCounter(s.o.Name, sink)
	s.counter.Store(counter)
	p := &poller{options: s.o, counter: counter, known: newKnown(s.o.MaxRecords), page: whisk.MaxList}
	retry := whisk.Retry{First: max(s.o.Every, 100*time.Millisecond), Max: max(s.o.Every, 30*time.Second)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		err := p.poll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var e *whisk.Error
		switch pause := s.o.Every; {
		case err == nil:
			counter.Report(nil)
			failures = 0
			timer.Reset(pause)
		case errors.Is(err, source.ErrBusy):
			failures = 0
			timer.Reset(max(pause, source.RetryAfter))
		case errors.Is(err, errTooMany):
			counter.Report(err)
			failures = 0
			timer.Reset(pause)
		case errors.As(err, &e) && (e.Kind == whisk.Unauthorized || e.Kind == whisk.Forbidden) && !p.begun:
			return fmt.Errorf("records of activations: %w", err)
		default:
			counter.Report(err)
			timer.Reset(retry.Pause(failures, e))
			failures++
		}
	}
}
