package live

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

// rescale collects what is uniform if sequences have the model's distribution: each gap through its CDF. Of marks and ends
// it returns how far their numbers are from the expected ones, in standard deviations.
func rescale(t *testing.T, m tpp.Model, sequences []tpp.Sequence) (u []float64, z []float64) {
	t.Helper()
	classes := max(len(m.MarkNames()), 1) + 1 // the last one is the end
	diff, variance := make([]float64, classes), make([]float64, classes)
	count := func(n *tpp.Next, class int) {
		for k := range classes {
			p := n.End
			if k < classes-1 {
				p = (1 - n.End) * n.Marks[k]
			}
			diff[k] -= p
			variance[k] += p * (1 - p)
		}
		diff[class]++
	}
	var left float64 // of a unit Poisson process: the part of an interval that a window cut off
	for i := range sequences {
		s := &sequences[i]
		state, last := m.NewState(s.Start()), s.Start()
		for j := range s.Len() {
			next := state.Next(last)
			tau := s.ArrivalTimes[j] - last
			if next.End > 0 {
				u = append(u, next.Time.CDF(tau)) // whether there is an event at all is another matter
			} else {
				u = append(u, -math.Expm1(-left+next.Time.LogSurvival(tau)))
				left = 0
			}
			count(next, s.Mark(j))
			if err := state.Observe(s.Event(j, m.CovariateNames(), nil)); err != nil {
				t.Fatal(err)
			}
			last = s.ArrivalTimes[j]
		}
		if next := state.Next(last); s.TEnd != nil {
			left -= next.Time.LogSurvival(*s.TEnd - last)
		} else {
			count(next, classes-1)
		}
	}
	for k := range classes {
		if variance[k] > 0 {
			z = append(z, diff[k]/math.Sqrt(variance[k]))
		}
	}
	return u, z
}

// TestSimulatedHaveTheModelsDistribution rescales simulated sequences by the model: gaps must become uniform (Brown et al.
// 2002, The time-rescaling theorem), marks and ends as many as expected.
func TestSimulatedHaveTheModelsDistribution(t *testing.T) {
	models := []tpp.Model{poisson{rate: 0.02, share: 0.3, end: 0.1}, poisson{rate: 0.02, share: 0.3}}
	for i, v := range modeltest.Variants {
		if v.Kind == neural.LogNormMix {
			models = append(models, modeltest.Random(t, v, uint64(20+i)))
		}
	}
	models = append(models, modeltest.Classics(t)...)
	for _, m := range modeltest.Races(t) {
		if m.KnowsStart() {
			models = append(models, m)
		}
	}
	for _, m := range models {
		opts := SimulateOptions{Start: 1000, Seed: 3}
		if tpptest.Observed(t, m, 1).Next(0).End == 0 {
			opts.Window = 3000
		}
		n := 300
		sequences, err := Simulate(t.Context(), m, n, opts)
		if err != nil {
			t.Fatal(err)
		}
		for i := range sequences {
			s := &sequences[i]
			if s.TStart == nil || *s.TStart != 1000 || (s.TEnd == nil) != (opts.Window == 0) || s.TEnd != nil && *s.TEnd != 4000 {
				t.Fatalf("%s: sequence %d is watched from %v to %v", m.Kind(), i, s.TStart, s.TEnd)
			}
			if s.Len() > 0 {
				if err := s.Validate(len(m.MarkNames())); err != nil {
					t.Fatalf("%s: sequence %d: %v", m.Kind(), i, err)
				}
			}
		}
		u, z := rescale(t, m, sequences)
		if len(u) < 300 {
			t.Errorf("%s: only %d events", m.Kind(), len(u))
		}
		if ks := tpptest.Uniformity(u); ks > 1.95 {
			t.Errorf("%s: √n·D = %v for the rescaled gaps of %d events", m.Kind(), ks, len(u))
		}
		for k, z := range z {
			if math.Abs(z) > 4 {
				t.Errorf("%s: the number of events of mark %d is %v standard deviations off", m.Kind(), k, z)
			}
		}
	}
}

// TestRescalingSeesAWrongModel makes sure that the check above can fail.
func TestRescalingSeesAWrongModel(t *testing.T) {
	sequences, err := Simulate(t.Context(), poisson{rate: 0.02, share: 0.3, end: 0.1}, 300, SimulateOptions{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	u, z := rescale(t, poisson{rate: 0.023, share: 0.35, end: 0.1}, sequences)
	if ks := tpptest.Uniformity(u); ks < 1.95 {
		t.Errorf("√n·D = %v for a rate that is 15 %% off", ks)
	}
	if math.Abs(z[1]) < 4 {
		t.Errorf("marks are %v standard deviations off where their probability is wrong", z[1])
	}
}

// TestSimulateGoesOn checks that after a given beginning and a known silence the first gap has the conditional distribution.
func TestSimulateGoesOn(t *testing.T) {
	m := modeltest.Random(t, modeltest.Variants[1], 9)
	begun := tpp.Sequence{ArrivalTimes: []float64{100, 130}, Marks: []int{2, 1}, TStart: new(90.0), TEnd: new(150.0)}
	sequences, err := Simulate(t.Context(), m, 1500, SimulateOptions{Beginnings: []tpp.Sequence{begun}, Window: 1e5, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	state := m.NewState(90)
	for j := range begun.Len() {
		if err := state.Observe(begun.Event(j, m.CovariateNames(), nil)); err != nil {
			t.Fatal(err)
		}
	}
	next := state.Next(150)
	var u []float64
	over := 0
	for i := range sequences {
		s := &sequences[i]
		if !slices.Equal(s.ArrivalTimes[:2], begun.ArrivalTimes) || !slices.Equal(s.Marks[:2], begun.Marks) || *s.TStart != 90 {
			t.Fatalf("sequence %d does not begin as told: %+v", i, s)
		}
		if s.Len() == 2 {
			over++
			continue
		}
		if s.ArrivalTimes[2] < 150 {
			t.Fatalf("sequence %d has an event at %v, when none came", i, s.ArrivalTimes[2])
		}
		u = append(u, next.Time.CDF(s.ArrivalTimes[2]-150))
	}
	if ks := tpptest.Uniformity(u); ks > 1.95 || len(u) < 100 {
		t.Errorf("√n·D = %v for %d first gaps", ks, len(u))
	}
	// A next event beyond the window is rarer than what would matter here.
	if sd := math.Sqrt(next.End * (1 - next.End) * 1500); math.Abs(float64(over)-1500*next.End) > 4*sd {
		t.Errorf("%d of 1500 were over, want %.0f ± %.0f", over, 1500*next.End, sd)
	}
}

func TestSimulateDoesNotDependOnWorkers(t *testing.T) {
	for _, m := range []tpp.Model{modeltest.Random(t, modeltest.Variants[3], 2), modeltest.Races(t)[2]} { // both take the load
		simulate := func(seed uint64, workers int) []tpp.Sequence {
			s, err := Simulate(t.Context(), m, 40, SimulateOptions{Seed: seed, Workers: workers, Window: 2000})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		want := simulate(1, 1)
		if got := simulate(1, 7); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: 7 workers draw other sequences than one", m.Kind())
		}
		if got := simulate(2, 1); reflect.DeepEqual(got, want) {
			t.Errorf("%s: another seed draws the same sequences", m.Kind())
		}
		for i := range want {
			if len(want[i].Covariates["load"]) != want[i].Len() {
				t.Errorf("%s: sequence %d has %d events and the loads %v", m.Kind(), i, want[i].Len(), want[i].Covariates["load"])
			}
		}
	}
}

func TestSimulateOnTicks(t *testing.T) {
	m := modeltest.Random(t, modeltest.Variants[1], 9)
	sequences, err := Simulate(t.Context(), m, 50, SimulateOptions{Start: 1620831914775, Seed: 1, Window: 5000, Resolution: 10})
	if err != nil {
		t.Fatal(err)
	}
	events := 0
	for i := range sequences {
		last := 1620831914775.0
		for _, at := range sequences[i].ArrivalTimes {
			if gap := at - last; gap != 10*math.Round(gap/10) {
				t.Errorf("sequence %d has a gap of %v", i, gap)
			}
			last = at
			events++
		}
	}
	if events < 50 {
		t.Errorf("only %d events", events)
	}
}

func TestSimulateErrors(t *testing.T) {
	endless := poisson{rate: 1, share: 0.5}
	begun := []tpp.Sequence{{ArrivalTimes: []float64{0, 10}, Marks: []int{0, 1}}}
	for _, c := range []struct {
		m      tpp.Model
		n      int
		opts   SimulateOptions
		reason string
	}{
		{endless, -1, SimulateOptions{}, "-1 sequences"},
		{endless, 1, SimulateOptions{Start: math.Inf(1)}, "the start is +Inf"},
		{endless, 1, SimulateOptions{Window: -5}, "a window of the length -5"},
		{endless, 1, SimulateOptions{Resolution: math.NaN()}, "the resolution is NaN"},
		{endless, 1, SimulateOptions{MaxEvents: -1}, "a limit of -1 events"},
		{endless, 1, SimulateOptions{Workers: -1}, "-1 workers"},
		{endless, 3, SimulateOptions{MaxEvents: 100}, "sequence 0: it has more than 100 events: give a shorter window"},
		{endless, 1, SimulateOptions{Window: 5, Beginnings: begun}, "beginning 0 is longer than the window of 5"},
		{endless, 1, SimulateOptions{Beginnings: []tpp.Sequence{{ArrivalTimes: []float64{0}, Marks: []int{7}}}}, "beginning 0: marks[0] = 7"},
		{modeltest.Random(t, modeltest.Variants[0], 1), 1, SimulateOptions{}, "the model knows no end of sequences: give a window"},
	} {
		if _, err := Simulate(t.Context(), c.m, c.n, c.opts); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("got error %v, want one that says %q", err, c.reason)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Simulate(ctx, endless, 1, SimulateOptions{Window: 10}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}

func TestModelsKnowWhetherTheyKnowBeginnings(t *testing.T) {
	given := tpptest.Chains(4, 20)
	watched := tpptest.Chains(4, 20)
	for i := range watched.Sequences {
		s := &watched.Sequences[i]
		s.TStart = new(s.ArrivalTimes[0] - 10)
	}
	if modeltest.Train(t, given, neural.TrainOptions{MaxEpochs: 1}).KnowsStart() {
		t.Error("a model that was given every first event says that it knows beginnings")
	}
	if !modeltest.Train(t, watched, neural.TrainOptions{MaxEpochs: 1}).KnowsStart() {
		t.Error("a model that was trained on first events says that it does not know beginnings")
	}
}
