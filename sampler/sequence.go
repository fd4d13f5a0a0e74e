package sampler

import (
	"fmt"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/tpp"
)

// MarkNames returns the names of the marks in an application's datasets: the deployed names of its functions in the order of its file.
func MarkNames(app *apps.Application) []string {
	names := make([]string, len(app.Functions))
	for i, f := range app.Functions {
		names[i] = app.DeployedName(f.Name)
	}
	return names
}

// Marks returns the marks of an application's functions by their deployed names; see [MarkNames].
func Marks(app *apps.Application) map[string]int {
	marks := make(map[string]int, len(app.Functions))
	for i, name := range MarkNames(app) {
		marks[name] = i
	}
	return marks
}

// Sequence returns the trace as a sequence: events in the order of their arrival, times in milliseconds (arrival times since
// 1970-01-01 UTC), marks by deployed name, for each event the index of the one that invoked it. Events that arrive at
// the same time keep their order in the trace.
//
// A name without a mark, an activation that occurs twice, and one whose cause is missing are errors: the trace is not
// complete, or not one trace.
func (t Trace) Sequence(marks map[string]int) (tpp.Sequence, error) {
	order := make([]int, len(t))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return t[i].Arrival.Compare(t[j].Arrival) })

	position := make(map[string]int, len(t))
	for k, i := range order {
		if _, twice := position[t[i].ID]; twice {
			return tpp.Sequence{}, fmt.Errorf("activation %s of %s is in the trace twice", t[i].ID, t[i].Name)
		}
		position[t[i].ID] = k
	}
	n := len(t)
	// Two allocations instead of five: there may be millions of sequences.
	times, numbers := make([]float64, 3*n), make([]int, 2*n)
	s := tpp.Sequence{
		ArrivalTimes: times[:n:n], WaitTimes: times[n : 2*n : 2*n], InitTimes: times[2*n:],
		Marks: numbers[:n:n], Parents: numbers[n:],
	}
	roots := 0
	for k, i := range order {
		a := &t[i]
		mark, ok := marks[a.Name]
		if !ok {
			return tpp.Sequence{}, fmt.Errorf("activation %s is of %s, which is no function of the application", a.ID, a.Name)
		}
		parent := -1
		if a.Cause == "" {
			roots++
		} else if parent, ok = position[a.Cause]; !ok {
			return tpp.Sequence{}, fmt.Errorf("activation %s of %s was caused by %s, which is not in the trace", a.ID, a.Name, a.Cause)
		}
		s.ArrivalTimes[k] = float64(a.Arrival.UnixMilli())
		s.WaitTimes[k], s.InitTimes[k] = inMilliseconds(a.Wait), inMilliseconds(a.Init)
		s.Marks[k], s.Parents[k] = mark, parent
	}
	if roots != 1 {
		return tpp.Sequence{}, fmt.Errorf("%d of the trace's %d activations have no cause, want 1", roots, n)
	}
	return s, nil
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
