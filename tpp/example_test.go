package tpp_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/neural"
	_ "github.com/tppfaas/tppfaas/tpp/race" // reads its models
)

// Train a model on the traces of a composition and score it on those that it has not seen.
func Example_train() {
	data, err := dataset.ReadFile("testdata/tree_small.json.gz")
	if err != nil {
		log.Fatal(err)
	}
	training, validation, test := data.Split(1)
	model, err := neural.Train(context.Background(), neural.Config{}, training, validation, neural.TrainOptions{Seed: 1, MaxEpochs: 100})
	if err != nil {
		log.Fatal(err)
	}
	scores, err := eval.Evaluate(context.Background(), model, test, eval.EvaluateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d events, more than nine functions in ten foreseen: %t\n", scores.Events, scores.Accuracy > 0.9)
	// Output: 216 events, more than nine functions in ten foreseen: true
}

// Predict without training first, by one of the trained models in the folder models: a request has come, which function comes next?
func Example_trained() {
	model, err := tpp.ReadModelFile("../models/low_tree_small_rand.race.safetensors") // of a kind whose package is imported
	if err != nil {
		log.Fatal(err)
	}
	state := model.NewState(0)
	if err := state.Observe(tpp.Event{Time: 0, Mark: slices.Index(model.MarkNames(), "tree_small-dev-main")}); err != nil {
		log.Fatal(err)
	}
	next := state.Next(0)
	fmt.Printf("%s, within 100 ms: %t\n", model.MarkNames()[next.LikeliestMark()], next.Within(100) > 0.9)
	// Output: tree_small-dev-f11, within 100 ms: true
}

// Follow a trace while it happens. The prediction is conditional on the time that has passed since the last event.
func Example_live() {
	model, data := trainedExample()
	state := model.NewState(data.Sequences[3].ArrivalTimes[0])
	for i := range 4 {
		event := data.Sequences[3].Event(i, model.CovariateNames(), nil)
		if err := state.Observe(event); err != nil {
			log.Fatal(err)
		}
		next := state.Next(event.Time)
		fmt.Println("after", model.MarkNames()[event.Mark], "comes", model.MarkNames()[next.LikeliestMark()])
	}
	now := data.Sequences[3].ArrivalTimes[3] + 100
	fmt.Printf("within half a second: %t\n", state.Next(now).Within(500) > 0.9)
	// Output:
	// after tree_small-dev-main comes tree_small-dev-f11
	// after tree_small-dev-f11 comes tree_small-dev-f12
	// after tree_small-dev-f12 comes tree_small-dev-f13
	// after tree_small-dev-f13 comes tree_small-dev-f21
	// within half a second: true
}

// metronome is a model whose next gap is as long as the last one, give or take 10 %, and whose marks alternate.
type metronome struct{ names []string }

func (m metronome) Kind() string             { return "metronome" }
func (m metronome) MarkNames() []string      { return m.names }
func (m metronome) CovariateNames() []string { return nil }
func (m metronome) NewState(start float64) tpp.State {
	return &beat{m: m, last: start, gap: 1, mark: -1}
}

type beat struct {
	m         metronome
	last, gap float64
	mark      int
}

func (b *beat) Observe(e tpp.Event) error {
	if e.Time < b.last || e.Mark < 0 || e.Mark >= len(b.m.names) {
		return fmt.Errorf("event at %v with mark %d", e.Time, e.Mark)
	}
	b.gap, b.last, b.mark = max(e.Time-b.last, 1), e.Time, e.Mark
	return nil
}

func (b *beat) Next(now float64) *tpp.Next {
	marks := make([]float64, len(b.m.names))
	marks[(b.mark+1)%len(marks)] = 1
	time := &dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{math.Log(b.gap)}, Sigma: []float64{0.1}}
	next := &tpp.Next{Time: time, Marks: marks}
	return next.Conditional(now - b.last)
}

func (b *beat) Clone() tpp.State {
	c := *b
	return &c
}

// A new model is a type with the methods of Model, and another with those of State. It is evaluated, simulated and
// used for forecasts like the others.
func Example_ownModel() {
	data := &tpp.Dataset{MarkNames: []string{"tick", "tock"}, Sequences: []tpp.Sequence{
		{ArrivalTimes: []float64{0, 500, 1000, 1500, 2000}, Marks: []int{0, 1, 0, 1, 0}},
	}}
	scores, err := eval.Evaluate(context.Background(), metronome{data.MarkNames}, data, eval.EvaluateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("accuracy %.0f %%, mean error %.0f ms\n", 100*scores.Accuracy, scores.MAE)
	// Output: accuracy 100 %, mean error 125 ms
}

func trainedExample() (*neural.Recurrent, *tpp.Dataset) {
	data, err := dataset.ReadFile("testdata/tree_small.json.gz")
	if err != nil {
		log.Fatal(err)
	}
	training, validation, test := data.Split(1)
	model, err := neural.Train(context.Background(), neural.Config{}, training, validation, neural.TrainOptions{Seed: 1, MaxEpochs: 100})
	if err != nil {
		log.Fatal(err)
	}
	return model, test
}
