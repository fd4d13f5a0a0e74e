package neural

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// coins returns short sequences of two marks in which nothing can be foreseen: gaps of Exp(1) seconds and fair coins.
func coins(seed uint64, sequences int) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(seed, 9))
	d := &tpp.Dataset{MarkNames: []string{"heads", "tails"}}
	for range sequences {
		var s tpp.Sequence
		at := 0.0
		for range 10 {
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, at), append(s.Marks, rng.IntN(2))
			at += math.Ceil(1000 * rng.ExpFloat64())
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

// TestCalibrateCuresOverfitting trains a network that knows 12 sequences by heart, as each epoch has them a hundred times. Calibrated it is
// less sure, so that it does better on sequences that it was neither trained nor calibrated on; the training says the loss that the states have; and
// neither the number of workers nor reading from a stream changes the model.
func TestCalibrateCuresOverfitting(t *testing.T) {
	training, validation, test := coins(1, 12), coins(2, 30), coins(3, 200)
	training.Sequences = slices.Repeat(training.Sequences, 100)
	train := func(calibrate bool, workers int) *Recurrent {
		t.Helper()
		opts := TrainOptions{Seed: 1, MaxEpochs: 3, Workers: workers, WithoutCalibration: !calibrate, WithoutWeightDecay: true}
		m, err := Train(t.Context(), Config{ContextSize: 16, MarkEmbeddingSize: 4, NumComponents: 4, MarkTimeSize: 2}, training, validation, opts)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	plain, calibrated := train(false, 1), train(true, 1)
	before, _ := lossOf(t, plain, test)
	after, _ := lossOf(t, calibrated, test)
	if !(after < before-0.02) {
		t.Errorf("a loss of %v calibrated, %v before", after, before)
	}
	loss, _ := lossOf(t, calibrated, validation)
	if got := calibrated.Training().ValidationLoss; math.Abs(got-loss) > 1e-4 || !(got < plain.Training().ValidationLoss) {
		t.Errorf("the training says a loss of %v, the states have %v, and before it was %v", got, loss, plain.Training().ValidationLoss)
	}
	if other := train(true, 3); other.Fingerprint() != calibrated.Fingerprint() {
		t.Error("with three workers the model is another one")
	}
}

// TestCalibrateNeedsValidation checks that the training part, which a network knows by heart, does not calibrate it.
func TestCalibrateNeedsValidation(t *testing.T) {
	training := coins(1, 12)
	var fingerprints []uint64
	for _, calibrate := range []bool{false, true} {
		m, err := Train(t.Context(), Config{ContextSize: 8, NumComponents: 4}, training, nil, TrainOptions{MaxEpochs: 5, WithoutCalibration: !calibrate})
		if err != nil {
			t.Fatal(err)
		}
		fingerprints = append(fingerprints, m.Fingerprint())
	}
	if fingerprints[0] != fingerprints[1] {
		t.Error("a model was calibrated without a validation part")
	}
}

// TestCalibrateNotByChance checks that few sequences, which say little, do not calibrate a network that is right: of 20 validation parts of 30 events
// most leave it alone. A thousandth of a nat is nothing there; almost each of them promises more.
func TestCalibrateNotByChance(t *testing.T) {
	training, calibrated := coins(1, 300), 0
	cfg, opts := Config{ContextSize: 4, MarkEmbeddingSize: 2, NumComponents: 4}, TrainOptions{MaxEpochs: 8}
	for seed := range uint64(20) {
		var fingerprints []uint64
		for _, opts.WithoutCalibration = range []bool{false, true} {
			m, err := Train(t.Context(), cfg, training, coins(100+seed, 3), opts)
			if err != nil {
				t.Fatal(err)
			}
			fingerprints = append(fingerprints, m.Fingerprint())
		}
		if fingerprints[0] != fingerprints[1] {
			calibrated++
		}
	}
	if calibrated > 5 {
		t.Errorf("%d of 20 validation parts calibrated a network that was right", calibrated)
	}
}

// TestCalibrateInterrupted checks that an interruption while the model is calibrated leaves it as the training made it.
func TestCalibrateInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	training, validation := coins(1, 12), coins(2, 30)
	opts := TrainOptions{MaxEpochs: 5, Progress: func(e Epoch) {
		if e.Epoch == e.MaxEpochs {
			cancel()
		}
	}}
	cfg := Config{ContextSize: 8, NumComponents: 4}
	m, err := Train(ctx, cfg, training, validation, opts)
	if m == nil || err == nil {
		t.Fatalf("a model %t, and the error %v", m != nil, err)
	}
	opts.WithoutCalibration, opts.Progress = true, nil
	want, err := Train(t.Context(), cfg, training, validation, opts)
	if err != nil {
		t.Fatal(err)
	}
	if m.Fingerprint() != want.Fingerprint() {
		t.Error("the model is another one than without calibration")
	}
}

// lateContext is done once it has been asked often enough, from when it is told to count.
type lateContext struct {
	context.Context
	counts bool
	left   int
}

func (c *lateContext) Err() error {
	if c.counts {
		c.left--
	}
	if c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestCalibrateInterruptedAnywhere interrupts a calibration later and later: the model that is left is that of the training, with its loss.
func TestCalibrateInterruptedAnywhere(t *testing.T) {
	training, validation := coins(1, 12), coins(2, 30)
	training.Sequences = slices.Repeat(training.Sequences, 100)
	cfg := Config{ContextSize: 8, NumComponents: 4}
	opts := TrainOptions{MaxEpochs: 2, Workers: 1, WithoutWeightDecay: true, WithoutCalibration: true}
	want, err := Train(t.Context(), cfg, training, validation, opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.WithoutCalibration = false
	for asked := 0; ; asked++ {
		ctx := &lateContext{Context: t.Context()}
		opts.Progress = func(e Epoch) {
			if e.Epoch == e.MaxEpochs {
				ctx.counts, ctx.left = true, asked
			}
		}
		m, err := Train(ctx, cfg, training, validation, opts)
		if err == nil {
			if m.Fingerprint() == want.Fingerprint() || asked < 3 {
				t.Errorf("asked %d times: the model was not calibrated", asked)
			}
			break
		}
		if m.Fingerprint() != want.Fingerprint() || m.Training().ValidationLoss != want.Training().ValidationLoss {
			t.Fatalf("interrupted when asked for the %d. time: a loss of %v, %v before", asked+1, m.Training().ValidationLoss, want.Training().ValidationLoss)
		}
	}
}
