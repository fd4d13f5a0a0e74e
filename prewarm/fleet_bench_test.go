package prewarm_test

import (
	"fmt"
	"testing"

	"github.com/tppfaas/tppfaas/prewarm"
)

// BenchmarkFleet measures an invocation's four events and Idle, with many containers of a function busy at the same time. Runs end in an order of
// their own.
func BenchmarkFleet(b *testing.B) {
	for _, busy := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(busy), func(b *testing.B) {
			f, err := prewarm.NewFleet(prewarm.Platform{Arrivals: true}, []prewarm.Function{{Name: "main", MemoryMB: 256}})
			if err != nil {
				b.Fatal(err)
			}
			apply := func(e prewarm.Event) {
				if err := f.Apply(&e); err != nil {
					b.Fatal(err)
				}
			}
			n := prewarm.ID(0)
			runs := make([]prewarm.ID, busy)
			begin := func(slot int, start prewarm.Start) {
				n++
				runs[slot] = n
				e := prewarm.Event{Invocation: n, Container: prewarm.ID(slot + 1), Start: start}
				for _, e.Kind = range []prewarm.Kind{prewarm.Arrived, prewarm.Placed, prewarm.Started} {
					apply(e)
				}
			}
			for slot := range runs {
				begin(slot, prewarm.Cold)
			}
			b.ReportAllocs()
			for slot := 0; b.Loop(); slot = (slot + 7919) % busy {
				apply(prewarm.Event{Kind: prewarm.Ended, Invocation: runs[slot], Container: prewarm.ID(slot + 1)})
				apply(prewarm.Event{Kind: prewarm.Idle, Container: prewarm.ID(slot + 1)})
				begin(slot, prewarm.Warm)
			}
		})
	}
}
