package serve

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// TestThousandsOfFunctions observes as many functions as there is room for, and has another process take them up.
func TestThousandsOfFunctions(t *testing.T) {
	o := Options{Policy: "newsvendor:2560", Learn: true, State: filepath.Join(t.TempDir(), "state")}
	s, stop := start(t, o)
	sink := s.Controller().Sink("test")
	n := 10_000
	if testing.Short() {
		n = 1000
	}
	begun := time.Now()
	list := make([]source.Observation, n)
	for i := range list {
		list[i] = source.Observation{Kind: source.Invoked, Function: fmt.Sprint("f", i), Trace: fmt.Sprint("t", i), Call: "1", Time: time.Now(), Wait: -1, Init: -1}
	}
	if err := sink.Observe(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are observed", func() bool { return state(t, s).Totals.Invocations == uint64(n) })
	t.Logf("%d functions after %v", n, time.Since(begun))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	begun = time.Now()
	s, stop = start(t, o)
	eventually(t, "they are taken up", func() bool { return state(t, s).Totals.Invocations == uint64(n) })
	t.Logf("taken up after %v", time.Since(begun))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
