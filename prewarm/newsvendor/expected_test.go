package newsvendor

import (
	"slices"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestExpected checks that the policy says what it expects of a request in flight, and nothing of others.
func TestExpected(t *testing.T) {
	p, fleet := newTestPolicy(t, 2560)
	var out prewarm.Decisions
	for _, e := range []prewarm.Event{
		{Kind: prewarm.Woken},
		{Kind: prewarm.Arrived, At: time.Second, Trace: 1, Invocation: 10},
	} {
		if err := fleet.Apply(&e); err != nil {
			t.Fatal(err)
		}
		p.Handle(&e, fleet, &out)
	}
	list := p.Expected(1, nil)
	if len(list) == 0 {
		t.Fatal("nothing is expected of a request that has just begun")
	}
	for _, e := range list {
		if e.Function <= 0 || !(e.Probability > 0 && e.Probability <= 1) || e.Lower > e.Median || e.Median > e.Upper || e.Upper < time.Second {
			t.Errorf("expected: %+v", e)
		}
	}
	if list := p.Expected(2, nil); len(list) > 0 {
		t.Errorf("%d invocations are expected of a request that there is not", len(list))
	}
}

// TestCallerIsKnownLater has the start of a run heard of before its call: what it leads to is expected once, whether or not who has called it is told later.
func TestCallerIsKnownLater(t *testing.T) {
	expected := func(events ...prewarm.Event) []prewarm.Expected {
		p, fleet := newTestPolicy(t, 2560)
		var out prewarm.Decisions
		for _, e := range append([]prewarm.Event{{Kind: prewarm.Woken}, {Kind: prewarm.Arrived, At: time.Second, Trace: 1, Invocation: 10}}, events...) {
			if err := fleet.Apply(&e); err != nil {
				t.Fatal(err)
			}
			p.Handle(&e, fleet, &out)
		}
		return p.Expected(1, nil)
	}
	called := prewarm.Event{Kind: prewarm.Arrived, At: 1100 * time.Millisecond, Trace: 1, Invocation: 11, Function: 1, Parent: 10}
	want := expected(called)
	if len(want) == 0 {
		t.Fatal("nothing is expected")
	}
	orphan := called
	orphan.Parent = 0
	if got := expected(orphan); !slices.Equal(got, want) {
		t.Errorf("of a run whose caller is not known\n%v\nis expected, want\n%v", got, want)
	}
	later := called
	later.Kind, later.At = prewarm.Called, 1101*time.Millisecond
	if got := expected(orphan, later); len(got) != len(want) {
		t.Errorf("of one whose caller is told later\n%v\nis expected, want\n%v", got, want)
	}
}
