package race

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// description is the JSON description of a Race in its file: everything but the parameters. Lists by parent have an entry for each mark
// and, as the last one, for the start of a sequence.
type description struct {
	tpp.ModelHeader
	Regime      Regime           `json:"regime"`
	Components  int              `json:"components"`
	ContextSize int              `json:"context_size"`
	Covariates  []covariateFile  `json:"covariates,omitempty"`
	Scales      []float64        `json:"scales,omitempty"` // none for the fixed ones
	Ancestors   int              `json:"ancestors,omitempty"`
	Training    *TrainingSummary `json:"training,omitempty"`
	Graph       *Graph           `json:"graph"`
	Start       [][]int          `json:"start"`      // the slots of the start of a sequence
	Optional    [][]bool         `json:"optional"`   // by parent and slot: whether it may never be filled
	Came        [][][]int        `json:"came"`       // by parent, slot and alternative: how often training saw it come
	Never       [][]int          `json:"never"`      // by parent and slot: how often nothing came
	Medians     []float64        `json:"medians"`    // of each class
	Stale       []*float64       `json:"stale"`      // of each class; null for never
	Background  backgroundFile   `json:"background"` // what the graph does not explain

	Descendants [][]descendantFile `json:"descendants"` // by mark
	Siblings    [][][2]int         `json:"siblings"`    // by parent: the pairs of slots between which offsets are known
	Levels      [][2]int           `json:"levels"`      // the marks and groups that have a recalibration of their own
}

// covariateFile is the form of a covariate in a model file.
type covariateFile struct {
	Name string  `json:"name"`
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"`
}

// backgroundFile is the form of the background in a model file.
type backgroundFile struct {
	Rate      float64   `json:"rate"`
	EmptyRate float64   `json:"empty_rate"`
	Marks     []float64 `json:"marks"`
	Mixture   []float64 `json:"mixture"` // locations, log scales, weights
}

func (m *Race) describe() description {
	e := m.encoder
	d := description{
		ModelHeader: tpp.ModelHeader{
			Format: tpp.ModelFormat, Kind: Kind, NumMarks: m.numMarks, Marks: m.markNames, TimeUnit: m.cfg.TimeUnit, Resolution: m.cfg.Resolution,
		},
		Regime: m.cfg.Regime, Components: m.cfg.Components, ContextSize: m.cfg.ContextSize, Training: m.summary, Graph: m.cfg.Graph,
		Start: [][]int{}, Optional: e.skipped, Came: m.seen.came, Never: m.seen.never, Medians: []float64{}, Stale: []*float64{},
		Background: backgroundFile{m.background.rate, m.background.emptyRate, m.background.marks, m.background.mixture},
	}
	if !slices.Equal(m.cfg.Scales, fixedScales[:]) {
		d.Scales = m.cfg.Scales
	}
	d.Ancestors = m.encoder.ancestors
	for _, s := range e.graph.Slots[e.start()] {
		d.Start = append(d.Start, s.Marks)
	}
	for i, name := range e.covariates {
		d.Covariates = append(d.Covariates, covariateFile{name, e.mean[i], e.std[i]})
	}
	for _, c := range e.classes {
		d.Medians = append(d.Medians, c.median)
		var stale *float64
		if !math.IsInf(c.stale, 1) {
			stale = new(c.stale)
		}
		d.Stale = append(d.Stale, stale)
	}
	d.Descendants, d.Siblings = m.offsetsForm()
	d.Levels = m.recalibration.levelsForm()
	return d
}

// Encode writes the model to w: its tensors as float32, and everything else as JSON in the metadata under the key tpp.
func (m *Race) Encode(w io.Writer) error {
	if m.net == nil {
		return unfitted.Err
	}
	tensors := map[string]tpp.Tensor{}
	for _, t := range m.net.layout.Tensors() {
		tensors[t.Name] = safetensors.FromFloat32(t.Shape, nn.Of(t.Span, m.params))
	}
	m.addOffsets(tensors)
	return tpp.EncodeModel(w, m.describe(), tensors)
}

func init() { tpp.Register(Kind, read) }

func read(f *tpp.ModelFile) (tpp.Model, error) {
	var d description
	if err := f.Describe(&d); err != nil {
		return nil, err
	}
	m, err := d.model(f.NumValues())
	if err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	for _, known := range m.net.layout.Tensors() {
		dst := nn.Of(known.Span, m.params)
		for i, v := range f.Tensor(known.Name, known.Shape...) {
			dst[i] = float32(v)
		}
	}
	if err := m.readOffsets(f); err != nil {
		return nil, err
	}
	if err := f.Finish(); err != nil {
		return nil, err
	}
	m.net.prepare(m.params)
	return m, nil
}

// model returns the model that is described, without its parameters, of which the file has so many.
func (d *description) model(numbers int) (*Race, error) {
	cfg := Config{
		Graph: d.Graph, Regime: d.Regime, Components: d.Components, ContextSize: d.ContextSize, Scales: d.Scales, Ancestors: d.Ancestors, TimeUnit: d.TimeUnit, Resolution: d.Resolution,
	}
	for _, c := range d.Covariates {
		if !(c.Std > 0) {
			return nil, fmt.Errorf("covariate %q has the standard deviation %v", c.Name, c.Std)
		}
		cfg.Covariates = append(cfg.Covariates, c.Name)
	}
	if len(cfg.Scales) == 0 {
		cfg.Scales = fixedScales[:]
	}
	if d.Ancestors < 0 {
		return nil, fmt.Errorf("%d ancestors", d.Ancestors)
	}
	cfg.Ancestors = cmp.Or(cfg.Ancestors, withoutAncestors)
	if err := cfg.validate(d.NumMarks); err != nil {
		return nil, err
	}
	roots, err := d.roots()
	if err != nil {
		return nil, err
	}
	if needed := d.values(&cfg, roots) + d.numOffsets(); needed > numbers {
		return nil, fmt.Errorf("it asks for %d parameters and more, the file has %d", needed, numbers)
	}
	m := newRace(cfg, d.Marks, d.NumMarks, roots)
	for i, c := range d.Covariates {
		m.encoder.mean[i], m.encoder.std[i] = c.Mean, c.Std
	}
	if err := d.classes(m.encoder.structure); err != nil {
		return nil, err
	}
	if err := d.counts(m); err != nil {
		return nil, err
	}
	if err := d.forecasts(m); err != nil {
		return nil, err
	}
	m.summary = d.Training
	return m, d.background(m.background, d.NumMarks)
}

// roots returns the slots of the start of a sequence.
func (d *description) roots() ([]Slot, error) {
	own := Graph{Slots: make([][]Slot, d.NumMarks)} // as if they were those of a mark
	for _, marks := range d.Start {
		own.Slots[0] = append(own.Slots[0], Slot{Marks: marks})
	}
	if err := own.Validate(d.NumMarks); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	return own.Slots[0], nil
}

// values returns how many numbers the larger tensors of the model have together.
func (d *description) values(c *Config, roots []Slot) int {
	classes := 0
	for _, slots := range append([][]Slot{roots}, c.Graph.Slots...) {
		for _, s := range slots {
			classes += len(s.Marks) * int(numKinds)
		}
	}
	return d.NumMarks*embeddingSize + c.ContextSize*(6*c.ContextSize+3*embeddingSize+len(c.Covariates)) + classes*(c.ContextSize+3*c.Components)
}

// classes sets what the structure knows of its classes and slots.
func (d *description) classes(s *structure) error {
	if len(d.Medians) != len(s.classes) || len(d.Stale) != len(s.classes) {
		return fmt.Errorf("%d medians and %d limits of delays, the graph has %d classes of delays", len(d.Medians), len(d.Stale), len(s.classes))
	}
	for i := range s.classes {
		c := &s.classes[i]
		if c.median = d.Medians[i]; !(c.median >= 0) {
			return fmt.Errorf("class %d of delays has the median %v", i, c.median)
		}
		if d.Stale[i] == nil {
			continue
		}
		if c.stale = *d.Stale[i]; !(c.stale >= 0) {
			return fmt.Errorf("class %d of delays has the limit %v", i, c.stale)
		}
	}
	if len(d.Optional) != len(s.skipped) {
		return fmt.Errorf("optional: slots of %d parents, the graph has %d", len(d.Optional), len(s.skipped))
	}
	for parent, optional := range d.Optional {
		if len(optional) != len(s.skipped[parent]) {
			return fmt.Errorf("optional: %d slots of parent %d, the graph has %d", len(optional), parent, len(s.skipped[parent]))
		}
		copy(s.skipped[parent], optional)
	}
	return nil
}

// counts sets how often training saw what is due come.
func (d *description) counts(m *Race) error {
	slots := m.encoder.graph.Slots
	if len(d.Came) != len(slots) || len(d.Never) != len(slots) {
		return fmt.Errorf("counts of %d and %d parents, the graph has %d", len(d.Came), len(d.Never), len(slots))
	}
	for parent, own := range slots {
		if len(d.Came[parent]) != len(own) || len(d.Never[parent]) != len(own) {
			return fmt.Errorf("counts of %d and %d slots of parent %d, the graph has %d", len(d.Came[parent]), len(d.Never[parent]), parent, len(own))
		}
		for k, slot := range own {
			if len(d.Came[parent][k]) != len(slot.Marks) {
				return fmt.Errorf("counts of %d alternatives of slot %d of parent %d, the graph has %d", len(d.Came[parent][k]), k, parent, len(slot.Marks))
			}
			for _, n := range append([]int{d.Never[parent][k]}, d.Came[parent][k]...) {
				if n < 0 || n > math.MaxInt32 {
					return fmt.Errorf("a count of %d of slot %d of parent %d", n, k, parent)
				}
			}
		}
	}
	m.seen = &slotCounts{d.Came, d.Never}
	return nil
}

// background sets the background.
func (d *description) background(b *background, numMarks int) error {
	f := &d.Background
	rate := func(r float64) bool { return r > 0 && r < 1 }
	switch {
	case !rate(f.Rate) || !rate(f.EmptyRate):
		return fmt.Errorf("background: rates of %v and %v", f.Rate, f.EmptyRate)
	case len(f.Marks) != numMarks:
		return fmt.Errorf("background: probabilities of %d marks, there are %d", len(f.Marks), numMarks)
	case len(f.Mixture) != 3*backgroundComponents:
		return fmt.Errorf("background: a mixture of %d numbers, it must have %d", len(f.Mixture), 3*backgroundComponents)
	}
	if sum, err := sumOf(f.Marks); err != nil || math.Abs(sum-1) > 1e-6 {
		return fmt.Errorf("background: the probabilities of the marks add up to %v, and all must be from 0 to 1", sum)
	}
	if _, err := sumOf(f.Mixture[2*backgroundComponents:]); err != nil {
		return fmt.Errorf("background: weights of the mixture: %w", err)
	}
	for i, v := range f.Mixture[:2*backgroundComponents] {
		if math.Abs(v) > maxLocation || i >= backgroundComponents && math.Abs(v) > maxBackgroundScale {
			return fmt.Errorf("background: number %d of the mixture is %v", i, v)
		}
	}
	b.rate, b.emptyRate, b.marks, b.mixture = f.Rate, f.EmptyRate, f.Marks, f.Mixture
	b.prepare()
	if survival, density := b.survival(0); !(math.Abs(survival-1) < 1e-4) || !(density >= 0) || math.IsInf(density, 0) {
		return fmt.Errorf("background: the mixture has the survival %v at 0, and the density %v", survival, density)
	}
	return nil
}

// maxLocation is more than the logarithm of any delay, and maxBackgroundScale more than that of any scale, from which float32 takes
// precisions.
const maxLocation, maxBackgroundScale = 1000, 20

// sumOf returns the sum of numbers, and an error if one is not between 0 and 1.
func sumOf(values []float64) (float64, error) {
	sum := 0.0
	for i, v := range values {
		if !(v >= 0 && v <= 1) {
			return math.NaN(), fmt.Errorf("number %d is %v", i, v)
		}
		sum += v
	}
	return sum, nil
}

// fingerprint is a hash that is computed once.
type fingerprint struct {
	once  sync.Once
	value uint64
}

// Fingerprint returns a hash of everything that predictions depend on. Writing and reading a model does not change it. It is 0 for the
// zero value.
func (m *Race) Fingerprint() uint64 {
	if m.net == nil {
		return 0
	}
	m.hash.once.Do(func() {
		d := m.describe()
		d.Training, d.Came, d.Never = nil, nil, nil
		h := fnv.New64a()
		text, err := json.Marshal(d)
		if err != nil {
			panic("tpp: a model that was validated is no JSON: " + err.Error())
		}
		h.Write(text)
		var b [4]byte
		descendants, siblings := m.offsetRows()
		for _, values := range [][]float32{m.params, descendants, siblings, m.recalibration.levelRows()} {
			for _, v := range values {
				binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
				h.Write(b[:])
			}
		}
		m.hash.value = h.Sum64()
	})
	return m.hash.value
}
