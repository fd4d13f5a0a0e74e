package race

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tppfaas/tppfaas/internal/simd"
	"github.com/tppfaas/tppfaas/tpp"
)

var _ tpp.LatenessState = (*state)(nil)

// latenessByHand returns what Lateness should, from the network's outputs in float64.
func latenessByHand(s *state, now float64) []float64 {
	want := make([]float64, s.m.numMarks)
	s.Next(s.last) // computes the outputs
	net, k := s.m.net, s.m.net.components
	row := 0
	for i := range s.due {
		p := &s.due[i]
		var marks []int
		var shares, atOnce, later []float64
		open, sum := 0.0, 0.0
		if s.m.encoder.skipped[p.parent][p.slot] {
			open, sum = 1, 1
		}
		for alternative, mark := range s.graph.Slots[p.parent][p.slot].Marks {
			if p.alive>>alternative&1 == 0 {
				continue
			}
			out := s.work.forecast.work.outs[row*net.size : (row+1)*net.size]
			survival := func(delay float64) float64 {
				sum, total := 0.0, 0.0
				for j := range k {
					weight := math.Exp(float64(out[2*k+j]))
					scale := math.Exp(min(max(float64(out[k+j]), simd.MinLogScale), simd.MaxLogScale))
					sum += weight * logistic((float64(out[j])-math.Asinh(delay/s.scale))/scale)
					total += weight
				}
				return sum / total
			}
			marks, shares = append(marks, mark), append(shares, math.Exp(float64(out[3*k])))
			atOnce, later = append(atOnce, survival(0)), append(later, survival(now-p.anchor))
			sum += shares[len(shares)-1]
			row++
		}
		for j, share := range shares {
			open += share * atOnce[j]
		}
		likeliest, all := 0, 0.0
		for j, mark := range marks {
			came := shares[j] * (atOnce[j] - later[j]) / open
			want[mark] = max(want[mark], came)
			all += came
			if shares[j]*atOnce[j] > shares[likeliest]*atOnce[likeliest] {
				likeliest = j
			}
		}
		want[marks[likeliest]] = max(want[marks[likeliest]], all)
	}
	return want
}

func TestLatenessByHand(t *testing.T) {
	someStates(t, 60, func(rng *rand.Rand, s *state) {
		var got []float64
		for _, waited := range []float64{0, math.Floor(50 * rng.Float64()), 700 * rng.Float64(), 1e7, math.Inf(1)} {
			now := s.last + waited
			want := latenessByHand(s, now)
			s.Next(s.last + 5) // Lateness does not depend on what Next was asked last
			got = s.Lateness(now, got)
			for mark, v := range got {
				if !near(v, want[mark], 1e-4, 1e-5) {
					t.Errorf("waited %v: lateness of mark %d is %v, want %v", waited, mark, v, want[mark])
				}
			}
		}
	})
}

// TestLatenessGrows checks that nothing that is not due is late, that lateness is a probability that grows, and that it does not change
// what Next predicts.
func TestLatenessGrows(t *testing.T) {
	someStates(t, 60, func(rng *rand.Rand, s *state) {
		due := make([]bool, s.m.numMarks)
		for i := range s.due {
			for alternative, mark := range s.graph.Slots[s.due[i].parent][s.due[i].slot].Marks {
				if s.due[i].alive>>alternative&1 == 1 {
					due[mark] = true
				}
			}
		}
		median := s.Next(s.last).Time.Quantile(0.5)
		last := make([]float64, s.m.numMarks)
		for _, waited := range []float64{0, 1, 2, 5, 10, 100, 1e3, 1e4, 1e6, math.Inf(1)} {
			for mark, p := range s.Lateness(s.last+waited, nil) {
				if !due[mark] && p != 0 {
					t.Errorf("mark %d is not due, and late by %v", mark, p)
				}
				if !(p >= last[mark]-1e-6 && p >= 0 && p <= 1) {
					t.Errorf("mark %d: lateness %v after %v, before it was %v", mark, p, waited, last[mark])
				}
				last[mark] = p
			}
		}
		if got := s.Next(s.last).Time.Quantile(0.5); got != median {
			t.Errorf("the median is %v after Lateness, it was %v", got, median)
		}
	})
}

func TestLatenessAfterEvents(t *testing.T) {
	w := randomWorld(rand.New(rand.NewPCG(1, 15)), Arrivals, 4, allBegun)
	shared := w.model.NewWorkspace()
	a, b := shared.NewState(1000).(*state), shared.NewState(1000).(*state)
	alone := w.model.NewState(1000).(*state)
	e := w.data.Sequences[0].Event(0, w.model.CovariateNames(), nil)
	var got, want []float64
	same := func(when string) {
		t.Helper()
		got, want = a.Lateness(2000, got), alone.Lateness(2000, want)
		for mark := range want {
			if got[mark] != want[mark] {
				t.Errorf("%s: mark %d is late by %v, want %v", when, mark, got[mark], want[mark])
			}
		}
	}
	same("at the start")
	b.Lateness(5000, nil)
	same("after another state in the workspace")
	for _, s := range []*state{a, alone} {
		if err := s.Observe(e); err != nil {
			t.Fatal(err)
		}
	}
	same("after an event")
	clone := alone.Clone().(*state)
	b.CopyFrom(a)
	a = b
	alone = clone
	same("after copies")
	if n := testing.AllocsPerRun(10, func() {
		a.work.waiting.owner = nil
		got = a.Lateness(2000, got)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
