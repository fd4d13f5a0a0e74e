package neural

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"unsafe"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// Recurrent is a neural temporal point process: a recurrent encoder turns the history into a context, from which the
// inter time, the mark, and whether there is a next event at all are predicted: independently of each other, unless
// Config.MarkTimeSize lets the inter time depend on the mark. Train and
// tpp.ReadModel return one; the zero value accepts no event and expects none. It is safe for concurrent use; its states are not.
type Recurrent struct {
	cfg       Config
	markNames []string
	numMarks  int
	norm      normalisation
	summary   *TrainingSummary
	net       *network[float32]
	params    []float32
	table     *markTable // nil if the network is alone
	hash      *lazyFingerprint
}

// TrainingSummary describes how a model was trained. It is stored in the model's file.
type TrainingSummary struct {
	Seed                uint64  `json:"seed"`
	TrainingSequences   int     `json:"training_sequences"`
	ValidationSequences int     `json:"validation_sequences"`
	Epochs              int     `json:"epochs"`           // that were run
	BestEpoch           int     `json:"best_epoch"`       // whose parameters the model has, counted from 1
	ValidationLoss      float64 `json:"validation_loss"`  // per event, of the model: at the best epoch, less what a table of marks and calibration gain
	Seconds             float64 `json:"seconds,omitzero"` // that it took; 0, and not in the file, where that is not kept
}

func newRecurrent(cfg Config, markNames []string, numMarks int, norm normalisation, loss Loss) (*Recurrent, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if numMarks > tpp.MaxMarks {
		return nil, fmt.Errorf("the dataset has %d marks, a model takes at most %d: merge rare marks", numMarks, tpp.MaxMarks)
	}
	net, err := newNetwork[float32](cfg, numMarks, norm, loss)
	if err != nil {
		return nil, err
	}
	return &Recurrent{
		cfg: cfg, markNames: slices.Clone(markNames), numMarks: numMarks, norm: norm, net: net,
		params: make([]float32, net.layout.Size()), hash: &lazyFingerprint{},
	}, nil
}

// Kind returns the kind of the configuration.
func (m *Recurrent) Kind() string { return string(m.cfg.Kind) }

// MarkNames returns the names of the marks by index; empty for an unmarked model.
func (m *Recurrent) MarkNames() []string { return m.markNames }

// CovariateNames returns the names of the covariates, in the order in which Observe takes them.
func (m *Recurrent) CovariateNames() []string {
	names := make([]string, len(m.cfg.Covariates))
	for i, c := range m.cfg.Covariates {
		names[i] = c.Name
	}
	return names
}

// Config returns a copy of the configuration, with every default filled in.
func (m *Recurrent) Config() Config {
	c := m.cfg
	c.Covariates = slices.Clone(c.Covariates)
	return c
}

// TimeUnit returns the name of the unit of all times of the model.
func (m *Recurrent) TimeUnit() string { return m.cfg.TimeUnit }

// Resolution returns the resolution of the clock that took the training data, in the time unit.
func (m *Recurrent) Resolution() float64 { return m.cfg.Resolution }

// NumParameters returns the number of trained parameters.
func (m *Recurrent) NumParameters() int { return len(m.params) }

// Training returns how the model was trained, or nil if that is not known. Encode writes it as it then is: a program that sets Seconds to 0
// gets the same bytes from the same training.
func (m *Recurrent) Training() *TrainingSummary { return m.summary }

// KnowsEnd reports whether the model predicts the end of sequences.
func (m *Recurrent) KnowsEnd() bool { return !m.cfg.WithoutEnd }

// KnowsStart reports whether the model was trained on sequences with a TStart. Only then does it predict first events;
// otherwise they must be given.
func (m *Recurrent) KnowsStart() bool {
	if m.net == nil {
		return false
	}
	for _, v := range m.initialContext() {
		if v != 0 {
			return true // training starts from zero and moves it only for such sequences
		}
	}
	return false
}

// NewState returns the state before the first event, at the time start.
func (m *Recurrent) NewState(start float64) tpp.State {
	if m.net == nil {
		return unfitted.State()
	}
	return m.newState(start)
}

func (m *Recurrent) newState(start float64) *recurrentState {
	return m.newStateIn(m.newWork(), start)
}

// newStateIn returns a state that computes in w. States that share a workspace must not be used concurrently.
func (m *Recurrent) newStateIn(w *recurrentWork, start float64) *recurrentState {
	return &recurrentState{m: m, work: w, last: start, mark: -1, hidden: make([]float32, m.net.rnn.StateSize())}
}

// recurrentState is the encoder's state after the events so far. Scratch memory is kept apart in work, which states can
// share, so that many states take little more memory than their hidden vectors.
type recurrentState struct {
	m      *Recurrent
	work   *recurrentWork
	events int
	last   float64 // arrival of the last event, or the start
	mark   int     // of the last event, −1 before the first
	hidden []float32
}

// recurrentWork is the scratch memory of states.
type recurrentWork struct {
	m     *Recurrent
	owner *recurrentState // the state that next was computed for; nil if next is out of date

	values, gates, timeOut, markOut []float32
	stepper                         nn.Stepper[float32]
	predictor                       predictor // from timeOut
	next                            tpp.Next
	markTime                        markTimeMemory[float32]
}

// NewWorkspace returns scratch memory that states can share.
func (m *Recurrent) NewWorkspace() tpp.Workspace {
	if m.net == nil {
		return unfitted.Workspace()
	}
	return m.newWork()
}

// NewState returns the state of the model before the first event, which computes in w.
func (w *recurrentWork) NewState(start float64) tpp.State { return w.m.newStateIn(w, start) }

// Release drops the reference to the state that was used last, so that it can be collected.
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
	if m.net.markTime != nil {
		w.next.Joint = newMarkTimeJoint(w.predictor.distribution().(*dist.LogNormMix), w.next.Marks, &w.markTime)
	}
	return w
}

// Observe updates the state with an event, in constant time and without allocation. The error reports an event that the
// model does not accept; the state is then unchanged.
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
	s.last, s.mark = e.Time, e.Mark
	s.invalidate()
	return nil
}

// Next returns the distribution of the next event, given that none has come until now. It is valid until the next call of a
// method of any state that shares the workspace.
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
	if s.m.table != nil {
		s.m.table.mix(w.markOut, s.mark)
	}
	if m := net.markTime; m != nil {
		m.mean(s.m.params, w.timeOut, w.markOut, m.project(s.m.params, context, 1, &w.markTime), &w.markTime)
	}
	w.predictor.predict()
	w.next.End = softmax(w.next.Marks, w.markOut)
	w.owner = s
}

// context returns the input of the heads (D): the hidden state, or before the first event the initial context.
func (s *recurrentState) context() []float32 {
	if s.events == 0 {
		return s.m.initialContext()
	}
	return s.hidden[:s.m.cfg.ContextSize]
}

// initialContext returns the context (D) that the first event is predicted from.
func (m *Recurrent) initialContext() []float32 { return nn.Of(m.net.contextInit, m.params) }

// Clone returns an independent copy.
func (s *recurrentState) Clone() tpp.State {
	c := s.m.newState(s.last)
	c.CopyFrom(s)
	return c
}

// CopyFrom sets s to a copy of src and reports whether src is a state of the same model; if not, s is unchanged.
func (s *recurrentState) CopyFrom(src tpp.State) bool {
	o, ok := src.(*recurrentState)
	if !ok || o.m != s.m {
		return false
	}
	s.events, s.last, s.mark = o.events, o.last, o.mark
	copy(s.hidden, o.hidden)
	s.invalidate()
	return true
}

// Model returns the model that the state belongs to.
func (s *recurrentState) Model() tpp.Model { return s.m }

// Size returns the size of the state in bytes, without the workspace.
func (s *recurrentState) Size() int { return int(unsafe.Sizeof(*s)) + 4*len(s.hidden) }

// invalidate marks the prediction in the workspace as out of date, after the history has changed.
func (s *recurrentState) invalidate() {
	if s.work.owner == s {
		s.work.owner = nil
	}
}

// softmax sets dst to the probabilities of the marks given that there is a next event, and returns the probability that
// there is none: that of the last logit if there are more logits than marks, or else 0.
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

// lazyFingerprint caches a fingerprint, computed at the first call of Fingerprint.
type lazyFingerprint struct {
	once  sync.Once
	value uint64
}
