package main

import (
	"math"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp/dist"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), "../../tpp/testdata/tree_small.json.gz", &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"loglogistic-chain 4.0", "97 % of the functions foreseen", "more events are expected"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}

// TestDerived checks that what package dist derives of the four methods is right: the hazard is S′/S, the density integrates to an
// interval, and the mean of a log-logistic distribution is Scale π/Shape / sin(π/Shape).
func TestDerived(t *testing.T) {
	d := LogLogistic{Shape: 4, Scale: 20}
	if got, want := dist.Mean(d), 20*math.Pi/4/math.Sin(math.Pi/4); math.Abs(got-want) > 1e-6*want {
		t.Errorf("the mean is %v, want %v", got, want)
	}
	const h = 1e-4
	if got, want := dist.Hazard(d, 15), (d.LogSurvival(15-h)-d.LogSurvival(15+h))/(2*h); math.Abs(got-want) > 1e-6*want {
		t.Errorf("the hazard at 15 is %v, want %v", got, want)
	}
	if got, want := math.Exp(dist.LogInterval(d, 10, 30)), d.CDF(30)-d.CDF(10); math.Abs(got-want) > 1e-9 {
		t.Errorf("P(10 < τ ≤ 30) = %v, want %v", got, want)
	}
	if dist.Median(d) != 20 {
		t.Errorf("the median is %v, want 20", dist.Median(d))
	}
}
