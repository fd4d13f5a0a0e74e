package race

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"pgregory.net/rapid"
)

// TestArrivalsAreATree checks that forecasts are what tpp.ForecastingState promises, whatever the times.
func TestArrivalsAreATree(t *testing.T) {
	below := 0
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 16))
		w := randomWorld(rng, rapid.SampledFrom([]Regime{Arrivals, Starts}).Draw(t, "regime"), 6, rapid.IntRange(someBegun, noneBegun).Draw(t, "begun"))
		m := w.model
		m.offsets = m.encoder.learnOffsets(w.data)
		delay := rapid.SampledFrom([]float64{0, 0, 1, 15, 1e3, 1e6, 1e12})
		now := 0.0
		s := m.NewState(now).(*state)
		for range rapid.IntRange(0, 8).Draw(t, "events") {
			now += delay.Draw(t, "gap")
			if err := s.Observe(tpp.Event{Time: now, Mark: rapid.IntRange(0, m.numMarks-1).Draw(t, "mark"), Covariates: []float64{rng.NormFloat64()}}); err != nil {
				t.Fatal(err)
			}
		}
		arrivals := s.Arrivals(now + delay.Draw(t, "waited"))
		slots := map[[2]int]float64{}
		for i, a := range arrivals {
			switch {
			case !(a.Probability >= 0 && a.Probability <= 1+1e-6) || a.Mark < 0 || a.Mark >= m.numMarks:
				t.Fatalf("arrival %d: mark %d with probability %v", i, a.Mark, a.Probability)
			case a.Parent < -1 || a.Parent >= i:
				t.Fatalf("arrival %d is below %d", i, a.Parent)
			case a.Parent < 0 && a.Steps != 1:
				t.Fatalf("arrival %d is due and takes %d steps", i, a.Steps)
			case len(a.Times) == 0 || !slices.IsSorted(a.Times) || !(a.Times[0] >= 0) || math.IsNaN(a.Times[len(a.Times)-1]) || math.IsInf(a.Times[len(a.Times)-1], 0):
				t.Fatalf("arrival %d: times %v", i, a.Times)
			}
			if a.Parent >= 0 {
				below++
				if p := arrivals[a.Parent]; a.Steps != p.Steps+1 || a.Probability > p.Probability*(1+1e-9) {
					t.Fatalf("arrival %d, %+v, is below %+v", i, a, p)
				}
			}
			slots[[2]int{a.Parent, a.Slot}] += a.Probability
		}
		for slot, p := range slots {
			if p > 1+1e-5 {
				t.Fatalf("slot %v is filled with probability %v", slot, p)
			}
		}
		for mark := range m.numMarks {
			last := 0.0
			for _, at := range []float64{0, 1, 100, 1e4, 1e13, math.Inf(1)} {
				p, _ := tpp.ArrivalsWithin(arrivals, mark, at, nil)
				if !(p >= last-1e-9 && p <= 1+1e-9) {
					t.Fatalf("mark %d within %v: %v, before %v", mark, at, p, last)
				}
				last = p
			}
		}
	})
	if below == 0 && !testing.Short() { // with few checks chance may leave it out
		t.Error("nothing was ever below anything else")
	}
}

// TestArrivalsOfWhatIsDue compares when the first slot of each event is filled, and how likely by what, with the mixtures of the model.
func TestArrivalsOfWhatIsDue(t *testing.T) {
	compared, difference := 0, 0.0
	someStates(t, 30, func(rng *rand.Rand, s *state) {
		m := s.m
		m.offsets = m.encoder.learnOffsets(&tpp.Dataset{})
		now := s.last + math.Floor(60*rng.Float64())
		f := newReference(s, now)
		arrivals := s.Arrivals(now)
		for i := range s.due {
			_, later := f.later(i, 0)
			row := 0
			for _, a := range arrivals {
				if a.Parent >= 0 || a.Slot != i {
					continue
				}
				if !near(a.Probability, later[row], 1e-3, 1e-5) {
					t.Errorf("alternative %d of slot %d comes with probability %v, want %v", row, i, a.Probability, later[row])
				}
				row++
			}
			if row != len(later) {
				t.Errorf("slot %d has %d alternatives, want %d", i, row, len(later))
			}
			for _, at := range []float64{1, 10, 100, 1000} {
				all, _ := f.later(i, at)
				within := 0.0
				for _, a := range arrivals {
					if a.Parent < 0 && a.Slot == i && s.head(i) == i {
						within += a.Probability * a.Within(at)
					}
				}
				if s.head(i) != i {
					continue
				}
				compared++
				difference += math.Abs(within - (1 - all))
				// Each component may have half a sample too few or too many, and the samples are joined by lines.
				if !near(within, 1-all, 0, 8.0/samples) {
					t.Errorf("slot %d is filled within %v with probability %v, want %v", i, at, within, 1-all)
				}
			}
		}
	})
	if compared < 50 || difference > float64(compared)/samples {
		t.Errorf("the probabilities differ by %v on average, in %d", difference/float64(compared), compared)
	}
}
