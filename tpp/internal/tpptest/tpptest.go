// Package tpptest provides test data: small datasets with a rule to learn, simple models, and statistics of samples. It
// imports only the core.
package tpptest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Near reports whether got is want within a relative tolerance, with a floor for numbers near 0.
func Near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*math.Max(math.Abs(want), 1e-6)
}

// Chains returns sequences with a rule to learn: marks go round, and the gap after a mark is log-normal with a median that
// the mark decides, 20, 40 and 60 ms.
func Chains(seed uint64, n int) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(seed, 9))
	d := &tpp.Dataset{MarkNames: []string{"a", "b", "c"}}
	for range n {
		var s tpp.Sequence
		at := math.Floor(1e9 * rng.Float64())
		mark := rng.IntN(3)
		for range 3 + rng.IntN(8) {
			s.ArrivalTimes = append(s.ArrivalTimes, at)
			s.Marks = append(s.Marks, mark)
			at += math.Round(20 * float64(mark+1) * math.Exp(0.1*rng.NormFloat64()))
			mark = (mark + 1) % 3
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

// RandomDataset returns sequences of gaps and marks of the kind that traces have: log-normal gaps in whole milliseconds,
// some of them zero, some windows with a beginning or an end. It has init times and the covariate load.
func RandomDataset(rng *rand.Rand, sequences, marks int) *tpp.Dataset {
	d := &tpp.Dataset{}
	for m := range marks {
		d.MarkNames = append(d.MarkNames, fmt.Sprintf("f%d", m))
	}
	for range sequences {
		n := 1 + rng.IntN(7)
		s := tpp.Sequence{}
		var load []float64
		at := 1.6e12 + float64(rng.IntN(1e9))
		for i := range n {
			if i > 0 && rng.Float64() > 0.1 {
				at += math.Round(math.Exp(4 + 1.5*rng.NormFloat64()))
			}
			s.ArrivalTimes = append(s.ArrivalTimes, at)
			s.Marks = append(s.Marks, rng.IntN(marks))
			s.InitTimes = append(s.InitTimes, float64(rng.IntN(2)*100))
			load = append(load, 100+10*rng.NormFloat64())
		}
		s.Covariates = map[string][]float64{"load": load}
		if rng.IntN(3) == 0 {
			s.TStart = new(s.ArrivalTimes[0] - math.Round(50*rng.Float64()))
		}
		if rng.IntN(3) == 0 {
			s.TEnd = new(at + math.Round(500*rng.Float64()))
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

// DrawDataset draws a RandomDataset of three marks.
func DrawDataset(t *rapid.T, sequences int) *tpp.Dataset {
	return RandomDataset(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 8)), sequences, 3)
}

// Clockwork is a model whose gaps are exponential with rate 1/10, and whose mark m has probability (m+1)/6. It is its own
// state, and refuses an event at 666.
type Clockwork struct{}

// Kind returns clockwork.
func (Clockwork) Kind() string { return "clockwork" }

// MarkNames returns a, b and c.
func (Clockwork) MarkNames() []string { return []string{"a", "b", "c"} }

// CovariateNames returns nil.
func (Clockwork) CovariateNames() []string { return nil }

// NewState returns the model.
func (Clockwork) NewState(float64) tpp.State { return Clockwork{} }

// Observe refuses an event at 666.
func (Clockwork) Observe(e tpp.Event) error {
	if e.Time == 666 {
		return errors.New("not that one")
	}
	return nil
}

// Clone returns the model.
func (Clockwork) Clone() tpp.State { return Clockwork{} }

// Next returns the same distribution at any time.
func (Clockwork) Next(float64) *tpp.Next {
	return &tpp.Next{Time: dist.Exponential{Rate: 0.1}, Marks: []float64{1. / 6, 2. / 6, 3. / 6}}
}

// Uniformity returns the Kolmogorov–Smirnov statistic √n·sup|F − Fₙ| of a sample that should be uniform on [0, 1]. Beyond 1.95
// it is by chance once in a thousand times.
func Uniformity(sample []float64) float64 {
	sorted := slices.Sorted(slices.Values(sample))
	worst := 0.0
	for i, u := range sorted {
		worst = max(worst, math.Abs(u-float64(i)/float64(len(sorted))), math.Abs(u-float64(i+1)/float64(len(sorted))))
	}
	return math.Sqrt(float64(len(sorted))) * worst
}

// Encoded returns the content of the model's file.
func Encoded(t testing.TB, m tpp.FileModel) string {
	t.Helper()
	var b bytes.Buffer
	if err := m.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Observed returns a state of a model of three marks after some events, 30 apart from 60 on.
func Observed(t testing.TB, m tpp.Model, events int) tpp.State {
	t.Helper()
	s := m.NewState(50)
	for j := range events {
		e := tpp.Event{Time: 60 + 30*float64(j), Mark: (2 * j) % 3}
		if c, ok := s.(tpp.TypicalState); ok {
			e.Covariates = c.TypicalCovariates(nil)
		}
		if err := s.Observe(e); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// SameNext reports whether two states predict the same.
func SameNext(a, b tpp.State, now float64) bool {
	x, y := a.Next(now), b.Next(now)
	for m := range x.Marks {
		if x.Marks[m] != y.Marks[m] {
			return false
		}
	}
	return x.End == y.End && x.Time.Quantile(0.3) == y.Time.Quantile(0.3) && x.Time.Quantile(0.9) == y.Time.Quantile(0.9)
}
