package live

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// told is a model for tests whose states expect what they are told to, counted from their last event, and whose next event is exponential.
type told struct {
	arrivals []tpp.ExpectedArrival
	next     tpp.Next
}

func (told) Kind() string                    { return "told by the tests" }
func (told) MarkNames() []string             { return []string{"a", "b", "c"} }
func (told) CovariateNames() []string        { return nil }
func (m told) NewState(at float64) tpp.State { return &toldState{told: m, last: at} }

type toldState struct {
	told
	last float64
	left []tpp.ExpectedArrival
}

func (s *toldState) Observe(e tpp.Event) error {
	s.last = e.Time
	return nil
}
func (s *toldState) Clone() tpp.State           { c := *s; c.left = nil; return &c }
func (s *toldState) Next(now float64) *tpp.Next { return &s.next }
func (s *toldState) Arrivals(now float64) []tpp.ExpectedArrival {
	s.left = append(s.left[:0], s.arrivals...)
	return s.left
}

// chain is an event of mark 0 that is due, one of mark 1 or 2 below it, and independently of them another one of mark 0.
func chain() told {
	return told{
		arrivals: []tpp.ExpectedArrival{
			{Mark: 0, Probability: 0.8, Parent: -1, Slot: 0, Steps: 1, Times: []float64{10, 20, 30, 40}},
			{Mark: 1, Probability: 0.4, Parent: 0, Slot: 0, Steps: 2, Times: []float64{110, 120, 130, 140}},
			{Mark: 2, Probability: 0.2, Parent: 0, Slot: 0, Steps: 2, Times: []float64{210, 220, 230, 240}},
			{Mark: 0, Probability: 0.5, Parent: -1, Slot: 1, Steps: 1, Times: []float64{1000, 2000, 3000, 4000}},
		},
		next: tpp.Next{Time: dist.Exponential{Rate: 0.01}, Marks: []float64{1, 0, 0}, End: 0.1},
	}
}

// TestForecastOfArrivals compares forecasts with what can be computed by hand.
func TestForecastOfArrivals(t *testing.T) {
	state := chain().NewState(0)
	for _, c := range []struct {
		horizon float64
		over    float64
		marks   []MarkForecast
		any     MarkForecast
	}{
		{0, 0.2 * 0.5, []MarkForecast{{}, {}, {}}, MarkForecast{}},
		{25, (0.2 + 0.8*0.5*(1-0.5-0.25)) * 0.5, []MarkForecast{
			// The other one comes within 25 with the probability 0.5/4·25/1000 = 0.003125.
			{1 - (1-0.8*0.5)*(1-0.5*0.003125), 0.8*0.5 + 0.5*0.003125, nil},
			{0.4 * 0.125 * 25 / 110, 0.4 * 0.125 * 25 / 110, []float64{12.5}},
			{0.2 * 0.125 * 25 / 210, 0.2 * 0.125 * 25 / 210, []float64{12.5}},
		}, MarkForecast{0.9 * (1 - math.Exp(-0.25)), math.NaN(), []float64{-math.Log(1-0.5*(1-math.Exp(-0.25))) / 0.01}}},
		{math.Inf(1), 1, []MarkForecast{
			{1 - 0.2*0.5, 1.3, nil}, {0.4, 0.4, []float64{125}}, {0.2, 0.2, []float64{225}},
		}, MarkForecast{0.9, 1.9, []float64{math.Ln2 / 0.01}}},
	} {
		got, err := NewForecast(t.Context(), state, 0, c.horizon, ForecastOptions{Quantiles: []float64{0.5}})
		if err != nil {
			t.Fatal(err)
		}
		if got.Paths != 0 || got.Sequences != 1 || got.Horizon != c.horizon {
			t.Errorf("within %v: %+v", c.horizon, got)
		}
		if c.horizon == 25 {
			// Nothing is left after 25 if the first comes by then and what is below it never, or below it within what its share allows.
			below := 0.5*(1-0.125*25/110/0.5) + 0.25*(1-0.125*25/210/0.5)
			c.over = (1 - 0.8*(1-0.5*(1-below))) * (1 - 0.5*(1-0.003125))
		}
		if math.Abs(got.Over-c.over) > 1e-9 {
			t.Errorf("within %v it is over with probability %v, want %v", c.horizon, got.Over, c.over)
		}
		check := func(name string, got, want MarkForecast) {
			if math.Abs(got.Probability-want.Probability) > 1e-9 || math.Abs(got.Count-want.Count) > 1e-9 || (got.When == nil) != (want.Probability == 0) ||
				want.When != nil && math.Abs(got.When[0]-want.When[0]) > 1e-6 {
				t.Errorf("within %v, %s: %+v, want %+v", c.horizon, name, got, want)
			}
		}
		sum := 0.0
		for mark, want := range c.marks {
			check(state.(*toldState).MarkNames()[mark], got.Marks[mark], want)
			sum += got.Marks[mark].Count
		}
		c.any.Count = max(sum, c.any.Probability)
		check("any", got.Any, c.any)
	}
}

// TestForecastOfArrivalsDrawsWhereAsked checks that paths, and covariates of events to come, make a forecast simulate.
func TestForecastOfArrivalsDrawsWhereAsked(t *testing.T) {
	m := chain()
	for name, opts := range map[string]ForecastOptions{
		"paths":      {Paths: 64},
		"covariates": {Covariates: func(dst []float64, _ float64, _ int) []float64 { return dst }},
	} {
		o, err := NewForecast(t.Context(), m.NewState(0), 0, 50, opts)
		if err != nil {
			t.Fatal(err)
		}
		if o.Paths != 64 || o.Marks[1].Probability != 0 {
			t.Errorf("%s: %+v", name, o)
		}
		f := newForecaster(t, m, ForecasterOptions{})
		if err := f.Observe("x", tpp.Event{}); err != nil {
			t.Fatal(err)
		}
		if o, err = f.ForecastAll(t.Context(), 0, 50, opts); err != nil || o.Paths != 64 {
			t.Errorf("%s, all: %+v, %v", name, o, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewForecast(ctx, m.NewState(0), 0, 50, ForecastOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	f := newForecaster(t, m, ForecasterOptions{})
	if err := f.Observe("x", tpp.Event{}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ForecastAll(ctx, 0, 50, ForecastOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("all, cancelled: %v", err)
	}
}

// drawTold draws a model that expects anything.
func drawTold(t *rapid.T) told {
	m := told{next: tpp.Next{Time: dist.Exponential{Rate: 0.01}, Marks: make([]float64, 3), End: rapid.Float64Range(0, 1).Draw(t, "end")}}
	for i := range rapid.IntRange(0, 6).Draw(t, "arrivals") {
		a := tpp.ExpectedArrival{Mark: rapid.IntRange(0, 2).Draw(t, "mark"), Parent: -1, Slot: i, Steps: 1, Probability: rapid.Float64Range(0, 1).Draw(t, "probability")}
		if i > 0 && rapid.Bool().Draw(t, "below") {
			a.Parent, a.Steps = i-1, m.arrivals[i-1].Steps+1
			a.Probability *= m.arrivals[i-1].Probability
		}
		a.Times = rapid.SliceOfN(rapid.SampledFrom([]float64{0, 0.5, 3, 70, 71, 1e4, 1e9}), 1, 5).Draw(t, "times")
		slices.Sort(a.Times)
		m.arrivals = append(m.arrivals, a)
	}
	return m
}

// TestForecastOfArrivalsIsSound checks for anything that may be expected that probabilities are some, counts at least as much, quantiles within
// the horizon and ascending, that all rises with the horizon, and that one trace forecast with others is what it is alone.
func TestForecastOfArrivalsIsSound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := drawTold(rt)
		f, err := NewForecaster[int](m, ForecasterOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		if err := f.Observe(1, tpp.Event{}); err != nil {
			rt.Fatal(err)
		}
		opts := ForecastOptions{Quantiles: []float64{0, 0.25, 0.5, 1}, Workers: rapid.IntRange(1, 3).Draw(rt, "workers")}
		last := &Forecast{Marks: make([]MarkForecast, 3)}
		for _, horizon := range []float64{0, 0.25, 60, 1e6, 1e10, math.Inf(1)} {
			one, err := NewForecast(rt.Context(), m.NewState(0), 0, horizon, opts)
			if err != nil {
				rt.Fatal(err)
			}
			all, err := f.ForecastAll(rt.Context(), 0, horizon, opts)
			if err != nil {
				rt.Fatal(err)
			}
			for i := range len(one.Marks) + 1 {
				a, b, before := &one.Any, &all.Any, &last.Any
				if i < len(one.Marks) {
					a, b, before = &one.Marks[i], &all.Marks[i], &last.Marks[i]
				}
				if !(a.Probability >= before.Probability-1e-9 && a.Probability <= 1) || !(a.Count >= a.Probability) || !(a.Count >= before.Count-1e-9) {
					rt.Fatalf("within %v, mark %d: %+v, before %+v", horizon, i, a, before)
				}
				if !ascending(a.When) || len(a.When) > 0 && !(a.When[0] >= 0 && a.When[3] <= horizon && !math.IsInf(a.When[3], 1)) {
					rt.Fatalf("within %v, mark %d: quantiles %v", horizon, i, a.When)
				}
				if math.Abs(a.Probability-b.Probability) > 1e-6 || math.Abs(a.Count-b.Count) > 1e-6 || a.Probability > 1e-6 && (!ascending(b.When) || b.When[3] > horizon) {
					rt.Fatalf("within %v, mark %d: alone %+v, among others %+v", horizon, i, a, b)
				}
			}
			if !(one.Over >= last.Over-1e-9 && one.Over <= 1+1e-9) || math.Abs(one.Over-all.Over) > 1e-6 {
				rt.Fatalf("within %v it is over with probability %v, among others %v, before %v", horizon, one.Over, all.Over, last.Over)
			}
			last = one
		}
		if last.Over < 1-1e-9 {
			rt.Fatalf("in the end it is over with probability %v", last.Over)
		}
	})
}

// ascending reports whether quantiles are, but for rounding.
func ascending(when []float64) bool {
	for i := range when {
		if i > 0 && when[i] < when[i-1]*(1-1e-6) {
			return false
		}
	}
	return true
}

// lowTree returns a race of data/low_tree_small_rand, and the sequences that it has not seen.
func lowTree(t testing.TB) (*race.Race, *tpp.Dataset) {
	t.Helper()
	d, err := dataset.ReadFile("../../data/low_tree_small_rand.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	training, validation, test := d.Split(1)
	m, err := race.Train(t.Context(), race.Config{}, training, validation, race.TrainOptions{Seed: 1, Epochs: 4})
	if err != nil {
		t.Fatal(err)
	}
	return m, test
}

// TestForecastOfARaceAgreesWithItsPaths compares, on average over some beginnings, the forecast of a race with many paths through its network,
// and both with what came.
func TestForecastOfARaceAgreesWithItsPaths(t *testing.T) {
	m, test := lowTree(t)
	const paths = 300
	rng := rand.New(rand.NewPCG(1, 2))
	var difference, count, over [3]float64 // of the forecast, of paths, and of what came
	differ, n := 0.0, 0
	const cases = 40
	for i := range cases {
		s := &test.Sequences[i]
		keep := 1 + rng.IntN(s.Len()-1)
		state := m.NewState(s.Start())
		for j := range keep {
			if err := state.Observe(s.Event(j, nil, nil)); err != nil {
				t.Fatal(err)
			}
		}
		now := s.ArrivalTimes[keep-1]
		horizon := 100 + 1000*rng.Float64()
		own, err := NewForecast(t.Context(), state, now, horizon, ForecastOptions{})
		if err != nil {
			t.Fatal(err)
		}
		drawn, err := NewForecast(t.Context(), state, now, horizon, ForecastOptions{Paths: paths, Seed: uint64(i)})
		if err != nil {
			t.Fatal(err)
		}
		for mark := range own.Marks {
			came := 0.0
			for j := keep; j < s.Len(); j++ {
				if s.Mark(j) == mark && s.ArrivalTimes[j]-now <= horizon {
					came = 1
				}
			}
			if came == 0 && own.Marks[mark].Probability == 0 && drawn.Marks[mark].Probability < 0.02 {
				continue
			}
			differ += math.Abs(own.Marks[mark].Probability - drawn.Marks[mark].Probability)
			for k, o := range []*Forecast{own, drawn} {
				difference[k] += math.Pow(o.Marks[mark].Probability-came, 2)
			}
			n++
		}
		for k, o := range []*Forecast{own, drawn} {
			count[k] += o.Any.Count / cases
			over[k] += o.Over / cases
		}
		for _, at := range s.ArrivalTimes[keep:] {
			if at-now <= horizon {
				count[2] += 1. / cases
			}
		}
		if s.ArrivalTimes[s.Len()-1]-now <= horizon {
			over[2] += 1. / cases
		}
		if math.Abs(own.Any.Probability-drawn.Any.Probability) > 4*math.Sqrt(0.25/paths) {
			t.Errorf("sequence %d: something comes within %v with probability %v, by paths %v", i, horizon, own.Any.Probability, drawn.Any.Probability)
		}
	}
	t.Logf("%d: mean difference %.4f, Brier scores %.4f and %.4f, counts %.3f, %.3f and %.3f, over %.3f, %.3f and %.3f",
		n, differ/float64(n), difference[0]/float64(n), difference[1]/float64(n), count[0], count[1], count[2], over[0], over[1], over[2])
	if n < 100 || differ > 0.06*float64(n) || difference[0] > difference[1]+0.01*float64(n) || math.Abs(count[0]-count[1]) > 0.2 || math.Abs(over[0]-over[1]) > 0.08 {
		t.Error("they do not agree")
	}
}

// TestForecastAllOfARace compares the forecast of many traces with what their own forecasts say, and checks that it depends neither on the number
// of workers nor on a seed.
func TestForecastAllOfARace(t *testing.T) {
	m, test := lowTree(t)
	f := newForecaster(t, m, ForecasterOptions{MaxTraces: 1 << 14})
	rng := rand.New(rand.NewPCG(3, 4))
	const horizon = 300.0
	none := make([]float64, len(m.MarkNames())+1)
	counts := make([]float64, len(none))
	for i := range none {
		none[i] = 1
	}
	now := 5000.0 // when some of the traces have not come to their last event
	over := 0.0
	opts := ForecastOptions{Quantiles: []float64{0.25, 0.5, 1}}
	for i := range 60 {
		s := &test.Sequences[i]
		keep := 1 + rng.IntN(s.Len())
		shift := now - s.ArrivalTimes[keep-1] - 100*rng.Float64() + 20
		last := 0.0
		for j := range keep {
			e := s.Event(j, nil, nil)
			e.Time += shift
			last = e.Time
			if err := f.Observe(string(rune('a'+i)), e); err != nil {
				t.Fatal(err)
			}
		}
		ahead := max(last-now, 0)
		one, err := f.Forecast(t.Context(), string(rune('a'+i)), now, horizon-ahead, opts)
		if err != nil {
			t.Fatal(err)
		}
		for mark := range one.Marks {
			none[mark] *= 1 - one.Marks[mark].Probability
			counts[mark] += one.Marks[mark].Count
		}
		none[len(one.Marks)] *= 1 - one.Any.Probability
		over += one.Over
	}
	opts.Workers = 1
	all, err := f.ForecastAll(t.Context(), now, horizon, opts)
	if err != nil {
		t.Fatal(err)
	}
	for mark := range all.Marks {
		a := all.Marks[mark]
		if math.Abs(a.Probability-(1-none[mark])) > 1e-6 || math.Abs(a.Count-counts[mark]) > 1e-6 {
			t.Errorf("mark %d: %+v, want probability %v and count %v", mark, a, 1-none[mark], counts[mark])
		}
		// The median again: half of what comes has come, but for the grid of times that the merged forecast has, within which it may come at once.
		if a.Probability > 0.01 {
			const grid = 1.011
			within := func(horizon float64) float64 {
				f, err := f.ForecastAll(t.Context(), now, horizon, opts)
				if err != nil {
					t.Fatal(err)
				}
				return f.Marks[mark].Probability
			}
			before, after := within(a.When[1]/grid), within(a.When[1]*grid)
			if before > a.Probability/2+0.01 || after < a.Probability/2-0.01 {
				t.Errorf("mark %d: with probability %v within %v, but within about the median %v with %v to %v", mark, a.Probability, horizon, a.When[1], before, after)
			}
		}
	}
	if math.Abs(all.Any.Probability-(1-none[len(all.Marks)])) > 1e-6 || math.Abs(all.Over-over) > 1e-6 || all.Sequences != 60 {
		t.Errorf("any: %+v, want probability %v; over %v, want %v", all.Any, 1-none[len(all.Marks)], all.Over, over)
	}
	for _, other := range []ForecastOptions{{Workers: 4, Quantiles: opts.Quantiles}, {Workers: 2, Seed: 7, Quantiles: opts.Quantiles}} {
		again, err := f.ForecastAll(t.Context(), now, horizon, other)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again, all) {
			t.Errorf("with %+v it is another one", other)
		}
	}
}

// BenchmarkForecastRace forecasts the rest of a trace of a small tree after its first event, with and without paths, and that of 1000 traces.
func BenchmarkForecastRace(b *testing.B) {
	m, test := lowTree(b)
	s := &test.Sequences[0]
	state := m.NewState(s.Start())
	if err := state.Observe(s.Event(0, nil, nil)); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		paths int
	}{{"arrivals", 0}, {"paths=64", 64}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := NewForecast(b.Context(), state, s.ArrivalTimes[0]+1, 2000, ForecastOptions{Paths: c.paths, Workers: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f := newForecaster(b, m, ForecasterOptions{MaxTraces: 1 << 14})
	for i := range 1000 {
		if err := f.Observe(string(rune(i+1000)), s.Event(0, nil, nil)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("all=1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.ForecastAll(b.Context(), s.ArrivalTimes[0]+1, 2000, ForecastOptions{Workers: 1}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/trace")
	})
}
