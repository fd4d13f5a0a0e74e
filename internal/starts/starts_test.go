package starts

import (
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// deaf is a model that says that it observes starts, or has the times of starts, but whose states cannot be told of any.
type deaf struct{ observes, times bool }

func (deaf) Kind() string               { return "deaf" }
func (deaf) MarkNames() []string        { return nil }
func (deaf) CovariateNames() []string   { return nil }
func (deaf) NewState(float64) tpp.State { return deafState{} }
func (m deaf) ObservesStarts() bool     { return m.observes }
func (m deaf) TimesAreStarts() bool     { return m.times }

type deafState struct{}

func (deafState) Observe(tpp.Event) error { return nil }
func (deafState) Next(float64) *tpp.Next  { return &tpp.Next{} }
func (s deafState) Clone() tpp.State      { return s }

func TestModelsWhoseStatesCannotBeTold(t *testing.T) {
	s := &tpp.Sequence{ArrivalTimes: []float64{1, 2}, WaitTimes: []float64{5, 3}}
	visited := 0
	visit := func(tpp.State, int) error { visited++; return nil }
	if err := Follow(deaf{observes: true}, s, visit); err == nil || !strings.Contains(err.Error(), "of kind deaf, has to be told when events start, but its states cannot be told") || visited > 0 {
		t.Errorf("error %v after %d events", err, visited)
	}
	if err := Follow(deaf{}, s, visit); err != nil || visited != 2 {
		t.Errorf("error %v after %d events", err, visited)
	}
}

func TestSeen(t *testing.T) {
	end := 4.0
	d := &tpp.Dataset{Sequences: []tpp.Sequence{
		{ArrivalTimes: []float64{1, 2}, WaitTimes: []float64{5, 3}}, {ArrivalTimes: []float64{1, 2}}, {ArrivalTimes: []float64{1, 2}, WaitTimes: []float64{5, 3}, TEnd: &end},
	}}
	if same, err := SeenDataset(deaf{}, d); err != nil || same != d {
		t.Errorf("a model of arrivals sees %+v (error %v)", same, err)
	}
	got, err := SeenDataset(deaf{times: true}, d)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float64{{5, 6}, {1, 2}, {}} {
		if times := got.Sequences[i].ArrivalTimes; len(times) != len(want) || len(want) > 0 && (times[0] != want[0] || times[1] != want[1]) {
			t.Errorf("sequence %d is seen at %v, want %v", i, times, want)
		}
	}
	d.Sequences[0].WaitTimes = []float64{-5, 3}
	if _, err := SeenDataset(deaf{times: true}, d); err == nil || !strings.HasPrefix(err.Error(), "sequence 0: the model hears of events when they start: wait_times[0] = -5") {
		t.Errorf("error %v", err)
	}
}
