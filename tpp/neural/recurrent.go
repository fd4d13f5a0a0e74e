package neural

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"unsafe"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
)

// Recurrent is a neural temporal point process: a recurrent encoder turns the history into a context, from which the
// inter time, the mark, and whether there is a next event at all are predicted independently of each other. Train makes
// one, ReadModel reads one. It is safe for concurrent use; its states are not.
type Recurrent struct {
	cfg       Config
	markNames []string
	numMarks  int
	norm      normalisation
	summary   *TrainingSummary
	net       *network[float32]
	params    []float32
	print     *lazyFingerprint
}

// TrainingSummary says how a model came about. It travels in the model's file.
type TrainingSummary struct {
	Seed                uint64  `json:"seed"`
	TrainingSequences   int     `json:"training_sequences"`
	ValidationSequences int     `json:"validation_sequences"`
	Epochs              int     `json:"epochs"`          // that were run
	BestEpoch           int     `json:"best_epoch"`      // whose parameters the model has, counted from 1
	ValidationLoss      float64 `json:"validation_loss"` // per event, at the best epoch
	Seconds             float64 `json:"seconds"`
}

func newRecurrent(cfg Config, markNames []string, numMarks int, norm normalisation, loss Loss) (*Recurrent, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	net, err := newNetwork[float32](cfg, numMarks, norm, loss)
	if err != nil {
		return nil, err
	}
	return &Recurrent{
		cfg: cfg, markNames: slices.Clone(markNames), numMarks: numMarks, norm: norm, net: net,
		params: make([]float32, net.layout.Size()), print: &lazyFingerprint{},
	}, nil
}

// Kind is the kind of the configuration.
func (m *Recurrent) Kind() string { return string(m.cfg.Kind) }

// MarkNames names the marks by index; empty for an unmarked model.
func (m *Recurrent) MarkNames() []string { return m.markNames }

// CovariateNames names the covariates of the configuration.
func (m *Recurrent) CovariateNames() []string {
	names := make([]string, len(m.cfg.Covariates))
	for i, c := range m.cfg.Covariates {
		names[i] = c.Name
	}
	return names
}

// Config is the shape of the model, with every default filled in.
func (m *Recurrent) Config() Config {
	c := m.cfg
	c.Covariates = slices.Clone(c.Covariates)
	return c
}

// TimeUnit names the unit of the times that the model takes.
func (m *Recurrent) TimeUnit() string { return m.cfg.TimeUnit }

// Resolution is the tick of the clock that took the times of the training, in the time unit.
func (m *Recurrent) Resolution() float64 { return m.cfg.Resolution }

// NumParameters is the number of trained numbers.
func (m *Recurrent) NumParameters() int { return len(m.params) }

// Training is how the model was trained; nil if that is not known.
func (m *Recurrent) Training() *TrainingSummary { return m.summary }

// KnowsEnd reports whether the model learned when sequences are over.
func (m *Recurrent) KnowsEnd() bool { return !m.cfg.WithoutEnd }

// KnowsStart reports whether the model was trained on sequences with a TStart. Only then does it know when a first event
// comes and which one; otherwise the first events must be given.
func (m *Recurrent) KnowsStart() bool {
	for _, v := range m.initialContext() {
		if v != 0 {
			return true // training starts from zero and moves it only for such sequences
		}
	}
	return false
}

// NewState is the state before the first event.
func (m *Recurrent) NewState(start float64) tpp.State { return m.newState(start) }

func (m *Recurrent) newState(start float64) *recurrentState {
	return m.newStateIn(m.newWork(), start)
}

// newStateIn is a state that works in memory it shares with others, of which one at a time may be used.
func (m *Recurrent) newStateIn(w *recurrentWork, start float64) *recurrentState {
	return &recurrentState{m: m, work: w, last: start, hidden: make([]float32, m.net.rnn.StateSize())}
}

// recurrentState is the encoder's state after the events so far. What it needs only to compute stands apart in work, so
// that many states kept at once take little more than their hidden vectors.
type recurrentState struct {
	m      *Recurrent
	work   *recurrentWork
	events int
	last   float64 // arrival of the last event, or the start
	hidden []float32
}

// recurrentWork is the memory that states compute in.
type recurrentWork struct {
	m     *Recurrent
	owner *recurrentState // whose next event next describes, if it is up to date

	values, gates, timeOut, markOut []float32
	stepper                         nn.Stepper[float32]
	predictor                       predictor // from timeOut
	next                            tpp.Next
}

// NewWorkspace returns memory for states to share.
func (m *Recurrent) NewWorkspace() tpp.Workspace { return m.newWork() }

// NewState is a state of the model that computes in this memory.
func (w *recurrentWork) NewState(start float64) tpp.State { return w.m.newStateIn(w, start) }

// Release lets go of the state that was used last.
func (w *recurrentWork) Release() { w.owner = nil }

func (m *Recurrent) newWork() *recurrentWork {
	w := &recurrentWork{
		m:       m,
		values:  make([]float32, 0, m.net.numFeatures()),
		gates:   make([]float32, m.net.rnn.Gates()),
		timeOut: make([]float32, m.net.time.Out),
		markOut: make([]float32, m.net.mark.Out),
	}
	w.next = tpp.Next{Marks: make([]float64, m.numMarks), GapFloor: m.cfg.GapFloor}
	w.predictor = families[m.cfg.Kind].newPredictor(&m.cfg, m.norm, w.timeOut)
	w.next.Time = w.predictor.distribution()
	w.next.ApproxMedian, _ = w.predictor.(interface{ Median() float64 })
	return w
}

// Observe moves the encoder over an event, in constant time and without allocation.
func (s *recurrentState) Observe(e tpp.Event) error {
	if err := tpp.CheckEvent(e, s.last, s.m.numMarks); err != nil {
		return err
	}
	gap := 0.0
	if s.events > 0 {
		gap = e.Time - s.last
	}
	net, w := s.m.net, s.work
	if len(e.Covariates) != len(net.cfg.Covariates) {
		return fmt.Errorf("event at %v: %d covariates, the model takes %d", e.Time, len(e.Covariates), len(net.cfg.Covariates))
	}
	values, err := net.appendFeatures(w.values[:0], gap, e.Mark, e.Covariates)
	if err != nil {
		return fmt.Errorf("event at %v: %w", e.Time, err)
	}
	net.input.Forward(w.gates, values)
	net.rnn.Step(s.m.params, s.hidden, w.gates, &w.stepper)
	s.events++
	s.last = e.Time
	s.forget()
	return nil
}

// Next computes the distribution of the next event from the context.
func (s *recurrentState) Next(now float64) *tpp.Next {
	if s.work.owner != s {
		s.refresh()
	}
	return s.work.next.Conditional(now - s.last)
}

func (s *recurrentState) refresh() {
	net, w := s.m.net, s.work
	context := s.context()
	net.time.Forward(w.timeOut, s.m.params, context, 1)
	net.mark.Forward(w.markOut, s.m.params, context, 1)
	w.predictor.predict()
	w.next.End = softmax(w.next.Marks, w.markOut)
	w.owner = s
}

// context is what the heads predict from.
func (s *recurrentState) context() []float32 {
	if s.events == 0 {
		return s.m.initialContext()
	}
	return s.hidden[:s.m.cfg.ContextSize]
}

// initialContext is what the first event is predicted from.
func (m *Recurrent) initialContext() []float32 { return nn.Of(m.net.contextInit, m.params) }

// Clone is an independent copy.
func (s *recurrentState) Clone() tpp.State {
	c := s.m.newState(s.last)
	c.CopyFrom(s)
	return c
}

// CopyFrom takes over the history of another state of the same model.
func (s *recurrentState) CopyFrom(src tpp.State) bool {
	o, ok := src.(*recurrentState)
	if !ok || o.m != s.m {
		return false
	}
	s.events, s.last = o.events, o.last
	copy(s.hidden, o.hidden)
	s.forget()
	return true
}

// Model is the model that the state belongs to.
func (s *recurrentState) Model() tpp.Model { return s.m }

// Size is the number of bytes of the state, without the workspace.
func (s *recurrentState) Size() int { return int(unsafe.Sizeof(*s)) + 4*len(s.hidden) }

// forget says that the history has changed, whatever was predicted from it.
func (s *recurrentState) forget() {
	if s.work.owner == s {
		s.work.owner = nil
	}
}

// softmax writes to dst the probabilities of the marks given that there is a next event, and returns the probability that
// there is none: that of the logit behind those of the marks, if there is one.
func softmax(dst []float64, logits []float32) (end float64) {
	top := float64(slices.Max(logits))
	total := 0.0
	for i := range dst {
		dst[i] = math.Exp(float64(logits[i]) - top)
		total += dst[i]
	}
	if len(logits) > len(dst) {
		over := math.Exp(float64(logits[len(dst)]) - top)
		end = over / (total + over)
	}
	if total == 0 {
		// Only the end has any probability in this precision.
		for i := range dst {
			dst[i] = 1 / float64(len(dst))
		}
		return end
	}
	for i := range dst {
		dst[i] /= total
	}
	return end
}

// lazyFingerprint is computed when it is asked for first.
type lazyFingerprint struct {
	once  sync.Once
	value uint64
}
