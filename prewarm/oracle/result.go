package oracle

import (
	"math"
	"slices"
)

// Result is what a load costs under a rule.
type Result struct {
	// Idle and Starting are in MB·s, over the whole load.
	Idle, Starting float64
	// Wait is what all invocations waited together, in seconds.
	Wait float64
	// Starts is the number of containers started, Cold that of the invocations which waited the whole start time, and Late that of
	// those which waited a part of it.
	Starts, Cold, Late int
	// Added is by how much each request ended later than with warm containers only, in seconds: waits and first calls move all that a call
	// calls, and the request ends with the last of its runs.
	Added []float64
}

// J returns idle + starting + λ·Σ wait, in MB·s.
func (r *Result) J(lambda float64) float64 { return r.Idle + r.Starting + lambda*r.Wait }

// MemoryPerRequest returns idle + starting, in MB·s a request; 0 without requests.
func (r *Result) MemoryPerRequest() float64 {
	if len(r.Added) == 0 {
		return 0
	}
	return (r.Idle + r.Starting) / float64(len(r.Added))
}

// AddedQuantile returns the smallest added latency that at least a fraction q of the requests do not exceed; NaN without requests.
func (r *Result) AddedQuantile(q float64) float64 {
	if len(r.Added) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(r.Added))
	return sorted[min(max(int(math.Ceil(q*float64(len(sorted))))-1, 0), len(sorted)-1)]
}

// AddedMean returns the mean added latency; NaN without requests.
func (r *Result) AddedMean() float64 {
	if len(r.Added) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, a := range r.Added {
		sum += a
	}
	return sum / float64(len(r.Added))
}

// outcome is what becomes of an invocation.
type outcome struct {
	wait  float64 // for a container
	fresh bool    // its container was started for it
}

// add counts the outcomes of a request's calls, from the use root on, and appends its added latency. Starting and idle memory are counted
// by the caller.
func (r *Result) add(b *Bounds, root int, calls []Call, outcomes []outcome, shifts []float64) {
	warm, real := 0.0, 0.0
	for k, c := range calls {
		function := &b.load.Functions[c.Function]
		o, u, shift := outcomes[k], &b.uses[root+k], 0.0
		if c.Parent >= 0 {
			shift = shifts[c.Parent]
		}
		shift += o.wait
		r.Wait += o.wait
		if o.fresh {
			r.Starts++
			if o.wait > 0 {
				if o.wait >= function.Start {
					r.Cold++
				} else {
					r.Late++
				}
			}
			if u.calls {
				shift += function.FirstCall
				r.Wait += function.FirstCall
			}
		}
		shifts[k] = shift
		end := u.end - b.uses[root].begin
		warm, real = max(warm, end), max(real, end+shift)
	}
	r.Added = append(r.Added, real-warm)
}
