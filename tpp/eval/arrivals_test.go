package eval

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// line is a model for tests: after an event of mark 0 one of mark 1 comes within an exponential time, and a time like that after it one of mark 2,
// and so on to the last mark. A clock reads times in ticks. It takes their mean for scale times what it is.
type line struct {
	scale, tick float64
}

const lineMarks = 5

func (line) Kind() string                 { return "line" }
func (line) MarkNames() []string          { return []string{"a", "b", "c", "d", "e"} }
func (line) CovariateNames() []string     { return nil }
func (m line) Resolution() float64        { return m.tick }
func (m line) TimeUnit() string           { return "ms" }
func (m line) NewState(float64) tpp.State { return &lineState{line: m, mark: -1} }
func (s *lineState) Clone() tpp.State     { c := *s; return &c }
func (s *lineState) Next(float64) *tpp.Next {
	return &tpp.Next{Time: dist.Exponential{Rate: 1}, Marks: make([]float64, lineMarks)}
}

type lineState struct {
	line
	mark int
}

func (s *lineState) Observe(e tpp.Event) error {
	s.mark = e.Mark
	return nil
}

// erlang are quantiles of the sum of some exponential times of mean 100, by drawing.
var erlang = func() (out [lineMarks][]float64) {
	const shares = 1000
	for k := 1; k < lineMarks; k++ {
		within := func(t float64) float64 {
			sum, term := 0.0, 1.0
			for i := range k {
				if i > 0 {
					term *= t / 100 / float64(i)
				}
				sum += term
			}
			return 1 - math.Exp(-t/100)*sum
		}
		t := 0.0
		for i := range shares {
			lo, hi := t, 1e4
			for hi-lo > 1e-6 {
				if mid := (lo + hi) / 2; within(mid) < (float64(i)+0.5)/shares {
					lo = mid
				} else {
					hi = mid
				}
			}
			t = lo
			out[k] = append(out[k], t)
		}
	}
	return out
}()

func (s *lineState) Arrivals(float64) (out []tpp.ExpectedArrival) {
	for mark := s.mark + 1; mark < lineMarks; mark++ {
		steps := mark - s.mark
		a := tpp.ExpectedArrival{Mark: mark, Probability: math.Pow(0.9, float64(steps)), Parent: steps - 2, Steps: steps}
		for _, t := range erlang[steps] {
			a.Times = append(a.Times, s.scale*t)
		}
		out = append(out, a)
	}
	return out
}

// lines are sequences of what line expects, if its scale is 1.
func lines(n int, tick float64) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(8, 9))
	d := &tpp.Dataset{MarkNames: line{}.MarkNames()}
	for range n {
		s := tpp.Sequence{}
		at := 0.0
		for mark := range lineMarks {
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, math.Round(at/tick)*tick), append(s.Marks, mark)
			if at += 100 * rng.ExpFloat64(); rng.Float64() > 0.9 {
				break
			}
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

// TestCalibrateArrivals checks that the transforms of right distributions are uniform, however coarse the clock, and those of others are not.
func TestCalibrateArrivals(t *testing.T) {
	for _, c := range []struct {
		scale, tick float64
		right       bool
	}{{1, 1e-3, true}, {1, 20, true}, {1.3, 1e-3, false}, {0.7, 20, false}} {
		d := lines(4000, c.tick)
		d.Sequences = append(d.Sequences, tpp.Sequence{}, tpp.Sequence{ArrivalTimes: []float64{0}, Marks: []int{0}, TEnd: new(5.0)})
		got, err := CalibrateArrivals(t.Context(), line{c.scale, c.tick}, d)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range got {
			n := float64(a.Came)
			if n < 5000 || math.Abs(a.Expected-n) > 4*math.Sqrt(n) {
				t.Errorf("%+v, %s: %v expected, %v came", c, ArrivalStepNames()[i], a.Expected, n)
			}
			total := 0.0
			for _, share := range a.PIT {
				total += share
			}
			if !tpptest.Near(total, 1, 1e-9) {
				t.Errorf("%+v, %s: the histogram adds up to %v", c, ArrivalStepNames()[i], total)
			}
			// Forecasts of one event after the others before it are not independent: count sequences.
			sd := func(p float64) float64 { return math.Sqrt(p * (1 - p) / 3000) }
			right := a.Deviation() < 4*sd(0.5) && math.Abs(a.Coverage50-0.5) < 4*sd(0.5) && math.Abs(a.Coverage90-0.9) < 4*sd(0.9)
			if right != c.right {
				t.Errorf("%+v, %s: deviation %.3f, coverage %.3f and %.3f", c, ArrivalStepNames()[i], a.Deviation(), a.Coverage50, a.Coverage90)
			}
		}
	}
}

// TestExpectedBefore checks by what an event is told to be the next, the second or a later one.
func TestExpectedBefore(t *testing.T) {
	arrivals := []tpp.ExpectedArrival{
		{Mark: 0, Probability: 0.9, Parent: -1, Slot: 0, Steps: 1, Times: []float64{100, 101}},
		{Mark: 1, Probability: 0.9, Parent: 0, Slot: 0, Steps: 2, Times: []float64{200, 201}},
		{Mark: 2, Probability: 0.6, Parent: -1, Slot: 1, Steps: 1, Times: []float64{1, 2}},
		{Mark: 3, Probability: 0.4, Parent: -1, Slot: 1, Steps: 1, Times: []float64{3, 4}},
		{Mark: 4, Probability: 0.3, Parent: -1, Slot: 2, Steps: 1, Times: []float64{5, 6}},
	}
	var apart []bool
	for i, want := range []float64{
		1.3, // both of slot 1, and what may come of slot 2
		2.3, // and its parent for sure
		0,   // not the other one of its slot
		0,
		1,
	} {
		var got float64
		if got, apart = expectedBefore(arrivals, i, apart); math.Abs(got-want) > 0.1 { // the distributions have tails
			t.Errorf("before arrival %d come %v, want %v", i, got, want)
		}
	}
}

// TestCalibrateArrivalsRefuses checks the errors, and that a model without expectations is told.
func TestCalibrateArrivalsRefuses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := CalibrateArrivals(ctx, line{1, 1}, lines(3, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := CalibrateArrivals(t.Context(), line{1, 1}, nil); err == nil {
		t.Error("no dataset is taken")
	}
	d := exponentialGaps(1, 2, 3, 10, 1)
	if _, err := CalibrateArrivals(t.Context(), tpptest.Clockwork{}, d); err == nil || !strings.Contains(err.Error(), "sequence 0: a model of kind clockwork") {
		t.Errorf("clockwork expects events: %v", err)
	}
	if ExpectsArrivals(tpptest.Clockwork{}) || !ExpectsArrivals(line{1, 1}) {
		t.Error("which models expect events is not told")
	}
	if got := (&ArrivalCalibration{}).Deviation(); got != 0 {
		t.Errorf("where nothing came, the deviation is %v", got)
	}
}
