package neural

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var smallModel = Config{ContextSize: 16, MarkEmbeddingSize: 4, NumComponents: 8}

func train(t testing.TB, d *tpp.Dataset, opts TrainOptions) *Recurrent {
	t.Helper()
	training, validation, _ := d.Split(1)
	m, err := Train(t.Context(), smallModel, training, validation, opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func encoded(t testing.TB, m *Recurrent) []byte {
	t.Helper()
	how := *m.summary
	how.Seconds = 0 // the one thing that no two runs share
	c := *m
	c.summary = &how
	var b bytes.Buffer
	if err := c.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestOneCycleStopsEarly checks that the default patience of a cycle is half of it, but not so short that a short one ends at once.
func TestOneCycleStopsEarly(t *testing.T) {
	for epochs, want := range map[int]int{0: 100, 400: 200, 60: 30, 10: 20} {
		if got := (TrainOptions{MaxEpochs: epochs}).withDefaults().Patience; got != want {
			t.Errorf("a cycle of %d epochs has a patience of %d, want %d", epochs, got, want)
		}
	}
	if got := (TrainOptions{Patience: 7}).withDefaults().Patience; got != 7 {
		t.Errorf("a patience of 7 became %d", got)
	}
	// There is nothing to learn from marks and gaps by chance.
	d := tpptest.RandomDataset(rand.New(rand.NewPCG(1, 2)), 40, 3)
	m := train(t, d, TrainOptions{Seed: 1, LearningRate: 0.05, MaxEpochs: 100})
	if how := m.Training(); how.Epochs != how.BestEpoch+50 || how.Epochs == 100 {
		t.Errorf("%d epochs were trained, the best was %d", how.Epochs, how.BestEpoch)
	}
}

func TestTrainLearnsTheRule(t *testing.T) {
	d := tpptest.Chains(1, 300)
	m := train(t, d, TrainOptions{Seed: 1, LearningRate: 5e-3, MaxEpochs: 60, BatchSize: 32})
	_, _, test := d.Split(1)
	got, err := eval.Evaluate(t.Context(), m, test, eval.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The truth: gaps of log-normal distributions with σ = 0.1 around medians of 20, 40 and 60 ms, and certain marks. The
	// negative log density of the gap is then log(σ√(2πe)) + E[log τ], the mean of the log medians.
	entropy := math.Log(0.1*math.Sqrt(2*math.Pi*math.E)) + (math.Log(20)+math.Log(40)+math.Log(60))/3
	if got.NLLTime > entropy+0.15 || got.NLLTime < entropy-0.15 {
		t.Errorf("NLL of the time is %.3f, the truth's is %.3f", got.NLLTime, entropy)
	}
	if got.Accuracy < 0.99 || got.NLLMark > 0.05 {
		t.Errorf("accuracy %.3f and NLL of the mark %.3f for marks that are certain", got.Accuracy, got.NLLMark)
	}
	// E|τ − median| of a log-normal with small σ is about σ√(2/π) times its median.
	if ideal := 0.1 * math.Sqrt(2/math.Pi) * 40; got.MAE > 1.2*ideal {
		t.Errorf("MAE is %.2f, the truth's is about %.2f", got.MAE, ideal)
	}
}

func TestTrainDoesNotDependOnWorkers(t *testing.T) {
	d := tpptest.Chains(2, 120)
	opts := TrainOptions{Seed: 7, MaxEpochs: 4, BatchSize: 50}
	opts.Workers = 1
	want := encoded(t, train(t, d, opts))
	for _, workers := range []int{2, 3, 8} {
		opts.Workers = workers
		if !bytes.Equal(encoded(t, train(t, d, opts)), want) {
			t.Errorf("%d workers train another model than one", workers)
		}
	}
	opts.Seed++
	if bytes.Equal(encoded(t, train(t, d, opts)), want) {
		t.Error("another seed trains the same model")
	}
}

func TestTrainKeepsTheBestEpoch(t *testing.T) {
	d := tpptest.Chains(3, 60)
	training, validation, _ := d.Split(1)
	var history []Epoch
	cfg := smallModel
	cfg.WithoutEnd = true // so that the loss is what Evaluate calls NLL
	m, err := Train(t.Context(), cfg, training, validation, TrainOptions{
		Seed: 3, Loss: LossDensity, Schedule: ScheduleConstant, LearningRate: 0.05, MaxEpochs: 500, Patience: 5, BatchSize: 16,
		Progress: func(e Epoch) { history = append(history, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	how := m.Training()
	if len(history) != how.Epochs || how.Epochs == 500 || how.Epochs-how.BestEpoch != 5 {
		t.Fatalf("%d epochs told, summary %+v: want a stop 5 epochs after the best", len(history), how)
	}
	for _, e := range history {
		if e.ValidationLoss < how.ValidationLoss {
			t.Errorf("epoch %d has a lower validation loss (%v) than the best (%v)", e.Epoch, e.ValidationLoss, how.ValidationLoss)
		}
	}
	scores, err := eval.Evaluate(t.Context(), m, validation, eval.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := scores.NLL; !tpptest.Near(got, how.ValidationLoss, 1e-4) {
		t.Errorf("the model scores %v on the validation part, the best epoch had %v", got, how.ValidationLoss)
	}
}

func TestTrainStopsWhenTold(t *testing.T) {
	training, validation, _ := tpptest.Chains(4, 60).Split(1)
	ctx, cancel := context.WithCancel(t.Context())
	m, err := Train(ctx, smallModel, training, validation, TrainOptions{Progress: func(e Epoch) {
		if e.Epoch == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
	if m == nil || m.Training().Epochs != 3 {
		t.Error("got no model of 3 epochs")
	}
	if m, err := Train(ctx, smallModel, training, validation, TrainOptions{}); m != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got a model: %t, and error %v, from a context that was done", m != nil, err)
	}
	m, err = Train(t.Context(), smallModel, training, validation, TrainOptions{MaxDuration: time.Nanosecond})
	if err != nil || m.Training().Epochs != 1 {
		t.Errorf("got error %v with no time, want a model of one epoch", err)
	}
}

func TestTrainRejects(t *testing.T) {
	good := tpptest.Chains(5, 10)
	lone := &tpp.Dataset{MarkNames: good.MarkNames, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1}, Marks: []int{0}}}}
	for _, c := range []struct {
		name     string
		cfg      Config
		data     *tpp.Dataset
		validate *tpp.Dataset
		opts     TrainOptions
		reason   string
	}{
		{"an unknown kind", Config{Kind: "hawkes"}, good, nil, TrainOptions{}, `unknown kind of model "hawkes"`},
		{"an unknown encoder", Config{Encoder: "gru"}, good, nil, TrainOptions{}, `unknown encoder "gru"`},
		{"a negative size", Config{ContextSize: -1}, good, nil, TrainOptions{}, "context size is -1"},
		{"a covariate called mark", Config{Covariates: []Covariate{{Name: "mark"}}}, good, nil, TrainOptions{}, "the name is taken"},
		{"nothing to score", Config{}, lone, nil, TrainOptions{}, "no sequence has an event to score"},
		{"no sequences", Config{}, &tpp.Dataset{}, nil, TrainOptions{}, "no sequence has an event to score"},
		{"broken data", Config{}, &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{2, 1}}}}, nil, TrainOptions{}, "training part: sequence 0"},
		{"a mark to validate that training lacks", Config{}, good,
			&tpp.Dataset{MarkNames: []string{"z"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 2}}}}, TrainOptions{}, `mark "z"`},
		{"a negative rate", Config{}, good, nil, TrainOptions{LearningRate: -1}, "a learning rate of -1"},
		{"a rate that explodes", Config{}, good, nil, TrainOptions{LearningRate: 1e300}, "a lower learning rate may help"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Train(t.Context(), c.cfg, c.data, c.validate, c.opts)
			if m != nil || err == nil || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got a model: %t, and error %v, want one that says %q", m != nil, err, c.reason)
			}
		})
	}
}

// TestTrainTakesOddData checks that training on any valid dataset gives finite scores.
func TestTrainTakesOddData(t *testing.T) {
	for name, d := range map[string]*tpp.Dataset{
		"one gap":        {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 5}}}},
		"equal gaps":     {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 5, 10, 15, 20}}}},
		"zero gaps":      {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{7, 7, 7, 7}}}},
		"a first event":  {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{9}, TStart: new(2.0)}}},
		"tiny and huge":  {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 1e-3, 1e9, 1e9 + 1e-3}}}},
		"a mark unseen":  {MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 1}, Marks: []int{0, 0}}}},
		"a window's end": {Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 10}, TEnd: new(1e6)}}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Train(t.Context(), smallModel, d, nil, TrainOptions{MaxEpochs: 3})
			if err != nil {
				t.Fatal(err)
			}
			got, err := eval.Evaluate(t.Context(), m, d, eval.EvaluateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range []float64{got.NLLTime, got.NLLMark, got.NLL, got.NLLResolution, got.MAE, got.RMSE, got.Accuracy} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Errorf("scores are not finite: %+v", got)
				}
			}
		})
	}
}
