package neural

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// dependent returns the variants whose time depends on the mark.
func dependent() []variant {
	var out []variant
	for _, v := range variants() {
		if v.cfg.MarkTimeSize > 0 {
			out = append(out, v)
		}
	}
	return out
}

// observed returns what a model of a variant with random parameters predicts after two events.
func observed(t testing.TB, v variant, seed uint64) *tpp.Next {
	t.Helper()
	m := randomRecurrent(t, v, seed)
	s := m.NewState(0)
	for i, at := range []float64{3, 40} {
		if err := s.Observe(tpp.Event{Time: at, Mark: i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	return s.Next(40)
}

// TestJointHasTheMarginals checks that densities and probabilities of intervals sum over the marks to those of the time, that the whole
// time line has the probabilities of the marks, and that the probabilities of the marks at a time are the shares of the densities.
func TestJointHasTheMarginals(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := rapid.SampledFrom(dependent()).Draw(rt, "variant")
		next := observed(t, v, rapid.Uint64Range(0, 50).Draw(rt, "seed"))
		if waited := rapid.SampledFrom([]float64{0, 5, 1000}).Draw(rt, "waited"); waited > 0 {
			next = next.Conditional(waited)
		}
		joint := next.Joint
		tau := math.Exp(rapid.Float64Range(-3, 9).Draw(rt, "log tau"))
		width := math.Exp(rapid.Float64Range(-6, 9).Draw(rt, "log width"))
		density, interval := 0.0, 0.0
		at := joint.(tpp.MarkJoint).MarksAt(tau, make([]float64, len(next.Marks)))
		for m, p := range next.Marks {
			density += math.Exp(joint.LogProbMark(tau, m))
			interval += math.Exp(joint.LogIntervalMark(tau, tau+width, m))
			if all := math.Exp(joint.LogIntervalMark(0, math.Inf(1), m)); math.Abs(all-p) > 1e-6 {
				rt.Fatalf("mark %d has the probability %v, over all times %v", m, p, all)
			}
			if share := math.Exp(joint.LogProbMark(tau, m) - next.Time.LogProb(tau)); math.Abs(share-at[m]) > 1e-5 {
				rt.Fatalf("mark %d has the probability %v at %v, its share of the density is %v", m, at[m], tau, share)
			}
		}
		if want := math.Exp(next.Time.LogProb(tau)); !tpptest.Near(density, want, 1e-5) {
			rt.Fatalf("the densities at %v sum to %v, that of the time is %v", tau, density, want)
		}
		if want := math.Exp(dist.LogInterval(next.Time, tau, tau+width)); math.Abs(interval-want) > 1e-5*(1e-3+want) {
			rt.Fatalf("the probabilities of (%v, %v] sum to %v, that of the time is %v", tau, tau+width, interval, want)
		}
	})
}

// TestMarksAtTheEndsOfTime checks that the probabilities of the marks are such far outside of what comes.
func TestMarksAtTheEndsOfTime(t *testing.T) {
	for _, v := range dependent() {
		next := observed(t, v, 3)
		for _, tau := range []float64{0, math.SmallestNonzeroFloat64, 1e-200, 1e200, math.MaxFloat64, math.Inf(1)} {
			total := 0.0
			for _, p := range next.MarksAt(tau, nil) {
				if !(p >= 0) {
					t.Errorf("%s: a probability of %v at %v", v, p, tau)
				}
				total += p
			}
			if math.Abs(total-1) > 1e-9 {
				t.Errorf("%s: the probabilities at %v sum to %v", v, tau, total)
			}
		}
	}
}

// timeFirst hides from a Drawer that the mark can be drawn first.
type timeFirst struct{ tpp.MarkJoint }

// TestDrawsMarkFirst checks that drawing the mark first and the time given it gives the same distribution as drawing the time first.
func TestDrawsMarkFirst(t *testing.T) {
	const draws, cells = 40000, 6
	for _, v := range dependent() {
		next := observed(t, v, 5)
		next.End = 0
		hidden := *next
		hidden.Joint = timeFirst{next.Joint.(tpp.MarkJoint)}
		var counts [2][]float64
		for i, n := range []*tpp.Next{next, &hidden} {
			var d tpp.Drawer
			d.Reset(n)
			rng := rand.New(rand.NewPCG(uint64(i), 6))
			counts[i] = make([]float64, cells*len(next.Marks))
			for range draws {
				tau, mark, over := d.Draw(rng.Float64(), rng.Float64())
				if over {
					t.Fatal("a sequence without end is over")
				}
				counts[i][mark*cells+min(int(next.Time.CDF(tau)*cells), cells-1)]++
			}
		}
		for c, a := range counts[0] {
			if b := counts[1][c]; math.Abs(a-b) > 5*math.Sqrt(a+b+1) {
				t.Errorf("%s: cell %d is drawn %v times with the mark first, %v times with the time first", v, c, a, b)
			}
		}
	}
}

// turns returns sequences of two marks whose order is that of a coin, and of whose gaps those before mark 1 are ten times as long.
func turns(seed uint64, n int) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(seed, 77))
	d := &tpp.Dataset{MarkNames: []string{"short", "long"}}
	for range n {
		var s tpp.Sequence
		at := 0.0
		for range 10 {
			mark := rng.IntN(2)
			at += math.Round(100 * math.Pow(10, float64(mark)) * math.Exp(0.1*rng.NormFloat64()))
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, at), append(s.Marks, mark)
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

// TestMarkTellsTheTime checks that a model learns that the time depends on the mark: it gains ln 2 nats an event, the whole of what the gap says of
// the mark, and that TrainBest chooses it.
func TestMarkTellsTheTime(t *testing.T) {
	training, validation := turns(1, 100), turns(2, 50)
	without, with := smallModel, smallModel
	with.MarkTimeSize = 4
	opts := TrainOptions{MaxEpochs: 40, Seed: 1, BatchSize: 8}
	best, err := TrainBest(t.Context(), []Config{without, with}, training, validation, opts)
	if err != nil {
		t.Fatal(err)
	}
	if best.Config().MarkTimeSize != 4 {
		t.Error("the model without dependence was chosen")
	}
	plain, err := Train(t.Context(), without, training, validation, opts)
	if err != nil {
		t.Fatal(err)
	}
	if gain := plain.Training().ValidationLoss - best.Training().ValidationLoss; math.Abs(gain-math.Ln2) > 0.1 {
		t.Errorf("the dependence gains %v nats an event, want about ln 2", gain)
	}
	s := best.NewState(0)
	if err := s.Observe(tpp.Event{}); err != nil {
		t.Fatal(err)
	}
	if late := s.Next(500); late.Marks[1] < 0.99 {
		t.Errorf("after 500 ms only the long gap is left, its mark has the probability %v", late.Marks[1])
	}
}

func TestTrainBestIsChecked(t *testing.T) {
	d := turns(1, 5)
	if _, err := TrainBest(t.Context(), nil, d, nil, TrainOptions{}); err == nil {
		t.Error("no configuration is accepted")
	}
	if _, err := TrainBest(t.Context(), []Config{{}, {}}, d, nil, TrainOptions{Checkpoint: "x"}); err == nil {
		t.Error("one checkpoint for two trainings is accepted")
	}
}

// TestTrainBestShares checks that all trainings together end when the time is over that they have, and that each has a part of it.
func TestTrainBestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, trainings := time.Now(), 0
		opts := TrainOptions{MaxEpochs: 50, MaxDuration: 9 * time.Second, Workers: 1, Progress: func(e Epoch) {
			if e.Epoch == 1 {
				trainings++
			}
			time.Sleep(time.Second)
		}}
		with := smallModel
		with.MarkTimeSize = 4
		if _, err := TrainBest(t.Context(), []Config{smallModel, with, smallModel}, turns(1, 5), nil, opts); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 9*time.Second || trainings != 3 {
			t.Errorf("%d trainings took %v, want 3 in 9s", trainings, took)
		}
	})
}
