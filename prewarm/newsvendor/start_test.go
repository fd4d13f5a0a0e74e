package newsvendor

import (
	"testing"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestStartWithoutRoomIsAskedForAgain: the platform does not say that a start has begun that was asked for, since it had no room. It is asked for again
// a moment later, although nothing is heard of the function.
func TestStartWithoutRoomIsAskedForAgain(t *testing.T) {
	o := Options{Price: 2304, Platform: prewarm.Platform{Warm: true, GiveBack: true, Hold: true, Arrivals: true}, Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}}
	fleet, err := prewarm.NewFleet(o.Platform, o.Functions)
	if err != nil {
		t.Fatal(err)
	}
	d := newDecider(0, o.Functions[0].MemoryMB, o.Price, o.Platform, prewarm.NewStartTimes(1), &work{})
	d.add(&Demand{Trace: 1, Probability: 1, Times: timesBetween(7, 9), Busy: 0.1, Notice: never})
	room := func(*decider, float64) bool { return true }
	var starts []float64
	for now := 6.0; now < 7; {
		var out prewarm.Decisions
		wake, did := d.start(now, 0, fleet, room, &out)
		if did {
			starts = append(starts, now)
		}
		if !(wake > now) {
			t.Fatalf("at %v it wants to be asked at %v", now, wake)
		}
		now = wake
	}
	if len(starts) != 2 || starts[1] > starts[0]+answer+0.01 {
		t.Errorf("it is asked for at %v, want twice, %v s apart", starts, answer)
	}
}
