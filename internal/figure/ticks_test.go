package figure

import (
	"math"
	"testing"
)

// TestLogTicksOfLessThanADecade checks that labels of a short logarithmic axis keep a distance.
func TestLogTicksOfLessThanADecade(t *testing.T) {
	from, to := 5000.0, 20000.0
	last, labels := 0.0, 0
	for _, tick := range logTicks(from, to) {
		if tick.Label == "" {
			continue
		}
		labels++
		if last > 0 && math.Log(tick.Value/last) < math.Log(to/from)/6 {
			t.Errorf("%v stands too near to %v", tick.Value, last)
		}
		last = tick.Value
	}
	if labels < 3 {
		t.Errorf("%d labels", labels)
	}
}
