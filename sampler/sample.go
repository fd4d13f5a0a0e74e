package sampler

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/tpp"
)

// Result is what a sampling gives.
type Result struct {
	// Dataset has a sequence for each request, in the order of sending. Its marks are the application's functions in the
	// order of its file, seen or not.
	Dataset *tpp.Dataset
	// Sends has the times at which each request was to be sent and was sent.
	Sends []Send
	// Events and ColdStarts count invocations.
	Events, ColdStarts int
	// Start is when the first request was to be sent, End when the last function ended.
	Start, End time.Time
}

// Send is the sending of a request, in times after the start of the sampling.
type Send struct {
	Intended, Actual time.Duration
}

// Lateness returns how far behind its schedule the latest request was sent.
func (r *Result) Lateness() time.Duration {
	var most time.Duration
	for _, s := range r.Sends {
		most = max(most, s.Actual-s.Intended)
	}
	return most
}

// Sample deploys the application on the target, sends the requests of the config's plan, each at its time, and collects
// their traces. After each trace progress is called, unless it is nil, with the number of traces that are complete.
//
// A Config that is wrong is a *ConfigError, and nothing is deployed. A request without a complete trace fails the whole
// sampling: a dataset with holes would teach a model that traces end early.
func Sample(ctx context.Context, target Target, app *apps.Application, config Config, progress func(complete int)) (*Result, error) {
	planner, err := NewPlanner(app, config)
	if err != nil {
		return nil, err
	}
	if err := target.Deploy(ctx, app); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &sampling{
		target: target, planner: planner, cancel: cancel, progress: progress,
		marks: make(map[string]int, len(app.Functions)),
		result: Result{
			Dataset: &tpp.Dataset{},
			Start:   target.Now(),
		},
	}
	for i, f := range app.Functions {
		name := app.DeployedName(f.Name)
		s.marks[name] = i
		s.result.Dataset.MarkNames = append(s.result.Dataset.MarkNames, name)
	}
	s.schedule()
	err = target.Wait(ctx)
	s.close()
	if s.err != nil {
		return nil, s.err
	}
	if err != nil {
		return nil, fmt.Errorf("after %d of %d requests: %w", s.complete, config.Requests, err)
	}
	if s.complete != config.Requests {
		return nil, fmt.Errorf("the platform came to rest with %d of %d traces", s.complete, config.Requests)
	}
	return &s.result, nil
}

// sampling is a Sample under way. Its methods may be called from any goroutine, as the clock of a target pleases.
type sampling struct {
	target   Target
	cancel   context.CancelFunc
	progress func(int)
	marks    map[string]int

	mu       sync.Mutex
	planner  *Planner
	stop     func() bool // takes back the next sending
	closed   bool
	err      error // the first that a request met
	complete int
	result   Result
}

// schedule plans the next sending. Each is planned when the one before is made: millions of timers would only fill memory.
func (s *sampling) schedule() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	r, ok := s.planner.Next()
	if !ok {
		return
	}
	s.stop = s.target.AfterFunc(r.Time-s.target.Now().Sub(s.result.Start), func() { s.send(r) })
}

func (s *sampling) send(r Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.result.Sends = append(s.result.Sends, Send{Intended: r.Time, Actual: s.target.Now().Sub(s.result.Start)})
	s.result.Dataset.Sequences = append(s.result.Dataset.Sequences, tpp.Sequence{})
	s.mu.Unlock()
	if err := s.target.Send(r, func(t Trace, err error) { s.collect(r.Index, t, err) }); err != nil {
		s.fail(r.Index, err)
		return
	}
	s.schedule()
}

// fail ends the sampling because of a request.
func (s *sampling) fail(index int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && !s.closed {
		s.err = fmt.Errorf("request %d: %w", index, err)
	}
	s.cancel()
}

func (s *sampling) collect(index int, t Trace, err error) {
	var sequence tpp.Sequence
	if err == nil {
		sequence, err = t.Sequence(s.marks)
	}
	if err != nil {
		s.fail(index, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.result.Dataset.Sequences[index] = sequence
	s.result.Events += sequence.Len()
	for i, a := range t {
		if sequence.ColdStart(i) {
			s.result.ColdStarts++
		}
		if a.End.After(s.result.End) {
			s.result.End = a.End
		}
	}
	s.complete++
	if s.progress != nil {
		s.progress(s.complete)
	}
}

// close takes back what is still planned; whatever comes in later is ignored.
func (s *sampling) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.stop != nil {
		s.stop()
	}
}
