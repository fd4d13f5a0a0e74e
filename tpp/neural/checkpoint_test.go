package neural

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// TestTrainingResumes checks that training interrupted in the middle of any epoch and resumed from its checkpoint gives the
// same model as without interruption.
func TestTrainingResumes(t *testing.T) {
	training, validation, _ := tpptest.Chains(11, 80).Split(1)
	for _, schedule := range []Schedule{ScheduleOneCycle, SchedulePlateau, ScheduleConstant} {
		opts := TrainOptions{Seed: 5, MaxEpochs: 12, BatchSize: 16, Schedule: schedule, Patience: 2, LearningRate: 0.02}
		whole, err := Train(t.Context(), smallModel, training, validation, opts)
		if err != nil {
			t.Fatal(err)
		}
		opts.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
		for stops := 0; ; stops++ {
			ctx, cancel := context.WithCancel(t.Context())
			epochs := 0
			opts.Progress = func(Epoch) {
				if epochs++; epochs == 2 {
					cancel() // noticed by the first batch of the epoch to come
				}
			}
			resumed, err := Train(ctx, smallModel, training, validation, opts)
			cancel()
			if errors.Is(err, context.Canceled) {
				if stops > 12 {
					t.Fatal("training makes no progress")
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if stops == 0 {
				t.Errorf("%s: training was never stopped", schedule)
			}
			if !bytes.Equal(encoded(t, resumed), encoded(t, whole)) {
				t.Errorf("%s: after %d stops the model is another: %+v instead of %+v", schedule, stops, resumed.summary, whole.summary)
			}
			break
		}
	}
}

func TestFinishedTrainingIsNotRepeated(t *testing.T) {
	training, validation, _ := tpptest.Chains(12, 40).Split(1)
	opts := TrainOptions{MaxEpochs: 3, Checkpoint: filepath.Join(t.TempDir(), "checkpoint"), CheckpointEvery: time.Nanosecond}
	first, err := Train(t.Context(), smallModel, training, validation, opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.Progress = func(Epoch) { t.Error("another epoch was run") }
	second, err := Train(t.Context(), smallModel, training, validation, opts)
	if err != nil || !bytes.Equal(encoded(t, first), encoded(t, second)) {
		t.Errorf("the second call gives another model (error %v)", err)
	}
}

func TestForeignCheckpointsAreRefused(t *testing.T) {
	training, validation, _ := tpptest.Chains(13, 40).Split(1)
	path := filepath.Join(t.TempDir(), "checkpoint")
	opts := TrainOptions{MaxEpochs: 2, Checkpoint: path}
	if _, err := Train(t.Context(), smallModel, training, validation, opts); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := opts
	other.Seed = 9
	if _, err := Train(t.Context(), smallModel, training, validation, other); err == nil || !strings.Contains(err.Error(), path+": it is of another training") {
		t.Errorf("another seed: got error %v", err)
	}
	if _, err := Train(t.Context(), smallModel, validation, training, opts); err == nil || !strings.Contains(err.Error(), "it is of another training") {
		t.Errorf("other data: got error %v", err)
	}
	for name, content := range map[string][]byte{"cut off": good[:len(good)/2], "no checkpoint": []byte("hello, world"), "empty": nil} {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		if m, err := Train(t.Context(), smallModel, training, validation, opts); m != nil || err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got error %v, want one that names the file", name, err)
		}
	}
	for at := 8; at < len(good); at += 97 {
		damaged := bytes.Clone(good)
		damaged[at] ^= 0x04
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		if m, err := Train(t.Context(), smallModel, training, validation, opts); m != nil || err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("with another byte %d of %d: got error %v, want one that names the file", at, len(good), err)
		}
	}
	opts.Checkpoint = filepath.Join(path, "nowhere", "checkpoint")
	if _, err := Train(t.Context(), smallModel, training, validation, opts); err == nil {
		t.Error("training began with nowhere to put its checkpoint")
	}
}

// TestDamagedCheckpointsAreRefused changes a checkpoint's vectors and text: each is an error that says what is wrong, before any epoch.
func TestDamagedCheckpointsAreRefused(t *testing.T) {
	training, validation, _ := tpptest.Chains(13, 40).Split(1)
	path := filepath.Join(t.TempDir(), "checkpoint")
	opts := TrainOptions{MaxEpochs: 2, Checkpoint: path}
	if _, err := Train(t.Context(), smallModel, training, validation, opts); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	opts.Progress = func(Epoch) { t.Error("an epoch was run") }
	for _, c := range []struct {
		reason string
		change func(*safetensors.File)
	}{
		{"it is none", func(f *safetensors.File) { f.Metadata = nil }},
		{"invalid character", func(f *safetensors.File) { f.Metadata[checkpointKey] = "x" }},
		{"best has ", func(f *safetensors.File) { f.Tensors["best"] = safetensors.FromFloat32([]int{2}, []float32{1, 2}) }},
		{"adam.m has 0 values", func(f *safetensors.File) { delete(f.Tensors, "adam.m") }},
		{"params has a value NaN", func(f *safetensors.File) { f.Tensors["params"].Data[3] = math.NaN() }},
		{"adam.v has a value +Inf", func(f *safetensors.File) { f.Tensors["adam.v"].Data[3] = math.Inf(1) }},
	} {
		f, err := safetensors.Read(bytes.NewReader(good))
		if err != nil {
			t.Fatal(err)
		}
		c.change(f)
		var text bytes.Buffer
		if err := safetensors.Write(&text, f); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		if m, err := Train(t.Context(), smallModel, training, validation, opts); m != nil || err == nil || !strings.Contains(err.Error(), path+": ") || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("got error %v, want one that says %q", err, c.reason)
		}
	}
	opts.Checkpoint = filepath.Join(t.TempDir(), "missing", "checkpoint")
	if m, err := Train(t.Context(), smallModel, training, validation, opts); m != nil || err == nil || !strings.Contains(err.Error(), "checkpoint: write "+opts.Checkpoint+": folder ") {
		t.Errorf("a folder that is missing: error %v", err)
	}
}

// TestUnwritableState checks that a state that has no JSON is an error and leaves no file.
func TestUnwritableState(t *testing.T) {
	tr := &trainer{disk: errorfs.OS{}, opts: TrainOptions{Checkpoint: filepath.Join(t.TempDir(), "checkpoint")}}
	tr.snapshot = &checkpoint{params: []float32{1}, LR: math.NaN()}
	if err := tr.save(); err == nil || !strings.Contains(err.Error(), "checkpoint: ") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(tr.opts.Checkpoint); err == nil {
		t.Error("a file was written")
	}
}
