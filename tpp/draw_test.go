package tpp_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/live"
)

// TestDrawsFollowTheDistribution checks draws of mixtures, right after an event and after any elapsed time, against
// the CDF.
func TestDrawsFollowTheDistribution(t *testing.T) {
	mix := &dist.LogNormMix{LogWeights: []float64{3, 2, -4, math.Inf(-1)}, Mu: []float64{1, 4, -2, 0}, Sigma: []float64{0.5, 1, 0.1, 1}}
	point := &dist.Point{Value: 7}
	for _, elapsed := range []float64{0, 1e-3, 5, 100, 1e4, 1e9} {
		next := (&tpp.Next{Time: mix, Marks: []float64{0.2, 0, 0.8}, End: 0.25}).Conditional(elapsed)
		var d tpp.Drawer
		d.Reset(next)
		src := rand.NewPCG(uint64(elapsed), 2)
		var u []float64
		over, marks := 0, [3]int{}
		const n = 20_000
		for range n {
			tau, mark, isOver := d.Draw(num.Uniform(src), num.Uniform(src))
			if isOver {
				over++
				continue
			}
			u = append(u, next.Time.CDF(tau))
			marks[mark]++
		}
		if len(u) > 100 {
			if ks := tpptest.Uniformity(u); ks > 1.95 {
				t.Errorf("after %v: √n·D = %v for %d draws", elapsed, ks, len(u))
			}
		}
		if sd := math.Sqrt(n * next.End * (1 - next.End)); math.Abs(float64(over)-n*next.End) > 4*sd+1e-9 {
			t.Errorf("after %v: %d of %d over, want %v ± %v", elapsed, over, n, n*next.End, sd)
		}
		if m := float64(len(u)); marks[1] != 0 || math.Abs(float64(marks[0])-0.2*m) > 4*math.Sqrt(0.16*m) {
			t.Errorf("after %v: marks %v of %v draws", elapsed, marks, m)
		}
	}
	for elapsed, want := range map[float64]float64{0: 7, 5: 2, 8: 0} {
		var d tpp.Drawer
		d.Reset((&tpp.Next{Time: point, Marks: []float64{1}}).Conditional(elapsed))
		if tau, _, over := d.Draw(0.5, 0.3); tau != want || over {
			t.Errorf("after %v a point at 7 is drawn as %v", elapsed, tau)
		}
	}
}

// TestDrawIndexLeavesAUniformNumber checks that the rest that DrawIndex returns is uniform, whatever the index.
func TestDrawIndexLeavesAUniformNumber(t *testing.T) {
	src := rand.NewPCG(1, 1)
	var rest [3][]float64
	for range 20_000 {
		i, r := num.DrawIndex([]float32{0.5, 0, 1.5}, 2, num.Uniform(src))
		rest[i] = append(rest[i], r)
	}
	if len(rest[1]) > 0 || math.Abs(float64(len(rest[0]))-5000) > 4*math.Sqrt(20_000*0.25*0.75) {
		t.Errorf("the indices were drawn %d, %d and %d times", len(rest[0]), len(rest[1]), len(rest[2]))
	}
	for _, i := range []int{0, 2} {
		if ks := tpptest.Uniformity(rest[i]); ks > 1.95 {
			t.Errorf("√n·D = %v for what is left with index %d", ks, i)
		}
	}
}

// thresholdModel is a model whose mark depends on the gap: mark 1 from 10 on, mark 0 below. If defective, the next
// event may never come.
type thresholdModel struct{ defective bool }

func (thresholdModel) Kind() string             { return "threshold" }
func (thresholdModel) MarkNames() []string      { return []string{"short", "long"} }
func (thresholdModel) CovariateNames() []string { return nil }
func (m thresholdModel) NewState(at float64) tpp.State {
	return &thresholdState{m, at}
}

type thresholdState struct {
	thresholdModel
	last float64
}

func (s *thresholdState) Observe(e tpp.Event) error { s.last = e.Time; return nil }
func (s *thresholdState) Clone() tpp.State          { c := *s; return &c }
func (s *thresholdState) Next(now float64) *tpp.Next {
	var d dist.Distribution = dist.Exponential{Rate: 0.1}
	if s.defective {
		d = dist.ExpHawkes{Alpha: []float64{0.5}, Beta: []float64{0.25}}
	}
	short := d.CDF(10) / d.CDF(math.Inf(1))
	n := &tpp.Next{Time: d, Marks: []float64{short, 1 - short}, Joint: thresholdJoint{d}}
	return n.Conditional(now - s.last)
}

type thresholdJoint struct{ d dist.Distribution }

func (j thresholdJoint) LogProbMark(tau float64, mark int) float64 {
	if (tau >= 10) != (mark == 1) {
		return math.Inf(-1)
	}
	return j.d.LogProb(tau)
}

func (j thresholdJoint) LogIntervalMark(a, b float64, mark int) float64 {
	if mark == 1 {
		return dist.LogInterval(j.d, max(a, 10), max(b, 10))
	}
	return dist.LogInterval(j.d, min(a, 10), min(b, 10))
}

// TestDrawnMarksDependOnTheTime checks that simulated marks follow the joint distribution, also after a time without
// events.
func TestDrawnMarksDependOnTheTime(t *testing.T) {
	begun := tpp.Sequence{ArrivalTimes: []float64{0}, Marks: []int{0}, TEnd: new(6.0)}
	for _, beginnings := range [][]tpp.Sequence{nil, {begun}} {
		sequences, err := live.Simulate(t.Context(), thresholdModel{}, 50, live.SimulateOptions{Window: 500, Seed: 1, Beginnings: beginnings})
		if err != nil {
			t.Fatal(err)
		}
		counts := [2]int{}
		for i := range sequences {
			s := &sequences[i]
			for j, gap := range s.InterTimes() {
				if mark := s.Mark(j + 1); (gap >= 10) != (mark == 1) {
					t.Fatalf("sequence %d has a gap of %v and then mark %d", i, gap, mark)
				}
				counts[s.Mark(j+1)]++
			}
		}
		if counts[0] < 1000 || counts[1] < 500 {
			t.Errorf("marks were drawn %v times", counts)
		}
	}
}

// TestDefectiveDistribution checks forecasts and simulations with a distribution under which the event may never come:
// the window then ends without an event.
func TestDefectiveDistribution(t *testing.T) {
	m := thresholdModel{defective: true}
	never := math.Exp(-0.5 / 0.25)
	const paths = 6400
	o, err := live.NewForecast(t.Context(), m.NewState(0), 0, math.Inf(1), live.ForecastOptions{Paths: paths, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if se := math.Sqrt(never * (1 - never) / paths); math.Abs(o.Any.Probability-(1-never)) > 4*se || o.Over != 1 {
		t.Errorf("got %+v, want an event with probability %v", o, 1-never)
	}
	for _, window := range []float64{0, 1e9} {
		sequences, err := live.Simulate(t.Context(), m, 20, live.SimulateOptions{Window: window, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range sequences {
			if end := sequences[i].TEnd; (end == nil) != (window == 0) || end != nil && *end != window {
				t.Errorf("with the window %v sequence %d ends at %v", window, i, end)
			}
		}
	}
}
