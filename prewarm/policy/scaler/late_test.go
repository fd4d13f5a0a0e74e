package scaler

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestWokenLate checks that a policy which was not woken for long decides as if it had been: on what it sees then, once.
func TestWokenLate(t *testing.T) {
	for name, p := range map[string]prewarm.Policy{
		"openfaas-pro by rate": NewPro(ProOptions{}), "openfaas-pro by processor time": NewPro(ProOptions{Mode: CPU}), "openfaas-pro by capacity": NewPro(ProOptions{Mode: Capacity}),
		"openfaas-ce": NewCE(CEOptions{}), "hpa": NewHPA(HPAOptions{}), "kpa": NewKPA(KPAOptions{}),
	} {
		t.Run(name, func(t *testing.T) {
			fleet, err := prewarm.NewFleet(prewarm.Platform{Warm: true, Arrivals: true}, []prewarm.Function{{Name: "f", MemoryMB: 256}})
			require.NoError(t, err)
			var d prewarm.Decisions
			wakes := map[uint64]prewarm.Time{}
			wake := func(at prewarm.Time, key uint64) {
				d.Reset()
				fleet.Now = at
				delete(wakes, key)
				p.Handle(&prewarm.Event{Kind: prewarm.Woken, At: at, Key: key}, fleet, &d)
				for _, decision := range d.List {
					switch decision.Action {
					case prewarm.WakePolicy:
						wakes[decision.Key] = decision.Until
					case prewarm.ScaleFunction:
						require.Contains(t, []int{0, 1}, decision.N, "nothing happens that needs more")
					}
				}
			}
			wake(0, 0)
			load := &fleet.Loads[0]
			load.Arrived, load.Ended, load.CPU = 3, 3, time.Second
			late := 10 * time.Minute
			for n := 0; wakes[keyTick] <= late; n++ {
				require.Less(t, n, 2, "what was missed is not made up for")
				wake(late, keyTick)
			}
			require.LessOrEqual(t, wakes[keyTick], late+15*time.Second)
		})
	}
}
