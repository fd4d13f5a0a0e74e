package oracle

import (
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Function is what a bound needs to know of a function.
type Function struct {
	Name string
	// MemoryMB is the memory m of each of its containers.
	MemoryMB float64
	// Start is the start time c in seconds.
	Start float64
	// FirstCall is by how much the first outgoing call of a fresh container is slower than all others, in seconds; 0 also where starting a
	// container without an invocation makes that call (its time is then part of Start).
	FirstCall float64
	// Fixed is the fixed cost κ of a start, in MB·s.
	Fixed float64
}

// Call is an invocation of a request as it is when every container is warm. Times are in seconds.
type Call struct {
	// Function is an index into Workload.Functions.
	Function int
	// Parent is the index in the request of the caller, −1 for the root.
	Parent int
	// Delay is from the start of the caller's run to the start of this one's; of the root from the arrival of the request.
	Delay float64
	// Duration is that of its run.
	Duration float64
}

// Request is a request: its root first, callers before those that they call.
type Request struct {
	// Arrival is when the root arrived, in seconds since an epoch that all requests share.
	Arrival float64
	Calls   []Call
}

// Workload is a load for which bounds are computed.
type Workload struct {
	Functions []Function
	Requests  []Request
	// Return is how long a container stays busy after a run (it collects logs), in seconds.
	Return float64
	// Until is up to when memory is charged, in seconds since the epoch of the arrivals. 0, as any time before, stands for the end of the last run.
	Until float64
}

// FromTrace returns the request of a recorded trace that came at a time: its calls as they would be with warm containers, what each waited for
// one that was initialised for it left out. The indices of the functions are those of the trace.
func FromTrace(arrival float64, trace prewarm.Trace) Request {
	r := Request{Arrival: arrival, Calls: make([]Call, len(trace))}
	for i, v := range trace {
		begin := v.Start
		if v.Init > 0 {
			begin = v.Arrival
		}
		if v.Parent >= 0 {
			begin -= trace[v.Parent].Start
		} else {
			begin -= v.Arrival
		}
		r.Calls[i] = Call{Function: v.Function, Parent: v.Parent, Delay: begin, Duration: v.End - v.Start}
	}
	return r
}

// validate names the first thing that is wrong with a workload.
func (w *Workload) validate() error {
	for i, f := range w.Functions {
		for _, v := range []struct {
			name  string
			value float64
		}{{"memory", f.MemoryMB}, {"start time", f.Start}, {"first call", f.FirstCall}, {"fixed cost", f.Fixed}} {
			if !(v.value >= 0) || math.IsInf(v.value, 0) {
				return fmt.Errorf("oracle: function %d, %s: %s is %v", i, f.Name, v.name, v.value)
			}
		}
		if f.MemoryMB == 0 {
			return fmt.Errorf("oracle: function %d, %s, has no memory", i, f.Name)
		}
	}
	if !(w.Return >= 0) || math.IsInf(w.Return, 0) || math.IsNaN(w.Until) || math.IsInf(w.Until, 0) {
		return fmt.Errorf("oracle: containers return after %v s, memory is charged until %v", w.Return, w.Until)
	}
	for i := range w.Requests {
		r := &w.Requests[i]
		if math.IsNaN(r.Arrival) || math.IsInf(r.Arrival, 0) {
			return fmt.Errorf("oracle: request %d arrived at %v", i, r.Arrival)
		}
		if len(r.Calls) == 0 {
			return fmt.Errorf("oracle: request %d has no calls", i)
		}
		for k, c := range r.Calls {
			switch {
			case c.Function < 0 || c.Function >= len(w.Functions):
				return fmt.Errorf("oracle: request %d, call %d: there is no function %d", i, k, c.Function)
			case c.Parent >= k || c.Parent < -1 || (c.Parent == -1) != (k == 0):
				return fmt.Errorf("oracle: request %d, call %d: its caller is call %d", i, k, c.Parent)
			case !(c.Delay >= 0) || math.IsInf(c.Delay, 0) || !(c.Duration >= 0) || math.IsInf(c.Duration, 0):
				return fmt.Errorf("oracle: request %d, call %d: delay %v s, duration %v s", i, k, c.Delay, c.Duration)
			}
		}
	}
	return nil
}
