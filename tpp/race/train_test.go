package race

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

func readDataset(t testing.TB, path string) *tpp.Dataset {
	t.Helper()
	d, err := dataset.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// treeSmall returns a model that was trained on a part of tree_small for a moment, and the data.
func treeSmall(t testing.TB, regime Regime) (*Race, *tpp.Dataset) {
	t.Helper()
	d := readDataset(t, "../testdata/tree_small.json.gz")
	part := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: d.Sequences[:min(100, len(d.Sequences))]}
	m, err := Train(context.Background(), Config{Regime: regime}, part, nil, TrainOptions{Epochs: 1, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return m, d
}

// TestWorkersDoNotChangeTheResult checks that the parameters are the same bytes for any number of workers, and others for another seed.
func TestWorkersDoNotChangeTheResult(t *testing.T) {
	d := readDataset(t, "../testdata/tree_small.json.gz")
	training := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: d.Sequences[:90]}
	validation := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: d.Sequences[90:120]}
	for _, regime := range []Regime{Arrivals, Starts} {
		train := func(workers int, seed uint64) *Race {
			cfg := Config{Regime: regime, Covariates: []string{tpp.ColdStartCovariate}}
			m, err := Train(context.Background(), cfg, training, validation, TrainOptions{Epochs: 2, BatchSize: 40, Workers: workers, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		want := train(1, 5)
		for _, workers := range []int{2, 3, 7} {
			if got := train(workers, 5); !slices.Equal(got.params, want.params) || got.summary.ValidationLoss != want.summary.ValidationLoss {
				t.Errorf("%s: %d workers train another model than one", regime, workers)
			}
		}
		if slices.Equal(train(2, 6).params, want.params) {
			t.Errorf("%s: the seed does not matter", regime)
		}
	}
}

// TestInterruptedTrainingReturnsTheBestSoFar checks what Train returns when its context is done.
func TestInterruptedTrainingReturnsTheBestSoFar(t *testing.T) {
	d := readDataset(t, "../testdata/tree_small.json.gz")
	ctx, stop := context.WithCancel(context.Background())
	m, err := Train(ctx, Config{}, d, nil, TrainOptions{Epochs: 50, Workers: 2, Progress: func(e Epoch) {
		if e.Epoch == 2 {
			stop()
		}
	}})
	if !errors.Is(err, context.Canceled) || m == nil {
		t.Fatalf("model %v, error %v", m, err)
	}
	if m.Training().Epochs != 2 || m.Training().BestEpoch > 2 {
		t.Errorf("training was %+v", m.Training())
	}
	if n := m.NewState(0).Next(0); n.Time == nil {
		t.Error("the model does not predict")
	}
}

// TestTrainingHelps checks that training lowers the loss below that of the mixtures of the classes alone.
func TestTrainingHelps(t *testing.T) {
	d := readDataset(t, "../testdata/tree_small.json.gz")
	training, validation, _ := d.Split(1)
	for _, regime := range []Regime{Arrivals, Starts} {
		first, best := math.NaN(), math.NaN()
		_, err := Train(context.Background(), Config{Regime: regime}, training, validation, TrainOptions{Epochs: 20, LearningRate: 1e-3, Workers: 2, Progress: func(e Epoch) {
			if e.Epoch == 1 {
				first = e.TrainingLoss
			}
			best = e.TrainingLoss
		}})
		if err != nil {
			t.Fatal(err)
		}
		if !(best < first) {
			t.Errorf("%s: the loss was %v in the first epoch and %v in the last", regime, first, best)
		}
	}
}

// TestObserveAndNextDoNotAllocate checks that following sequences takes no memory once it has grown to what is due.
func TestObserveAndNextDoNotAllocate(t *testing.T) {
	for _, regime := range []Regime{Arrivals, Starts} {
		d := readDataset(t, "../../data/low_tree_small_rand.json.gz")
		part := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: d.Sequences[:50]}
		m, err := Train(context.Background(), Config{Regime: regime, Covariates: []string{tpp.ColdStartCovariate}, Ancestors: 2}, part, nil, TrainOptions{Epochs: 1, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		fresh, s := m.NewState(0).(*state), m.NewState(0).(*state)
		var covariates []float64
		all := func() {
			for i := range part.Sequences {
				own := &part.Sequences[i]
				s.CopyFrom(fresh)
				for j := range own.Len() {
					e := own.Event(j, m.cfg.Covariates, covariates)
					covariates = e.Covariates
					if err := s.Observe(e); err != nil {
						t.Fatal(err)
					}
					s.Next(e.Time).Median()
					s.Next(e.Time + 0.25)
					if err := s.ObserveStart(e.Time, j, own.WaitTimes[j], own.InitTimes[j]); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		all()
		if n := testing.AllocsPerRun(3, all); n != 0 {
			t.Errorf("%s: %v allocations", regime, n)
		}
	}
}

// TestStatesShareMemory checks that states in one workspace do not disturb each other.
func TestStatesShareMemory(t *testing.T) {
	w := randomWorld(rand.New(rand.NewPCG(1, 15)), Starts, 4, allBegun)
	m := w.model
	shared := m.NewWorkspace()
	var states, alone []tpp.State
	for range w.data.Sequences {
		states, alone = append(states, shared.NewState(1000)), append(alone, m.NewState(1000))
	}
	for j := range 8 {
		for i := range w.data.Sequences {
			s := &w.data.Sequences[i]
			if j >= s.Len() {
				continue
			}
			e := s.Event(j, m.CovariateNames(), nil)
			for _, state := range []tpp.State{states[i], alone[i]} {
				if err := state.Observe(e); err != nil {
					t.Fatal(err)
				}
			}
			other := states[(i+1)%len(states)]
			other.Next(1e6)
			a := slices.Clone(states[i].Next(e.Time + 3).Marks)
			if b := alone[i].Next(e.Time + 3); !slices.Equal(a, b.Marks) || states[i].Next(e.Time+3).End != b.End {
				t.Fatalf("sequence %d, event %d: a state that shares memory predicts something else", i, j)
			}
		}
	}
}

// BenchmarkObserveNext measures an event: its observation, and the prediction of the next one's time and mark.
func BenchmarkObserveNext(b *testing.B) {
	for _, regime := range []Regime{Arrivals, Starts} {
		b.Run(string(regime), func(b *testing.B) {
			m, d := treeSmall(b, regime)
			fresh, s := m.NewState(0).(*state), m.NewState(0).(*state)
			b.ReportAllocs()
			events, i := 0, 0
			for b.Loop() {
				own := &d.Sequences[i%len(d.Sequences)]
				i++
				s.CopyFrom(fresh)
				for j := range own.Len() {
					if err := s.Observe(own.Event(j, nil, nil)); err != nil {
						b.Fatal(err)
					}
					s.Next(own.ArrivalTimes[j])
				}
				events += own.Len()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
		})
	}
}

// BenchmarkTrain measures epochs of training.
func BenchmarkTrain(b *testing.B) {
	d := readDataset(b, "../testdata/tree_small.json.gz")
	for _, regime := range []Regime{Arrivals, Starts} {
		b.Run(string(regime), func(b *testing.B) {
			const epochs = 3
			for b.Loop() {
				if _, err := Train(context.Background(), Config{Regime: regime}, d, nil, TrainOptions{Epochs: epochs}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*epochs*d.NumEvents()), "ns/event")
		})
	}
}

// BenchmarkArrivals measures an event and the forecast of all that is to come after it.
func BenchmarkArrivals(b *testing.B) {
	m, d := treeSmall(b, Arrivals)
	fresh, s := m.NewState(0).(*state), m.NewState(0).(*state)
	b.ReportAllocs()
	events, expected := 0, 0
	for i := 0; b.Loop(); i++ {
		own := &d.Sequences[i%len(d.Sequences)]
		s.CopyFrom(fresh)
		for j := range own.Len() {
			if err := s.Observe(own.Event(j, nil, nil)); err != nil {
				b.Fatal(err)
			}
			expected += len(s.Arrivals(own.ArrivalTimes[j]))
		}
		events += own.Len()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
	b.ReportMetric(float64(expected)/float64(events), "expected/event")
}

// TestInfiniteLossIsAnError checks that data to which not even the first parameters give a probability are an error: there is no model then.
func TestInfiniteLossIsAnError(t *testing.T) {
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 1e17, 1e18}, Marks: []int{0, 1, 0}}}}
	m, err := Train(t.Context(), Config{Graph: &Graph{Slots: make([][]Slot, 2)}, ContextSize: 4}, d, nil, TrainOptions{Epochs: 1})
	if (m == nil) == (err == nil) {
		t.Errorf("a model %t, and the error %v", m != nil, err)
	}
}
