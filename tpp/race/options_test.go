package race

import "testing"

// TestDefaultEpochs checks how often a part is passed over: the oftener the fewer rows it has, and at most as often as is asked for.
func TestDefaultEpochs(t *testing.T) {
	for _, c := range []struct {
		rows                     int
		longTails                bool
		epochs, most, wantEpochs int
	}{
		{0, true, 0, 0, 200}, {0, false, 0, 0, 100}, {3, true, 0, 0, 200}, {3000, true, 0, 0, 200}, {6000, true, 0, 0, 200}, {6000, false, 0, 0, 100}, {8000, true, 0, 0, 150},
		{12_000, true, 0, 0, 100}, {32_000, false, 0, 0, 100}, {64_000, false, 0, 0, 50}, {50_000, true, 0, 0, 100}, {100_000, true, 0, 0, 50},
		{10_000_000, true, 0, 0, 5}, {3000, true, 7, 0, 7}, {100_000, false, 300, 0, 300},
		{3000, true, 0, 100, 100}, {100_000, true, 0, 100, 50}, {3000, true, 0, 3, 3}, {3000, true, 7, 3, 7},
	} {
		o := TrainOptions{Epochs: c.epochs, MostEpochs: c.most}.withDefaults()
		if o.fit(c.longTails, c.rows); o.Epochs != c.wantEpochs {
			t.Errorf("%d rows, long tails %t, Epochs %d, MostEpochs %d: %d epochs, not %d", c.rows, c.longTails, c.epochs, c.most, o.Epochs, c.wantEpochs)
		}
	}
}
