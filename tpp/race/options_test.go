package race

import "testing"

// TestDefaultEpochs checks how often a part is passed over: often if it is small, as often as 600 sequences are updated by in 100 passes, and
// no more rows in all than are trained in within seconds.
func TestDefaultEpochs(t *testing.T) {
	for _, c := range []struct {
		sequences, rows          int
		longTails                bool
		epochs, most, wantEpochs int
	}{
		{0, 0, false, 0, 0, 200}, {1, 3, false, 0, 0, 200}, {300, 3000, true, 0, 0, 200}, {300, 3000, false, 0, 0, 200}, {400, 4000, true, 0, 0, 150},
		{599, 6000, true, 0, 0, 100}, {600, 6000, true, 0, 0, 100}, {600, 32_000, false, 0, 0, 100}, {600, 64_000, false, 0, 0, 50},
		{600, 50_000, true, 0, 0, 100}, {600, 100_000, true, 0, 0, 50}, {300, 32_000, false, 0, 0, 100}, {60_000, 10_000_000, true, 0, 0, 5},
		{300, 3000, true, 7, 0, 7}, {600, 100_000, false, 300, 0, 300},
		{300, 3000, true, 0, 100, 100}, {300, 100_000, true, 0, 100, 50}, {300, 3000, true, 0, 3, 3}, {300, 3000, true, 7, 3, 7},
	} {
		o := TrainOptions{Epochs: c.epochs, MostEpochs: c.most}.withDefaults()
		if o.fit(c.longTails, c.sequences, c.rows); o.Epochs != c.wantEpochs {
			t.Errorf("%d sequences of %d rows, long tails %t, Epochs %d, MostEpochs %d: %d epochs, not %d", c.sequences, c.rows, c.longTails, c.epochs, c.most, o.Epochs, c.wantEpochs)
		}
	}
}
