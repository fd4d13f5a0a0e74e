package neural

import "testing"

// TestOneCycle compares the schedule with values computed by hand: a tenth of the rate at first, all of it after 30 % of the
// epochs, half of it and a half of the last hundredth half way down.
func TestOneCycle(t *testing.T) {
	for _, c := range []struct{ at, want float64 }{
		{0, 0.1}, {0.1, 0.4}, {0.15, 0.55}, {0.2, 0.7}, {0.29999999, 1}, {0.3, 1}, {0.65, 0.505}, {0.475, 0.505 + 0.495*0.70710678}, {1, 0.01},
	} {
		if got := oneCycle(c.at); got < c.want-1e-6 || got > c.want+1e-6 {
			t.Errorf("oneCycle(%v) = %v, want %v", c.at, got, c.want)
		}
	}
}

// TestLearningRateFollowsTheCycle checks the learning rate that training uses, at the last batch of each epoch.
func TestLearningRateFollowsTheCycle(t *testing.T) {
	data := fingerprintData()
	var got []float64
	_, err := Train(t.Context(), smallModel, data, nil, TrainOptions{
		MaxEpochs: 10, BatchSize: 1, LearningRate: 0.01, Progress: func(e Epoch) { got = append(got, e.LearningRate) },
	})
	if err != nil {
		t.Fatal(err)
	}
	// Two batches an epoch: the last one of epoch e begins at (e − 1/2)/10 of the cycle.
	for epoch, want := range map[int]float64{1: 0.01 * 0.25, 2: 0.01 * 0.55, 3: 0.01 * 0.85, 7: 0.01 * 0.505} {
		if rate := got[epoch-1]; rate < want*(1-1e-9) || rate > want*(1+1e-9) {
			t.Errorf("epoch %d ends at the learning rate %v, want %v", epoch, rate, want)
		}
	}
}
