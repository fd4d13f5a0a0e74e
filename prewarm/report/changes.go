package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm/oracle"
)

// Change is what another rule would have made of the recorded arrivals, an estimate: waiting moves no later request, starts take their median whatever
// the load, and memory has no limit.
type Change struct {
	// Rule says which: keep-alive, ski rental, best keep-alive (known afterwards), gap distribution (known), clairvoyant.
	Rule string `json:"rule"`
	// Keep is the keep-alive in seconds, −1 for ever, where it is the same for all functions; Lambda the price, where the rule has one.
	Keep   *float64 `json:"keep,omitempty"`
	Lambda *float64 `json:"lambda,omitempty"`
	// Cold is the number of invocations that have to wait for a container, Share their share.
	Cold  int     `json:"cold"`
	Share float64 `json:"share"`
	// Idle and Starting are MB·s a request, and Wait seconds of waiting a request, of all its invocations.
	Idle     float64 `json:"idle"`
	Starting float64 `json:"starting"`
	Wait     float64 `json:"wait"`
	// P95 and MeanAdded are the latency that starts add to requests, where calls are known.
	P95       *float64 `json:"p95_added,omitempty"`
	MeanAdded *float64 `json:"mean_added,omitempty"`
	// J is idle + starting + λ·wait a request, at Lambda or else at that of the report.
	J float64 `json:"j"`
}

// Replayed is what changes are computed from.
type Replayed struct {
	Requests    int `json:"requests"`
	Invocations int `json:"invocations"`
	// Recorded is the number of cold starts that these had when they were recorded.
	Recorded int `json:"recorded_cold_starts"`
	// Trees says that the calls of requests are known; otherwise every invocation is one of its own, at the time at which it arrived.
	Trees bool `json:"trees"`
}

// priceFactors are the prices that are tried, in terms of that of the report.
var priceFactors = []float64{0.25, 1, 4}

// change adds up what a rule makes of several runs.
type change struct {
	Change
	requests, invocations int
	added                 []float64
}

func (c *change) add(r *oracle.Result, b *oracle.Bounds, trees bool) {
	c.Cold += r.Cold + r.Late
	c.Idle, c.Starting, c.Wait = c.Idle+r.Idle, c.Starting+r.Starting, c.Wait+r.Wait
	c.requests += b.Requests()
	c.invocations += b.Invocations()
	if trees {
		c.added = append(c.added, r.Added...)
	}
}

func (c *change) result(requests int, lambda float64) Change {
	n := float64(max(requests, 1))
	c.Share = share(c.Cold, c.invocations)
	c.Idle, c.Starting, c.Wait = c.Idle/n, c.Starting/n, c.Wait/n
	c.J = c.Idle + c.Starting + lambda*c.Wait
	if d := distributionOf(c.added); d != nil {
		c.P95, c.MeanAdded = &d.P95, &d.Mean
	}
	return c.Change
}

// changes replays the recorded arrivals under other rules.
func (a *analysis) changes() {
	o, replayed := &a.options, &Replayed{Trees: true}
	for _, r := range a.runs {
		for _, t := range r.traces {
			replayed.Trees = replayed.Trees && t.parents
			for _, v := range a.of(t) {
				if v.cold {
					replayed.Recorded++
				}
			}
		}
	}
	keeps := make([]change, len(o.Keep))
	for i, k := range o.Keep {
		keeps[i].Rule, keeps[i].Keep = "keep-alive", forever(k)
	}
	var prices []change
	for _, f := range priceFactors {
		lambda := f * o.Lambda
		for _, name := range []string{"ski rental", "best keep-alive", "gap distribution", "clairvoyant"} {
			prices = append(prices, change{Change: Change{Rule: name, Lambda: &lambda}})
		}
	}
	rules := make([]ruleSamples, len(a.functions))
	gaps := make([][]float64, len(a.functions))
	for i := range a.runs {
		r := &a.runs[i]
		if len(r.traces) == 0 {
			continue
		}
		b, err := a.replay(r, replayed.Trees)
		if err != nil {
			a.report.Notes = append(a.report.Notes, fmt.Sprintf("Nothing could be replayed: %v", err))
			return
		}
		replayed.Requests += len(r.traces)
		replayed.Invocations += b.Invocations()
		keep := make([]float64, len(a.functions))
		for i := range keeps {
			for f := range keep {
				keep[f] = o.Keep[i]
			}
			keeps[i].add(b.KeepAlive(keep), b, replayed.Trees)
		}
		for i := 0; i < len(prices); i += 4 {
			lambda := *prices[i].Lambda
			ski, _ := b.SkiRental(lambda)
			best, keep := b.BestKeepAlive(lambda)
			known, pairs := b.Known(lambda)
			for k, result := range []*oracle.Result{ski, best, known, b.Clairvoyant(lambda)} {
				prices[i+k].add(result, b, replayed.Trees)
			}
			if lambda == o.Lambda {
				for f := range rules {
					rules[f].add(keep[f], pairs[f])
				}
			}
		}
		for f := range gaps {
			gaps[f] = append(gaps[f], b.Gaps(f)...)
			a.functions[f].Containers = max(a.functions[f].Containers, b.Containers(f))
		}
	}
	if replayed.Invocations == 0 {
		return
	}
	for i := range keeps {
		a.report.KeepAlives = append(a.report.KeepAlives, keeps[i].result(replayed.Requests, o.Lambda))
	}
	for i := range prices {
		a.report.Prices = append(a.report.Prices, prices[i].result(replayed.Requests, *prices[i].Lambda))
	}
	for i := range a.functions {
		f := &a.functions[i]
		of := oracle.Function{MemoryMB: o.MemoryMB, Start: f.Start}
		f.Ski = of.SkiRental(o.Lambda, false)
		f.Best, f.PrewarmAfter, f.PrewarmUntil = rules[i].medians()
		f.Gaps, f.Histogram = distributionOf(gaps[i]), histogram(gaps[i])
	}
	a.report.Replayed = replayed
}

// forever returns a keep-alive as JSON can have it.
func forever(k float64) *float64 {
	if math.IsInf(k, 1) {
		k = -1
	}
	return &k
}

// ruleSamples are the rules of a function in several runs.
type ruleSamples struct{ best, after, until []float64 }

func (s *ruleSamples) add(best float64, r oracle.Rule) {
	s.best, s.after, s.until = append(s.best, best), append(s.after, r.Prewarm), append(s.until, r.Until)
}

func (s *ruleSamples) medians() (best, after, until float64) {
	median := func(values []float64) float64 {
		if len(values) == 0 {
			return 0
		}
		slices.Sort(values)
		return *forever(quantile(values, 0.5))
	}
	return median(s.best), median(s.after), median(s.until)
}

// replay makes a load of a run.
func (a *analysis) replay(r *run, trees bool) (*oracle.Bounds, error) {
	w := oracle.Workload{Functions: make([]oracle.Function, len(a.functions))}
	for i, f := range a.functions {
		w.Functions[i] = oracle.Function{Name: f.Name, MemoryMB: a.options.MemoryMB, Start: f.Start}
	}
	n := 0
	for _, t := range r.traces {
		n += int(t.end - t.first)
	}
	calls := make([]oracle.Call, 0, n)
	var p paths
	var at []int
	for _, t := range r.traces {
		trace := a.of(t)
		// Without its end, a run lasts until its last call at least, and for as long as the application says.
		busy := func(i int) float64 {
			v := &trace[i]
			switch {
			case !math.IsNaN(v.duration):
				return max(v.arrival+v.duration-v.start(), 0)
			case a.known != nil:
				return a.known.runs[v.mark]
			}
			return 0
		}
		if !trees {
			for i, v := range trace {
				calls = append(calls, oracle.Call{Function: int(v.mark), Parent: -1, Duration: busy(i)})
				w.Requests = append(w.Requests, oracle.Request{Arrival: v.arrival, Calls: calls[len(calls)-1:]})
			}
			continue
		}
		p.walk(trace)
		at = grown(at, len(trace))
		first, root := len(calls), p.order[0]
		for _, i := range p.order {
			v := &trace[i]
			if v.parent < 0 && i != root { // another root: a request of its own
				w.Requests = append(w.Requests, oracle.Request{Arrival: trace[root].arrival, Calls: calls[first:]})
				first, root = len(calls), i
			}
			call := oracle.Call{Function: int(v.mark), Parent: -1, Duration: busy(i)}
			at[i] = len(calls) - first
			if v.parent >= 0 {
				call.Parent = at[v.parent]
				call.Delay = max(v.arrival-trace[v.parent].start(), 0)
				caller := &calls[first+call.Parent]
				if math.IsNaN(trace[v.parent].duration) {
					caller.Duration = max(caller.Duration, call.Delay)
				}
			}
			calls = append(calls, call)
		}
		w.Requests = append(w.Requests, oracle.Request{Arrival: trace[root].arrival, Calls: calls[first:]})
	}
	return oracle.New(w)
}

// histogramEdges are the upper edges of the bins of gaps, in seconds; beyond is another bin.
var histogramEdges = []float64{0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 6 * 3600, 86400}

// histogram counts ascending gaps by bin.
func histogram(gaps []float64) []int {
	if len(gaps) == 0 {
		return nil
	}
	bins := make([]int, len(histogramEdges)+1)
	for _, g := range gaps {
		k, _ := slices.BinarySearch(histogramEdges, g)
		bins[k]++
	}
	return bins
}
