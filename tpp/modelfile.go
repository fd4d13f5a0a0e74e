package tpp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/tpp/internal/nn"
	"github.com/tppfaas/tppfaas/tpp/internal/safetensors"
)

// metadataKey is where a model file's metadata holds the model's description.
const metadataKey = "tpp"

// formatVersion is raised when a reader of an older version would misread the file.
const formatVersion = 1

// description is everything of a recurrent model but its parameters.
type description struct {
	Format int `json:"format"`
	Config
	NumMarks         int              `json:"num_marks"`
	Marks            []string         `json:"marks"`
	MeanLogInterTime float64          `json:"mean_log_inter_time"`
	StdLogInterTime  float64          `json:"std_log_inter_time"`
	MAEInterTime     float64          `json:"mae_inter_time"` // of the median of all gaps
	Training         *TrainingSummary `json:"training,omitempty"`
}

// WriteFile writes the model as one safetensors file: float32 tensors under PyTorch's names, and everything else as
// JSON in the metadata under the key tpp. The file is replaced only when the new one is whole.
func (m *Recurrent) WriteFile(path string) error {
	return atomicfile.Write(path, m.Encode)
}

// Encode writes the model in the form of WriteFile to w.
func (m *Recurrent) Encode(w io.Writer) error {
	text, err := json.Marshal(description{
		Format: formatVersion, Config: m.cfg, NumMarks: m.numMarks, Marks: m.markNames,
		MeanLogInterTime: m.norm.Mean, StdLogInterTime: m.norm.Std, MAEInterTime: m.norm.MAE, Training: m.summary,
	})
	if err != nil {
		return err
	}
	f := &safetensors.File{Metadata: map[string]string{metadataKey: string(text)}, Tensors: map[string]safetensors.Tensor{}}
	for _, t := range m.net.layout.Tensors() {
		data := make([]float64, t.Span.Len)
		for i, v := range nn.Of(t.Span, m.params) {
			data[i] = float64(v)
		}
		f.Tensors[t.Name] = safetensors.Tensor{Shape: t.Shape, Data: data}
	}
	return safetensors.Write(w, f)
}

// ReadModelFile reads a model that WriteFile wrote. The error names the file and the reason.
func ReadModelFile(path string) (*Recurrent, error) {
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

// ReadModel reads a model in the form of WriteFile. It is strict: every tensor of the configuration must be there in
// its shape with finite values, and no other.
func ReadModel(r io.Reader) (*Recurrent, error) {
	f, err := safetensors.Read(r)
	if err != nil {
		return nil, err
	}
	text, ok := f.Metadata[metadataKey]
	if !ok {
		return nil, fmt.Errorf("not a model of ours: its metadata has no %q", metadataKey)
	}
	var d description
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	m, err := newRecurrent(d.Config, d.Marks, d.NumMarks, normalisation{d.MeanLogInterTime, d.StdLogInterTime, d.MAEInterTime}, "")
	if err != nil {
		return nil, fmt.Errorf("description of the model: %w", err)
	}
	m.summary = d.Training
	return m, m.setParams(f.Tensors)
}

func (d *description) validate() error {
	switch {
	case d.Format != formatVersion:
		return fmt.Errorf("format %d, this program reads %d", d.Format, formatVersion)
	case d.NumMarks < 1 || d.NumMarks > maxSize:
		return fmt.Errorf("%d marks", d.NumMarks)
	case len(d.Marks) != d.NumMarks && (len(d.Marks) != 0 || d.NumMarks != 1):
		return fmt.Errorf("%d marks but %d names of marks", d.NumMarks, len(d.Marks))
	case !(d.StdLogInterTime > 0):
		return fmt.Errorf("a standard deviation of %v of the log inter times", d.StdLogInterTime)
	case !(d.MAEInterTime > 0):
		return fmt.Errorf("a mean absolute deviation of %v of the inter times", d.MAEInterTime)
	}
	seen := map[string]bool{}
	for _, name := range d.Marks {
		if seen[name] {
			return fmt.Errorf("two marks are called %q", name)
		}
		seen[name] = true
	}
	c := d.Config.withDefaults()
	return c.validate()
}

// setParams takes in the parameters.
func (m *Recurrent) setParams(tensors map[string]safetensors.Tensor) error {
	if err := loadParams(m.net, m.params, tensors); err != nil {
		return err
	}
	m.net.prepare(m.params)
	return nil
}

// loadParams fills a parameter vector from tensors, strictly.
func loadParams[F nn.Float](n *network[F], params []F, tensors map[string]safetensors.Tensor) error {
	known := n.layout.Tensors()
	for _, t := range known {
		src, ok := tensors[t.Name]
		if !ok {
			return fmt.Errorf("tensor %q is missing", t.Name)
		}
		if fmt.Sprint(src.Shape) != fmt.Sprint(t.Shape) {
			return fmt.Errorf("tensor %q has the shape %v, it must have %v", t.Name, src.Shape, t.Shape)
		}
		dst := nn.Of(t.Span, params)
		for i, v := range src.Data {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("tensor %q has a value %v", t.Name, v)
			}
			dst[i] = F(v)
		}
	}
	if len(tensors) > len(known) {
		return errors.New("it has tensors that the model does not")
	}
	return nil
}
