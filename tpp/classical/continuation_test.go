package classical

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// continued returns what a state expects after now, as text.
func continued(s tpp.State, now float64) string {
	var events []string
	for e := range s.(tpp.ContinuingState).Continue(now) {
		events = append(events, fmt.Sprintf("%d at %.4g with %.3g", e.Mark, e.Time, e.Probability))
	}
	return strings.Join(events, ", ")
}

// observed returns the state after events of the marks, each at 100 times its index.
func observed(t *testing.T, m tpp.Model, marks ...int) tpp.State {
	t.Helper()
	s := m.NewState(0)
	for i, mark := range marks {
		if err := s.Observe(tpp.Event{Time: 100 * float64(i), Mark: mark}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// calls are sequences that begin with mark 0, then 1 and 2 in any order, and 2 again in two of three; the one that is still
// running does not count.
func calls() *tpp.Dataset {
	return &tpp.Dataset{MarkNames: []string{"a", "b", "c", "d"}, Sequences: []tpp.Sequence{
		{ArrivalTimes: []float64{0, 10, 20, 50}, Marks: []int{0, 1, 2, 2}},
		{ArrivalTimes: []float64{0, 12, 24, 60}, Marks: []int{0, 2, 1, 2}},
		{ArrivalTimes: []float64{100, 114, 130}, Marks: []int{0, 1, 2}},
		{ArrivalTimes: []float64{0, 1, 2}, Marks: []int{0, 0, 0}, TEnd: new(500.0)},
	}}
}

func TestContinuationByHand(t *testing.T) {
	m, err := FitContinuation(t.Context(), calls(), FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		marks []int
		now   float64
		want  string
	}{
		// Mark 1 comes after 10, 24 and 14, mark 2 after 20, 12 and 30, and again after 50 and 60.
		{[]int{0}, 0, "1 at 14 with 1, 2 at 20 with 1, 2 at 55 with 0.667"},
		{[]int{0}, 30, "1 at 30 with 1, 2 at 30 with 1, 2 at 55 with 0.667"},
		// After 0, 1: mark 2 after 10 and 16, then in one of two after 40.
		{[]int{0, 1}, 100, "2 at 113 with 1, 2 at 140 with 0.5"},
		{[]int{0, 2, 1}, 200, "2 at 236 with 1"},
		{[]int{0, 1, 2, 2}, 300, ""},
		// 3, 1 never came. After 1 alone: mark 2 after 10, 36 and 16, and again after 40 in one of three.
		{[]int{3, 1}, 100, "2 at 116 with 1"},
		// 3 never came. After any of the eleven events: mark 1 after four of them, mark 2 after eight.
		{[]int{3}, 0, "2 at 25 with 0.727"},
	} {
		if got := continued(observed(t, m, c.marks...), c.now); got != c.want {
			t.Errorf("after %v, at %v: %s, want %s", c.marks, c.now, got, c.want)
		}
	}
	if got := continued(m.NewState(0), 0); got != "2 at 25 with 0.727" {
		t.Errorf("before the first event, which no sequence tells: %s", got)
	}
	// The next event alone is that of a table.
	table, err := FitLookup(t.Context(), LastThreeMarks, calls(), FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, marks := range [][]int{nil, {0}, {0, 1}, {3, 3, 3, 3}} {
		got, want := observed(t, m, marks...).Next(400), observed(t, table, marks...).Next(400)
		if got.End != want.End || !slices.Equal(got.Marks, want.Marks) || got.Median() != want.Median() {
			t.Errorf("after %v the next event is %+v, that of the table %+v", marks, got, want)
		}
	}
}

func TestContinuationOfWindows(t *testing.T) {
	d := &tpp.Dataset{MarkNames: []string{"a"}, Sequences: []tpp.Sequence{
		{ArrivalTimes: []float64{5, 9}, TStart: new(0.0), TEnd: new(20.0)}, {TStart: new(0.0), TEnd: new(20.0)},
	}}
	m, err := FitContinuation(t.Context(), d, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// All sequences were still running, so all count: in one of two windows there were events.
	if got, want := continued(m.NewState(50), 50), "0 at 55 with 0.5, 0 at 59 with 0.5"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestContinuationFile(t *testing.T) {
	d := tpptest.RandomDataset(rand.New(rand.NewPCG(7, 7)), 60, 4)
	m, err := FitContinuation(t.Context(), d, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := FitContinuation(t.Context(), d, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	file := tpptest.Encoded(t, m)
	if tpptest.Encoded(t, again) != file || again.Fingerprint() != m.Fingerprint() {
		t.Error("the same data gives another model")
	}
	read, err := tpp.ReadModel(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if r := read.(*Continuation); r.Fingerprint() != m.Fingerprint() || r.Kind() != "continuation" {
		t.Errorf("read back it is a %s with fingerprint %x, was %x", r.Kind(), r.Fingerprint(), m.Fingerprint())
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		marks := make([]int, rng.IntN(5))
		for i := range marks {
			marks[i] = rng.IntN(4)
		}
		s := observed(t, m, marks...)
		want := continued(s, 1000)
		copied := m.NewState(0)
		if !copied.(tpp.StateCopier).CopyFrom(s) {
			t.Fatal("a state of the same model cannot be copied")
		}
		for name, other := range map[string]tpp.State{"read back": observed(t, read, marks...), "clone": s.Clone(), "copy": copied} {
			if got := continued(other, 1000); got != want {
				t.Errorf("after %v, %s: %s, want %s", marks, name, got, want)
			}
		}
	}
	if observed(t, m, 1).(tpp.StateCopier).CopyFrom(read.NewState(0)) {
		t.Error("a state of another model was copied")
	}
}

func TestContinuationFileIsChecked(t *testing.T) {
	fitted := func() *Continuation {
		m, err := FitContinuation(t.Context(), calls(), FitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for reason, spoil := range map[string]func(*Continuation){
		"level 3 of the history":                   func(m *Continuation) { m.tails[0].level = 3 },
		"marks [9]":                                func(m *Continuation) { m.tails[0].marks = []int{9} },
		"marks [0 0 0 0]":                          func(m *Continuation) { m.tails[0].marks = make([]int, 4) },
		"two of the marks [0]":                     func(m *Continuation) { m.tails = append(m.tails, m.tails[0]) },
		"an event of mark 1.5":                     nil, // below
		"an event of mark 4":                       func(m *Continuation) { m.tails[0].events[0].mark = 4 },
		"an event after -1 follows one after 0":    func(m *Continuation) { m.tails[0].events[0].offset = -1 },
		"an event after 10 follows one after 14":   func(m *Continuation) { m.tails[0].events[1].offset = 10 },
		"an event with probability 0":              func(m *Continuation) { m.tails[0].events[1].share = 0 },
		"an event with probability 1.25":           func(m *Continuation) { m.tails[0].events[1].share = 1.25 },
		"continuation 0: an event with probabilit": func(m *Continuation) { m.tails[0].events[2].share = -0.5 },
	} {
		var file bytes.Buffer
		m := fitted()
		if spoil != nil {
			spoil(m)
			if err := m.Encode(&file); err != nil {
				t.Fatal(err)
			}
		} else {
			d, tensors := m.table.encoded()
			d.Tails = []tailDescription{{emptyKey, nil, 1}}
			tensors["tail_marks"], tensors["tail_offsets"], tensors["tail_shares"] = vector(1.5), vector(1), vector(1)
			if err := tpp.EncodeModel(&file, d, tensors); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := tpp.ReadModel(&file); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("got error %v, want %q", err, reason)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := FitContinuation(ctx, calls(), FitOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a fit that was stopped returns %v", err)
	}
}

// TestContinuationOfLongSequences checks that only the next events count.
func TestContinuationOfLongSequences(t *testing.T) {
	s := tpp.Sequence{}
	for i := range 1000 {
		s.ArrivalTimes = append(s.ArrivalTimes, float64(i))
	}
	m, err := FitContinuation(t.Context(), &tpp.Dataset{Sequences: []tpp.Sequence{s}}, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for e := range observed(t, m, 0).(tpp.ContinuingState).Continue(0) {
		n++
		if e.Time != float64(n) {
			t.Fatalf("event %d is expected at %v", n, e.Time)
		}
		if n == maxContinuation/2 {
			break // who asks may stop
		}
	}
	if all := len(m.tails[0].events); all != maxContinuation {
		t.Errorf("%d events are expected, want %d", all, maxContinuation)
	}
}

// BenchmarkFitContinuation fits 500 sequences of three to ten events.
func BenchmarkFitContinuation(b *testing.B) {
	d := tpptest.Chains(1, 500)
	for b.Loop() {
		if _, err := FitContinuation(b.Context(), d, FitOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
