package eval

import (
	"math"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// TestCRPSOfNothing checks that what has no score is NaN, and that no distribution or number panics.
func TestCRPSOfNothing(t *testing.T) {
	odd := []float64{math.NaN(), math.Inf(-1), -1, 0, math.SmallestNonzeroFloat64, 0.5, 1e300, math.Inf(1)}
	for _, d := range []dist.Distribution{
		nil, dist.Conditional{}, &dist.Empirical{}, dist.ExpHawkes{}, dist.Exponential{}, dist.LogNormMix{}, &dist.LogNormMix{}, dist.Point{}, dist.Shifted{},
		dist.Exponential{Rate: math.NaN()}, dist.Exponential{Rate: 1}, dist.Point{Value: 3}, &dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{1}, Sigma: []float64{1}},
	} {
		v, ok := d.(interface{ Validate() error })
		valid := d != nil && (!ok || v.Validate() == nil)
		for _, y := range odd {
			for _, horizon := range odd {
				want := !valid || !(y >= 0) || !(horizon >= 0)
				if got := CRPS(d, y, horizon); math.IsNaN(got) != want {
					t.Errorf("%T: the score of %v up to %v is %v", d, y, horizon, got)
				}
			}
		}
	}
}

// TestDistanceOfNothing checks that lists without events, and events at no time, do not panic.
func TestDistanceOfNothing(t *testing.T) {
	if d := Distance(nil, nil, math.NaN()); d != 0 {
		t.Errorf("the distance of two empty lists is %v", d)
	}
	for _, edit := range []float64{math.NaN(), -1, 0, math.Inf(1)} {
		for _, a := range [][]tpp.Event{nil, {{Time: math.NaN(), Mark: -1}}, {{Time: math.Inf(1)}, {Time: math.NaN()}}} {
			Distance(a, []tpp.Event{{Time: 1}}, edit)
			Distance([]tpp.Event{{Time: 1}}, a, edit)
		}
	}
	if short, shared := ShortNames(nil); len(short) != 0 || shared != "" {
		t.Errorf("short names of none: %q, %q", short, shared)
	}
	ShortNames([]string{"", "a-"})
}

// mute is a model whose states say that no event ever comes, or whose distribution function is no number.
type mute struct{ next tpp.Next }

func (*mute) Kind() string                 { return "mute" }
func (*mute) MarkNames() []string          { return nil }
func (*mute) CovariateNames() []string     { return nil }
func (m *mute) NewState(float64) tpp.State { return muteState{m} }

type muteState struct{ m *mute }

func (muteState) Observe(tpp.Event) error  { return nil }
func (s muteState) Next(float64) *tpp.Next { return &s.m.next }
func (s muteState) Clone() tpp.State       { return s }

// noNumber is a distribution of which nothing is a number.
type noNumber struct{}

func (noNumber) LogProb(float64) float64     { return math.NaN() }
func (noNumber) CDF(float64) float64         { return math.NaN() }
func (noNumber) LogSurvival(float64) float64 { return math.NaN() }
func (noNumber) Quantile(float64) float64    { return math.NaN() }

// TestScoresOfModelsThatSayNothing checks that models from outside that expect nothing, or nothing that is a number, are scored without a panic.
func TestScoresOfModelsThatSayNothing(t *testing.T) {
	d := &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 1, 1}}}}
	for name, next := range map[string]tpp.Next{"the zero value": {}, "no numbers": {Time: noNumber{}, Marks: []float64{math.NaN()}}} {
		scores, err := Evaluate(t.Context(), &mute{next}, d, EvaluateOptions{})
		if err != nil || scores.Events != 2 || !math.IsNaN(scores.Coverage90) {
			t.Errorf("%s: %+v, error %v", name, scores, err)
		}
	}
}
