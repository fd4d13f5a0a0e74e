package newsvendor

import (
	"math"
	"testing"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestSlack: by how much runs may start later is measured along what follows from them, and along callers that wait for them.
func TestSlack(t *testing.T) {
	call := func(function, parent int, start, end float64) prewarm.Invocation {
		return prewarm.Invocation{Function: function, Parent: parent, Arrival: start, Start: start, End: end}
	}
	for _, c := range []struct {
		name       string
		warm, cold prewarm.Trace
		want       []float64
	}{
		{
			"a chain has none",
			prewarm.Trace{call(0, -1, 0, 1), call(1, 0, 1, 2), call(2, 1, 2, 3)},
			prewarm.Trace{call(0, -1, 0, 1), call(1, 0, 3, 4), call(2, 1, 6, 7)},
			[]float64{0, 0, 0},
		},
		{
			"two branches",
			prewarm.Trace{call(0, -1, 0, 1), call(1, 0, 1, 2), call(2, 0, 1, 5), call(3, 1, 2, 4)},
			prewarm.Trace{call(0, -1, 0, 1), call(1, 0, 3, 4), call(2, 0, 3, 7), call(3, 1, 6, 8)},
			[]float64{0, 1, 0, 1},
		},
		{
			"a caller that goes on without waiting, as cold requests show",
			prewarm.Trace{call(0, -1, 0, 5), call(1, 0, 1, 2), call(2, 0, 5, 6)},
			prewarm.Trace{call(0, -1, 0, 5), call(1, 0, 5, 6), call(2, 0, 7, 8)},
			[]float64{0, 4, 0},
		},
		{
			"a caller that waits",
			prewarm.Trace{call(0, -1, 0, 5), call(1, 0, 1, 2), call(2, 0, 5, 6)},
			prewarm.Trace{call(0, -1, 0, 9), call(1, 0, 5, 6), call(2, 0, 9, 9)},
			[]float64{0, 0, 0},
		},
		{
			"a caller's caller that waits, and what it calls after that",
			prewarm.Trace{call(0, -1, 0, 6), call(1, 0, 1, 4), call(2, 1, 2, 3), call(3, 0, 4.5, 9), call(4, 0, 1, 5)},
			prewarm.Trace{call(0, -1, 0, 9), call(1, 0, 1, 8), call(2, 1, 5, 6), call(3, 0, 8.5, 8.9), call(4, 0, 5, 8.8)},
			[]float64{0, 0, 0, 0, 3},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &history{app: &prewarm.Recording{}}
			for f := range c.want {
				h.app.Functions, h.marks = append(h.app.Functions, f), append(h.marks, f)
			}
			for range 20 {
				h.app.Warm, h.app.Cold = append(h.app.Warm, c.warm), append(h.app.Cold, c.cold)
			}
			h.measureSlack()
			for f, want := range c.want {
				if math.Abs(h.slack[f]-want) > 1e-9 {
					t.Errorf("function %d has slack %v, want %v", f, h.slack[f], want)
				}
			}
		})
	}
}

// TestSlackIsOfNearlyAllRequests: what few requests have more of, or many, is no slack.
func TestSlackIsOfNearlyAllRequests(t *testing.T) {
	h := &history{app: &prewarm.Recording{Functions: []int{0, 1, 2}}, marks: []int{0, 1, 2}}
	for i := range 100 {
		h.app.Warm = append(h.app.Warm, prewarm.Trace{
			{Function: 0, Parent: -1, End: 1},
			{Function: 1, Parent: 0, Arrival: 1, Start: 1, End: 2},
			{Function: 2, Parent: 0, Arrival: 1, Start: 1, End: 2 + float64(i)/10},
		})
	}
	h.measureSlack()
	if got := h.slack[1]; math.Abs(got-1) > 0.11 {
		t.Errorf("the slack is %v, want the tenth percentile, 1", got)
	}
}

// TestSlackMovesTheQuantile compares when a start is due, with slack and without, with the definition, found by trying.
func TestSlackMovesTheQuantile(t *testing.T) {
	p, _ := newTestPolicy(t, 2560)
	d := p.deciders[1]
	d.sample(0)
	for _, slack := range []float64{0, 0.1, 0.5, 1.5, 5} {
		d.entries = nil
		d.heads.Clear()
		d.add(&Demand{Trace: 1, Probability: 1, Times: timesBetween(10, 12), Busy: 0.1, Notice: never, Slack: slack})
		u := d.next(0, 0, d.mean, false, nil)
		n, want := float64(len(d.atoms)), never
		for at := 0.0; at < 12; at += 0.01 {
			late, early := 0.0, 0.0
			for _, c := range d.atoms {
				late += min(max((at+c-slack-10)/2, 0), 1) / n
				early += min(max((12-at-c)/2, 0), 1) / n
			}
			if d.price*late >= d.memory*early {
				want = at
				break
			}
		}
		if got := d.later(0, d.slack(), u); math.Abs(got-want) > 0.1 {
			t.Errorf("slack %v: a start is due at %.3f, want %.3f", slack, got, want)
		}
		if _, due := d.due(want-0.2, d.slack(), u); due {
			t.Errorf("slack %v: it is due before that", slack)
		}
	}
}

// TestSlackOfWhatTells: of two functions that others outlast, the one whose run shows what else comes has no slack, nor has who calls it.
func TestSlackOfWhatTells(t *testing.T) {
	h := &history{app: &prewarm.Recording{Functions: []int{0, 1, 2, 3, 4}}, marks: []int{0, 1, 2, 3, 4}}
	for i := range 20 {
		trace := prewarm.Trace{
			{Function: 0, Parent: -1, End: 1},
			{Function: 1, Parent: 0, Arrival: 1, Start: 1, End: 9}, // what all wait for
			{Function: 2, Parent: 0, Arrival: 1, Start: 1, End: 2}, // calls 3
			{Function: 3, Parent: 2, Arrival: 2, Start: 2, End: 3}, // which calls 4 or does not
		}
		if i%2 == 0 {
			trace = append(trace, prewarm.Invocation{Function: 4, Parent: 3, Arrival: 3, Start: 3, End: 4})
		}
		h.app.Warm = append(h.app.Warm, trace)
	}
	h.measureSlack()
	for f, want := range []float64{0, 0, 0, 0, 5} {
		if math.Abs(h.slack[f]-want) > 1e-9 {
			t.Errorf("function %d has slack %v, want %v", f, h.slack[f], want)
		}
	}
}

// TestSlackIsThatOfWarmRequests: where a function has waited for its container the others have no more slack than otherwise.
func TestSlackIsThatOfWarmRequests(t *testing.T) {
	h := &history{app: &prewarm.Recording{Functions: []int{0, 1, 2}}, marks: []int{0, 1, 2}}
	for range 20 {
		h.app.Warm = append(h.app.Warm, prewarm.Trace{
			{Function: 0, Parent: -1, Start: 2, End: 3},
			{Function: 1, Parent: 0, Arrival: 3, Start: 3, End: 4},
			{Function: 2, Parent: 0, Arrival: 3, Start: 5.5, End: 6},
		})
	}
	h.measureSlack()
	for f, want := range []float64{0, 0, 0.5} {
		if math.Abs(h.slack[f]-want) > 1e-9 {
			t.Errorf("function %d has slack %v, want %v", f, h.slack[f], want)
		}
	}
}
