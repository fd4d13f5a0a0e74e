package newsvendor

import (
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/requests"
)

// roots foresees the requests of an application, and what they will demand of functions.
type roots struct {
	app     *application
	model   requests.Model // nil if nothing is known of when requests come
	process requests.Process
	root    int32        // mark of the root
	place   int32        // of the application
	stream  uint32       // its number; 0 for the application's own root
	offsets []foreseeing // of all that a request demands, the root first

	last, told float64 // when the last request came, and when demands were last told
	lasts      float64 // for how many seconds they hold if nothing comes
	changed    bool    // something came since then
	wanted     bool    // they should be told anew although nothing came
	number     int     // of requests that are foreseen
	came       uint32  // of those since then
	forecast   requests.Forecast
	demands    []Demand
	next       [mostRoots]Times // when the next requests come
	chances    [mostRoots]float64
	levels     Times
}

// foreseeing is an invocation that a request is expected to lead to.
type foreseeing struct {
	mark        int32
	probability float64
	offset      Times // from the arrival of the root
	mean, sd    float64
	depends     Demand // of which the conditions are set, as seen when the root arrives
}

const (
	// mostRoots is how many requests are foreseen at most, leastRoots how many in any case, and soon within how many seconds more are.
	mostRoots, leastRoots = 24, 3
	soon                  = 4.0
	// lasting is for which part of the time to the next request what is foreseen is not told anew as long as nothing comes: who weighs it knows
	// how long nothing has come, so that only the requests after the next would change.
	lasting = 0.05
)

// unfold takes from what is expected of a request that has just come what a request demands.
func (r *roots) unfold(root int, list []expected) {
	r.root = int32(root)
	r.offsets = []foreseeing{{mark: int32(root), probability: 1}}
	chances := make([]float64, len(list))
	for i := range list {
		e := &list[i]
		f := foreseeing{mark: e.mark, probability: e.probability, offset: e.gap}
		if e.parent >= 0 {
			above := &r.offsets[e.parent+1]
			f.probability *= above.probability
			f.offset.sum(&above.offset, &e.gap)
		}
		f.mean, f.sd = f.offset.Mean(), f.offset.Deviation()
		chances[i] = f.probability
		f.depends.conditions(list, chances, i)
		r.offsets = append(r.offsets, f)
	}
}

// observe is told of a request.
func (r *roots) observe(now float64, at prewarm.Time) {
	if r.model == nil {
		return
	}
	r.process.Observe(at)
	r.last, r.changed = now, true
}

// stale reports whether the demands of foreseen requests should be told anew.
func (r *roots) stale(now float64) bool {
	if r.process == nil {
		return false
	}
	since := now - r.told
	if (r.changed || r.wanted) && (r.number < mostRoots/2 || since > 0.25) {
		return true
	}
	return since > max(0.25, 0.1*(now-r.last), r.lasts)
}

// foresee returns the demands of requests that are only foreseen. They are valid until the next call.
func (r *roots) foresee(now float64, at prewarm.Time) []Demand {
	r.told, r.changed, r.wanted, r.came = now, false, false, 0
	r.demands = r.demands[:0]
	r.process.Forecast(at, &r.forecast)
	n, known := 0, -1 // known is the last whose distribution was computed
	for ; n < mostRoots; n++ {
		if n >= leastRoots && !(r.forecast.AtLeast(n+1, soon) > 0.02) {
			break
		}
		// Of those farther on only some are computed, and those between lie between these.
		if n > 3 && n%4 != 3 {
			continue
		}
		total := r.forecast.AtLeast(n+1, 1e9)
		for i := range r.levels {
			r.levels[i] = total * (float64(i) + 0.5) / Quantiles
		}
		t := &r.next[n]
		r.forecast.Quantiles(n+1, r.levels[:], t[:])
		if total < 1e-3 || !(t[Quantiles-1] < 1e12) {
			break
		}
		t.shift(now)
		r.chances[n] = min(total, 1)
		for k := known + 1; k < n; k++ {
			share := float64(k-known) / float64(n-known)
			for i := range t {
				r.next[k][i] = r.next[known][i] + share*(t[i]-r.next[known][i])
			}
			r.chances[k] = r.chances[known] + share*(r.chances[n]-r.chances[known])
		}
		known = n
	}
	r.number = known + 1
	r.lasts = 0
	if r.number > 0 {
		r.lasts = lasting * (r.next[0][Quantiles/4] - now)
	}
	for k := range r.number {
		t := &r.next[k]
		sd := t.Deviation()
		for i := range r.offsets {
			o := &r.offsets[i]
			d := Demand{
				Function: r.app.history.app.Functions[o.mark], Key: r.key(uint32(k)), Probability: o.probability * r.chances[k], Times: *t,
				Busy: r.app.history.busy[o.mark].Mean(), Notice: o.mean, Spread: o.sd,
				Slack: r.app.slack[o.mark], Conditions: o.depends.Conditions,
			}
			if i > 0 {
				if sd > 4*o.sd {
					d.Times.shift(o.mean)
				} else {
					d.Times.sum(t, &o.offset)
				}
			}
			r.demands = append(r.demands, d)
		}
	}
	return r.demands
}
