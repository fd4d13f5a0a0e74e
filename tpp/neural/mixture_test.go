package neural

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// TestFastMedianHalvesTheMixture checks that the CDF of any predicted mixture is ½ at the float32 median.
func TestFastMedianHalvesTheMixture(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 8).Draw(t, "components")
		norm := normalisation{Mean: rapid.Float64Range(-5, 10).Draw(t, "mean"), Std: rapid.Float64Range(0.1, 3).Draw(t, "std")}
		out := make([]float32, 3*k)
		for i := range k {
			out[i] = float32(rapid.Float64Range(-5, 5).Draw(t, "location"))
			out[k+i] = float32(rapid.Float64Range(-8, 3).Draw(t, "log scale"))
			out[2*k+i] = float32(rapid.Float64Range(-5, 5).Draw(t, "logit"))
		}
		p := newMixturePredictor(&Config{NumComponents: k}, norm, out)
		p.predict()
		mix, got := p.mix, p.Median()
		// The rounding of a float32 location moves the CDF by as much as the density is high there.
		slack := 1e-5 + mix.Prob(got)*got*norm.Std*5e-6
		if f := mix.CDF(got); math.Abs(f-0.5) > slack {
			t.Fatalf("the CDF at the median %v is %v, exactly the median is %v", got, f, mix.Median())
		}
	})
}

func TestFastMedianIsTheMedian(t *testing.T) {
	d := tpptest.Chains(31, 60)
	m := train(t, d, TrainOptions{MaxEpochs: 20})
	for i := range d.Sequences {
		s := &d.Sequences[i]
		state := m.NewState(s.ArrivalTimes[0])
		for j := range s.Len() {
			if err := state.Observe(s.Event(j, m.CovariateNames(), nil)); err != nil {
				t.Fatal(err)
			}
			next := state.Next(s.ArrivalTimes[j])
			if got, want := next.Median(), dist.Median(next.Time); math.Abs(got-want) > 1e-4*want {
				t.Fatalf("sequence %d, event %d: median %v, want %v", i, j, got, want)
			}
			later := state.Next(s.ArrivalTimes[j] + 7)
			if got, want := later.Median(), dist.Median(later.Time); got != want {
				t.Fatalf("sequence %d, event %d: median after a wait %v, want %v", i, j, got, want)
			}
		}
	}
}
