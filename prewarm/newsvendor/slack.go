package newsvendor

import (
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
)

// surely is the share of recorded requests in which an invocation had less slack than it is taken to have. Slack is by how much its run may start
// later without delaying the last end of its request, because elsewhere in the request something takes longer. A container that is late by d then
// costs λ·(d − slack)⁺: what has slack is started later, and what has none, for the same memory in all, earlier.
const surely = 0.1

// measureSlack sets the slack of each function, from requests as they would have been if nothing had waited for its container: one that has waited
// elsewhere would make all others seem to have slack.
func (h *history) measureSlack() {
	values := make([][]float64, len(h.app.Functions))
	awaits := h.awaits()
	var moved []bool
	for _, t := range h.app.Warm {
		t = h.withoutWaits(t, awaits)
		end := 0.0
		for i := range t {
			end = max(end, t[i].End)
		}
		moved = slices.Grow(moved[:0], len(t))[:len(t)]
		for i := range t {
			m := h.marks[t[i].Function]
			values[m] = append(values[m], end-h.lastMoved(t, i, awaits, moved))
		}
	}
	h.slack = make([]float64, len(values))
	informs := h.informs()
	for m, list := range values {
		if len(list) > 0 && !informs[m] {
			slices.Sort(list)
			h.slack[m] = max(list[int(surely*float64(len(list)))], 0)
		}
	}
}

// withoutWaits returns a request as it would have been if no invocation had waited for its container.
func (h *history) withoutWaits(t prewarm.Trace, awaits [][]bool) prewarm.Trace {
	free := slices.Clone(t)
	for i := range t {
		v := &free[i]
		v.Arrival = 0
		if p := v.Parent; p >= 0 {
			v.Arrival = free[p].Start + max(t[i].Arrival-t[p].Start, 0)
		}
		v.Start, v.End = v.Arrival, v.Arrival+t[i].End-t[i].Start
	}
	// A caller that waits for what it calls has ended later by that wait, the innermost first.
	for i := len(t) - 1; i > 0; i-- {
		p := t[i].Parent
		if p >= 0 && awaits[h.marks[t[p].Function]][h.marks[t[i].Function]] && t[p].End >= t[i].End {
			free[p].End = max(free[p].End-(t[i].Start-t[i].Arrival), free[i].End)
		}
	}
	return free
}

// informs returns, by mark, whether the runs of a function, or of one that it calls, differ in what they call: the later such a run begins, the later is it
// known what else will come. It has no slack, whatever else takes longer.
func (h *history) informs() []bool {
	n := len(h.app.Functions)
	informs := make([]bool, n)
	runs, calls := make([]int, n), make([][]int, n) // in how many runs of the caller there was a call of the callee
	for m := range calls {
		calls[m] = make([]int, n)
	}
	for _, list := range [2][]prewarm.Trace{h.app.Warm, h.app.Cold} {
		for _, t := range list {
			seen := map[[2]int]bool{}
			for i := range t {
				runs[h.marks[t[i].Function]]++
				p := t[i].Parent
				if p < 0 {
					continue
				}
				caller, callee := h.marks[t[p].Function], h.marks[t[i].Function]
				if call := [2]int{p, callee}; !seen[call] {
					seen[call] = true
					calls[caller][callee]++
				}
			}
		}
	}
	for m := range calls {
		for _, k := range calls[m] {
			informs[m] = informs[m] || k > 0 && k < runs[m]
		}
	}
	for changed := true; changed; {
		changed = false
		for m := range calls {
			for c, k := range calls[m] {
				if k > 0 && informs[c] && !informs[m] {
					informs[m], changed = true, true
				}
			}
		}
	}
	return informs
}

// awaits returns, by the marks of caller and callee, whether the caller may wait for the end of what it calls: it was never seen to end before
// that. Where the callee had to wait for its container, one that does not wait shows it.
func (h *history) awaits() [][]bool {
	awaits := make([][]bool, len(h.app.Functions))
	for m := range awaits {
		awaits[m] = slices.Repeat([]bool{true}, len(awaits))
	}
	for _, list := range [2][]prewarm.Trace{h.app.Warm, h.app.Cold} {
		for _, t := range list {
			for i := range t {
				if p := t[i].Parent; p >= 0 && t[p].End < t[i].End {
					awaits[h.marks[t[p].Function]][h.marks[t[i].Function]] = false
				}
			}
		}
	}
	return awaits
}

// lastMoved returns the last end of all runs that come later if invocation i does: its own, those of what it calls, that of a caller which waits
// for it, and what such a caller calls after that. Moved is memory.
func (h *history) lastMoved(t prewarm.Trace, i int, awaits [][]bool, moved []bool) (end float64) {
	clear(moved)
	moved[i] = true
	end = t[i].End
	from := i // the last that is known to come later as a whole
	for {
		for k := from + 1; k < len(t); k++ {
			if p := t[k].Parent; p >= 0 && moved[p] {
				moved[k] = true
			}
		}
		for k := range t {
			if moved[k] {
				end = max(end, t[k].End)
			}
		}
		p := t[from].Parent
		if p < 0 || !awaits[h.marks[t[p].Function]][h.marks[t[from].Function]] {
			return end
		}
		end = max(end, t[p].End)
		for k := from + 1; k < len(t); k++ {
			if t[k].Parent == p && t[k].Arrival >= t[from].End {
				moved[k] = true
			}
		}
		from = p
	}
}

// slack returns the slack that all demands have which are weighed one by one.
func (d *decider) slack() float64 {
	if d.ringed {
		return 0
	}
	least := never
	for i := range d.entries {
		least = min(least, d.entries[i].Slack)
	}
	for i := range d.foreseen {
		least = min(least, d.foreseen[i].Slack)
	}
	if least == never {
		return 0
	}
	return least
}

// overdueBy returns the probability that the next use comes before a container is ready that is asked for at a time, by more than the slack;
// given that it is not before that time.
func (u *uses) overdueBy(slack, at float64, starts []float64) float64 {
	sum, before := 0.0, u.within(at)
	if before >= 1-1e-9 {
		return 1
	}
	for _, c := range starts {
		if c > slack {
			sum += u.within(at + c - slack)
		} else {
			sum += before
		}
	}
	return (sum/float64(len(starts)) - before) / (1 - before)
}

// balance returns by how much the cost of a moment's delay of a start exceeds what the moment spares, in MB: it is 0 at the newsvendor's quantile
// where there is no slack.
func (d *decider) balance(at, slack float64, u *uses) float64 {
	return d.price*u.overdueBy(slack, at, d.atoms[:]) - d.memory*(1-u.covered(at, d.atoms[:]))
}

// laterBy is uses.when where there is slack.
func (d *decider) laterBy(now, slack float64, u *uses) float64 {
	if u.total < d.alpha || len(u.list) == 0 {
		return never
	}
	longest := d.atoms[len(d.atoms)-1]
	lo := now
	for i := -1; i < len(u.list); i++ {
		hi := u.list[0].at - longest
		if i >= 0 {
			hi = u.list[i].at
		}
		if hi <= lo {
			continue
		}
		if u.within(hi+longest) >= d.alpha && d.balance(hi, slack, u) >= 0 {
			for hi-lo > 0.002 {
				if mid := (lo + hi) / 2; d.balance(mid, slack, u) >= 0 {
					hi = mid
				} else {
					lo = mid
				}
			}
			return hi
		}
		lo = hi
	}
	return never
}
