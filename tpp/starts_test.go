package tpp_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

func at(t float64) *float64 { return &t }

func TestAtStarts(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     tpp.Sequence
		want  tpp.Sequence
		error string
	}{
		{
			name: "in another order, with everything that an event has",
			s: tpp.Sequence{
				ArrivalTimes: []float64{0, 10, 20}, Marks: []int{0, 1, 2}, WaitTimes: []float64{5, 50, 3}, InitTimes: []float64{4, 0, 2},
				Parents: []int{-1, 0, 1}, Covariates: map[string][]float64{"x": {7, 8, 9}}, TStart: at(-1), TEnd: at(60),
			},
			want: tpp.Sequence{
				ArrivalTimes: []float64{5, 23, 60}, Marks: []int{0, 2, 1}, InitTimes: []float64{4, 2, 0},
				Parents: []int{-1, 2, 0}, Covariates: map[string][]float64{"x": {7, 9, 8}}, TStart: at(-1), TEnd: at(60),
			},
		},
		{
			name: "equal starts stay in the order of arrivals",
			s:    tpp.Sequence{ArrivalTimes: []float64{0, 10, 10, 20}, Marks: []int{0, 1, 2, 3}, WaitTimes: []float64{20, 10, 5, 0}},
			want: tpp.Sequence{ArrivalTimes: []float64{15, 20, 20, 20}, Marks: []int{2, 0, 1, 3}},
		},
		{
			name: "what starts after the end is not there, nor is it a parent",
			s:    tpp.Sequence{ArrivalTimes: []float64{0, 10, 20}, WaitTimes: []float64{5, 91, 0}, Parents: []int{-1, 0, 1}, TEnd: at(100)},
			want: tpp.Sequence{ArrivalTimes: []float64{5, 20}, Parents: []int{-1, -1}, TEnd: at(100)},
		},
		{
			name: "nothing is left of the window",
			s:    tpp.Sequence{ArrivalTimes: []float64{7}, Marks: []int{0}, WaitTimes: []float64{9}, TStart: at(2), TEnd: at(8)},
			want: tpp.Sequence{ArrivalTimes: []float64{}, Marks: []int{}, TStart: at(2), TEnd: at(8)},
		},
		{
			name: "nothing is left, and nobody knows since when that was watched",
			s:    tpp.Sequence{ArrivalTimes: []float64{7}, WaitTimes: []float64{9}, TEnd: at(8)},
			want: tpp.Sequence{ArrivalTimes: []float64{}, TStart: at(8), TEnd: at(8)},
		},
		{
			name: "a window in which nothing came needs no waits",
			s:    tpp.Sequence{TStart: at(1), TEnd: at(2)},
			want: tpp.Sequence{ArrivalTimes: []float64{}, TStart: at(1), TEnd: at(2)},
		},
		{name: "no waits", s: tpp.Sequence{ArrivalTimes: []float64{7}}, error: "no wait times"},
		{name: "too few waits", s: tpp.Sequence{ArrivalTimes: []float64{7, 8}, WaitTimes: []float64{1}}, error: "2 arrival_times but 1 wait_times"},
		{name: "a start beyond all numbers", s: tpp.Sequence{ArrivalTimes: []float64{1e308}, WaitTimes: []float64{1e308}}, error: "is +Inf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.s.AtStarts()
			if c.error != "" {
				if err == nil || !strings.Contains(err.Error(), c.error) {
					t.Fatalf("got error %v", err)
				}
				_, err = (&tpp.Dataset{Sequences: []tpp.Sequence{{TStart: at(1), TEnd: at(2)}, c.s}}).AtStarts()
				if err == nil || !strings.HasPrefix(err.Error(), "sequence 1: ") {
					t.Errorf("of the dataset: error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	if _, err := (*tpp.Dataset)(nil).AtStarts(); err == nil {
		t.Error("no dataset is no error")
	}
}

// drawnSequence returns any valid sequence with waits, whose covariate id tells events apart.
func drawnSequence(t *rapid.T) tpp.Sequence {
	n := rapid.IntRange(1, 12).Draw(t, "events")
	duration := rapid.Map(rapid.IntRange(0, 30), func(i int) float64 { return float64(i) })
	s := tpp.Sequence{Covariates: map[string][]float64{}}
	now := 100.0
	for i := range n {
		now += duration.Draw(t, "gap")
		s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, now), append(s.Marks, rapid.IntRange(0, 2).Draw(t, "mark"))
		s.WaitTimes, s.InitTimes = append(s.WaitTimes, duration.Draw(t, "wait")), append(s.InitTimes, duration.Draw(t, "init"))
		s.Covariates["id"] = append(s.Covariates["id"], float64(i))
		p := rapid.IntRange(-1, n-1).Draw(t, "parent")
		if p == i {
			p = -1
		}
		s.Parents = append(s.Parents, p)
	}
	if rapid.Bool().Draw(t, "begun") {
		s.TStart = at(90)
	}
	if rapid.Bool().Draw(t, "open") {
		s.TEnd = at(now + duration.Draw(t, "after"))
	}
	return s
}

// TestAtStartsProperties checks that every event that has started is there once, at its start and with what belongs to it; and that the input
// is unchanged.
func TestAtStartsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawnSequence(t)
		before := fmt.Sprintf("%+v", s)
		got, err := s.AtStarts()
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%+v", s) != before {
			t.Fatal("the sequence has changed")
		}
		if err := got.Validate(3); err != nil {
			t.Fatal(err)
		}
		var expected []int
		for i := range s.Len() {
			if s.TEnd == nil || s.ArrivalTimes[i]+s.WaitTimes[i] <= *s.TEnd {
				expected = append(expected, i)
			}
		}
		ids := make([]int, got.Len())
		for j := range ids {
			i := int(got.Covariates["id"][j])
			ids[j] = i
			if got.ArrivalTimes[j] != s.ArrivalTimes[i]+s.WaitTimes[i] || got.Mark(j) != s.Mark(i) || got.InitTimes[j] != s.InitTimes[i] {
				t.Fatalf("event %d of %+v is event %d of %+v", j, got, i, s)
			}
		}
		for j, i := range ids {
			parent := -1
			if p := s.Parents[i]; p >= 0 {
				parent = slices.Index(ids, p)
			}
			if got.Parents[j] != parent {
				t.Fatalf("event %d has the parent %d, want %d", j, got.Parents[j], parent)
			}
			if j > 0 && got.ArrivalTimes[j] == got.ArrivalTimes[j-1] && i < ids[j-1] {
				t.Fatalf("events %d and %d start together and have changed places", i, ids[j-1])
			}
		}
		if slices.Sort(ids); !slices.Equal(ids, expected) {
			t.Fatalf("events %v, want %v", ids, expected)
		}
	})
}

// TestAtStartsForgetsArrivals checks that sequences with the same starts, but other arrivals, are the same at their starts.
func TestAtStartsForgetsArrivals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawnSequence(t)
		s.TStart, s.TEnd = at(0), nil
		other := tpptest.OtherArrivals(s, func(most float64) float64 { return math.Floor(most * rapid.Float64Range(0, 1).Draw(t, "wait")) })
		a, errA := s.AtStarts()
		b, errB := other.AtStarts()
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		// Ties may change places: everything else must not.
		if !slices.Equal(a.ArrivalTimes, b.ArrivalTimes) || !slices.Equal(byID(a), byID(b)) {
			t.Fatalf("%+v is at its starts %+v, but %+v is %+v", s, a, other, b)
		}
	})
}

// byID returns what the events are, in the order of their ids.
func byID(s tpp.Sequence) []string {
	out := make([]string, s.Len())
	for i := range out {
		parent := -1.0
		if p := s.Parents[i]; p >= 0 {
			parent = s.Covariates["id"][p]
		}
		out[i] = fmt.Sprint(s.Covariates["id"][i], s.ArrivalTimes[i], s.Mark(i), s.InitTimes[i], parent)
	}
	slices.Sort(out)
	return out
}
