package race

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// withOtherFuture returns the sequence with all that is known only at the time t or later changed: arrivals, marks, covariates, waits and
// initialisations of events from t on, the waits and initialisations of earlier events that start at t or later, and whether it ends.
func withOtherFuture(rng *rand.Rand, s *tpp.Sequence, t float64, marks int) *tpp.Sequence {
	c := &tpp.Sequence{TStart: s.TStart, Covariates: map[string][]float64{}}
	for i, at := range s.ArrivalTimes {
		wait, initialisation, x, mark := s.WaitTimes[i], s.InitTimes[i], s.Covariates["x"][i], s.Marks[i]
		if at+wait >= t {
			wait, initialisation = max(t-at, 0)+math.Floor(100*rng.Float64()), math.Floor(50*rng.Float64())
		}
		if at >= t {
			last := t
			if i > 0 {
				last = max(t, c.ArrivalTimes[i-1])
			}
			at, mark, x = last+math.Floor(300*rng.Float64()), rng.IntN(marks), rng.NormFloat64()
		}
		c.ArrivalTimes, c.Marks = append(c.ArrivalTimes, at), append(c.Marks, mark)
		c.WaitTimes, c.InitTimes = append(c.WaitTimes, wait), append(c.InitTimes, initialisation)
		c.Covariates["x"] = append(c.Covariates["x"], x)
	}
	if rng.IntN(2) == 0 {
		c.TEnd = new(float64)
		*c.TEnd = max(t, c.ArrivalTimes[len(c.ArrivalTimes)-1]) + float64(rng.IntN(500))
	}
	return c
}

// TestFutureChangesNoInput checks that the inputs of training before a time do not depend on anything that is known only later, so that no
// score can come from the future.
func TestFutureChangesNoInput(t *testing.T) {
	compared := 0
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 9))
		regime := []Regime{Arrivals, Starts}[seed%2]
		w := worldOf(rng, Config{Regime: regime, Ancestors: int(seed / 2 % 3)}, 3, someBegun)
		m := w.model
		for i := range w.data.Sequences {
			s := &w.data.Sequences[i]
			steps := stepsOf(s, regime, nil)
			cut := steps[rng.IntN(len(steps))].time + float64(rng.IntN(2))
			other := withOtherFuture(rng, s, cut, m.numMarks)
			before := 0 // steps of the examples, with the beginning
			if s.TStart != nil && *s.TStart < cut {
				before++
			}
			for _, step := range steps {
				if step.time < cut {
					before++
				}
			}
			a, errA := newExample[float32](m.encoder, m.background, s)
			b, errB := newExample[float32](m.encoder, m.background, other)
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			n := before * m.encoder.stepColumns
			if !slices.Equal(a.values[:n], b.values[:n]) {
				t.Fatalf("seed %d, sequence %d: what comes from %v on changes the inputs of the %d steps before", seed, i, cut, before)
			}
			if before == 0 {
				continue
			}
			compared++
			rows := int(a.start[before])
			if !slices.Equal(a.start[:before+1], b.start[:before+1]) || !slices.Equal(a.feats[:rows*m.encoder.rowColumns], b.feats[:rows*m.encoder.rowColumns]) {
				t.Fatalf("seed %d, sequence %d: what comes from %v on changes the rows of the %d steps before", seed, i, cut, before)
			}
			for r := range rows {
				x, y := a.rows[r], b.rows[r]
				if x.class != y.class || x.first != y.first || x.skipped != y.skipped || x.elapsed != y.elapsed {
					t.Fatalf("seed %d, sequence %d: what comes from %v on changes row %d before, %+v, to %+v", seed, i, cut, r, x, y)
				}
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d sequences had anything before the change", compared)
	}
}

// predictions returns what a state said after each step before a time, and half a tick later.
func predictions(t *testing.T, m *Race, s *tpp.Sequence, before float64) []float64 {
	var out []float64
	follow(t, m, s, func(st *state, _ *step) {
		if st.last >= before || st.events == 0 && s.TStart == nil {
			return
		}
		for _, now := range []float64{st.last, st.last + 0.5} {
			n := st.Next(now)
			out = append(append(out, n.End, n.Median(), n.Time.Quantile(0.9), n.LogSurvival(100)), n.Marks...)
		}
	})
	return out
}

// TestFutureChangesNoPrediction checks the same of the predictions of a state, bit by bit.
func TestFutureChangesNoPrediction(t *testing.T) {
	compared := 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 10))
		regime := []Regime{Arrivals, Starts}[seed%2]
		w := worldOf(rng, Config{Regime: regime, Ancestors: int(seed / 2 % 3)}, 3, allBegun+int(seed/2%2))
		m := w.model
		for i := range w.data.Sequences {
			s := &w.data.Sequences[i]
			steps := stepsOf(s, regime, nil)
			cut := steps[rng.IntN(len(steps))].time + float64(rng.IntN(2))
			want := predictions(t, m, s, cut)
			got := predictions(t, m, withOtherFuture(rng, s, cut, m.numMarks), cut)
			compared += len(want)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, sequence %d: what comes from %v on changes predictions before: %v, were %v", seed, i, cut, got, want)
			}
		}
	}
	if compared < 1000 {
		t.Errorf("only %d numbers compared", compared)
	}
}

// TestEvaluationTellsStarts compares the score of package eval with the log likelihood of predictions that are told of starts, and checks
// that it is not that without.
func TestEvaluationTellsStarts(t *testing.T) {
	w := randomWorld(rand.New(rand.NewPCG(3, 11)), Starts, 12, allBegun)
	m := w.model
	events, sum, silent := 0, 0.0, 0.0
	for i := range w.data.Sequences {
		s := &w.data.Sequences[i]
		quiet := 0.0
		follow(t, m, s, func(st *state, step *step) {
			if step == nil {
				return
			}
			next, gap := st.Next(st.last), step.time-st.last
			if step.started {
				quiet += next.Time.LogSurvival(gap)
				return
			}
			sum += quiet + next.LogResolution(gap, 1, s.Mark(step.event))
			events, quiet = events+1, 0
		})
		state := m.NewState(s.Start())
		last := s.Start()
		for j := range s.Len() {
			silent += state.Next(last).LogResolution(s.ArrivalTimes[j]-last, 1, s.Mark(j))
			last = s.ArrivalTimes[j]
			if err := state.Observe(s.Event(j, m.CovariateNames(), nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	scores, err := eval.Evaluate(context.Background(), m, w.data, eval.EvaluateOptions{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	if want := -sum / float64(events); !near(scores.NLLResolution, want, 1e-9, 0) {
		t.Errorf("score %v, want %v", scores.NLLResolution, want)
	}
	if near(sum, silent, 1e-3, 0) {
		t.Errorf("starts do not matter: %v, without %v", sum, silent)
	}
}

// TestObserveStartChecks checks what ObserveStart refuses, and that it then changes nothing.
func TestObserveStartChecks(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 11))
	for _, regime := range []Regime{Arrivals, Starts} {
		m := randomWorld(rng, regime, 3, noneBegun).model
		s := m.NewState(0).(*state)
		for i := range 3 * maxRecent {
			if err := s.Observe(tpp.Event{Time: 10 + float64(i), Mark: i % m.numMarks, Covariates: []float64{0}}); err != nil {
				t.Fatal(err)
			}
		}
		last := s.last
		before := slices.Clone(s.hidden)
		for _, c := range []struct {
			time                 float64
			event                int
			wait, initialisation float64
			refused, changes     bool
		}{
			{last - 1, 3*maxRecent - 1, 0, 0, true, false}, {math.NaN(), 3*maxRecent - 1, 0, 0, true, false},
			{math.Inf(1), 3*maxRecent - 1, 0, 0, true, false},
			{last, 3 * maxRecent, 0, 0, true, false}, {last, -1, 0, 0, true, false},
			{last, 3*maxRecent - 1, -1, 0, true, false}, {last, 3*maxRecent - 1, 1, math.NaN(), true, false},
			{last, 2*maxRecent - 1, 1, 1, false, false}, // too long ago
			{last, 2 * maxRecent, 1, 1, false, true},
			{last, 3*maxRecent - 1, 1, 1, false, true},
		} {
			err := s.ObserveStart(c.time, c.event, c.wait, c.initialisation)
			if regime == Arrivals {
				c.refused, c.changes = false, false
			}
			if (err != nil) != c.refused {
				t.Errorf("%s: %+v: error %v", regime, c, err)
			}
			if changed := !slices.Equal(before, s.hidden); changed != c.changes {
				t.Errorf("%s: %+v: changed %v", regime, c, changed)
			}
			before = append(before[:0], s.hidden...)
		}
	}
}

// TestCopiesOfStates checks that a copy predicts the same, also after starts of events from before the copy.
func TestCopiesOfStates(t *testing.T) {
	w := randomWorld(rand.New(rand.NewPCG(5, 11)), Starts, 3, allBegun)
	a := w.model.NewState(0).(*state)
	for i := range 5 {
		if err := a.Observe(tpp.Event{Time: float64(i * 20), Mark: i % w.model.numMarks, Covariates: []float64{1}}); err != nil {
			t.Fatal(err)
		}
	}
	b := a.Clone().(*state)
	for _, s := range []*state{a, b} {
		if err := s.ObserveStart(100, 1, 80, 20); err != nil {
			t.Fatal(err)
		}
	}
	x := slices.Clone(a.Next(110).Marks)
	if !slices.Equal(x, b.Next(110).Marks) || a.Next(110).Median() != b.Next(110).Median() {
		t.Error("the copy predicts something else")
	}
}

// TestStepsOf checks the order of arrivals and starts, and that what starts after the end of observation is not among them.
func TestStepsOf(t *testing.T) {
	end := 160.0
	s := &tpp.Sequence{ArrivalTimes: []float64{0, 100, 100, 150}, WaitTimes: []float64{100, 60, 0, 500}, TEnd: &end}
	want := []step{{0, 0, false}, {100, 0, true}, {100, 1, false}, {100, 2, false}, {100, 2, true}, {150, 3, false}, {160, 1, true}}
	if got := stepsOf(s, Starts, nil); !slices.Equal(got, want) {
		t.Errorf("steps %v, want %v", got, want)
	}
	end = 159
	if got := stepsOf(s, Starts, nil); !slices.Equal(got, want[:6]) {
		t.Errorf("until %v: steps %v, want %v", end, got, want[:6])
	}
	if got := stepsOf(s, Arrivals, nil); len(got) != 4 {
		t.Errorf("without starts: steps %v", got)
	}
}
