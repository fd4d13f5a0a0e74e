package live

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// withIntensity returns small models of all kinds whose next event has a density, and is not discrete as in tables, for three marks.
func withIntensity(t *testing.T) map[string]tpp.Model {
	t.Helper()
	out := map[string]tpp.Model{}
	for i, v := range modeltest.Variants {
		m := modeltest.Random(t, v, uint64(i))
		if dist.HasDensity(m.NewState(0).Next(0).Time) {
			out[v.String()] = m
		}
	}
	for i, m := range modeltest.Races(t) {
		out["race "+string(rune('a'+i))] = m
	}
	for _, kind := range classical.Kinds() {
		m, err := classical.Fit(t.Context(), kind, tpptest.Chains(3, 60), classical.FitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, discrete := m.NewState(0).Next(0).Time.(*dist.Empirical); !discrete {
			out[string(kind)] = m
		}
	}
	return out
}

// TestIntensityIntegrates checks, for models of all kinds, after an event and later, that the integral of the intensity over time is the negative log
// survival, and that the marks have their shares of it.
func TestIntensityIntegrates(t *testing.T) {
	for name, m := range withIntensity(t) {
		state := m.NewState(0)
		for i, at := range []float64{100, 130, 131} {
			e := tpp.Event{Time: at, Mark: i}
			for range m.CovariateNames() {
				e.Covariates = append(e.Covariates, 0)
			}
			if err := state.Observe(e); err != nil {
				t.Fatal(err)
			}
		}
		for _, now := range []float64{131, 140} {
			next := state.Next(now)
			total := func(x float64) float64 {
				sum := 0.0
				for _, v := range next.Intensity(x, nil) {
					sum += v
				}
				return sum
			}
			integral, t0 := 0.0, 0.0
			for t1 := 1e-4; t1 < 300; t1 *= 1.02 {
				integral += quad.Fixed(total, t0, t1, 8, nil, 0)
				t0 = t1
				if want := -next.LogSurvival(t1); math.Abs(integral-want) > 1e-4*want+1e-6 || math.IsNaN(integral) {
					t.Errorf("%s: from %v the intensity until %v adds up to %v, the log survival is −%v", name, now, t1, integral, want)
					break
				}
			}
			marks := next.MarksAt(20, nil)
			for k, v := range next.Intensity(20, nil) {
				if want := marks[k] * total(20); math.Abs(v-want) > 1e-9*want {
					t.Errorf("%s: mark %d has the intensity %v, by its share %v", name, k, v, want)
				}
			}
		}
	}
}

// TestIntensityOfHawkes checks the intensities along a sequence against their closed form, kernel by kernel, and the compensator against its.
func TestIntensityOfHawkes(t *testing.T) {
	base, branching := []float64{0.2, 0.1}, [][]float64{{0.3, 0.4}, {0.2, 0.1}}
	decay := [][]float64{{2, 1}, {3, 0.5}}
	m, err := classical.NewHawkes(classical.HawkesParameters{Base: base, Branching: branching, Decay: decay}, classical.ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := Simulate(t.Context(), m, 1, SimulateOptions{Start: 5, Window: 40, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := &drawn[0]
	points, err := Intensity(t.Context(), m, s, IntensityOptions{Points: 101})
	if err != nil {
		t.Fatal(err)
	}
	// Before and after each event, at the ends, and the grid between them.
	if want := 101 + 2*s.Len(); s.Len() < 5 || len(points) != want {
		t.Fatalf("%d points of %d events, want %d", len(points), s.Len(), want)
	}
	if first, last := points[0], points[len(points)-1]; first.Time != 5 || first.Events != 0 || last.Time != 45 || last.Events != s.Len() {
		t.Errorf("from %+v to %+v", first, last)
	}
	for i, p := range points {
		if i > 0 && (p.Time < points[i-1].Time || p.Events < points[i-1].Events || p.Compensator < points[i-1].Compensator) {
			t.Errorf("point %d, %+v, is before %+v", i, p, points[i-1])
		}
		total, compensator := 0.0, 0.0
		for mark, mu := range base {
			want := mu
			compensator += mu * (p.Time - 5)
			for j, at := range s.ArrivalTimes[:p.Events] {
				eta, beta := branching[s.Marks[j]][mark], decay[s.Marks[j]][mark]
				want += eta * beta * math.Exp(-beta*(p.Time-at))
				compensator -= eta * math.Expm1(-beta*(p.Time-at))
			}
			if math.Abs(p.Marks[mark]-want) > 1e-6*want {
				t.Errorf("mark %d has the intensity %v at %v, by its kernels %v", mark, p.Marks[mark], p.Time, want)
			}
			total += want
		}
		if math.Abs(p.Total-total) > 1e-6*total || math.Abs(p.Compensator-compensator) > 1e-6*compensator+1e-9 {
			t.Errorf("at %v the total is %v, want %v, the compensator %v, want %v", p.Time, p.Total, total, p.Compensator, compensator)
		}
	}
}

// TestIntensityKnowsTheStarts checks that a model which observes starts is told of them on the way: the intensity changes where an event starts.
func TestIntensityKnowsTheStarts(t *testing.T) {
	d := tpptest.Calls(5, 60)
	m := modeltest.Race(t, race.Config{Regime: race.Starts}, d)
	for i := range d.Sequences[:20] {
		s := &d.Sequences[i]
		points, err := Intensity(t.Context(), m, s, IntensityOptions{Points: 50})
		if err != nil {
			t.Fatal(err)
		}
		// As one who is told of everything until a time sees it.
		p := points[len(points)*2/3]
		state, told := m.NewState(s.Start()), 0.0
		var moments []func()
		at := func(time float64, do func()) {
			if time <= p.Time {
				moments, told = append(moments, do), max(told, time)
			}
		}
		order := eventsAndStarts(s)
		for _, e := range order {
			if e.start {
				at(e.time, func() {
					init := s.InitTimes[e.event]
					if err := state.(tpp.StartedState).ObserveStart(e.time, e.event, s.WaitTimes[e.event], init); err != nil {
						t.Fatal(err)
					}
				})
			} else if e.event < p.Events {
				at(e.time, func() {
					if err := state.Observe(s.Event(e.event, m.CovariateNames(), nil)); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
		for _, do := range moments {
			do()
		}
		if told == p.Time {
			continue // which of the two sides it is, is for other tests
		}
		want := state.Next(told).Intensity(p.Time-told, nil)
		for k, v := range p.Marks {
			if math.Abs(v-want[k]) > 1e-9*(1+want[k]) {
				t.Errorf("sequence %d: mark %d has the intensity %v at %v, want %v", i, k, v, p.Time, want[k])
			}
		}
	}
}

// eventOrStart is the arrival of an event, or its start.
type eventOrStart struct {
	time  float64
	event int
	start bool
}

// eventsAndStarts returns both in the order of time, starts first.
func eventsAndStarts(s *tpp.Sequence) []eventOrStart {
	var out []eventOrStart
	insert := func(e eventOrStart) {
		i := len(out)
		for i > 0 && (out[i-1].time > e.time || out[i-1].time == e.time && e.start && !out[i-1].start && out[i-1].event != e.event) {
			i--
		}
		out = append(out, eventOrStart{})
		copy(out[i+1:], out[i:])
		out[i] = e
	}
	for i, at := range s.ArrivalTimes {
		insert(eventOrStart{at, i, false})
	}
	for i, at := range s.ArrivalTimes {
		insert(eventOrStart{at + s.WaitTimes[i], i, true})
	}
	return out
}

// TestIntensityOfWindows checks the ends of the walk: windows without events, sequences whose first event is given, and equal times.
func TestIntensityOfWindows(t *testing.T) {
	m, err := classical.NewPoisson([]float64{0.25}, classical.ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		s           tpp.Sequence
		points      int
		compensator float64
	}{
		"window without events": {tpp.Sequence{TStart: new(0.0), TEnd: new(8.0)}, 3, 2},
		"first event given":     {tpp.Sequence{ArrivalTimes: []float64{0, 8}}, 3 + 1, 2}, // the last event has no side after it but the end
		"equal times":           {tpp.Sequence{ArrivalTimes: []float64{1, 1}, TEnd: new(9.0)}, 1 + 3, 2},
		"one event":             {tpp.Sequence{ArrivalTimes: []float64{1}}, 1, 0},
	} {
		points, err := Intensity(t.Context(), m, &c.s, IntensityOptions{Points: 3})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		last := points[len(points)-1]
		if len(points) != c.points || math.Abs(last.Compensator-c.compensator) > 1e-6 || math.Abs(last.Total-0.25) > 1e-6 || last.Events != c.s.Len() {
			t.Errorf("%s: %d points, the last is %+v", name, len(points), last)
		}
	}
}

// TestIntensityRefuses checks that what has no intensity is an error.
func TestIntensityRefuses(t *testing.T) {
	s := &tpp.Sequence{ArrivalTimes: []float64{0, 8}}
	m, err := classical.NewPoisson([]float64{1}, classical.ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for want, err := range map[string]error{
		"no model":                    second(Intensity(t.Context(), nil, s, IntensityOptions{})),
		"no sequence":                 second(Intensity(t.Context(), m, nil, IntensityOptions{})),
		"1 points":                    second(Intensity(t.Context(), m, s, IntensityOptions{Points: 1})),
		"not in the mapping":          second(Intensity(t.Context(), m, &tpp.Sequence{ArrivalTimes: []float64{1}, Marks: []int{1}}, IntensityOptions{})),
		context.Canceled.Error():      second(Intensity(done, m, s, IntensityOptions{})),
		"predicts a single time":      second(Intensity(t.Context(), pointModel(t), &tpp.Sequence{ArrivalTimes: []float64{0, 8}, Marks: []int{0, 1}}, IntensityOptions{})),
		"impossible that nothing com": second(Intensity(t.Context(), clock{}, s, IntensityOptions{})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := Intensity(done, m, s, IntensityOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v from a context that was done", err)
	}
}

func second[T any](_ T, err error) error { return err }

// pointModel returns a model that predicts single times.
func pointModel(t *testing.T) tpp.Model {
	t.Helper()
	for i, v := range modeltest.Variants {
		if m := modeltest.Random(t, v, uint64(i)); !dist.HasDensity(m.NewState(0).Next(0).Time) {
			return m
		}
	}
	t.Fatal("no variant predicts single times")
	return nil
}

// clock is a model whose next event comes within one unit of time, uniformly.
type clock struct{}

func (clock) Kind() string               { return "clock" }
func (clock) MarkNames() []string        { return nil }
func (clock) CovariateNames() []string   { return nil }
func (clock) NewState(float64) tpp.State { return clock{} }
func (clock) Observe(tpp.Event) error    { return nil }
func (clock) Clone() tpp.State           { return clock{} }
func (clock) Next(float64) *tpp.Next     { return &tpp.Next{Time: uniformTime{}, Marks: []float64{1}} }

// uniformTime is uniform on [0, 1].
type uniformTime struct{}

func (uniformTime) LogProb(t float64) float64 {
	if t < 0 || t > 1 {
		return math.Inf(-1)
	}
	return 0
}
func (uniformTime) CDF(t float64) float64           { return min(max(t, 0), 1) }
func (u uniformTime) LogSurvival(t float64) float64 { return math.Log1p(-u.CDF(t)) }
func (uniformTime) Quantile(p float64) float64      { return p }

// TestIntensityOfTies checks that the compensator of a table, by which gaps are 0 with some probability, is the negative sum of the log survivals of all
// gaps, those of 0 among them, and never falls.
func TestIntensityOfTies(t *testing.T) {
	s := tpp.Sequence{ArrivalTimes: []float64{5, 5, 7, 7, 7, 12}}
	m, err := classical.FitLookup(t.Context(), classical.LastMark, &tpp.Dataset{Sequences: []tpp.Sequence{s}}, classical.FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want, state := 0.0, m.NewState(5)
	for i, at := range s.ArrivalTimes {
		if i > 0 {
			want -= state.Next(s.ArrivalTimes[i-1]).LogSurvival(at - s.ArrivalTimes[i-1])
		}
		if err := state.Observe(tpp.Event{Time: at}); err != nil {
			t.Fatal(err)
		}
	}
	points, err := Intensity(t.Context(), m, &s, IntensityOptions{Points: 8})
	if err != nil {
		t.Fatal(err)
	}
	before := 0.0
	for _, p := range points {
		if p.Compensator < before {
			t.Errorf("the compensator falls from %v to %v at %v", before, p.Compensator, p.Time)
		}
		if before = p.Compensator; p.Events == s.Len()-1 && p.Time == 12 && math.Abs(p.Compensator-want) > 1e-9 {
			t.Errorf("the compensator before the last event is %v, want %v", p.Compensator, want)
		}
	}
}
