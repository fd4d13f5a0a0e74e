package tpp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/safetensors"
)

// metadataKey is where a model file's metadata holds the model's description.
const metadataKey = "tpp"

// formatVersion is raised when a reader of an older version would misread the file.
const formatVersion = 1

// FileModel is a model that can be kept in a file, from which ReadModel makes one that says the same.
type FileModel interface {
	Model
	// Encode writes the model to w: one safetensors file with float32 tensors, and everything else as JSON in its metadata
	// under the key tpp.
	Encode(w io.Writer) error
	// WriteFile encodes the model into a file, which is replaced only when the new one is whole.
	WriteFile(path string) error
}

// header is what every model file says of its model.
type header struct {
	Format     int      `json:"format"`
	Kind       string   `json:"kind"`
	NumMarks   int      `json:"num_marks"`
	Marks      []string `json:"marks"`
	TimeUnit   string   `json:"time_unit"`
	Resolution float64  `json:"resolution"`
}

func (h *header) validate() error {
	switch {
	case h.Format != formatVersion:
		return fmt.Errorf("format %d, this program reads %d", h.Format, formatVersion)
	case h.NumMarks < 1 || h.NumMarks > maxSize:
		return fmt.Errorf("%d marks", h.NumMarks)
	case len(h.Marks) != h.NumMarks && (len(h.Marks) != 0 || h.NumMarks != 1):
		return fmt.Errorf("%d marks but %d names of marks", h.NumMarks, len(h.Marks))
	case !(h.Resolution > 0) || math.IsInf(h.Resolution, 0):
		return fmt.Errorf("the resolution is %v, it must be above 0", h.Resolution)
	}
	seen := map[string]bool{}
	for _, name := range h.Marks {
		if seen[name] {
			return fmt.Errorf("two marks are called %q", name)
		}
		seen[name] = true
	}
	return nil
}

// modelReaders read the rest of a file whose header is known, by its kind.
var modelReaders = map[string]func(h header, description []byte, t *tensorReader) (Model, error){
	LogNormMix:       readRecurrent,
	TruncNorm:        readRecurrent,
	KindPoisson:      readPoisson,
	KindRenewal:      readRenewal,
	KindMarkRenewal:  readMarkRenewal,
	KindHawkes:       readHawkes,
	KindLookupMark:   readLookup,
	KindLookupMarks3: readLookup,
	KindLookupSet:    readLookup,
}

// ReadModelFile reads a model of any kind that WriteFile wrote. The error names the file and the reason.
func ReadModelFile(path string) (Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := ReadModel(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// ReadModel reads a model of any kind that Encode wrote; its dynamic type is that of the model written. It is strict: every
// tensor that the description asks for must be there in its shape with finite values, and no other.
func ReadModel(r io.Reader) (Model, error) {
	f, err := safetensors.Read(r)
	if err != nil {
		return nil, err
	}
	text, ok := f.Metadata[metadataKey]
	if !ok {
		return nil, fmt.Errorf("not a model of ours: its metadata has no %q", metadataKey)
	}
	var h header
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	read, ok := modelReaders[h.Kind]
	if !ok {
		return nil, fmt.Errorf("description of the model: unknown kind of model %q", h.Kind)
	}
	if err := h.validate(); err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	return read(h, []byte(text), &tensorReader{tensors: f.Tensors})
}

// tensorReader hands out a file's tensors and keeps the first thing that is wrong with them.
type tensorReader struct {
	tensors map[string]safetensors.Tensor
	taken   int
	err     error
}

// take is the content of a tensor, or zeros if something is wrong with it.
func (t *tensorReader) take(name string, shape ...int) []float64 {
	t.taken++
	src, ok := t.tensors[name]
	switch {
	case t.err != nil:
	case !ok:
		t.err = fmt.Errorf("tensor %q is missing", name)
	case !slices.Equal(src.Shape, shape):
		t.err = fmt.Errorf("tensor %q has the shape %v, it must have %v", name, src.Shape, shape)
	default:
		for _, v := range src.Data {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.err = fmt.Errorf("tensor %q has a value %v", name, v)
				return nil
			}
		}
		return src.Data
	}
	return nil
}

// takeOne is the content of a tensor of one number.
func (t *tensorReader) takeOne(name string) float64 {
	if v := t.take(name, 1); t.err == nil {
		return v[0]
	}
	return 0
}

// finish is what was wrong, a tensor that nothing asked for included.
func (t *tensorReader) finish() error {
	if t.err == nil && len(t.tensors) > t.taken {
		return errors.New("it has tensors that the model does not")
	}
	return t.err
}

// writeModel writes a file of a description and tensors.
func writeModel(w io.Writer, description any, tensors map[string]safetensors.Tensor) error {
	text, err := json.Marshal(description)
	if err != nil {
		return err
	}
	return safetensors.Write(w, &safetensors.File{Metadata: map[string]string{metadataKey: string(text)}, Tensors: tensors})
}

// recurrentDescription is everything of a recurrent model but its parameters.
type recurrentDescription struct {
	Format int `json:"format"`
	Config
	NumMarks         int              `json:"num_marks"`
	Marks            []string         `json:"marks"`
	MeanLogInterTime float64          `json:"mean_log_inter_time"`
	StdLogInterTime  float64          `json:"std_log_inter_time"`
	MAEInterTime     float64          `json:"mae_inter_time"` // of the median of all gaps
	Training         *TrainingSummary `json:"training,omitempty"`
}

// WriteFile writes the model as one safetensors file. It is replaced only when the new one is whole.
func (m *Recurrent) WriteFile(path string) error { return atomicfile.Write(path, m.Encode) }

// Encode writes the model in the form of WriteFile to w: float32 tensors under PyTorch's names, and everything else as
// JSON in the metadata under the key tpp.
func (m *Recurrent) Encode(w io.Writer) error {
	tensors := map[string]safetensors.Tensor{}
	for _, t := range m.net.layout.Tensors() {
		tensors[t.Name] = safetensors.FromFloat32(t.Shape, nn.Of(t.Span, m.params))
	}
	return writeModel(w, recurrentDescription{
		Format: formatVersion, Config: m.cfg, NumMarks: m.numMarks, Marks: m.markNames,
		MeanLogInterTime: m.norm.Mean, StdLogInterTime: m.norm.Std, MAEInterTime: m.norm.MAE, Training: m.summary,
	}, tensors)
}

func readRecurrent(h header, description []byte, t *tensorReader) (Model, error) {
	var d recurrentDescription
	if err := json.Unmarshal(description, &d); err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	if err := d.fits(h.NumMarks, t.tensors); err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	norm := normalisation{d.MeanLogInterTime, d.StdLogInterTime, d.MAEInterTime}
	m, err := newRecurrent(d.Config, h.Marks, h.NumMarks, norm, "")
	if err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	m.summary = d.Training
	if err := loadParams(m.net, m.params, t.tensors); err != nil {
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
	c := d.Config.withDefaults()
	return c.validate()
}

// fits checks that the file has numbers enough for the largest of the model's tensors, before there is memory for them.
func (d *recurrentDescription) fits(numMarks int, tensors map[string]safetensors.Tensor) error {
	numbers := 0
	for _, t := range tensors {
		numbers += len(t.Data)
	}
	c := d.Config.withDefaults()
	columns := c.MarkEmbeddingSize
	needed := max(c.ContextSize*c.ContextSize, c.ContextSize*c.NumComponents, (c.ContextSize+c.MarkEmbeddingSize)*numMarks)
	for _, v := range c.Covariates {
		columns += max(v.Size, 1)
		needed = max(needed, v.Levels*v.Size)
	}
	if needed = max(needed, c.ContextSize*columns); needed > numbers {
		return fmt.Errorf("it asks for %d parameters and more, the file has %d", needed, numbers)
	}
	return nil
}

// loadParams fills a parameter vector from tensors, strictly.
func loadParams[F nn.Float](n *network[F], params []F, tensors map[string]safetensors.Tensor) error {
	t := tensorReader{tensors: tensors}
	for _, known := range n.layout.Tensors() {
		dst := nn.Of(known.Span, params)
		for i, v := range t.take(known.Name, known.Shape...) {
			dst[i] = F(v)
		}
	}
	return t.finish()
}
