package race

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// TestAverageWeighsLateUpdates compares an average with the weighted mean that defines it: the weight of update t is the product of the
// shares that it and later ones leave, which is that of the binomial coefficient of t+averageDegree−1 over averageDegree.
func TestAverageWeighsLateUpdates(t *testing.T) {
	var a average
	sum, weights := 0.0, 0.0
	for update := 1; update <= 2000; update++ {
		value := math.Sin(float64(update) / 50)
		params := []float32{float32(value), 1}
		a.begin(params)
		a.addPart(params, 1, 2)
		a.addPart(params, 0, 1)
		weight := 1.0
		for i := range averageDegree {
			weight *= float64(update + i)
		}
		sum, weights = sum+weight*value, weights+weight
		if got, want := float64(a.params[0]), sum/weights; math.Abs(got-want) > 1e-5 {
			t.Fatalf("after %d updates the average is %v, it should be %v", update, got, want)
		}
		if got := a.params[1]; math.Abs(float64(got)-1) > 1e-5 {
			t.Fatalf("after %d updates the average of ones is %v", update, got)
		}
	}
}

// TestModelHasTheAverageThatWasValidated checks that the loss that training reports for the best epoch is that of the model it returns.
func TestModelHasTheAverageThatWasValidated(t *testing.T) {
	d := readDataset(t, "../testdata/tree_small.json.gz")
	training := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: d.Sequences[:100]}
	validation := &tpp.Dataset{MarkNames: d.MarkNames, Sequences: d.Sequences[100:115]}
	var epochs []Epoch
	m, err := Train(context.Background(), Config{}, training, validation, TrainOptions{Epochs: 10, LearningRate: 5e-4, Progress: func(e Epoch) { epochs = append(epochs, e) }})
	if err != nil {
		t.Fatal(err)
	}
	examples, err := newExamples(m, validation)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(examples, longerFirst[float32])
	total, events := m.net.run(m.params, nil, examples, 0, 0, nil, &pass[float32]{})
	got := -total / float64(events)
	best := m.Training()
	if best.BestEpoch == 0 {
		t.Fatal("no epoch was better than none")
	}
	if math.Abs(got-best.ValidationLoss) > 1e-4*math.Abs(got) {
		t.Errorf("the loss of the model is %v, in training it was %v in epoch %d", got, best.ValidationLoss, best.BestEpoch)
	}
	if e := epochs[best.BestEpoch-1]; e.ValidationLoss != best.ValidationLoss {
		t.Errorf("epoch %+v was not the best, but %+v", e, best)
	}
}
