package newsvendor

import (
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
)

// history is what was recorded of an application, in delay-free time: as if no invocation had waited for its container, and no first call had
// been slow. An invocation there comes at its caller's time plus the time from the start of the caller's run to its arrival.
type history struct {
	app       *prewarm.Recording
	marks     []int       // by function of the platform: the index in app.Functions, −1 if it is not of the application
	traces    []past      // warm ones, then cold ones
	starts    [][]float64 // by mark: start times in seconds, of cold starts
	busy      []Times     // by mark: how long a run takes
	firstCall []float64   // by mark: by how much the first call of a container delays what it calls, in seconds
	variance  []float64   // of each of them, as an estimate
	first     []moments   // by mark: the time from the start of a run in a used container to the arrival of its first call
	slack     []float64   // by mark: by how much a run may start later without delaying the end of its request, in seconds
	after     [][]float64 // by mark of the caller and of the callee: the mean time between the first call and this one
	root      int         // the mark of the first trace's root
}

// mark returns the mark of a function, −1 if it is not of the application.
func (h *history) mark(function int) int {
	if function < 0 || function >= len(h.marks) {
		return -1
	}
	return h.marks[function]
}

// fresh reports whether the first call of the invocation's container was yet to come.
func fresh(v *prewarm.Invocation) bool { return v.Init > 0 || v.Fresh }

// past is a recorded trace in delay-free time, in the order of that.
type past struct {
	marks, parents []int
	times          []float64 // seconds since the arrival of the root
}

// newHistory checks a recording, and removes the delays from it. An error names the trace and what is wrong with it.
func newHistory(app *prewarm.Recording, functions int) (*history, error) {
	h := &history{app: app, marks: make([]int, functions)}
	for i := range h.marks {
		h.marks[i] = -1
	}
	for m, f := range app.Functions {
		if f < 0 || f >= functions {
			return nil, fmt.Errorf("application %s: there is no function %d", app.Name, f)
		}
		h.marks[f] = m
	}
	if len(app.Warm) == 0 {
		return nil, fmt.Errorf("application %s: no recorded trace", app.Name)
	}
	for k, list := range [2][]prewarm.Trace{app.Warm, app.Cold} {
		for i, t := range list {
			if err := h.check(t); err != nil {
				return nil, fmt.Errorf("application %s: %s trace %d: %w", app.Name, [2]string{"warm", "cold"}[k], i, err)
			}
		}
	}
	h.measure()
	h.measureSlack()
	h.learnFirstCalls()
	for _, list := range [2][]prewarm.Trace{app.Warm, app.Cold} {
		for _, t := range list {
			h.traces = append(h.traces, h.delayFree(t))
		}
	}
	h.root = h.traces[0].marks[0]
	return h, nil
}

func (h *history) check(t prewarm.Trace) error {
	if len(t) == 0 {
		return fmt.Errorf("it has no invocation")
	}
	for i := range t {
		v := &t[i]
		switch {
		case v.Function < 0 || v.Function >= len(h.marks) || h.marks[v.Function] < 0:
			return fmt.Errorf("invocation %d: function %d is not of the application", i, v.Function)
		case v.Parent < -1 || v.Parent >= i:
			return fmt.Errorf("invocation %d: its parent is %d", i, v.Parent)
		case v.Parent < 0 && i > 0:
			return fmt.Errorf("invocation %d is a second root", i)
		case !(v.Start >= v.Arrival && v.End >= v.Start) || math.IsInf(v.End, 0):
			return fmt.Errorf("invocation %d: arrival %v, start %v, end %v", i, v.Arrival, v.Start, v.End)
		}
	}
	return nil
}

// measure collects start times, and how long runs take.
func (h *history) measure() {
	n := len(h.app.Functions)
	busy := make([][]float64, n)
	h.starts = make([][]float64, n)
	for _, t := range h.app.Warm {
		for i := range t {
			busy[h.marks[t[i].Function]] = append(busy[h.marks[t[i].Function]], t[i].End-t[i].Start)
		}
	}
	for _, t := range h.app.Cold {
		for i := range t {
			if v := &t[i]; v.Init > 0 {
				m := h.marks[v.Function]
				h.starts[m] = append(h.starts[m], v.Start-v.Arrival)
			}
		}
	}
	h.busy = make([]Times, n)
	for m, values := range busy {
		if len(values) > 0 {
			h.busy[m] = timesOf(values)
		}
	}
}

// moments are the mean and the variance of values.
type moments struct{ n, mean, sum float64 }

func (m *moments) add(x float64) {
	m.n++
	d := x - m.mean
	m.mean += d / m.n
	m.sum += d * (x - m.mean)
}

// error returns the variance of the mean as an estimate.
func (m *moments) error() float64 {
	if m.n < 2 {
		return math.Inf(1)
	}
	return max(m.sum/(m.n-1), 1e-8) / m.n
}

// firstCallSpread is by how much the first calls of functions differ, as a standard deviation in seconds.
const firstCallSpread = 0.02

// learnFirstCalls compares the times from the start of a run to its first call's arrival in fresh and in used containers. Where durations
// vary so much that a function does not tell, it follows the others.
func (h *history) learnFirstCalls() {
	n := len(h.app.Functions)
	warm, cold := make([]moments, n), make([]moments, n)
	after := make([]moments, n*n)
	for k, list := range [2][]prewarm.Trace{h.app.Warm, h.app.Cold} {
		for _, t := range list {
			first := map[int]float64{}
			for i := range t {
				p := t[i].Parent
				if p < 0 {
					continue
				}
				m := h.marks[t[p].Function]
				gap := t[i].Arrival - t[p].Start
				if at, called := first[p]; called {
					if !fresh(&t[p]) {
						after[m*n+h.marks[t[i].Function]].add(gap - at)
					}
					continue
				}
				first[p] = gap
				switch {
				case !fresh(&t[p]) && k == 0:
					warm[m].add(gap)
				case fresh(&t[p]):
					cold[m].add(gap)
				}
			}
		}
	}
	h.firstCall, h.variance, h.first = make([]float64, n), make([]float64, n), warm
	for m := range n {
		h.after = append(h.after, make([]float64, n))
		for k := range n {
			h.after[m][k] = after[m*n+k].mean
		}
	}
	sum, weights := 0.0, 0.0
	for m := range n {
		h.variance[m] = warm[m].error() + cold[m].error()
		w := 1 / (h.variance[m] + firstCallSpread*firstCallSpread)
		sum, weights = sum+w*(cold[m].mean-warm[m].mean), weights+w
	}
	const between = firstCallSpread * firstCallSpread
	if weights == 0 { // too few cold requests were recorded: it is learned while the policy runs
		for m := range n {
			h.variance[m] = between
		}
		return
	}
	all := max(sum/weights, 0)
	for m := range n {
		own := 0.0
		if !math.IsInf(h.variance[m], 0) {
			own = between / (between + h.variance[m])
		}
		h.firstCall[m] = max(all+own*(cold[m].mean-warm[m].mean-all), 0)
		h.variance[m] = between * (1 - own)
	}
}

// stall returns by how much a call is delayed that a run makes a time after its first one, if the first one is the first of its container: the
// process does nothing until that is done.
func stall(firstCall, after float64) float64 { return max(firstCall-max(after, 0), 0) }

// delayFree removes the delays from a trace.
func (h *history) delayFree(t prewarm.Trace) past {
	n := len(t)
	times, first := make([]float64, n), make([]float64, n)
	for i := range t {
		first[i] = math.NaN()
		p := t[i].Parent
		if p < 0 {
			continue
		}
		gap := t[i].Arrival - t[p].Start
		if fresh(&t[p]) {
			extra := h.firstCall[h.marks[t[p].Function]]
			if math.IsNaN(first[p]) {
				first[p] = max(gap-extra, 0)
				gap = first[p]
			} else {
				// What was called while the process was stalled came all at once; it cannot be told when it would have.
				gap = max(gap-extra, first[p]+math.Min(gap-first[p], 0.015))
			}
		} else if math.IsNaN(first[p]) {
			first[p] = gap
		}
		times[i] = times[p] + max(gap, 0)
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case times[a] < times[b]:
			return -1
		case times[a] > times[b]:
			return 1
		}
		return 0
	})
	place := make([]int, n)
	out := past{make([]int, n), make([]int, n), make([]float64, n)}
	for i, k := range order {
		place[k] = i
	}
	for i, k := range order {
		out.marks[i], out.times[i], out.parents[i] = h.marks[t[k].Function], times[k], -1
		if p := t[k].Parent; p >= 0 {
			out.parents[i] = place[p]
		}
	}
	return out
}
