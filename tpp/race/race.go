package race

import (
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// Race is a marked temporal point process in which each event makes others due, and the next event is whichever of those that are due
// comes first: a model of competing risks. Train and tpp.ReadModel return one; the zero value accepts no event and expects none. It is
// safe for concurrent use; its states are not.
type Race struct {
	cfg           Config
	markNames     []string
	numMarks      int
	encoder       *encoder
	background    *background
	offsets       *offsets
	recalibration *recalibration
	summary       *TrainingSummary
	net           *network[float32]
	params        []float32
	seen          *slotCounts
	hash          *fingerprint
}

func newRace(cfg Config, markNames []string, numMarks int, roots []Slot) *Race {
	s := newStructure(cfg.Graph, roots, numMarks, cfg.Resolution)
	e := newEncoder(s, &cfg)
	m := &Race{
		cfg: cfg, markNames: slices.Clone(markNames), numMarks: numMarks, encoder: e, background: &background{structure: s},
		hash: &fingerprint{},
	}
	m.net = m.newNetwork()
	m.params = make([]float32, m.net.layout.Size())
	return m
}

func (m *Race) newNetwork() *network[float32] {
	e := m.encoder
	return newNetwork[float32](&m.cfg, e.levels(), e.stepFeatures(), len(e.classes), e.rowColumns)
}

// Kind returns race.
func (m *Race) Kind() string { return Kind }

// MarkNames returns the names of the marks by index; empty for an unmarked model.
func (m *Race) MarkNames() []string { return m.markNames }

// CovariateNames returns the names of the covariates, in the order in which Observe takes them.
func (m *Race) CovariateNames() []string { return slices.Clone(m.cfg.Covariates) }

// Config returns a copy of the configuration, with every default filled in. It shares the graph.
func (m *Race) Config() Config {
	c := m.cfg
	c.Covariates, c.Scales = slices.Clone(c.Covariates), slices.Clone(c.Scales)
	return c
}

// TimeUnit returns the name of the unit of all times of the model.
func (m *Race) TimeUnit() string { return m.cfg.TimeUnit }

// Resolution returns the resolution of the clock that took the training data, in the time unit.
func (m *Race) Resolution() float64 { return m.cfg.Resolution }

// NumParameters returns the number of trained parameters.
func (m *Race) NumParameters() int { return len(m.params) }

// Training returns how the model was trained, or nil if that is not known. Encode writes it as it then is: a program that sets Seconds to 0
// gets the same bytes from the same training.
func (m *Race) Training() *TrainingSummary { return m.summary }

// KnowsEnd reports that the model predicts the end of sequences: that nothing of what is due ever comes.
func (m *Race) KnowsEnd() bool { return true }

// KnowsStart reports whether the model was trained on sequences with a TStart. Only then does it predict first events.
func (m *Race) KnowsStart() bool {
	return m.encoder != nil && len(m.encoder.graph.Slots[m.numMarks]) > 0
}

// ObservesStarts reports whether the model was trained in the regime Starts.
func (m *Race) ObservesStarts() bool { return m.cfg.Regime == Starts }

// TimesAreStarts reports whether the model was trained in the regime OnlyStarts.
func (m *Race) TimesAreStarts() bool { return m.cfg.Regime == OnlyStarts }

var (
	_ tpp.Clocked         = (*Race)(nil)
	_ tpp.StartedModel    = (*Race)(nil)
	_ tpp.StartTimesModel = (*Race)(nil)
	_ tpp.StartedState    = (*state)(nil)
)
