package newsvendor

import (
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
