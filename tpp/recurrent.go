package tpp

import (
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/nn"
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

func newRecurrent(cfg Config, markNames []string, numMarks int, norm normalisation, loss string) (*Recurrent, error) {
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
		params: make([]float32, net.layout.Size()),
	}, nil
}

// Kind is the kind of the configuration.
func (m *Recurrent) Kind() string { return m.cfg.Kind }

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

// NumParameters is the number of trained numbers.
func (m *Recurrent) NumParameters() int { return len(m.params) }

// Training is how the model was trained; nil if that is not known.
func (m *Recurrent) Training() *TrainingSummary { return m.summary }

// NewState is the state before the first event.
func (m *Recurrent) NewState(start float64) State { return m.newState(start) }

func (m *Recurrent) newState(start float64) *recurrentState {
	s := &recurrentState{
		m:       m,
		last:    start,
		hidden:  make([]float32, m.net.rnn.StateSize()),
		values:  make([]float32, 0, m.net.numFeatures()),
		gates:   make([]float32, m.net.rnn.Gates()),
		timeOut: make([]float32, m.net.time.Out),
		markOut: make([]float32, m.net.mark.Out),
	}
	s.next = Next{Marks: make([]float64, m.numMarks), GapFloor: m.cfg.GapFloor}
	if m.cfg.Kind == TruncNorm {
		s.next.Time = &s.point
	} else {
		k := m.cfg.NumComponents
		s.mix = dist.LogNormMix{LogWeights: make([]float64, k), Mu: make([]float64, k), Sigma: make([]float64, k)}
		s.next.Time = &s.mix
	}
	return s
}

// recurrentState is the encoder's state after the events so far.
type recurrentState struct {
	m      *Recurrent
	events int
	last   float64 // arrival of the last event, or the start
	hidden []float32
	fresh  bool // next is up to date

	values, gates, timeOut, markOut []float32
	stepper                         nn.Stepper[float32]
	mix                             dist.LogNormMix
	point                           dist.Point
	next                            Next
}

// Observe moves the encoder over an event, in constant time and without allocation.
func (s *recurrentState) Observe(e Event) error {
	if math.IsNaN(e.Time) || math.IsInf(e.Time, 0) {
		return fmt.Errorf("event at %v: not a time", e.Time)
	}
	if e.Time < s.last {
		return lateEvent(e.Time, s.last)
	}
	gap := 0.0
	if s.events > 0 {
		gap = e.Time - s.last
	}
	net := s.m.net
	if len(e.Covariates) != len(net.cfg.Covariates) {
		return fmt.Errorf("event at %v: %d covariates, the model takes %d", e.Time, len(e.Covariates), len(net.cfg.Covariates))
	}
	values, err := net.appendFeatures(s.values[:0], gap, e.Mark, e.Covariates)
	if err != nil {
		return fmt.Errorf("event at %v: %w", e.Time, err)
	}
	net.input.Forward(s.gates, s.m.params, values)
	net.rnn.Step(s.m.params, s.hidden, s.gates, &s.stepper)
	s.events++
	s.last = e.Time
	s.fresh = false
	return nil
}

// lateEvent is the error of an event that comes before what has been.
func lateEvent(at, last float64) error {
	return fmt.Errorf("event at %v: it is before the last one at %v", at, last)
}

// Next computes the distribution of the next event from the context.
func (s *recurrentState) Next(now float64) *Next {
	if !s.fresh {
		s.refresh()
	}
	return s.next.Given(now - s.last)
}

func (s *recurrentState) refresh() {
	net := s.m.net
	context := s.hidden[:net.cfg.ContextSize]
	if s.events == 0 {
		context = nn.Of(net.contextInit, s.m.params)
	}
	net.time.Forward(s.timeOut, s.m.params, context, 1)
	net.mark.Forward(s.markOut, s.m.params, context, 1)
	if s.m.cfg.Kind == TruncNorm {
		s.point.Value = net.head.(pointHead).predict(s.timeOut[0])
	} else {
		mixtureOf(&s.mix, s.timeOut, s.m.norm)
	}
	s.next.End = softmax(s.next.Marks, s.markOut)
	s.fresh = true
}

// Clone is an independent copy.
func (s *recurrentState) Clone() State {
	c := s.m.newState(s.last)
	c.events = s.events
	copy(c.hidden, s.hidden)
	return c
}

// mixtureOf takes the outputs of the time head (locations, log scales, logits, in standardised log time) to a mixture
// of log-normals in the time unit: log τ = mean + std·x.
func mixtureOf(mix *dist.LogNormMix, out []float32, norm normalisation) {
	k := len(mix.Mu)
	for i := range k {
		mix.Mu[i] = norm.Mean + norm.Std*float64(out[i])
		mix.Sigma[i] = norm.Std * math.Exp(float64(out[k+i]))
	}
	top := float64(slices.Max(out[2*k:]))
	total := 0.0
	for _, v := range out[2*k:] {
		total += math.Exp(float64(v) - top)
	}
	logTotal := top + math.Log(total)
	for i, v := range out[2*k:] {
		mix.LogWeights[i] = float64(v) - logTotal
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
