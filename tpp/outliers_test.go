package tpp_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/live"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// loaded returns sequences with a covariate of small numbers.
func loaded() *tpp.Dataset {
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}}
	for i := range 20 {
		d.Sequences = append(d.Sequences, tpp.Sequence{
			ArrivalTimes: []float64{0, 1 + float64(i%3), 5 + float64(i%7)}, Marks: []int{0, 1, i % 2},
			Covariates: map[string][]float64{"load": {float64(i % 5), 2, float64(i % 3)}},
		})
	}
	return d
}

// alternating is a graph for the marks of loaded.
func alternating() *race.Graph {
	return &race.Graph{Slots: [][]race.Slot{{{Marks: []int{0}}, {Marks: []int{1}}}, {{Marks: []int{0, 1}}}}}
}

// TestOutliersOfCovariates checks that a covariate farther off than any in training leaves predictions that are numbers, and a state that travels.
func TestOutliersOfCovariates(t *testing.T) {
	d := loaded()
	var models []tpp.Model
	for _, encoder := range []neural.Encoder{neural.RNN, neural.GRU, neural.LSTM, neural.SSM} {
		cfg := neural.Config{Encoder: encoder, ContextSize: 8, NumComponents: 4, MarkEmbeddingSize: 3, Covariates: []neural.Covariate{{Name: "load"}}}
		m, err := neural.Train(t.Context(), cfg, d, nil, neural.TrainOptions{MaxEpochs: 2})
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	m, err := race.Train(t.Context(), race.Config{Graph: alternating(), ContextSize: 8, Covariates: []string{"load"}}, d, nil, race.TrainOptions{Epochs: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range append(models, m) {
		for _, load := range []float64{1e20, 1e39, -1e300, math.MaxFloat64} {
			s := tpp.Sequence{ArrivalTimes: []float64{0, 1, 5}, Marks: []int{0, 1, 0}, Covariates: map[string][]float64{"load": {load, -load, load}}}
			scores, err := eval.Evaluate(t.Context(), m, &tpp.Dataset{MarkNames: d.MarkNames, Sequences: []tpp.Sequence{s}}, eval.EvaluateOptions{})
			if err != nil || math.IsNaN(scores.NLL+scores.NLLResolution+scores.MAE+scores.Coverage90) {
				t.Errorf("%s, a load of %v: %+v, error %v", m.Kind(), load, scores, err)
			}
			state := m.NewState(0)
			if err := state.Observe(s.Event(0, m.CovariateNames(), nil)); err != nil {
				t.Fatal(err)
			}
			data, err := live.MarshalState(m, state)
			if err != nil {
				t.Fatal(err)
			}
			again, err := live.UnmarshalState(m, data)
			if err != nil {
				t.Errorf("%s, a load of %v: %v", m.Kind(), load, err)
			} else if got, want := again.Next(0).Median(), state.Next(0).Median(); got != want {
				t.Errorf("%s, a load of %v: the median is %v after travelling, %v before", m.Kind(), load, got, want)
			}
		}
	}
}

// TestCovariatesTooFarApart checks that values without a standard deviation that is a number are an error, not a model that cannot be written.
func TestCovariatesTooFarApart(t *testing.T) {
	d := loaded()
	d.Sequences[0].Covariates["load"] = []float64{1e300, -1e300, 0}
	_, err := neural.Train(t.Context(), neural.Config{Covariates: []neural.Covariate{{Name: "load"}}}, d, nil, neural.TrainOptions{MaxEpochs: 1})
	_, errRace := race.Train(t.Context(), race.Config{Graph: alternating(), Covariates: []string{"load"}}, d, nil, race.TrainOptions{Epochs: 1})
	for _, err := range []error{err, errRace} {
		if err == nil || !strings.Contains(err.Error(), `covariate "load" has the mean`) {
			t.Errorf("got error %v", err)
		}
	}
}

// TestBatchesLargerThanTheData checks that a batch of more sequences than there are is all of them, in no more memory.
func TestBatchesLargerThanTheData(t *testing.T) {
	d := loaded()
	encoded := func(m tpp.FileModel, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := m.Encode(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	train := func(size int) (string, string) {
		n, err := neural.Train(t.Context(), neural.Config{ContextSize: 8, NumComponents: 4}, d, nil, neural.TrainOptions{MaxEpochs: 2, BatchSize: size})
		if err == nil {
			n.Training().Seconds = 0
		}
		r, errRace := race.Train(t.Context(), race.Config{Graph: alternating(), ContextSize: 8}, d, nil, race.TrainOptions{Epochs: 2, BatchSize: size, Dropout: 0.2})
		if errRace == nil {
			r.Training().Seconds = 0
		}
		return encoded(n, err), encoded(r, errRace)
	}
	network, due := train(len(d.Sequences))
	if n, r := train(math.MaxInt); n != network || r != due {
		t.Errorf("a larger batch trains another model: network %t, race %t", n != network, r != due)
	}
}
