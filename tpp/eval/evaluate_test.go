package eval

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// counting is clockwork that counts the sequences begun.
type counting struct {
	tpptest.Clockwork
	begun *atomic.Int64
}

func (c counting) NewState(start float64) tpp.State {
	c.begun.Add(1)
	return c.Clockwork.NewState(start)
}

func TestEvaluateStreamHoldsFewSequences(t *testing.T) {
	const n, workers = 2_000, 3
	d := exponentialGaps(2, 1, 20, 10, 1)
	m := counting{begun: new(atomic.Int64)}
	most := 0
	stream := func(yield func(*tpp.Sequence, error) bool) {
		for i := range n {
			most = max(most, i-int(m.begun.Load()))
			if !yield(&d.Sequences[0], nil) {
				return
			}
		}
	}
	got, err := EvaluateStream(t.Context(), m, stream, d.MarkNames, EvaluateOptions{Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	if got.Sequences != n || got.Events != 19*n {
		t.Errorf("scored %d sequences and %d events", got.Sequences, got.Events)
	}
	if bound := (workers + 2*workers + 2) * blockSequences; most > bound {
		t.Errorf("%d sequences were held at a time, want at most %d", most, bound)
	}
}

func TestEvaluateStreamIsEvaluate(t *testing.T) {
	d := tpptest.RandomDataset(rand.New(rand.NewPCG(3, 1)), 100, 3)
	d.MarkNames = []string{"c", "a", "b"}
	want, err := Evaluate(t.Context(), tpptest.Clockwork{}, d, EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := EvaluateStream(t.Context(), tpptest.Clockwork{}, each(d), d.MarkNames, EvaluateOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the stream scores\n%+v, the dataset\n%+v", got, want)
	}
}

func TestEvaluateStreamErrors(t *testing.T) {
	torn := errors.New("line 3: torn")
	good, refused := &tpp.Sequence{ArrivalTimes: []float64{1, 2}}, &tpp.Sequence{ArrivalTimes: []float64{1, 666}}
	empty, unknown := &tpp.Sequence{}, &tpp.Sequence{ArrivalTimes: []float64{1}, Marks: []int{1}}
	for _, c := range []struct {
		name      string
		sequences []*tpp.Sequence
		reason    string
	}{
		{"reading fails", []*tpp.Sequence{good, good}, "line 3: torn"},
		{"a sequence before that was wrong", []*tpp.Sequence{good, refused}, "sequence 1: event 1: not that one"},
		{"no events", []*tpp.Sequence{good, good, empty}, "sequence 2: it has no events, and not both a t_start and a t_end as a window in which nothing came"},
		{"a mark without a name", []*tpp.Sequence{unknown}, "sequence 0: marks[0] = 1 is not in the mapping of 1 marks"},
	} {
		stream := func(yield func(*tpp.Sequence, error) bool) {
			for _, s := range c.sequences {
				if !yield(s, nil) {
					return
				}
			}
			yield(nil, torn)
		}
		if _, err := EvaluateStream(t.Context(), tpptest.Clockwork{}, stream, []string{"a"}, EvaluateOptions{}); err == nil || err.Error() != c.reason {
			t.Errorf("%s: got error %v, want %s", c.name, err, c.reason)
		}
	}
	if _, err := EvaluateStream(t.Context(), tpptest.Clockwork{}, each(&tpp.Dataset{}), nil, EvaluateOptions{}); err == nil {
		t.Error("an unmarked stream was scored by a model of three marks")
	}
}

func TestEvaluateIsFiniteOnOddData(t *testing.T) {
	one := &tpp.Dataset{MarkNames: []string{"a", "b", "c"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{5, 5, 5, 5}, Marks: []int{0, 1, 2, 0}}}}
	running := &tpp.Dataset{MarkNames: one.MarkNames, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{5}, TEnd: new(9.0)}}}
	far := &tpp.Dataset{MarkNames: one.MarkNames, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 1e3, 1e15}}}}
	m := mixtures{}
	m.mix = dist.LogNormMix{LogWeights: []float64{0, -30}, Mu: []float64{3, 80}, Sigma: []float64{1e-3, 20}}
	for name, d := range map[string]*tpp.Dataset{"zeros": one, "running": running, "far": far} {
		got, err := Evaluate(t.Context(), m, d, EvaluateOptions{Forecasts: ForecastOptions{Horizon: 2000, NextEvents: 3, EditCost: 10}})
		if err != nil {
			t.Fatal(err)
		}
		for score, value := range got.All() {
			// The density at 0 is 0: this model has no GapFloor. An end class it has not either.
			absent := score == "nll_end" || name == "zeros" && strings.HasPrefix(score, "nll") && score != "nll_mark" && score != "nll_resolution" ||
				name == "running" && score != "nll_sequence"
			if !absent && (math.IsNaN(value) || math.IsInf(value, 0)) {
				t.Errorf("%s: %s is %v", name, score, value)
			}
		}
	}
	point, err := Evaluate(t.Context(), &ending{}, &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{5}, TEnd: new(500.0)}}}, EvaluateOptions{})
	if err != nil || !math.IsNaN(point.NLLSequence) {
		t.Errorf("a single time survives with a likelihood of %v, %v", point.NLLSequence, err)
	}
}

// BenchmarkEvaluate scores 200 sequences of 21 events with an untrained mixture of 64 components.
func BenchmarkEvaluate(b *testing.B) {
	d := exponentialGaps(3, 200, 21, 300, 1)
	m := mixtures{}
	for range 64 {
		rng := rand.New(rand.NewPCG(uint64(len(m.mix.Mu)), 7))
		m.mix.LogWeights = append(m.mix.LogWeights, rng.NormFloat64())
		m.mix.Mu = append(m.mix.Mu, 5+rng.NormFloat64())
		m.mix.Sigma = append(m.mix.Sigma, 0.1+rng.Float64())
	}
	for _, c := range []struct {
		name string
		opts EvaluateOptions
	}{
		{"Scores", EvaluateOptions{Workers: 1}},
		{"WithOTD", EvaluateOptions{Workers: 1, Forecasts: ForecastOptions{NextEvents: 5, EditCost: 1000}}},
		{"WithTMAP", EvaluateOptions{Workers: 1, Forecasts: ForecastOptions{Horizon: 3000}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Evaluate(b.Context(), m, d, c.opts); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*d.NumEvents()), "µs/event")
		})
	}
}

// mixtures is clockwork with a mixture of log-normals for the time.
type mixtures struct {
	tpptest.Clockwork
	mix dist.LogNormMix
}

func (m mixtures) NewState(float64) tpp.State { return m }
func (m mixtures) Clone() tpp.State           { return m }
func (m mixtures) Next(float64) *tpp.Next {
	return &tpp.Next{Time: &m.mix, Marks: []float64{1. / 6, 2. / 6, 3. / 6}}
}
