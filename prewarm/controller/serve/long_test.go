package serve

import (
	"fmt"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// TestLongTraces observes traces of thousands of invocations, all in flight, each called by the one before or all by the first: they must not keep the
// controller from everything else.
func TestLongTraces(t *testing.T) {
	s, stop := start(t, Options{Policy: "newsvendor:2560", Learn: true, Models: []string{"../../../models/high_checkout_det.race.safetensors"}})
	sink := s.Controller().Sink("test")
	functions := []string{"main", "cart", "price", "stock", "bank"}
	n := 5000
	if testing.Short() {
		n = 1000
	}
	total := uint64(0)
	for _, shape := range []string{"chain", "fan"} {
		begun := time.Now()
		list := make([]source.Observation, n)
		for i := range list {
			o := source.Observation{
				Kind: source.Invoked, Function: "checkout-dev-" + functions[i%len(functions)], Trace: shape, Call: fmt.Sprint(i), Time: time.Now(), Wait: -1, Init: -1,
			}
			if i > 0 {
				o.ParentCall = "0"
				if shape == "chain" {
					o.ParentCall = fmt.Sprint(i - 1)
				}
			}
			list[i] = o
		}
		if err := sink.Observe(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		total += uint64(n)
		eventually(t, "the "+shape+" is observed", func() bool { return state(t, s).Totals.Invocations == total })
		t.Logf("%s: %d invocations after %v", shape, n, time.Since(begun))
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
