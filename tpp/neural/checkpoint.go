package neural

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/safetensors"
)

// checkpointKey is the key in the metadata of a checkpoint file that holds everything but the vectors, as JSON.
const checkpointKey = "tpp_checkpoint"

// fingerprinted lists what a checkpoint is valid for, apart from the examples: the model, and the options that the trained
// parameters depend on. Options that only say when training pauses, how many goroutines it takes, or what is reported are left
// out, so that an interrupted training can resume with others.
type fingerprinted struct {
	Version                                int // raised when the same options lead to other parameters
	Model                                  configFile
	Marks                                  []string
	NumMarks                               int
	Normalisation                          normalisation
	Seed                                   uint64
	Loss                                   Loss
	Schedule                               Schedule
	BatchSize, MaxEpochs, Patience         int
	ShuffleWindow                          int `json:",omitempty"`
	LearningRate, WeightDecay, ClipNorm    float64
	WithoutWeightDecay, WithoutClipping    bool
	TrainingSequences, ValidationSequences int
}

// fingerprint returns a hash of the model, the options and the encoded data that the trained parameters depend on. Every list
// is preceded by its length, so that events cannot move from one sequence, or one column, to the next unnoticed.
func (t *trainer) fingerprint(ctx context.Context, markNames []string) (string, error) {
	o := &t.opts
	text, err := json.Marshal(fingerprinted{
		Version: 2, Model: t.net.cfg.fileForm(), Marks: markNames, NumMarks: t.net.numMarks, Normalisation: t.net.norm,
		Seed: o.Seed, Loss: o.Loss, Schedule: o.Schedule, BatchSize: o.BatchSize, MaxEpochs: o.MaxEpochs, Patience: o.Patience, ShuffleWindow: o.ShuffleWindow,
		LearningRate: o.LearningRate, WeightDecay: o.WeightDecay, ClipNorm: o.ClipNorm,
		WithoutWeightDecay: o.WithoutWeightDecay, WithoutClipping: o.WithoutClipping,
		TrainingSequences: t.summary.TrainingSequences, ValidationSequences: t.summary.ValidationSequences,
	})
	if err != nil {
		return "", fmt.Errorf("fingerprint of the training: %w", err)
	}
	h := exampleHash{Hash: sha256.New()}
	h.length(len(text))
	h.Write(text)
	for _, part := range []examples{t.training, t.validation} {
		h.length(part.counts().sequences)
		for window, err := range part.windows(ctx, validationWindow) {
			if err != nil {
				return "", fmt.Errorf("fingerprint of the training: %w", err)
			}
			for i := range window {
				h.floats(window[i].values)
				h.targets(&window[i].initial)
				h.targets(&window[i].targets)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// exampleHash hashes the columns of examples.
type exampleHash struct {
	hash.Hash
	buf []byte
}

func (h *exampleHash) length(n int) {
	h.buf = binary.LittleEndian.AppendUint64(h.buf[:0], uint64(n))
	h.Write(h.buf)
}

func (h *exampleHash) floats(values []float32) {
	h.length(len(values))
	h.buf = h.buf[:0]
	for _, v := range values {
		h.buf = binary.LittleEndian.AppendUint32(h.buf, math.Float32bits(v))
	}
	h.Write(h.buf)
}

func (h *exampleHash) targets(t *targets[float32]) {
	h.length(t.len())
	h.buf = h.buf[:0]
	for i, kind := range t.kind {
		h.buf = append(h.buf, byte(kind))
		h.buf = binary.LittleEndian.AppendUint64(h.buf, uint64(t.mark[i]))
	}
	h.Write(h.buf)
	for _, column := range t.columns() {
		h.floats(*column)
	}
}

// takeSnapshot copies the state after an epoch if checkpoints are enabled: the next epoch may be interrupted.
func (t *trainer) takeSnapshot() {
	c := t.snapshot
	if c == nil {
		return
	}
	c.Summary, c.LR, c.AdamStep, c.Drops, c.Since = t.summary, t.adam.LR, t.adam.Step, t.drops, t.since
	c.params, c.best = append(c.params[:0], t.params...), append(c.best[:0], t.best...)
	c.m, c.v = append(c.m[:0], t.adam.M...), append(c.v[:0], t.adam.V...)
}

// save writes the state after the last complete epoch to the checkpoint file, if checkpoints are enabled.
func (t *trainer) save() error {
	c := t.snapshot
	if c == nil || c.params == nil {
		return nil
	}
	err := atomicfile.WriteOn(t.disk, t.opts.Checkpoint, func(w io.Writer) error {
		sum, err := c.sum()
		if err != nil {
			return err
		}
		c.Sum = sum
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		f := &safetensors.File{Metadata: map[string]string{checkpointKey: string(text)}, Tensors: map[string]safetensors.Tensor{}}
		for name, values := range c.vectors() {
			f.Tensors[name] = safetensors.FromFloat32([]int{len(*values)}, *values)
		}
		return safetensors.Write(w, f)
	})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// sum returns the hash of the checkpoint without its Sum.
func (c *checkpoint) sum() (string, error) {
	rest := *c
	rest.Sum = ""
	text, err := json.Marshal(&rest)
	if err != nil {
		return "", err
	}
	h := exampleHash{Hash: sha256.New()}
	h.length(len(text))
	h.Write(text)
	for _, values := range [][]float32{c.params, c.best, c.m, c.v} {
		h.floats(values)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (c *checkpoint) vectors() map[string]*[]float32 {
	return map[string]*[]float32{"params": &c.params, "best": &c.best, "adam.m": &c.m, "adam.v": &c.v}
}

// resume restores the state from the checkpoint file of a training with these marks, if there is one.
func (t *trainer) resume(ctx context.Context, markNames []string) error {
	if t.opts.Checkpoint == "" {
		return nil
	}
	fingerprint, err := t.fingerprint(ctx, markNames)
	if err != nil {
		return err
	}
	t.snapshot = &checkpoint{Fingerprint: fingerprint}
	f, err := t.disk.Open(t.opts.Checkpoint, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		err = atomicfile.CheckOn(t.disk, t.opts.Checkpoint)
		if err == nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close()
	c, err := readCheckpoint(f, t.snapshot.Fingerprint, len(t.params))
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", t.opts.Checkpoint, err)
	}
	t.snapshot = c
	t.summary, t.adam.LR, t.adam.Step, t.drops, t.since = c.Summary, c.LR, c.AdamStep, c.Drops, c.Since
	t.params, t.best = slices.Clone(c.params), slices.Clone(c.best)
	t.adam.M, t.adam.V = slices.Clone(c.m), slices.Clone(c.v)
	return nil
}

func readCheckpoint(r io.Reader, fingerprint string, n int) (*checkpoint, error) {
	f, err := safetensors.Read(r)
	if err != nil {
		return nil, err
	}
	text, ok := f.Metadata[checkpointKey]
	if !ok {
		return nil, errors.New("it is none")
	}
	var c checkpoint
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, err
	}
	if c.Fingerprint != fingerprint {
		return nil, errors.New("it is of another training: other data, another model, or other options")
	}
	for name, values := range c.vectors() {
		data := f.Tensors[name].Data
		if len(data) != n {
			return nil, fmt.Errorf("%s has %d values, it must have %d", name, len(data), n)
		}
		for _, v := range data {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("%s has a value %v", name, v)
			}
			*values = append(*values, float32(v))
		}
	}
	if sum, err := c.sum(); err != nil || sum != c.Sum {
		return nil, errors.New("it is damaged: its content does not have the sum that it says")
	}
	return &c, nil
}
