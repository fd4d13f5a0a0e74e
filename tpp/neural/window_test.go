package neural

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// TestWindowsWithoutEventsCount checks that a model learns a Poisson process from windows, of which most have no event.
func TestWindowsWithoutEventsCount(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	d := &tpp.Dataset{MarkNames: []string{"a"}}
	events, empty := 0, 0
	for i := range 600 {
		start := float64(i) * 1000
		s := tpp.Sequence{TStart: new(start), TEnd: new(start + 1000)}
		for at := start + 2000*rng.ExpFloat64(); at < start+1000; at += 2000 * rng.ExpFloat64() {
			s.ArrivalTimes = append(s.ArrivalTimes, at)
			events++
		}
		if s.Len() == 0 {
			empty++
		}
		d.Sequences = append(d.Sequences, s)
	}
	cfg := smallModel
	cfg.WithoutEnd = true
	m, err := Train(t.Context(), cfg, d, d, TrainOptions{Seed: 1, MaxEpochs: 100, BatchSize: 32})
	if err != nil {
		t.Fatal(err)
	}
	if !m.KnowsStart() {
		t.Error("the model does not know when a first event comes")
	}
	scores, err := eval.Evaluate(t.Context(), m, d, eval.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	truth := math.Log(2000) + 6e5/2000/float64(events)
	if scores.Events != events || scores.Sequences != 600 || math.Abs(scores.NLL-truth) > 0.1 {
		t.Errorf("scores %+v; %d events, and a negative log likelihood of %v by the process itself", scores, events, truth)
	}
	// What training minimised is what evaluation says.
	if loss := m.Training().ValidationLoss; math.Abs(loss-scores.NLLResolution-(scores.NLL-scores.NLLTime-scores.NLLMark)) > 0.02 {
		t.Errorf("the validation loss was %v, scores say %v", loss, scores)
	}
	survival, want := m.NewState(0).Next(0).LogSurvival(1000), math.Log(float64(empty)/600)
	if math.Abs(survival-want) > 0.1 {
		t.Errorf("no event comes in a window with a log probability of %v, want %v", survival, want)
	}
}
