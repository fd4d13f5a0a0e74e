package race

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// distinctStarts returns the sequences of a dataset in which no two events start at once, so that their order does not hang on arrivals.
func distinctStarts(d *tpp.Dataset) *tpp.Dataset {
	out := &tpp.Dataset{MarkNames: d.MarkNames}
	for _, s := range d.Sequences {
		seen := map[float64]bool{}
		for i, t := range s.ArrivalTimes {
			seen[t+s.WaitTimes[i]] = true
		}
		if len(seen) == s.Len() {
			out.Sequences = append(out.Sequences, s)
		}
	}
	return out
}

// TestOnlyStartsNeverSeesArrivals checks that training and scores in the regime OnlyStarts stay the same, bit by bit, when all events arrive at
// other times and start when they did; and that those of the regime Arrivals do not.
func TestOnlyStartsNeverSeesArrivals(t *testing.T) {
	_, d := treeSmall(t, Arrivals)
	d = distinctStarts(d)
	if len(d.Sequences) < 30 {
		t.Fatalf("%d sequences", len(d.Sequences))
	}
	rng := rand.New(rand.NewPCG(6, 11))
	other := &tpp.Dataset{MarkNames: d.MarkNames}
	for _, s := range d.Sequences {
		first := s.ArrivalTimes[0]
		other.Sequences = append(other.Sequences, tpptest.OtherArrivals(s, func(most float64) float64 { return math.Floor((most - first) * rng.Float64()) }))
	}
	graph, err := GraphFromParents(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, regime := range Regimes() {
		var models []*Race
		var scores []eval.Scores
		for _, own := range []*tpp.Dataset{d, other} {
			m, err := Train(context.Background(), Config{Regime: regime, Graph: graph, ContextSize: 8, Components: 8}, own, nil, TrainOptions{Epochs: 1, Workers: 2})
			if err != nil {
				t.Fatal(err)
			}
			s, err := eval.Evaluate(context.Background(), m, own, eval.EvaluateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			models, scores = append(models, m), append(scores, s)
		}
		same := models[0].Fingerprint() == models[1].Fingerprint() && fmt.Sprint(scores[0]) == fmt.Sprint(scores[1])
		if same != (regime == OnlyStarts) {
			t.Errorf("%s: arrivals change nothing: %v; %v and %v", regime, same, scores[0], scores[1])
		}
	}
}

// withOtherStarts returns the sequence with everything else that a start before the time t does not tell: all arrivals, the events that start at
// t or later, and whether the sequence ends.
func withOtherStarts(rng *rand.Rand, s *tpp.Sequence, t float64, marks int) *tpp.Sequence {
	c := tpp.Sequence{TStart: s.TStart, Covariates: map[string][]float64{}}
	last := t
	for i, at := range s.ArrivalTimes {
		start, initialisation, x, mark := at+s.WaitTimes[i], s.InitTimes[i], s.Covariates["x"][i], s.Marks[i]
		if start >= t {
			start, initialisation, x, mark = t+math.Floor(300*rng.Float64()), math.Floor(50*rng.Float64()), rng.NormFloat64(), rng.IntN(marks)
			last = max(last, start)
		}
		c.ArrivalTimes, c.WaitTimes, c.InitTimes = append(c.ArrivalTimes, start), append(c.WaitTimes, 0), append(c.InitTimes, initialisation)
		c.Marks, c.Covariates["x"], c.Parents = append(c.Marks, mark), append(c.Covariates["x"], x), append(c.Parents, -1)
	}
	c = tpptest.OtherArrivals(c, func(most float64) float64 { return math.Floor((most - s.Start()) * rng.Float64()) })
	if rng.IntN(2) == 0 {
		c.TEnd = new(float64)
		*c.TEnd = last + float64(rng.IntN(500))
	}
	return &c
}

// TestLaterStartsChangeNothing checks that neither the inputs of training nor the predictions before a time depend on arrivals, or on anything
// that starts at that time or later.
func TestLaterStartsChangeNothing(t *testing.T) {
	compared, differ := 0, 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 12))
		w := randomWorld(rng, OnlyStarts, 3, allBegun+int(seed%2))
		m := w.model
		d := distinctStarts(w.data)
		for i := range d.Sequences {
			s := &d.Sequences[i]
			start := rng.IntN(s.Len())
			cut := s.ArrivalTimes[start] + s.WaitTimes[start] + float64(rng.IntN(2))
			if s.TEnd != nil {
				cut = min(cut, *s.TEnd) // what starts later is not known at all
			}
			var said [2][]float64
			var inputs [2][]float32
			var arrivals [2]float64
			for k, own := range []*tpp.Sequence{s, withOtherStarts(rng, s, cut, m.numMarks)} {
				at, err := starts.Seen(m, own)
				if err != nil {
					t.Fatal(err)
				}
				x, err := newExample[float32](m.encoder, m.background, at)
				if err != nil {
					t.Fatal(err)
				}
				before := 0 // steps of the example, with the beginning
				if at.TStart != nil && *at.TStart < cut {
					before++
				}
				for _, start := range at.ArrivalTimes {
					if start < cut {
						before++
					}
				}
				inputs[k] = append(slices.Clone(x.values[:before*m.encoder.stepColumns]), x.feats[:int(x.start[before])*m.encoder.rowColumns]...)
				said[k] = predictions(t, m, at, cut)
				for _, arrival := range own.ArrivalTimes {
					arrivals[k] += arrival
				}
			}
			if !slices.Equal(inputs[0], inputs[1]) || !slices.Equal(said[0], said[1]) {
				t.Fatalf("seed %d, sequence %d: what is not known before %v changes what is said before", seed, i, cut)
			}
			compared += len(said[0])
			if arrivals[0] != arrivals[1] {
				differ++
			}
		}
	}
	if compared < 1000 || differ < 100 {
		t.Errorf("only %d numbers compared, of %d sequences that differ", compared, differ)
	}
}
