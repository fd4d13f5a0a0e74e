package eval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// memoryless expects an event after an exponential time, whatever has happened, or with probability end none, given all that has passed.
// Its states write down what they are told.
type memoryless struct {
	observes bool
	times    bool // are those of starts
	end      float64
	told     *[]string
}

func (memoryless) Kind() string             { return "memoryless" }
func (memoryless) MarkNames() []string      { return []string{"a", "b"} }
func (memoryless) CovariateNames() []string { return nil }
func (m memoryless) ObservesStarts() bool   { return m.observes }
func (m memoryless) TimesAreStarts() bool   { return m.times }
func (m memoryless) KnowsEnd() bool         { return m.end > 0 }
func (m memoryless) NewState(start float64) tpp.State {
	return &memorylessState{m: m, last: start}
}

type memorylessState struct {
	m    memoryless
	last float64
}

func (s *memorylessState) Observe(e tpp.Event) error {
	*s.m.told = append(*s.m.told, fmt.Sprintf("%v: arrival", e.Time))
	s.last = e.Time
	return tpp.CheckEvent(e, s.last, 2)
}

func (s *memorylessState) ObserveStart(time float64, event int, wait, initialisation float64) error {
	*s.m.told = append(*s.m.told, fmt.Sprintf("%v: start of %d after %v, %v of them cold", time, event, wait, initialisation))
	return nil
}

func (s *memorylessState) Next(now float64) *tpp.Next {
	n := &tpp.Next{Time: dist.Exponential{Rate: 0.01}, Marks: []float64{0.75, 0.25}, End: s.m.end}
	return n.Conditional(max(now-s.last, 0))
}

func (s *memorylessState) Arrivals(float64) []tpp.ExpectedArrival { return nil }

func (s *memorylessState) Clone() tpp.State { c := *s; return &c }

// TestStartsAreTold checks when a state is told of starts: in the order of time, before an arrival at the same time, not after the
// end of observation; and that no model is told that does not want to know.
func TestStartsAreTold(t *testing.T) {
	end := 400.0
	s := tpp.Sequence{
		ArrivalTimes: []float64{0, 100, 100, 250}, Marks: []int{0, 1, 0, 1}, TEnd: &end,
		WaitTimes: []float64{100, 60, 0, 500}, InitTimes: []float64{0, 40, 0, 200},
	}
	arrivals := []string{"0: arrival", "100: arrival", "100: arrival", "250: arrival"}
	want := []string{
		arrivals[0], "100: start of 0 after 100, 0 of them cold", arrivals[1], arrivals[2], "100: start of 2 after 0, 0 of them cold",
		"160: start of 1 after 60, 40 of them cold", arrivals[3],
	}
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{s}}
	for _, observes := range []bool{true, false} {
		var told []string
		m := memoryless{observes: observes, told: &told}
		expected := want
		if !observes {
			expected = arrivals
		}
		if _, err := Evaluate(context.Background(), m, d, EvaluateOptions{Workers: 1}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(told, expected) {
			t.Errorf("observes %v: evaluation told %q, want %q", observes, told, expected)
		}
		told = nil
		if _, err := Suspect(m, &s, 1); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(told, expected) {
			t.Errorf("observes %v: suspicion told %q, want %q", observes, told, expected)
		}
		told = nil
		complete := s
		complete.TEnd = nil
		if _, err := CalibrateArrivals(context.Background(), m, &tpp.Dataset{MarkNames: d.MarkNames, Sequences: []tpp.Sequence{complete}}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(told, expected) {
			t.Errorf("observes %v: calibration told %q, want %q", observes, told, expected)
		}
	}
}

// TestTimesOfStarts checks that a model whose times are starts hears of starts alone, and has the scores of the sequences at their starts.
func TestTimesOfStarts(t *testing.T) {
	end := 400.0
	s := tpp.Sequence{
		ArrivalTimes: []float64{0, 100, 100, 250}, Marks: []int{0, 1, 0, 1}, TEnd: &end,
		WaitTimes: []float64{110, 60, 0, 500}, InitTimes: []float64{0, 40, 0, 200},
	}
	complete := s
	complete.TEnd = nil
	var told []string
	m := memoryless{times: true, end: 0.1, told: &told}
	check := func(what string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(told, want) {
			t.Errorf("%s told %q, want %q", what, told, want)
		}
		told = nil
	}
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{s}}
	scores, err := Evaluate(context.Background(), m, d, EvaluateOptions{Workers: 1})
	check("evaluation", err, "100: arrival", "110: arrival", "160: arrival")
	suspicions, err := Suspect(m, &s, 1)
	check("suspicion", err, "100: arrival", "110: arrival", "160: arrival")
	if len(suspicions.Gaps) != 4 {
		t.Errorf("%d gaps", len(suspicions.Gaps))
	}
	_, err = CalibrateArrivals(context.Background(), m, &tpp.Dataset{MarkNames: d.MarkNames, Sequences: []tpp.Sequence{complete}})
	check("calibration", err, "100: arrival", "110: arrival", "160: arrival", "750: arrival")

	at, err := d.AtStarts()
	if err != nil {
		t.Fatal(err)
	}
	want, err := Evaluate(context.Background(), memoryless{end: 0.1, told: &told}, at, EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(scores) != fmt.Sprint(want) {
		t.Errorf("scores %v, want %v", scores, want)
	}
}

// TestStartsThatNobodyKnows checks that a model which has to be told starts is refused on a sequence that does not say them, and that one whose
// times are starts takes its times for them.
func TestStartsThatNobodyKnows(t *testing.T) {
	var told []string
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{{ArrivalTimes: []float64{0, 100}, Marks: []int{0, 1}}}}
	m := memoryless{observes: true, told: &told}
	_, evaluated := Evaluate(context.Background(), m, d, EvaluateOptions{})
	_, suspected := Suspect(m, &d.Sequences[0], 1)
	_, calibrated := CalibrateArrivals(context.Background(), m, d)
	for _, err := range []error{evaluated, suspected, calibrated} {
		if err == nil || !strings.Contains(err.Error(), "no wait times") {
			t.Errorf("%+v: error %v", m, err)
		}
	}
	if len(told) > 0 {
		t.Errorf("told %q", told)
	}
	if _, err := Evaluate(context.Background(), memoryless{times: true, told: &told}, d, EvaluateOptions{}); err != nil || !slices.Equal(told, []string{"0: arrival", "100: arrival"}) {
		t.Errorf("told %q, error %v", told, err)
	}
}

// TestStartsCutGaps checks that a gap that starts cut into parts has the score of the whole where the starts change nothing.
func TestStartsCutGaps(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}}
	for range 30 {
		var s tpp.Sequence
		now := 0.0
		for range 6 {
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, now), append(s.Marks, rng.IntN(2))
			s.WaitTimes = append(s.WaitTimes, math.Floor(100*rng.Float64()))
			now += 2 + math.Floor(200*rng.Float64())
		}
		// A start within the tick of an arrival would cut the tick itself.
		for i, t := range s.ArrivalTimes {
			for _, other := range s.ArrivalTimes {
				if math.Abs(t+s.WaitTimes[i]-other) < 1 {
					s.WaitTimes[i] = 0
				}
			}
		}
		if rng.IntN(2) == 0 {
			s.TEnd = &now
		}
		d.Sequences = append(d.Sequences, s)
	}
	for _, end := range []float64{0, 0.1} {
		var scores []Scores
		var suspicions [][]Suspicion
		for _, observes := range []bool{true, false} {
			var told []string
			m := memoryless{observes: observes, end: end, told: &told}
			s, err := Evaluate(context.Background(), m, d, EvaluateOptions{Workers: 1})
			if err != nil {
				t.Fatal(err)
			}
			scores = append(scores, s)
			var all []Suspicion
			for i := range d.Sequences {
				s, err := Suspect(m, &d.Sequences[i], 1)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s.Gaps...)
			}
			suspicions = append(suspicions, all)
		}
		for name, want := range scores[1].All() {
			switch name {
			case "mae", "rmse", "crps", "otd", "t_map":
				continue // these are better where more is known
			}
			for other, got := range scores[0].All() {
				if name == other && math.Abs(got-want) > 2e-3*(1+math.Abs(want)) {
					t.Errorf("end %v: %s is %v with starts, %v without", end, name, got, want)
				}
			}
		}
		for i, want := range suspicions[1] {
			got := suspicions[0][i]
			if math.Abs(got.Late-want.Late) > 1e-6 || math.Abs(got.Surprise-want.Surprise)-math.Abs(got.Mark-want.Mark) > 1e-6 {
				t.Errorf("end %v: gap %d has %+v with starts, %+v without", end, i, got, want)
			}
		}
	}
}
