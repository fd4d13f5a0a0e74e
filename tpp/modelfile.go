package tpp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sync"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/safetensors"
)

// metadataKey is the key of the description in the metadata of a model file.
const metadataKey = "tpp"

// ModelFormat is the version of the model file's format. It is raised when a reader of an older version would misread the file.
const ModelFormat = 1

// MaxMarks is the largest number of marks that a model may have. A file that claims more is broken, and a fit to more returns an
// error.
const MaxMarks = 1 << 16

// FileModel is a Model that can be written to a file. ReadModel returns an equivalent model from it.
type FileModel interface {
	Model
	// Encode writes the model to w, using EncodeModel.
	Encode(w io.Writer) error
}

// Tensor is an array of numbers in row-major order: Shape holds the size of each axis, Data all values.
type Tensor = safetensors.Tensor

// ModelHeader holds the fields that are common to the descriptions of all models, with their names in JSON. The zero
// value is not valid: Format, NumMarks and Resolution must be set.
type ModelHeader struct {
	Format     int      `json:"format"` // ModelFormat
	Kind       string   `json:"kind"`
	NumMarks   int      `json:"num_marks"`
	Marks      []string `json:"marks"`      // by index; empty for an unmarked model
	TimeUnit   string   `json:"time_unit"`  // of all times
	Resolution float64  `json:"resolution"` // tick of the clock that took the times, in the time unit
}

func (h *ModelHeader) validate() error {
	switch {
	case h.Format != ModelFormat:
		return fmt.Errorf("format %d, this program reads %d", h.Format, ModelFormat)
	case h.NumMarks < 1 || h.NumMarks > MaxMarks:
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

// ModelReader builds a model from the content of its file. It must read every tensor and return the error of
// ModelFile.Finish.
type ModelReader func(f *ModelFile) (Model, error)

var (
	readersMu sync.RWMutex
	readers   = map[string]ModelReader{}
)

// Register registers the reader of a kind of model for ReadModel. Packages call it from init, as image formats do, so
// that a program can read the kinds of models whose packages it imports. It panics if the kind is registered already, or
// has no reader.
func Register(kind string, read ModelReader) {
	readersMu.Lock()
	defer readersMu.Unlock()
	if read == nil {
		panic("tpp: kind of model " + kind + " has no reader")
	}
	if _, ok := readers[kind]; ok {
		panic("tpp: kind of model " + kind + " is registered twice")
	}
	readers[kind] = read
}

// ReadModelFile reads a model of any registered kind from a file written by WriteModelFile. Errors name the file and
// the reason.
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

// ReadModel reads a model of any registered kind that was written by its Encode method; the result has the same
// dynamic type. It is strict: every tensor that the description requires must be present, in its shape and with finite
// values, and no other.
func ReadModel(r io.Reader) (Model, error) {
	m, _, err := readModel(r)
	return m, err
}

// readModel reads a model and returns the metadata of its file too.
func readModel(r io.Reader) (Model, map[string]string, error) {
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(safetensors.HeadSize)
	if err == io.EOF {
		err = nil
	}
	if err == nil && !safetensors.IsHead(head) {
		err = notAModel(head)
	}
	if err != nil {
		return nil, nil, err
	}
	content, err := safetensors.Read(buffered)
	if err != nil {
		return nil, nil, err
	}
	text, ok := content.Metadata[metadataKey]
	if !ok {
		return nil, nil, fmt.Errorf("not a model of ours: its metadata has no %q", metadataKey)
	}
	f := &ModelFile{description: []byte(text), tensors: content.Tensors, taken: map[string]bool{}}
	if err := f.Describe(&f.Header); err != nil {
		return nil, nil, err
	}
	readersMu.RLock()
	read, ok := readers[f.Header.Kind]
	readersMu.RUnlock()
	if !ok {
		return nil, nil, fmt.Errorf("description of the model: unknown kind of model %q (a program knows those whose packages it imports)", f.Header.Kind)
	}
	if err := f.Header.validate(); err != nil {
		return nil, nil, fmt.Errorf("description of the model: %w", err)
	}
	m, err := read(f)
	if err != nil {
		return nil, nil, err
	}
	return m, content.Metadata, nil
}

// ErrDataset is the error of a file that should be a model and is text or gzipped, as datasets are.
var ErrDataset = errors.New("not a safetensors file as models are: it is text or gzipped, as datasets are")

// notAModel says what a file is that does not begin as a model does; nil leaves that to the reader of the file.
func notAModel(head []byte) error {
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		return ErrDataset
	}
	for _, c := range head {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' {
			return nil
		}
	}
	if len(head) == 0 {
		return nil
	}
	return ErrDataset
}

// WriteModelFile writes the model to a file. An existing file is replaced atomically, once the new one is complete.
func WriteModelFile(path string, m FileModel) error {
	if m == nil {
		return fmt.Errorf("%s: no model to write", path)
	}
	return atomicfile.Write(path, m.Encode)
}

// EncodeModel writes a model file to w: a safetensors file with float32 tensors and, in its metadata under the key
// tpp, the description as JSON. The description is a struct that embeds a ModelHeader or has its fields.
func EncodeModel(w io.Writer, description any, tensors map[string]Tensor) error {
	text, err := json.Marshal(description)
	if err != nil {
		return err
	}
	return safetensors.Write(w, &safetensors.File{Metadata: map[string]string{metadataKey: string(text)}, Tensors: tensors})
}

// IsModelFile reports whether the first bytes of the file are those of a model file. It returns false for datasets and
// all other files. Of a pipe it takes these bytes away.
func IsModelFile(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, safetensors.HeadSize)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	return safetensors.IsHead(head[:n]), nil
}

// ModelFile is the content of a model file, as passed to a ModelReader. It keeps the first error of Tensor and Number,
// which Finish returns, so that a reader checks for errors once. It is made by ReadModel; the zero value is of no use.
type ModelFile struct {
	// Header holds the common fields of the description, validated.
	Header ModelHeader

	description []byte
	tensors     map[string]Tensor
	taken       map[string]bool // tensors read, by name
	err         error
}

// Describe unmarshals the description, which is JSON, into v.
func (f *ModelFile) Describe(v any) error {
	if err := json.Unmarshal(f.description, v); err != nil {
		return fmt.Errorf("description of the model: %w", err)
	}
	return nil
}

// NumValues returns the number of values in all tensors. Readers should compare the sizes in a description with it
// before they allocate memory for them.
func (f *ModelFile) NumValues() int {
	n := 0
	for _, t := range f.tensors {
		n += len(t.Data)
	}
	return n
}

// Has reports whether the file has a tensor with the given name.
func (f *ModelFile) Has(name string) bool {
	_, ok := f.tensors[name]
	return ok
}

// Tensor returns the values of the named tensor, which must have the given shape and finite values. After an error, of
// this or an earlier tensor, it returns nil; Finish returns the error.
func (f *ModelFile) Tensor(name string, shape ...int) []float64 {
	src, ok := f.tensors[name]
	if ok {
		f.taken[name] = true
	}
	switch {
	case f.err != nil:
	case !ok:
		f.err = fmt.Errorf("tensor %q is missing", name)
	case !slices.Equal(src.Shape, shape):
		f.err = fmt.Errorf("tensor %q has the shape %v, it must have %v", name, src.Shape, shape)
	default:
		for _, v := range src.Data {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				f.err = fmt.Errorf("tensor %q has a value %v", name, v)
				return nil
			}
		}
		return src.Data
	}
	return nil
}

// Number returns the value of a tensor of shape [1], or 0 after an error.
func (f *ModelFile) Number(name string) float64 {
	if v := f.Tensor(name, 1); f.err == nil {
		return v[0]
	}
	return 0
}

// Finish returns the first error of Tensor and Number, or an error if the file has a tensor that was not read.
func (f *ModelFile) Finish() error {
	if f.err == nil && len(f.tensors) > len(f.taken) {
		return errors.New("it has tensors that the model does not")
	}
	return f.err
}
