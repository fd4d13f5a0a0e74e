package tpp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"math"
	"os"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/safetensors"
)

// trainingDataKey is where a model file's metadata says what the model was trained on.
const trainingDataKey = "tpp_training_data"

// TrainingData says which dataset a model was trained on, and which part of that it has not seen. A model file may have it beside the
// model, which does not depend on it.
type TrainingData struct {
	// Name is the name of the dataset's file, without its folder.
	Name string `json:"name"`
	// Fingerprint is that of the whole dataset, as a DatasetHash computes it.
	Fingerprint string `json:"fingerprint"`
	Sequences   int    `json:"sequences"`
	// Split says that the test part of a split was kept aside. Otherwise all of the dataset was used.
	Split bool `json:"split"`
	// SplitBy says how it was split: by Dataset.Split with the Seed if it is empty, SplitByTime, or SplitByHash with the Seed.
	SplitBy string `json:"split_by,omitempty"`
	Seed    uint64 `json:"seed"`
}

// The values of TrainingData.SplitBy.
const (
	SplitByTime = "time"
	SplitByHash = "hash"
)

// DatasetHash computes the fingerprint of a dataset from its sequences, one at a time. It depends on the order of the sequences, on
// their times and windows, and on the names of their marks: a file with the same events in another format, with other numbers for the
// marks, or without covariates, has the same one. The zero value is ready to use.
type DatasetHash struct {
	sum    hash.Hash
	buffer []byte
}

// Add adds the next sequence, whose marks have the given names.
func (h *DatasetHash) Add(s *Sequence, markNames []string) {
	if h.sum == nil {
		h.sum = sha256.New()
	}
	b := binary.LittleEndian.AppendUint64(h.buffer[:0], uint64(s.Len()))
	text := func(v string) {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(v)))
		b = append(b, v...)
	}
	numbers := func(values []float64) {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(values)))
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v+0)) // −0 is 0
		}
	}
	numbers(s.ArrivalTimes)
	for i := range s.Len() {
		name := ""
		if m := s.Mark(i); m < len(markNames) {
			name = markNames[m]
		}
		text(name)
	}
	for _, edge := range []*float64{s.TStart, s.TEnd} {
		if edge == nil {
			numbers(nil)
		} else {
			numbers([]float64{*edge})
		}
	}
	h.buffer = b
	h.sum.Write(b)
}

// Fingerprint returns the fingerprint of the sequences so far.
func (h *DatasetHash) Fingerprint() string {
	if h.sum == nil {
		h.sum = sha256.New()
	}
	return hex.EncodeToString(h.sum.Sum(nil))[:32]
}

// Fingerprint returns the fingerprint of the dataset, see DatasetHash.
func (d *Dataset) Fingerprint() string {
	var h DatasetHash
	for i := range d.Sequences {
		h.Add(&d.Sequences[i], d.MarkNames)
	}
	return h.Fingerprint()
}

// WriteTrainedModelFile writes the model into a file with what it was trained on, as WriteModelFile does without.
func WriteTrainedModelFile(path string, m FileModel, data TrainingData) error {
	if m == nil {
		return fmt.Errorf("%s: no model to write", path)
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		var encoded bytes.Buffer
		if err := m.Encode(&encoded); err != nil {
			return err
		}
		file, err := safetensors.Read(&encoded)
		if err != nil {
			return err
		}
		file.Metadata[trainingDataKey] = string(text)
		return safetensors.Write(w, file)
	})
}

// ReadTrainedModel reads a model as ReadModel does, with what it was trained on, which is nil if its file does not say so.
func ReadTrainedModel(r io.Reader) (Model, *TrainingData, error) {
	m, metadata, err := readModel(r)
	if err != nil {
		return nil, nil, err
	}
	text, ok := metadata[trainingDataKey]
	if !ok {
		return m, nil, nil
	}
	data := &TrainingData{}
	if err := json.Unmarshal([]byte(text), data); err != nil {
		return nil, nil, fmt.Errorf("training data of the model: %w", err)
	}
	return m, data, nil
}

// ReadTrainedModelFile reads a model from a file as ReadModelFile does, with what it was trained on. The error names the file.
func ReadTrainedModelFile(path string) (Model, *TrainingData, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	m, data, err := ReadTrainedModel(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, data, nil
}
