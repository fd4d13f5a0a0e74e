package learn

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// raceOf returns a race that was trained on chains of functions.
func raceOf(t *testing.T, w *world, functions ...int) Model {
	t.Helper()
	d := &tpp.Dataset{}
	for _, f := range functions {
		d.MarkNames = append(d.MarkNames, w.policy.functions[f].Name)
	}
	for range 60 {
		s := tpp.Sequence{}
		at := 0.0
		for i := range functions {
			s.ArrivalTimes, s.Marks, s.Parents = append(s.ArrivalTimes, at), append(s.Marks, i), append(s.Parents, i-1)
			at += 1000 * w.about(1)
		}
		d.Sequences = append(d.Sequences, s)
	}
	m, err := race.Train(t.Context(), race.Config{}, d, d, race.TrainOptions{Seed: 1, Epochs: 5})
	require.NoError(t, err)
	bound, err := Bind("a.safetensors", m, w.policy.functions)
	require.NoError(t, err)
	return bound
}

// TestGivenModel: a model that was trained elsewhere serves from the first request on, whatever the order of the functions, and what it does not say is
// learned from the requests.
func TestGivenModel(t *testing.T) {
	other := newWorld(t, 4, Options{})
	m := raceOf(t, other, 3, 1, 2)
	require.Equal(t, []int{3, 1, 2}, m.Functions)
	w := newWorld(t, 4, Options{Models: []Model{m}, Fixed: true})
	state := w.policy.Models()[0]
	require.Equal(t, "a.safetensors", state.Name)
	require.Equal(t, "race", state.Kind)
	require.Equal(t, "f3", state.Application)
	for i := range 12 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 3, 1, 2))
		started := w.started()
		require.Positive(t, started[1], "request %d", i)
		require.Positive(t, started[2], "request %d", i)
	}
	require.Empty(t, w.policy.Warnings())
	a := w.policy.library.apps[0]
	require.Same(t, m.Model, a.present.Model())
	require.Equal(t, 10, a.present.Traces(), "the requests from which the rest was learned")
	require.NotNil(t, a.present.Requests())
}

// TestGivenModelStays checks that a model which was trained elsewhere and is right is not replaced because of a few requests; and that one which is
// wrong makes room.
func TestGivenModelStays(t *testing.T) {
	other := newWorld(t, 4, Options{})
	m := raceOf(t, other, 0, 1, 2)
	w := newWorld(t, 4, Options{Models: []Model{m}, Model: newsvendor.Table})
	for i := range 35 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 0, 1, 2))
		require.Equal(t, "a.safetensors", w.policy.Models()[0].Name, "after %d requests", i+1)
	}
	wrong := newWorld(t, 4, Options{Models: []Model{m}, Model: newsvendor.Table})
	for i := range 60 {
		wrong.request(prewarm.Time(i+1)*gap, wrong.chain(1, 0, 2, 1))
	}
	require.Equal(t, "learned", wrong.policy.Models()[0].Name)
}

// TestModelsOfOneFunction checks the errors of models that do not fit.
func TestModelsOfOneFunction(t *testing.T) {
	w := newWorld(t, 4, Options{})
	m := raceOf(t, w, 0, 1)
	_, err := Bind("b.safetensors", m.Model, functionsOf(1))
	require.EqualError(t, err, "model b.safetensors is of functions that the platform does not have: f1")
	second := raceOf(t, w, 1, 2)
	second.Name = "b.safetensors"
	_, err = New(t.Context(), Options{Price: 1, Platform: testPlatform, Functions: functionsOf(4), Models: []Model{m, second}})
	require.EqualError(t, err, "learn: function f1 is of two models, a.safetensors and b.safetensors")
	_, err = New(t.Context(), Options{Price: 1, Model: "table", Platform: testPlatform, Functions: functionsOf(4), Models: []Model{m}, Knowledge: prewarm.Knowledge{
		Applications: []prewarm.Recording{{Name: "a", Functions: []int{1}, Warm: []prewarm.Trace{{{Function: 1, Parent: -1}}}}},
	}})
	require.EqualError(t, err, "learn: function f1 is of two models or recordings")
}

// TestRestrict: what others have called is called by who called them.
func TestRestrict(t *testing.T) {
	trace := prewarm.Trace{{Function: 0, Parent: -1}, {Function: 1, Parent: 0}, {Function: 2, Parent: 1}, {Function: 3, Parent: 2}}
	require.Equal(t, prewarm.Trace{{Function: 0, Parent: -1}, {Function: 2, Parent: 0}, {Function: 3, Parent: 1}}, restrict(trace, []int{0, 2, 3}))
	require.Equal(t, prewarm.Trace{{Function: 0, Parent: -1}, {Function: 3, Parent: 0}}, restrict(trace, []int{0, 3}))
	require.Empty(t, restrict(trace, []int{1, 2, 3}))
}
