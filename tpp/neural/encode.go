package neural

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// recurrentDescription is the JSON description of a recurrent model in its file: everything but the parameters.
type recurrentDescription struct {
	Format int `json:"format"`
	configFile
	NumMarks         int              `json:"num_marks"`
	Marks            []string         `json:"marks"`
	MeanLogInterTime float64          `json:"mean_log_inter_time"`
	StdLogInterTime  float64          `json:"std_log_inter_time"`
	MAEInterTime     float64          `json:"mae_inter_time"` // of the median of all gaps
	Table            *markTableFile   `json:"mark_table_share,omitempty"`
	Training         *TrainingSummary `json:"training,omitempty"`
}

// configFile is the form of a Config in a model file.
type configFile struct {
	Kind              Kind            `json:"kind"`
	Encoder           Encoder         `json:"rnn_type"`
	ContextSize       int             `json:"context_size"`
	MarkEmbeddingSize int             `json:"mark_embedding_size"`
	NumComponents     int             `json:"num_mix_components,omitempty"`
	MarkTimeSize      int             `json:"mark_time_size,omitempty"`
	MarkTable         bool            `json:"mark_table,omitempty"`
	TimeHead          TimeHead        `json:"time_head,omitempty"`
	WithoutEnd        bool            `json:"without_end,omitempty"`
	Covariates        []covariateFile `json:"covariates,omitempty"`
	GapFloor          float64         `json:"gap_floor"`
	LogShift          float64         `json:"log_shift"`
	TimeUnit          string          `json:"time_unit"`
	Resolution        float64         `json:"resolution"`
}

// covariateFile is the form of a Covariate in a model file.
type covariateFile struct {
	Name   string  `json:"name"`
	Levels int     `json:"levels,omitempty"`
	Size   int     `json:"size,omitempty"`
	Mean   float64 `json:"mean,omitempty"`
	Std    float64 `json:"std,omitempty"`
}

// fileForm returns the form of the configuration in a model file.
func (c *Config) fileForm() configFile {
	f := configFile{
		Kind: c.Kind, Encoder: c.Encoder, ContextSize: c.ContextSize, MarkEmbeddingSize: c.MarkEmbeddingSize,
		NumComponents: c.NumComponents, MarkTimeSize: c.MarkTimeSize, MarkTable: c.MarkTable, TimeHead: c.TimeHead, WithoutEnd: c.WithoutEnd,
		GapFloor: c.GapFloor, LogShift: c.LogShift, TimeUnit: c.TimeUnit, Resolution: c.Resolution,
	}
	for _, v := range c.Covariates {
		f.Covariates = append(f.Covariates, covariateFile(v))
	}
	return f
}

// config returns the configuration that a model file describes.
func (f *configFile) config() Config {
	c := Config{
		Kind: f.Kind, Encoder: f.Encoder, ContextSize: f.ContextSize, MarkEmbeddingSize: f.MarkEmbeddingSize,
		NumComponents: f.NumComponents, MarkTimeSize: f.MarkTimeSize, MarkTable: f.MarkTable, TimeHead: f.TimeHead, WithoutEnd: f.WithoutEnd,
		GapFloor: f.GapFloor, LogShift: f.LogShift, TimeUnit: f.TimeUnit, Resolution: f.Resolution,
	}
	for _, v := range f.Covariates {
		c.Covariates = append(c.Covariates, Covariate(v))
	}
	return c
}

// Encode writes the model to w: float32 tensors under PyTorch's names, and everything else as JSON in the metadata under the
// key tpp.
func (m *Recurrent) Encode(w io.Writer) error {
	if m.net == nil {
		return unfitted.Err
	}
	tensors := map[string]tpp.Tensor{}
	for _, t := range m.net.layout.Tensors() {
		tensors[t.Name] = safetensors.FromFloat32(t.Shape, nn.Of(t.Span, m.params))
	}
	if m.table != nil {
		m.table.addTo(tensors)
	}
	return tpp.EncodeModel(w, recurrentDescription{
		Format: tpp.ModelFormat, configFile: m.cfg.fileForm(), NumMarks: m.numMarks, Marks: m.markNames,
		MeanLogInterTime: m.norm.Mean, StdLogInterTime: m.norm.Std, MAEInterTime: m.norm.MAE, Table: m.table.description(), Training: m.summary,
	}, tensors)
}

func init() {
	for kind := range families {
		tpp.Register(string(kind), readRecurrent)
	}
}

func readRecurrent(f *tpp.ModelFile) (tpp.Model, error) {
	var d recurrentDescription
	if err := f.Describe(&d); err != nil {
		return nil, err
	}
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	if err := d.fits(f.Header.NumMarks, f.NumValues()); err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	norm := normalisation{d.MeanLogInterTime, d.StdLogInterTime, d.MAEInterTime}
	m, err := newRecurrent(d.config(), f.Header.Marks, f.Header.NumMarks, norm, "")
	if err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	m.summary = d.Training
	loadParams(m.net, m.params, f.Tensor)
	if d.Table != nil {
		if m.table, err = d.Table.table(f, m.numMarks); err != nil {
			return nil, fmt.Errorf("table of the marks: %w", err)
		}
	}
	if err := f.Finish(); err != nil {
		return nil, err
	}
	m.net.prepare(m.params)
	return m, nil
}

func (d *recurrentDescription) validate() error {
	switch {
	case math.IsNaN(d.MeanLogInterTime) || math.IsInf(d.MeanLogInterTime, 0):
		return fmt.Errorf("a mean of %v of the log inter times", d.MeanLogInterTime)
	case !(d.StdLogInterTime > 0):
		return fmt.Errorf("a standard deviation of %v of the log inter times", d.StdLogInterTime)
	case !(d.MAEInterTime > 0):
		return fmt.Errorf("a mean absolute deviation of %v of the inter times", d.MAEInterTime)
	}
	c := d.config().withDefaults()
	return c.validate()
}

// fits returns an error if the file has fewer numbers than the largest of the model's tensors, before memory for them is
// allocated.
func (d *recurrentDescription) fits(numMarks, numbers int) error {
	c := d.config().withDefaults()
	columns := c.MarkEmbeddingSize
	needed := max(c.ContextSize*c.ContextSize, c.ContextSize*c.NumComponents, (c.ContextSize+c.MarkEmbeddingSize)*numMarks,
		c.MarkTimeSize*max(c.ContextSize, c.NumComponents, numMarks))
	for _, v := range c.Covariates {
		columns += max(v.Size, 1)
		needed = max(needed, v.Levels*v.Size)
	}
	if needed = max(needed, c.ContextSize*columns); needed > numbers {
		return fmt.Errorf("it asks for %d parameters and more, the file has %d", needed, numbers)
	}
	return nil
}

// loadParams copies the tensors of the layout into a parameter vector.
func loadParams[F nn.Float](n *network[F], params []F, tensor func(name string, shape ...int) []float64) {
	for _, known := range n.layout.Tensors() {
		dst := nn.Of(known.Span, params)
		for i, v := range tensor(known.Name, known.Shape...) {
			dst[i] = F(v)
		}
	}
}

// Fingerprint returns a hash of the configuration, the mark names, the normalisation, the parameters and the table of the marks. Writing and
// reading a model does not change it. It is 0 for the zero value.
func (m *Recurrent) Fingerprint() uint64 {
	if m.hash == nil {
		return 0
	}
	m.hash.once.Do(func() {
		h := fnv.New64a()
		text, err := json.Marshal(m.cfg.fileForm())
		if err != nil {
			panic("tpp: a configuration that was validated is no JSON: " + err.Error())
		}
		fmt.Fprintf(h, "%s %q %d %v", text, m.markNames, m.numMarks, m.norm)
		var b [4]byte
		for _, v := range m.params {
			binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
			h.Write(b[:])
		}
		if t := m.table; t != nil {
			fmt.Fprintf(h, "table %v %v %v %v %v", t.weight, t.discount, t.first, t.marks, t.counts)
		}
		m.hash.value = h.Sum64()
	})
	return m.hash.value
}

// MarshalBinary encodes the number of events (8 bytes), the time of the last one (8), the hidden vector (4 each) and, for a model with a table of the
// marks, the mark of the last one (4), in little-endian order.
func (s *recurrentState) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, 16+4*len(s.hidden))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.events))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.last))
	for _, v := range s.hidden {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	if s.m.table != nil {
		b = binary.LittleEndian.AppendUint32(b, uint32(max(s.mark, 0)))
	}
	return b, nil
}

func (s *recurrentState) UnmarshalBinary(data []byte) error {
	want := 16 + 4*len(s.hidden)
	if s.m.table != nil {
		want += 4
	}
	if len(data) != want {
		return fmt.Errorf("%d bytes, it must be %d", len(data), want)
	}
	events := binary.LittleEndian.Uint64(data)
	last := math.Float64frombits(binary.LittleEndian.Uint64(data[8:]))
	if events > math.MaxInt32 {
		return fmt.Errorf("%d events", events)
	}
	if math.IsNaN(last) || math.IsInf(last, 0) {
		return fmt.Errorf("the last event at %v", last)
	}
	hidden := nn.Resize[float32](nil, len(s.hidden))
	for i := range hidden {
		hidden[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[16+4*i:]))
		if v := float64(hidden[i]); math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("unit %d is %v", i, v)
		}
		if events == 0 && hidden[i] != 0 {
			return fmt.Errorf("unit %d is %v before the first event", i, hidden[i])
		}
	}
	mark := -1
	if s.m.table != nil {
		v := binary.LittleEndian.Uint32(data[len(data)-4:])
		if v >= uint32(s.m.numMarks) || events == 0 && v != 0 {
			return fmt.Errorf("the last of %d events has mark %d, the model knows %d marks", events, v, s.m.numMarks)
		}
		if events > 0 {
			mark = int(v)
		}
	}
	s.events, s.last, s.hidden, s.mark = int(events), last, hidden, mark
	s.invalidate()
	return nil
}
