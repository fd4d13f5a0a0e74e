package race

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// state is what is due and the context after the steps so far. Scratch memory is kept apart in work, which states can share.
type state struct {
	m      *Race
	work   *work
	hidden []float32
	recent []int32 // the marks of the last events, if the model observes starts: maxRecent of them at least
	tracker
}

// work is the scratch memory of states.
type work struct {
	m     *Race
	owner *state  // the state that the prediction was computed for; nil if it is out of date
	now   float64 // the time that it was computed for
	whole bool    // next was computed too

	memory, covariates []float64
	values, gates      []float32
	stepper            nn.Stepper[float32]
	forecast           prediction
	next               tpp.Next
	arrivals           forecast
	waiting            waiting
}

// NewState returns the state of a sequence that is observed from start on.
func (m *Race) NewState(start float64) tpp.State {
	if m.net == nil {
		return unfitted.State()
	}
	return m.newStateIn(m.newWork(), start)
}

// NewWorkspace returns scratch memory that states can share.
func (m *Race) NewWorkspace() tpp.Workspace {
	if m.net == nil {
		return unfitted.Workspace()
	}
	return m.newWork()
}

func (m *Race) newWork() *work {
	w := &work{m: m, gates: make([]float32, m.net.rnn.Gates())}
	w.next.Marks = make([]float64, m.numMarks)
	w.forecast.m, w.waiting.prediction.m = m, m
	w.next.Time, w.next.Joint, w.next.ApproxMedian = &w.forecast, &w.forecast, &w.forecast
	return w
}

// NewState returns the state of the model before the first event, which computes in w.
func (w *work) NewState(start float64) tpp.State { return w.m.newStateIn(w, start) }

// Release drops the reference to the state that was used last.
func (w *work) Release() { w.owner, w.waiting.owner = nil, nil }

func (m *Race) newStateIn(w *work, start float64) *state {
	s := &state{m: m, work: w, hidden: make([]float32, m.net.context)}
	s.structure, s.width = m.encoder.structure, len(m.cfg.Covariates)
	s.reset(start)
	if m.KnowsStart() {
		w.covariates = m.encoder.standardise(w.covariates[:0], make([]float64, s.width))
		s.begin(w.covariates)
		w.memory = m.encoder.appendBegin(w.memory[:0])
		s.advance()
	}
	return s
}

// advance updates the context with the step whose inputs are in the workspace.
func (s *state) advance() {
	w := s.work
	w.values = w.values[:0]
	for _, v := range w.memory {
		w.values = append(w.values, float32(v))
	}
	s.m.net.input.Forward(w.gates, w.values)
	s.m.net.rnn.Step(s.m.params, s.hidden, w.gates, &w.stepper)
	s.invalidate()
}

// Observe updates the state with an event, without allocation once its memory has grown to what is due. The error reports an event that
// the model does not accept; the state is then unchanged.
func (s *state) Observe(e tpp.Event) error {
	if err := tpp.CheckEvent(e, s.last, s.m.numMarks); err != nil {
		return err
	}
	if len(e.Covariates) != s.width {
		return fmt.Errorf("event at %v: %d covariates, the model takes %d", e.Time, len(e.Covariates), s.width)
	}
	for i, v := range e.Covariates {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("event at %v: covariate %q is %v", e.Time, s.m.cfg.Covariates[i], v)
		}
	}
	if s.events == 0 && !s.m.KnowsStart() {
		s.start, s.last = e.Time, e.Time
	}
	w, encoder := s.work, s.m.encoder
	a := s.find(e.Time, e.Mark)
	w.covariates = encoder.standardise(w.covariates[:0], e.Covariates)
	w.memory = encoder.appendArrival(w.memory[:0], &s.tracker, e.Time, e.Mark, a, w.covariates)
	s.advance()
	s.arrive(e.Time, e.Mark, a, w.covariates)
	if s.m.cfg.Regime == Starts {
		if len(s.recent) == 2*maxRecent {
			s.recent = s.recent[:copy(s.recent, s.recent[maxRecent:])]
		}
		s.recent = append(s.recent, int32(e.Mark))
	}
	return nil
}

// ObserveStart updates the state with the start of an event, see tpp.StartedState. A model in the regime Arrivals ignores it.
func (s *state) ObserveStart(time float64, event int, wait, initialisation float64) error {
	switch {
	case s.m.cfg.Regime != Starts:
		return nil
	case event < 0 || event >= s.events:
		return fmt.Errorf("start at %v of event %d, there have been %d", time, event, s.events)
	case s.events-event > maxRecent:
		return nil // so long ago that it says nothing
	case !(time >= s.last) || math.IsInf(time, 0):
		return fmt.Errorf("start of event %d at %v: it is before the last step at %v, or no time", event, time, s.last)
	}
	for _, d := range []float64{wait, initialisation} {
		if !(d >= 0) || math.IsInf(d, 0) {
			return fmt.Errorf("start of event %d at %v: %v is not a duration", event, time, d)
		}
	}
	w, encoder := s.work, s.m.encoder
	w.memory = encoder.appendStarted(w.memory[:0], &s.tracker, time, int(s.recent[len(s.recent)-(s.events-event)]), wait, initialisation)
	s.advance()
	s.started(time, event, wait, initialisation)
	return nil
}

// Next returns the distribution of the next event, given that none has come until now. It is valid until the next call of a method of
// any state that shares the workspace.
func (s *state) Next(now float64) *tpp.Next {
	s.predict(now)
	w := s.work
	if !w.whole {
		w.forecast.finish(&w.next)
		w.whole = true
	}
	return &w.next
}

// predict computes the prediction in the workspace, but for what the next event alone needs.
func (s *state) predict(now float64) {
	now = max(now, s.last)
	if w := s.work; w.owner != s || w.now != now {
		w.forecast.predict(s, now)
		w.owner, w.now, w.whole = s, now, false
	}
}

// Clone returns an independent copy.
func (s *state) Clone() tpp.State {
	c := &state{m: s.m, work: s.m.newWork(), hidden: make([]float32, len(s.hidden))}
	c.CopyFrom(s)
	return c
}

// CopyFrom sets s to a copy of src and reports whether src is a state of the same model; if not, s is unchanged.
func (s *state) CopyFrom(src tpp.State) bool {
	o, ok := src.(*state)
	if !ok || o.m != s.m {
		return false
	}
	copy(s.hidden, o.hidden)
	s.recent = append(s.recent[:0], o.recent...)
	s.tracker.copyFrom(&o.tracker)
	s.invalidate()
	return true
}

// Model returns the model that the state belongs to.
func (s *state) Model() tpp.Model { return s.m }

// Size returns the size of the state in bytes, without the workspace.
func (s *state) Size() int {
	return int(unsafe.Sizeof(*s)) + 4*len(s.hidden) + 4*cap(s.recent) + cap(s.due)*int(unsafe.Sizeof(due{})) + 8*cap(s.tracker.covariates)
}

// invalidate marks the prediction in the workspace as out of date, after the history has changed.
func (s *state) invalidate() {
	if s.work.owner == s {
		s.work.owner = nil
	}
	if s.work.waiting.owner == s {
		s.work.waiting.owner = nil
	}
}
