package tpp

import (
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/nn"
)

// Recurrent is a neural temporal point process: a recurrent encoder turns the history into a context, from which the
// inter time and the mark of the next event are predicted independently of each other. Train makes one, ReadModel reads
// one. It is safe for concurrent use; its states are not.
type Recurrent struct {
	cfg       Config
	markNames []string
	numMarks  int
	mean, std float64
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

func newRecurrent(cfg Config, markNames []string, numMarks int, mean, std float64) (*Recurrent, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	net, err := newNetwork[float32](cfg, numMarks, mean, std)
	if err != nil {
		return nil, err
	}
	return &Recurrent{
		cfg: cfg, markNames: slices.Clone(markNames), numMarks: numMarks, mean: mean, std: std, net: net,
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
func (m *Recurrent) NewState() State {
	s := &recurrentState{
		m:       m,
		hidden:  make([]float32, m.net.rnn.StateSize()),
		values:  make([]float32, 0, m.net.numFeatures()),
		gates:   make([]float32, m.net.rnn.Gates()),
		timeOut: make([]float32, m.net.time.Out),
		markOut: make([]float32, m.net.mark.Out),
	}
	k := m.cfg.NumComponents
	s.mix = dist.LogNormMix{LogWeights: make([]float64, k), Mu: make([]float64, k), Sigma: make([]float64, k)}
	s.next = Next{Time: &s.mix, Marks: make([]float64, m.numMarks), GapFloor: m.cfg.GapFloor}
	return s
}

// recurrentState is the encoder's state after the events so far.
type recurrentState struct {
	m      *Recurrent
	events int
	last   float64 // arrival of the last event
	hidden []float32

	values, gates, timeOut, markOut []float32
	stepper                         nn.Stepper[float32]
	mix                             dist.LogNormMix
	next                            Next
}

// Observe moves the encoder over an event, in constant time and without allocation.
func (s *recurrentState) Observe(e Event) error {
	if math.IsNaN(e.Time) || math.IsInf(e.Time, 0) {
		return fmt.Errorf("event at %v: not a time", e.Time)
	}
	gap := 0.0
	if s.events > 0 {
		if e.Time < s.last {
			return fmt.Errorf("event at %v: it is before the last one at %v", e.Time, s.last)
		}
		gap = e.Time - s.last
	}
	net := s.m.net
	if len(e.Covariates) != len(net.cfg.Covariates) {
		return fmt.Errorf("event at %v: %d covariates, the model takes %d", e.Time, len(e.Covariates), len(net.cfg.Covariates))
	}
	values, err := net.appendFeatures(s.values[:0], gap, e.Mark, func(j int) float64 { return e.Covariates[j] })
	if err != nil {
		return fmt.Errorf("event at %v: %w", e.Time, err)
	}
	net.input.Forward(s.gates, s.m.params, values)
	net.rnn.Step(s.m.params, s.hidden, s.gates, &s.stepper)
	s.events++
	s.last = e.Time
	return nil
}

// Next computes the mixture and the mark probabilities from the context.
func (s *recurrentState) Next() *Next {
	net := s.m.net
	context := s.hidden[:net.cfg.ContextSize]
	if s.events == 0 {
		context = nn.Of(net.contextInit, s.m.params)
	}
	net.time.Forward(s.timeOut, s.m.params, context, 1)
	net.mark.Forward(s.markOut, s.m.params, context, 1)
	mixtureOf(&s.mix, s.timeOut, s.m.mean, s.m.std)
	softmax(s.next.Marks, s.markOut)
	return &s.next
}

// Clone is an independent copy.
func (s *recurrentState) Clone() State {
	c := s.m.NewState().(*recurrentState)
	c.events, c.last = s.events, s.last
	copy(c.hidden, s.hidden)
	return c
}

// mixtureOf takes the outputs of the time head (locations, log scales, logits, in standardised log time) to a mixture
// of log-normals in the time unit: log τ = mean + std·x.
func mixtureOf(mix *dist.LogNormMix, out []float32, mean, std float64) {
	k := len(mix.Mu)
	for i := range k {
		mix.Mu[i] = mean + std*float64(out[i])
		mix.Sigma[i] = std * math.Exp(float64(out[k+i]))
	}
	top := float64(slices.Max(out[2*k:]))
	total := 0.0
	for _, v := range out[2*k:] {
		total += math.Exp(float64(v) - top)
	}
	norm := top + math.Log(total)
	for i, v := range out[2*k:] {
		mix.LogWeights[i] = float64(v) - norm
	}
}

// softmax writes the probabilities of the logits to dst.
func softmax(dst []float64, logits []float32) {
	top := float64(slices.Max(logits))
	total := 0.0
	for i, v := range logits {
		dst[i] = math.Exp(float64(v) - top)
		total += dst[i]
	}
	for i := range dst {
		dst[i] /= total
	}
}
