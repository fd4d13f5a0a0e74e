package neural

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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

// fingerprint returns a hash of the model, the data and the options that the trained parameters depend on.
func (t *trainer) fingerprint() string {
	o := t.opts
	h := sha256.New()
	fmt.Fprintln(h, t.net.cfg, t.net.numMarks, t.net.norm)
	fmt.Fprintln(h, o.Seed, o.Loss, o.BatchSize, o.LearningRate, o.Schedule, o.WeightDecay, o.ClipNorm, o.MaxEpochs, o.Patience)
	for _, part := range [][]example[float32]{t.training, t.validation} {
		for i := range part {
			for _, values := range [][]float32{part[i].values, part[i].targets.x} {
				binary.Write(h, binary.LittleEndian, values)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
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
	return atomicfile.Write(t.opts.Checkpoint, func(w io.Writer) error {
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
}

func (c *checkpoint) vectors() map[string]*[]float32 {
	return map[string]*[]float32{"params": &c.params, "best": &c.best, "adam.m": &c.m, "adam.v": &c.v}
}

// resume restores the state from the checkpoint file, if there is one.
func (t *trainer) resume() error {
	if t.opts.Checkpoint == "" {
		return nil
	}
	t.snapshot = &checkpoint{Fingerprint: t.fingerprint()}
	f, err := os.Open(t.opts.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return atomicfile.Check(t.opts.Checkpoint)
	}
	if err != nil {
		return err
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
	return &c, nil
}
