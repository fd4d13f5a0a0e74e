package eval

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

func TestDistanceByHand(t *testing.T) {
	at := func(pairs ...float64) (events []tpp.Event) {
		for i := 0; i < len(pairs); i += 2 {
			events = append(events, tpp.Event{Time: pairs[i], Mark: int(pairs[i+1])})
		}
		return events
	}
	for _, c := range []struct {
		name string
		a, b []tpp.Event
		edit float64
		want float64
	}{
		{"nothing and nothing", nil, nil, 10, 0},
		{"one event too many", at(1, 0), nil, 10, 10},
		{"moved", at(1, 0, 5, 0), at(2, 0, 8, 0), 10, 4},
		{"too far to move", at(1, 0), at(100, 0), 10, 20},
		{"exactly as far", at(0, 0), at(20, 0), 10, 20},
		{"another mark", at(1, 0), at(1, 1), 10, 20},
		{"one left over", at(1, 0, 5, 0), at(4, 0), 10, 11},
		{"marks apart", at(1, 0, 2, 1, 3, 0), at(1, 1, 2, 0, 4, 0), 10, 1 + 1 + 1},
		{"edits are free", at(1, 0), at(100, 1), 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Distance(c.a, c.b, c.edit); got != c.want {
				t.Errorf("distance is %v, want %v", got, c.want)
			}
			if got := Distance(c.b, c.a, c.edit); got != c.want {
				t.Errorf("the other way it is %v, want %v", got, c.want)
			}
		})
	}
}

// bruteDistance tries all matchings of events of equal marks.
func bruteDistance(a, b []tpp.Event, edit float64) float64 {
	if len(a) == 0 {
		return edit * float64(len(b))
	}
	best := edit + bruteDistance(a[1:], b, edit)
	for j, y := range b {
		if y.Mark == a[0].Mark {
			rest := append(append([]tpp.Event{}, b[:j]...), b[j+1:]...)
			best = min(best, math.Abs(a[0].Time-y.Time)+bruteDistance(a[1:], rest, edit))
		}
	}
	return best
}

func drawEvents(t *rapid.T, label string) []tpp.Event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) tpp.Event {
		return tpp.Event{Time: float64(rapid.IntRange(0, 40).Draw(t, "time")), Mark: rapid.IntRange(0, 2).Draw(t, "mark")}
	}), 0, 6).Draw(t, label)
}

func TestDistanceIsTheLeastOfAllMatchings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawEvents(t, "a"), drawEvents(t, "b")
		edit := float64(rapid.IntRange(0, 20).Draw(t, "edit"))
		if got, want := Distance(a, b, edit), bruteDistance(a, b, edit); got != want {
			t.Errorf("distance of %v and %v at %v is %v, the best of all matchings %v", a, b, edit, got, want)
		}
	})
}

func TestDistanceIsAMetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawEvents(t, "a"), drawEvents(t, "b"), drawEvents(t, "c")
		ab, bc, ac := Distance(a, b, 7), Distance(b, c, 7), Distance(a, c, 7)
		if ac > ab+bc || ab != Distance(b, a, 7) || Distance(a, a, 7) != 0 {
			t.Errorf("%v, %v, %v: %v to %v to %v", a, b, c, ab, bc, ac)
		}
	})
}

// ending is a model for tests: gaps of exactly 10 to marks that go round, until the end after three events.
type ending struct{ events int }

func (*ending) Kind() string               { return "ending" }
func (*ending) MarkNames() []string        { return []string{"a", "b"} }
func (*ending) CovariateNames() []string   { return []string{"load"} }
func (*ending) NewState(float64) tpp.State { return &ending{} }
func (e *ending) Observe(tpp.Event) error  { e.events++; return nil }
func (e *ending) Clone() tpp.State         { c := *e; return &c }
func (e *ending) Next(float64) *tpp.Next {
	n := &tpp.Next{Time: dist.Point{Value: 10}, Marks: []float64{0, 0}, End: 0.25}
	n.Marks[e.events%2] = 1
	if e.events >= 3 {
		n.End = 0.75
	}
	return n
}

func TestOTDOfForecasts(t *testing.T) {
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{
		{ArrivalTimes: []float64{0, 10, 23}, Marks: []int{0, 1, 0}},
		// Of an unfinished sequence only the first event is followed by two that are known.
		{ArrivalTimes: []float64{0, 10, 20}, Marks: []int{0, 1, 1}, TEnd: new(500.0)},
	}}
	got, err := Evaluate(t.Context(), &ending{}, d, EvaluateOptions{Forecasts: ForecastOptions{NextEvents: 2, EditCost: 4}})
	if err != nil {
		t.Fatal(err)
	}
	// After 0: b at 10 and a at 20 for b at 10 and a at 23: 3. After 10: a at 20 for a at 23: 3. After 23: nothing. In the
	// second sequence, after 0: a at 20 for b at 20: 8.
	if want := (3 + 3 + 0 + 8) / 4.; got.OTD != want {
		t.Errorf("OTD is %v, want %v", got.OTD, want)
	}
	// A point has no likelihood of the time, but a CRPS, its absolute error.
	if !math.IsNaN(got.NLLTime) || !math.IsNaN(got.NLL) || !math.IsNaN(got.KS) || !math.IsNaN(got.Coverage90) || got.CRPS != got.MAE {
		t.Errorf("scores of a single time are %+v", got)
	}
	// Five decisions to go on at 1/4, of which the ones after three events did not come; one end foreseen with 3/4.
	if want := -(4*math.Log(0.75) + math.Log(0.75)) / 5; !tpptest.Near(got.NLLEnd, want, 1e-12) {
		t.Errorf("NLL of the end is %v, want %v", got.NLLEnd, want)
	}
	if _, err := Evaluate(t.Context(), &ending{}, d, EvaluateOptions{Forecasts: ForecastOptions{NextEvents: 2}}); err == nil {
		t.Error("a forecast was scored at no cost of edits")
	}
}
