package learn

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/live"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// Bind returns a model for the functions of a platform, which are found by the names of its marks. An error names those marks that are no
// function, or says what the model needs that a policy cannot give it.
func Bind(name string, m tpp.Model, functions []prewarm.Function) (Model, error) {
	bound := Model{Name: name, Model: m}
	var missing []string
	for _, mark := range m.MarkNames() {
		f := slices.IndexFunc(functions, func(f prewarm.Function) bool { return f.Name == mark })
		if f < 0 {
			missing = append(missing, mark)
		}
		bound.Functions = append(bound.Functions, f)
	}
	if len(missing) > 0 {
		return Model{}, fmt.Errorf("model %s is of functions that the platform does not have: %s", name, strings.Join(missing, ", "))
	}
	return bound, bound.check()
}

// Application returns an application of the platform's functions, of which there are so many, that the model predicts, without anything that was recorded of it.
func (m *Model) Application(ctx context.Context, functions int, seed uint64) (*newsvendor.Application, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	r, err := simulate(ctx, m, seed)
	if err != nil {
		return nil, err
	}
	a, err := newsvendor.Train(ctx, r, newsvendor.TrainOptions{Given: m.Model, Functions: functions, Seed: seed})
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Name, err)
	}
	return a, nil
}

// check returns what the model needs, or does not say, so that it cannot be used.
func (m *Model) check() error {
	end, _ := m.Model.(tpp.EndModel)
	starts, _ := m.Model.(tpp.StartedModel)
	switch {
	case len(m.Functions) == 0:
		return fmt.Errorf("model %s names no functions", m.Name)
	case len(m.Functions) != len(m.Model.MarkNames()):
		return fmt.Errorf("model %s has %d functions, and %d marks", m.Name, len(m.Functions), len(m.Model.MarkNames()))
	case len(m.Model.CovariateNames()) > 0:
		return fmt.Errorf("model %s predicts by %s, which nobody knows of an invocation that has just come", m.Name, strings.Join(m.Model.CovariateNames(), ", "))
	case tpp.UnitOf(m.Model) != "ms":
		return fmt.Errorf("model %s counts time in %s, and must in ms", m.Name, tpp.UnitOf(m.Model))
	case end == nil || !end.KnowsEnd():
		return fmt.Errorf("model %s does not foretell the end of requests", m.Name)
	case starts != nil && starts.ObservesStarts():
		return fmt.Errorf("model %s must be told when invocations start: train one of arrivals", m.Name)
	}
	return nil
}

// overlap returns an error for a function that two models predict.
func overlap(models []Model, functions []prewarm.Function) error {
	of := map[int]string{}
	for _, m := range models {
		for _, f := range m.Functions {
			if f < 0 || f >= len(functions) {
				return fmt.Errorf("model %s: there is no function %d", m.Name, f)
			}
			if other, twice := of[f]; twice {
				return fmt.Errorf("function %s is of two models, %s and %s", functions[f].Name, other, m.Name)
			}
			of[f] = m.Name
		}
	}
	return nil
}

const (
	// simulated is how many requests are drawn from a model that was trained elsewhere, and mostSimulated how many invocations of one.
	simulated     = 200
	mostSimulated = 1000
)

// simulate returns requests drawn from a model, as if they had been recorded. What the model does not say, how long functions run, is taken to be the
// time to the last call.
func simulate(ctx context.Context, m *Model, seed uint64) (*prewarm.Recording, error) {
	root, err := rootOf(ctx, m, seed)
	if err != nil {
		return nil, err
	}
	sequences, err := draw(ctx, m, simulated, root, seed)
	if err != nil {
		return nil, err
	}
	r := &prewarm.Recording{Name: m.Name, Functions: m.Functions}
	calls := callsOf(m.Model)
	for i := range sequences {
		r.Warm = append(r.Warm, simulatedTrace(&sequences[i], m.Functions, calls))
	}
	return r, nil
}

// draw draws n requests that begin with a mark.
func draw(ctx context.Context, m *Model, n, root int, seed uint64) ([]tpp.Sequence, error) {
	sequences, err := live.Simulate(ctx, m.Model, n, live.SimulateOptions{
		Seed: seed, Workers: 1, MaxEvents: mostSimulated, Beginnings: []tpp.Sequence{{ArrivalTimes: []float64{0}, Marks: []int{root}}},
	})
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Name, err)
	}
	return sequences, nil
}

// rootOf returns the mark that requests begin with: of those that no other calls, as far as the model says, the one with the longest requests.
func rootOf(ctx context.Context, m *Model, seed uint64) (int, error) {
	called := make([]bool, len(m.Functions))
	if r, ok := m.Model.(*race.Race); ok {
		for _, s := range r.Slots() {
			for _, mark := range s.Marks {
				called[mark] = called[mark] || s.Parent >= 0 && s.Parent != mark
			}
		}
	}
	root, longest := 0, -1
	for mark := range m.Functions {
		if called[mark] {
			continue
		}
		sequences, err := draw(ctx, m, 8, mark, seed)
		if err != nil {
			return 0, err
		}
		sum := 0
		for i := range sequences {
			sum += sequences[i].Len()
		}
		if sum > longest {
			root, longest = mark, sum
		}
	}
	return root, nil
}

// callsOf returns whether a mark calls another, as far as the model says it.
func callsOf(m tpp.Model) func(caller, callee int) bool {
	r, ok := m.(*race.Race)
	if !ok {
		return func(int, int) bool { return false }
	}
	pairs := map[[2]int]bool{}
	for _, s := range r.Slots() {
		for _, mark := range s.Marks {
			pairs[[2]int{s.Parent, mark}] = true
		}
	}
	return func(caller, callee int) bool { return pairs[[2]int{caller, callee}] }
}

// simulatedTrace returns a sequence as a request. The caller of an invocation is the latest one before it whose function may call its function and has not
// done so; where there is none, the one before it.
func simulatedTrace(s *tpp.Sequence, functions []int, calls func(caller, callee int) bool) prewarm.Trace {
	t := make(prewarm.Trace, s.Len())
	for i := range t {
		at := (s.ArrivalTimes[i] - s.ArrivalTimes[0]) / 1000
		v := prewarm.Invocation{Function: functions[s.Marks[i]], Parent: i - 1, Arrival: at, Start: at, End: at}
		for k := i - 1; k >= 0; k-- {
			called := false
			for c := k + 1; c < i; c++ {
				called = called || t[c].Parent == k && s.Marks[c] == s.Marks[i]
			}
			if !called && calls(s.Marks[k], s.Marks[i]) {
				v.Parent = k
				break
			}
		}
		t[i] = v
		if v.Parent >= 0 {
			t[v.Parent].End = max(t[v.Parent].End, at)
		}
	}
	return t
}
