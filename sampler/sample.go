package sampler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/tpp"
)

// Result is the outcome of a sampling.
type Result struct {
	// Dataset has a sequence for each request whose trace is complete, in the order of the plan. Its marks are [MarkNames]. [Collect]
	// leaves it nil.
	Dataset *tpp.Dataset
	// Sequences is the number of complete traces.
	Sequences int
	// Incomplete has the requests that were sent and have no complete trace, in the order of the plan.
	Incomplete []*Incomplete
	// Sends has the times at which each request was to be sent and was sent, without those that an earlier run has sent. [Collect]
	// leaves it nil.
	Sends []Send
	// Sent is the number of requests that this run has sent.
	Sent int
	// Lateness is the longest delay of a send behind its schedule, among the requests that are done.
	Lateness time.Duration
	// Events is the number of invocations in complete traces, ColdStarts how many of them were cold.
	Events, ColdStarts int
	// Start is when the first request was to be sent, End when the last function ended.
	Start, End time.Time
}

// Send has the times of a request, both since the start of the sampling.
type Send struct {
	Intended, Actual time.Duration
}

// Sample deploys the application on the target, sends the requests of the config's plan, each at its time, and collects
// their traces. After each trace progress is called, unless it is nil, with the number of traces that are complete.
//
// A Config that is wrong is a *ConfigError, and nothing is deployed. A request that fails ends the whole sampling, unless the
// target says that it is only [Incomplete]: that one is left out, for an incomplete trace would teach a model that traces end
// early. Where something was sent before the error, or before the context was done, there is a result all the same, with what
// was complete until then.
func Sample(ctx context.Context, target Target, app *apps.Application, config Config, progress func(complete int)) (*Result, error) {
	var byRequest []tpp.Sequence // without events where there is none
	complete := 0
	result, err := collect(ctx, target, app, config, true, func(request int, s tpp.Sequence) error {
		for len(byRequest) <= request {
			byRequest = append(byRequest, tpp.Sequence{})
		}
		byRequest[request] = s
		if complete++; progress != nil {
			progress(complete)
		}
		return nil
	})
	if result != nil {
		byRequest = slices.DeleteFunc(byRequest, func(s tpp.Sequence) bool { return s.Len() == 0 })
		result.Dataset = &tpp.Dataset{Sequences: byRequest, MarkNames: MarkNames(app)}
	}
	return result, err
}

// Collect is like [Sample], but keeps no sequences in memory: it calls keep with each one once its trace is complete, one at a time and in
// no particular order, and the result has no dataset. An error of keep ends the sampling.
func Collect(ctx context.Context, target Target, app *apps.Application, config Config, keep func(request int, s tpp.Sequence) error) (*Result, error) {
	return collect(ctx, target, app, config, false, keep)
}

func collect(ctx context.Context, target Target, app *apps.Application, config Config, noteSends bool, keep func(int, tpp.Sequence) error) (*Result, error) {
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
		target: target, planner: planner, cancel: cancel, keep: keep, noteSends: noteSends,
		marks:  Marks(app),
		result: Result{Start: target.Now()},
	}
	s.recorder, _ = target.(Recorder)
	s.schedule()
	err = target.Wait(ctx)
	result := s.close()
	if s.err != nil {
		return result, s.err
	}
	if err != nil {
		return result, fmt.Errorf("after %d of %d requests: %w", result.Sequences, config.Requests, err)
	}
	if n := result.Sequences + len(result.Incomplete); n != config.Requests {
		return result, fmt.Errorf("the platform came to rest with %d of %d traces", n, config.Requests)
	}
	return result, nil
}

// sampling is a Collect under way. Its methods may be called from any goroutine, because a target may call back from any.
type sampling struct {
	target   Target
	recorder Recorder // the target, if it is a Recorder
	cancel   context.CancelFunc
	keep     func(int, tpp.Sequence) error
	// noteSends makes result.Sends complete.
	noteSends bool
	marks     map[string]int

	mu      sync.Mutex
	planner *Planner
	begun   bool          // a send by this run is planned
	shift   time.Duration // the planned time of that first send, which is due at once
	stop    func() bool   // cancels the next send
	closed  bool          // set by close; what comes later is ignored
	err     error         // the first that a request met
	sent    []int         // the requests of result.Sends
	result  Result
}

// schedule plans the next send. Each is planned when the one before is made: millions of timers would only fill memory.
// Requests that an earlier run has sent are passed to the target at once, and the first of the others is due now.
func (s *sampling) schedule() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed {
		r, ok := s.planner.Next()
		if !ok {
			return
		}
		if s.recorder != nil {
			if _, before := s.recorder.SentAt(r.Index); before {
				s.mu.Unlock()
				index := r.Index
				err := s.target.Send(r, func(t Trace, err error) { s.receive(index, t, err) })
				if err != nil {
					s.fail(index, err)
				}
				s.mu.Lock()
				continue
			}
		}
		if !s.begun {
			s.begun, s.shift = true, r.Time
		}
		due := r.Time - s.shift
		s.stop = s.target.AfterFunc(due-s.target.Now().Sub(s.result.Start), func() { s.send(r, due) })
		return
	}
}

// send sends a request that is due, and plans the next one.
func (s *sampling) send(r Request, due time.Duration) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	actual := s.target.Now().Sub(s.result.Start)
	s.result.Sent++
	if s.noteSends {
		s.result.Sends = append(s.result.Sends, Send{Intended: due, Actual: actual})
		s.sent = append(s.sent, r.Index)
	}
	s.mu.Unlock()
	index := r.Index // so that done does not keep the request in memory
	err := s.target.Send(r, func(t Trace, err error) {
		if s.recorder != nil { // it knows when the request was really sent
			if at, ok := s.recorder.SentAt(index); ok {
				actual = at.Sub(s.result.Start)
			}
		}
		s.late(actual - due)
		s.receive(index, t, err)
	})
	if err != nil {
		s.fail(index, err)
		return
	}
	s.schedule()
}

// late records how far behind its schedule a request was sent.
func (s *sampling) late(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.result.Lateness = max(s.result.Lateness, by)
	}
}

// fail ends the sampling with the error of a request.
func (s *sampling) fail(index int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failLocked(index, err)
}

// failLocked is fail for callers that hold the lock.
func (s *sampling) failLocked(index int, err error) {
	if s.err == nil && !s.closed {
		s.err = fmt.Errorf("request %d: %w", index, err)
	}
	s.cancel()
}

// receive takes the trace of a request, or the reason why there is none.
func (s *sampling) receive(index int, t Trace, err error) {
	var sequence tpp.Sequence
	if err == nil {
		sequence, err = t.Sequence(s.marks)
	}
	var incomplete *Incomplete
	if err != nil && !errors.As(err, &incomplete) {
		s.fail(index, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return
	case err != nil:
		incomplete.Request = index
		s.result.Incomplete = append(s.result.Incomplete, incomplete)
		return
	}
	if err := s.keep(index, sequence); err != nil {
		s.failLocked(index, err)
		return
	}
	s.result.Sequences++
	s.result.Events += sequence.Len()
	for i, a := range t {
		if sequence.ColdStart(i) {
			s.result.ColdStarts++
		}
		if a.End.After(s.result.End) {
			s.result.End = a.End
		}
	}
}

// close cancels the next send and returns the result. What comes in later is ignored.
func (s *sampling) close() *Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.stop != nil {
		s.stop()
	}
	r := s.result
	slices.SortFunc(r.Incomplete, func(a, b *Incomplete) int { return a.Request - b.Request })
	if s.recorder != nil {
		for k, i := range s.sent {
			if at, ok := s.recorder.SentAt(i); ok {
				r.Sends[k].Actual = at.Sub(r.Start)
			}
		}
	}
	return &r
}
