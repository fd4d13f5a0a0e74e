package neural

import (
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// sameParameters reports whether two models have the same parameters, to the last bit, and were trained the same way.
func sameParameters(a, b *Recurrent) bool {
	x, y := *a.summary, *b.summary
	x.Seconds, y.Seconds = 0, 0
	return slices.Equal(a.params, b.params) && x == y && a.norm == b.norm
}

// TestStreamIsMemory trains models of all kinds on a stream and on the same data in memory: both are the same to the last bit, whatever the window and the
// number of workers, with windows without events, covariates, and a training part in place of the validation part among the cases.
func TestStreamIsMemory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 4))
		v := rapid.SampledFrom(variants()).Draw(rt, "variant")
		training, validation := tpptest.RandomDataset(rng, rapid.IntRange(2, 60).Draw(rt, "sequences"), 3), tpptest.RandomDataset(rng, rapid.IntRange(0, 40).Draw(rt, "validation"), 3)
		for i := range training.Sequences {
			if rng.IntN(8) == 0 {
				training.Sequences[i] = tpp.Sequence{TStart: new(0.0), TEnd: new(10.0)}
			}
		}
		training.Sequences = append(training.Sequences, tpptest.RandomDataset(rng, 1, 3).Sequences...)
		if training.Sequences[len(training.Sequences)-1].NumScored() == 0 {
			rt.Skip("no event to score")
		}
		opts := TrainOptions{
			Seed: 3, Loss: v.loss, MaxEpochs: 3, BatchSize: rapid.SampledFrom([]int{4, 16, 64}).Draw(rt, "batch"), Workers: 1,
			ShuffleWindow: rapid.IntRange(1, 70).Draw(rt, "window"), Schedule: rapid.SampledFrom([]Schedule{ScheduleOneCycle, ScheduleConstant}).Draw(rt, "schedule"),
		}
		clone := func() Config {
			cfg := v.cfg
			cfg.Covariates = slices.Clone(cfg.Covariates)
			return cfg
		}
		want, err := Train(t.Context(), clone(), training, validation, opts)
		if err != nil {
			rt.Skip(err)
		}
		opts.Workers = rapid.IntRange(1, 3).Draw(rt, "workers")
		scored := Stream{}
		if len(validation.Sequences) > 0 {
			scored = StreamOf(validation)
		}
		got, err := TrainStream(t.Context(), clone(), StreamOf(training), scored, opts)
		if err != nil {
			rt.Fatal(err)
		}
		if !sameParameters(got, want) {
			rt.Errorf("a stream makes another model: %+v, in memory %+v", got.summary, want.summary)
		}
		// A window of all sequences is none.
		opts.ShuffleWindow = len(training.Sequences) + rapid.IntRange(0, 5).Draw(rt, "beyond")
		whole, err := TrainStream(t.Context(), clone(), StreamOf(training), scored, opts)
		if err != nil {
			rt.Fatal(err)
		}
		opts.ShuffleWindow = 0
		plain, err := Train(t.Context(), clone(), training, validation, opts)
		if err != nil {
			rt.Fatal(err)
		}
		if !sameParameters(whole, plain) {
			rt.Errorf("a window of all sequences makes another model than none: %+v, %+v", whole.summary, plain.summary)
		}
	})
}

// TestScheduleKnowsNoWindows checks that the rate of a cycle depends on how much of the epoch is done, and not on the window.
func TestScheduleKnowsNoWindows(t *testing.T) {
	d := tpptest.Chains(1, 64)
	rates := func(window int) (out []float64) {
		opts := TrainOptions{MaxEpochs: 5, BatchSize: 8, ShuffleWindow: window, Progress: func(e Epoch) { out = append(out, e.LearningRate) }}
		if _, err := Train(t.Context(), Config{ContextSize: 4, MarkEmbeddingSize: 2, NumComponents: 2}, d, nil, opts); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if whole, windows := rates(0), rates(16); !slices.Equal(whole, windows) || len(whole) != 5 {
		t.Errorf("the rates are %v, with windows %v", whole, windows)
	}
}

// TestManyWindowsOfValidation checks that a validation part of several windows has the loss that it has as a whole.
func TestManyWindowsOfValidation(t *testing.T) {
	training := tpptest.Chains(1, 30)
	validation := &tpp.Dataset{MarkNames: training.MarkNames}
	for len(validation.Sequences) <= 2*validationWindow+17 {
		validation.Sequences = append(validation.Sequences, training.Sequences...)
	}
	cfg := Config{ContextSize: 4, MarkEmbeddingSize: 2, NumComponents: 2}
	m, err := TrainStream(t.Context(), cfg, StreamOf(training), StreamOf(validation), TrainOptions{MaxEpochs: 1})
	if err != nil {
		t.Fatal(err)
	}
	few, err := TrainStream(t.Context(), cfg, StreamOf(training), StreamOf(training), TrainOptions{MaxEpochs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.summary.ValidationLoss, few.summary.ValidationLoss; !tpptest.Near(got, want, 1e-5*(1+want)) || m.summary.ValidationSequences != len(validation.Sequences) {
		t.Errorf("the loss is %v, of one copy of the same sequences %v; %d sequences", got, want, m.summary.ValidationSequences)
	}
}

// counted is a stream that counts its passes, and calls pass with the number of each, and of the sequence.
func counted(d *tpp.Dataset, passes *int, at func(pass, sequence int) error) Stream {
	return Stream{MarkNames: d.MarkNames, Sequences: func(context.Context) iter.Seq2[*tpp.Sequence, error] {
		*passes++
		pass := *passes
		return func(yield func(*tpp.Sequence, error) bool) {
			for i := range d.Sequences {
				if err := at(pass, i); err != nil {
					yield(nil, err)
					return
				}
				if !yield(&d.Sequences[i], nil) {
					return
				}
			}
		}
	}}
}

// TestStreamStops interrupts a training on a stream in the middle of an epoch and goes on from its checkpoint: the model is the same as without. And it
// checks that errors of the stream name the part, wherever they come.
func TestStreamStops(t *testing.T) {
	defer goleak.VerifyNone(t)
	d := tpptest.Chains(1, 60)
	cfg := Config{ContextSize: 4, MarkEmbeddingSize: 2, NumComponents: 2}
	opts := TrainOptions{MaxEpochs: 4, BatchSize: 8, ShuffleWindow: 16, Seed: 1}
	want, err := TrainStream(t.Context(), cfg, StreamOf(d), Stream{}, opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.Checkpoint = filepath.Join(t.TempDir(), "c")
	ctx, cancel := context.WithCancel(t.Context())
	passes := 0
	stopping := counted(d, &passes, func(pass, sequence int) error {
		if pass == 8 && sequence == 30 {
			cancel()
		}
		return nil
	})
	if m, err := TrainStream(ctx, cfg, stopping, Stream{}, opts); !errors.Is(err, context.Canceled) || m == nil || m.summary.Epochs == 0 || m.summary.Epochs == 4 {
		t.Fatalf("error %v after %d passes", err, passes)
	}
	got, err := TrainStream(t.Context(), cfg, StreamOf(d), Stream{}, opts)
	if err != nil {
		t.Fatal(err)
	}
	if !sameParameters(got, want) {
		t.Errorf("after an interruption %+v, without %+v", got.summary, want.summary)
	}

	opts.Checkpoint = ""
	broken := errors.New("the disk is gone")
	for pass := 1; pass <= 6; pass++ {
		passes := 0
		failing := counted(d, &passes, func(p, sequence int) error {
			if p == pass && sequence == 40 {
				return broken
			}
			return nil
		})
		if _, err := TrainStream(t.Context(), cfg, failing, Stream{}, opts); !errors.Is(err, broken) || !strings.Contains(err.Error(), " part: ") {
			t.Errorf("in pass %d: error %v", pass, err)
		}
	}
	// Another pass has more or fewer sequences.
	passes = 0
	fewer := Stream{MarkNames: d.MarkNames, Sequences: func(ctx context.Context) iter.Seq2[*tpp.Sequence, error] {
		passes++
		return StreamOf(d.Subset(rangeOf(60 - passes))).Sequences(ctx)
	}}
	if _, err := TrainStream(t.Context(), cfg, fewer, Stream{}, opts); !errors.Is(err, errChanged) {
		t.Errorf("error %v of data that change", err)
	}
}

func rangeOf(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

// TestStreamRefuses checks streams that cannot be trained on.
func TestStreamRefuses(t *testing.T) {
	d := tpptest.Chains(1, 10)
	other := &tpp.Dataset{MarkNames: []string{"x", "y", "z"}, Sequences: d.Sequences}
	twice := &tpp.Dataset{MarkNames: []string{"x", "x", "z"}, Sequences: d.Sequences}
	bad := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: append(slices.Clone(d.Sequences), tpp.Sequence{ArrivalTimes: []float64{2, 1}})}
	for want, err := range map[string]error{
		"training part: no data":  second(TrainStream(t.Context(), Config{}, Stream{}, Stream{}, TrainOptions{})),
		"its marks are not":       second(TrainStream(t.Context(), Config{}, StreamOf(d), StreamOf(other), TrainOptions{})),
		"both called":             second(TrainStream(t.Context(), Config{}, StreamOf(twice), Stream{}, TrainOptions{})),
		"part: sequence 10: ":     second(TrainStream(t.Context(), Config{}, StreamOf(bad), Stream{}, TrainOptions{})),
		"validation part: sequen": second(TrainStream(t.Context(), Config{}, StreamOf(d), StreamOf(bad), TrainOptions{})),
		"no covariate":            second(TrainStream(t.Context(), Config{Covariates: []Covariate{{Name: "load"}}}, StreamOf(d), Stream{}, TrainOptions{})),
		"a shuffle window of -1":  second(TrainStream(t.Context(), Config{}, StreamOf(d), Stream{}, TrainOptions{ShuffleWindow: -1})),
		"no sequence has an":      second(TrainStream(t.Context(), Config{}, StreamOf(&tpp.Dataset{MarkNames: d.MarkNames}), Stream{}, TrainOptions{})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestStreamTakesNoMoreMemory trains on streams of which one is ten times as long as the other, made as they are read: the heap at the end of a pass over
// the training part is the same.
func TestStreamTakesNoMoreMemory(t *testing.T) {
	used := func(sequences int) uint64 {
		var most uint64
		stream := Stream{Sequences: func(context.Context) iter.Seq2[*tpp.Sequence, error] {
			return func(yield func(*tpp.Sequence, error) bool) {
				rng := rand.New(rand.NewPCG(1, 1))
				for i := range sequences {
					s := tpp.Sequence{ArrivalTimes: make([]float64, 20)}
					for j := 1; j < 20; j++ {
						s.ArrivalTimes[j] = s.ArrivalTimes[j-1] + float64(rng.IntN(1000))
					}
					if i == sequences-1 {
						var m runtime.MemStats
						runtime.GC()
						runtime.ReadMemStats(&m)
						most = max(most, m.HeapAlloc)
					}
					if !yield(&s, nil) {
						return
					}
				}
			}
		}}
		cfg := Config{ContextSize: 2, MarkEmbeddingSize: 1, NumComponents: 1}
		if _, err := TrainStream(t.Context(), cfg, stream, Stream{}, TrainOptions{MaxEpochs: 1, ShuffleWindow: 256, Workers: 1}); err != nil {
			t.Fatal(err)
		}
		return most
	}
	used(1000) // what is made once
	short, long := used(4000), used(16000)
	// In memory the longer one would take some 15 MB more.
	if long > short+3<<20 {
		t.Errorf("the heap grows from %d to %d bytes", short, long)
	}
}

// TestGapCounts checks that the deviation is that of the sorted gaps, to the last bit, and close to it where there are too many different ones.
func TestGapCounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		gaps := rapid.SliceOfN(rapid.Float64Range(0, 1e6), 0, 50).Draw(rt, "gaps")
		g := gapCounts{count: map[float64]int{}}
		rounded := gapCounts{count: map[float64]int{}, mask: ^uint64(1<<(52-keptBits) - 1)}
		for i := range gaps {
			if i%3 == 0 {
				gaps[i] = float64(int(gaps[i]) % 4)
			}
			g.add(gaps[i])
			rounded.add(gaps[i])
		}
		want := deviation(gaps)
		if got := g.deviation(); got != want {
			rt.Errorf("the deviation is %v, want %v", got, want)
		}
		scale := 0.0
		for _, gap := range gaps {
			scale = max(scale, gap)
		}
		if got := rounded.deviation(); math.Abs(got-want) > 1e-4*scale && want != 1 {
			rt.Errorf("the deviation of rounded gaps is %v, want %v", got, want)
		}
	})
}

// deviation is the mean absolute deviation from the median, from its definition.
func deviation(values []float64) float64 {
	if len(values) == 0 {
		return 1
	}
	slices.Sort(values)
	median, sum := values[len(values)/2], 0.0
	for _, v := range values {
		sum += max(v-median, median-v)
	}
	if mad := sum / float64(len(values)); mad > 0 {
		return mad
	}
	return max(median, 1)
}
