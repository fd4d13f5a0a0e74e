package neural

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// faultyTraining is a training of four epochs with a checkpoint after each, of which the first two may be done.
type faultyTraining struct {
	training, validation *tpp.Dataset
	opts                 TrainOptions
	whole                []byte // the model without a fault
	before               []byte // a checkpoint after two epochs
}

func newFaultyTraining(t *testing.T) *faultyTraining {
	f := &faultyTraining{opts: TrainOptions{Seed: 3, MaxEpochs: 4, BatchSize: 16, Workers: 1, CheckpointEvery: time.Nanosecond}}
	f.training, f.validation, _ = tpptest.Chains(14, 40).Split(1)
	m, err := Train(t.Context(), smallModel, f.training, f.validation, f.opts)
	if err != nil {
		t.Fatal(err)
	}
	f.whole = encoded(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opts := f.opts
	opts.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	opts.Progress = func(e Epoch) {
		if e.Epoch == 2 {
			cancel()
		}
	}
	if _, err := Train(ctx, smallModel, f.training, f.validation, opts); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if f.before, err = os.ReadFile(opts.Checkpoint); err != nil {
		t.Fatal(err)
	}
	return f
}

// prepare returns the name of a checkpoint, which with resumed set is there, from two epochs.
func (f *faultyTraining) prepare(t *testing.T, resumed bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "checkpoint")
	if resumed {
		if err := os.WriteFile(path, f.before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func (f *faultyTraining) run(t *testing.T, disk errorfs.FS, path string) (*Recurrent, error) {
	opts := f.opts
	opts.Checkpoint = path
	return trainOn(t.Context(), disk, smallModel, f.training, f.validation, opts)
}

// checkResumes checks that the checkpoint that is left, if any, is whole, and that the training goes on from it to the same model.
func (f *faultyTraining) checkResumes(t *testing.T, path, what string) {
	t.Helper()
	m, err := f.run(t, errorfs.OS{}, path)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	} else if !bytes.Equal(encoded(t, m), f.whole) {
		t.Errorf("%s: the resumed training gives another model", what)
	}
}

// TestCheckpointFaults lets each operation on the checkpoint fail, alone and with all later ones. Training ends with an error that names
// the file and, once there was an epoch, the best model so far; and what is left can be resumed.
func TestCheckpointFaults(t *testing.T) {
	f := newFaultyTraining(t)
	for _, resumed := range []bool{false, true} {
		counting := errorfs.Fail(errorfs.OS{}, 0, nil)
		if _, err := f.run(t, counting, f.prepare(t, resumed)); err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= counting.Operations(); n++ {
			for onward, fail := range map[bool]func(errorfs.FS, int, error) *errorfs.Faulty{false: errorfs.Fail, true: errorfs.FailFrom} {
				what := fmt.Sprintf("resumed %t, operation %d of %d, onward %t", resumed, n, counting.Operations(), onward)
				path := f.prepare(t, resumed)
				epochs := 0
				f.opts.Progress = func(Epoch) { epochs++ }
				m, err := f.run(t, fail(errorfs.OS{}, n, syscall.ENOSPC), path)
				f.opts.Progress = nil
				switch {
				case err == nil && onward:
					t.Errorf("%s: no error", what)
				case err == nil: // it need not be known whether the folder is there, or the reading was closed
					if !bytes.Equal(encoded(t, m), f.whole) {
						t.Errorf("%s: another model", what)
					}
				case !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "checkpoint: ") && !strings.Contains(err.Error(), "checkpoint /"):
					t.Errorf("%s: error %v", what, err)
				case (m != nil) != (epochs > 0):
					t.Errorf("%s: after %d epochs there is a model: %t", what, epochs, m != nil)
				}
				if resumed {
					if _, err := os.Stat(path); err != nil {
						t.Errorf("%s: the checkpoint is gone", what)
					}
				}
				f.checkResumes(t, path, what)
			}
		}
	}
}

// TestCrashDuringTraining lets the machine die after each operation on the checkpoint: the training can be resumed.
func TestCrashDuringTraining(t *testing.T) {
	f := newFaultyTraining(t)
	counting := errorfs.Fail(errorfs.OS{}, 0, nil)
	if _, err := f.run(t, counting, f.prepare(t, true)); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= counting.Operations(); n++ {
		for _, keepNames := range []bool{false, true} {
			path := f.prepare(t, true)
			disk := errorfs.NewVolatile()
			_, _ = f.run(t, errorfs.FailFrom(disk, n, syscall.EIO), path)
			if err := disk.Crash(keepNames); err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("operation %d, names kept %t", n, keepNames)
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: the checkpoint is gone", what)
			}
			f.checkResumes(t, path, what)
		}
	}
}

// TestInterruptWithoutCheckpoint checks that a training that is interrupted, and whose checkpoint cannot be written then, says both.
func TestInterruptWithoutCheckpoint(t *testing.T) {
	f := newFaultyTraining(t)
	f.opts.CheckpointEvery = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.opts.Progress = func(Epoch) { cancel() }
	f.opts.Checkpoint = f.prepare(t, true)
	counting := errorfs.Fail(errorfs.OS{}, 0, nil)
	if _, err := trainOn(ctx, counting, smallModel, f.training, f.validation, f.opts); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "checkpoint") {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	f.opts.Checkpoint = f.prepare(t, true)
	m, err := trainOn(ctx, errorfs.Fail(errorfs.OS{}, counting.Operations()-2, syscall.ENOSPC), smallModel, f.training, f.validation, f.opts)
	want := "training stopped in epoch 4: context canceled; checkpoint: write " + f.opts.Checkpoint + ": close: no space left on device"
	if m == nil || !errors.Is(err, context.Canceled) || !errors.Is(err, syscall.ENOSPC) || err.Error() != want {
		t.Errorf("a model: %t, error %v, want %s", m != nil, err, want)
	}
}
