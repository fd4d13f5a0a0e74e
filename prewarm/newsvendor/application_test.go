package newsvendor

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestReplace replaces an application while a request is in flight: that is followed as before, the next one by what has replaced it, and what is not in
// use any more makes room.
func TestReplace(t *testing.T) {
	p, fleet := newTestPolicy(t, 2560)
	var out prewarm.Decisions
	send := func(e prewarm.Event) {
		t.Helper()
		if err := fleet.Apply(&e); err != nil {
			t.Fatal(err)
		}
		p.Handle(&e, fleet, &out)
	}
	expected := func(trace prewarm.ID, want int) {
		t.Helper()
		if got := p.Demands(trace, nil); len(got) != want {
			t.Errorf("%d invocations are expected of request %d, want %d", len(got), trace, want)
		}
	}
	send(prewarm.Event{Kind: prewarm.Woken})
	send(prewarm.Event{Kind: prewarm.Arrived, At: time.Second, Trace: 1, Invocation: 10})
	send(prewarm.Event{Kind: prewarm.Placed, At: time.Second, Trace: 1, Invocation: 10, Container: 1, Start: prewarm.Cold})
	expected(1, benchFunctions-1)

	// The chain is shorter now: its last four functions are not called any more.
	const left = benchFunctions - 4
	short := benchKnowledge(rand.New(rand.NewPCG(3, 4)), 1200).Applications[0]
	short.Functions = short.Functions[:left]
	for _, list := range [2][]prewarm.Trace{short.Warm, short.Cold} {
		for i := range list {
			list[i] = list[i][:left]
		}
	}
	app, err := Train(t.Context(), &short, TrainOptions{Model: Table, Functions: benchFunctions})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Replace(app, fleet, []prewarm.Time{time.Second}); err != nil {
		t.Fatal(err)
	}
	expected(1, benchFunctions-1)
	send(prewarm.Event{Kind: prewarm.Arrived, At: 2 * time.Second, Trace: 2, Invocation: 20})
	expected(2, left-1)
	send(prewarm.Event{Kind: prewarm.Started, At: 3 * time.Second, Trace: 1, Invocation: 10, Container: 1})
	send(prewarm.Event{Kind: prewarm.Arrived, At: 4 * time.Second, Function: 1, Trace: 1, Invocation: 11, Parent: 10})
	expected(1, benchFunctions-2)
	if p.deciders[benchFunctions-1].known || !p.deciders[0].known {
		t.Error("functions are known that no application has, or the other way around")
	}
	for range 50 {
		if err := p.Replace(app, fleet, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.predictor.apps); n > 4 {
		t.Errorf("%d applications are kept, of which three are in use", n)
	}
}

// TestApplicationHasShares: what is trained has the shares of what it was trained on, although it does not keep that.
func TestApplicationHasShares(t *testing.T) {
	r := benchKnowledge(rand.New(rand.NewPCG(1, 2)), 1200).Applications[0]
	r.Warm = r.Warm[:50]
	for i := range 10 {
		r.Warm[5*i] = r.Warm[5*i][:1] // a fifth of the requests ends at once
	}
	app, err := Train(t.Context(), &r, TrainOptions{Functions: benchFunctions, Seed: 1, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	f := app.forecaster().newFollower()
	if _, ok := f.(*sharesFollower).s.weights[call{caller: 0, mark: 1}]; !ok {
		t.Error("there is no weight for what the first function calls")
	}
	f.reset()
	if err := f.observe(0, -1, 0); err != nil {
		t.Fatal(err)
	}
	want := 1 - 10.0/float64(app.Traces())
	if got := f.expect(nil)[0].probability; math.Abs(got-want) > 0.03 {
		t.Errorf("the second function comes with probability %v, %v was recorded", got, want)
	}
}

// TestScore checks that of two applications the one scores higher that was learned from requests like those of the sample, and what is lost by functions
// that it does not know.
func TestScore(t *testing.T) {
	right := benchKnowledge(rand.New(rand.NewPCG(1, 2)), 1200).Applications[0]
	slow := benchKnowledge(rand.New(rand.NewPCG(5, 6)), 1200).Applications[0]
	for _, trace := range slow.Warm {
		for i := range trace {
			trace[i].Arrival, trace[i].Start, trace[i].End = 2*trace[i].Arrival, 2*trace[i].Start, 2*trace[i].End
		}
	}
	sample, err := NewSample(&right, 300, benchFunctions)
	if err != nil {
		t.Fatal(err)
	}
	if len(sample.traces) != 100 {
		t.Fatalf("%d requests", len(sample.traces))
	}
	part := right
	part.Warm = nil
	part.Functions = part.Functions[:benchFunctions-1]
	for _, trace := range right.Warm[:300] {
		part.Warm = append(part.Warm, trace[:benchFunctions-1])
	}
	part.Cold = nil
	right.Warm = right.Warm[:300]
	mean := map[string]float64{}
	for name, recording := range map[string]*prewarm.Recording{"right": &right, "slow": &slow, "part": &part} {
		app, err := Train(t.Context(), recording, TrainOptions{Model: Table, Functions: benchFunctions})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range app.Score(sample) {
			if math.IsNaN(s) || math.IsInf(s, 0) {
				t.Fatalf("%s: a score of %v", name, s)
			}
			mean[name] += s / 100
		}
	}
	// Gaps are uniform over 0.4 s but for what is the same for all.
	if best := -9 * math.Log(0.4); math.Abs(mean["right"]-best) > 2 {
		t.Errorf("what is right scores %v, at best %v", mean["right"], best)
	}
	if !(mean["slow"] < mean["right"]-5) || !(mean["part"] < mean["right"]-5) {
		t.Errorf("scores %v", mean)
	}
}
