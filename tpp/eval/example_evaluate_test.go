package eval_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// requests are three sessions at a shop, times in milliseconds.
func requests() *tpp.Dataset {
	return &tpp.Dataset{
		MarkNames: []string{"view", "cart", "pay"},
		Sequences: []tpp.Sequence{
			{ArrivalTimes: []float64{0, 100, 350, 900}, Marks: []int{0, 0, 1, 2}},
			{ArrivalTimes: []float64{0, 120, 220, 700}, Marks: []int{0, 0, 1, 2}},
			{ArrivalTimes: []float64{0, 90, 400}, Marks: []int{0, 1, 2}},
		},
	}
}

func ExampleDiagnose() {
	data := requests()
	model, err := classical.FitLookup(context.Background(), classical.LastMark, data, classical.FitOptions{})
	if err != nil {
		log.Fatal(err)
	}
	d, err := eval.Diagnose(context.Background(), model, data, eval.EvaluateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("median off by %.1f ms, CRPS %.1f ms, accuracy %.3f\n", d.Scores.MAE, d.Scores.CRPS, d.Scores.Accuracy)
	if err := d.Confusion.WriteText(os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// median off by 52.5 ms, CRPS 39.3 ms, accuracy 0.750
	// came \ predicted  view  cart    pay      recall
	// view              ·     2       ·        0.0 %
	// cart              ·     3       ·        100.0 %
	// pay               ·     ·       3        100.0 %
	// precision         –     60.0 %  100.0 %  75.0 %
}

func ExampleEvaluate_horizon() {
	data := requests()
	model, err := classical.FitContinuation(context.Background(), data, classical.FitOptions{})
	if err != nil {
		log.Fatal(err)
	}
	// After each event, what comes within a second. The other options have defaults: events match if they are at most 200 ms apart.
	scores, err := eval.Evaluate(context.Background(), model, data, eval.EvaluateOptions{
		Forecasts: eval.ForecastOptions{Horizon: 1000},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("T-mAP %.3f, OTD %.1f ms\n", scores.TMAP, scores.OTD)
	// Output: T-mAP 0.811, OTD 110.9 ms
}

func ExampleTMAP() {
	// The event of mark 0 is detected; of mark 1 the surer of two detections is wrong: the mean of 1 and 1/2.
	fmt.Println(eval.TMAP([]eval.Window{{
		Predicted: []tpp.PredictedEvent{
			{Time: 100, Mark: 0, Probability: 0.9},
			{Time: 300, Mark: 1, Probability: 0.8},
			{Time: 400, Mark: 1, Probability: 0.7},
		},
		Came: []tpp.Event{{Time: 120, Mark: 0}, {Time: 410, Mark: 1}},
	}}, 50))
	// Output: 0.75
}

func ExampleDistance() {
	forecast := []tpp.Event{{Time: 100, Mark: 0}, {Time: 300, Mark: 1}}
	came := []tpp.Event{{Time: 120, Mark: 0}, {Time: 330, Mark: 1}, {Time: 900, Mark: 2}}
	// Two events moved by 20 and 30 ms, and one that was not foreseen.
	fmt.Println(eval.Distance(forecast, came, 200))
	// Output: 250
}

func ExampleRepeat() {
	data := &tpp.Dataset{MarkNames: requests().MarkNames}
	for range 10 {
		data.Sequences = append(data.Sequences, requests().Sequences...)
	}
	lookup := func(key classical.LookupKey) eval.Candidate {
		return eval.Candidate{Name: key.String(), Fit: func(_ context.Context, training, _ *tpp.Dataset, _ uint64) (tpp.Model, error) {
			return classical.FitLookup(context.Background(), key, training, classical.FitOptions{})
		}}
	}
	r, err := eval.Repeat(context.Background(), data, []uint64{1, 2, 3}, []eval.Candidate{lookup(classical.LastThreeMarks), lookup(classical.LastMark)}, eval.EvaluateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range r.Differences(0, 1) {
		if s.Name == "accuracy" {
			fmt.Printf("knowing three marks instead of one, accuracy is %+.3f ± %.3f\n", s.Mean, s.Std)
		}
	}
	// Output: knowing three marks instead of one, accuracy is +0.111 ± 0.192
}
