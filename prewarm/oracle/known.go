package oracle

import (
	"math"
	"slices"
)

// Rule is what is done with each container of a function after a use. If Prewarm is 0, it is kept until Until after the use. Otherwise it is
// removed, another one is started so that it is ready at Prewarm, and removed at Until; an invocation that comes before that start has a container
// of its own, and the start is called off. Both are in seconds.
type Rule struct {
	Prewarm, Until float64
}

// Known returns the costs of O6, and its rule for each function: that of the least expected J at a price λ when the gaps are drawn from a known
// distribution, which is the one that the load has in fact. It is computed exactly, over all pairs of times at which the cost can be least.
//
// Where the hazard of the gaps falls, it keeps a container for as long as hazard(t)·(λ·(c + f) + m·c + κ) > m. Gaps are taken one by one: where
// several containers of a function are used at once, a rule with Prewarm > 0 is an estimate.
func (b *Bounds) Known(lambda float64) (*Result, []Rule) {
	rules := make([]Rule, len(b.functions))
	for f := range b.functions {
		rules[f] = b.historyOf(f, lambda).bestRule()
	}
	r := b.decide(func(function, i int) (outcome, float64, float64) {
		f, gap, rule := &b.load.Functions[function], b.uses[i].gap, rules[function]
		start := f.MemoryMB*f.Start + f.Fixed
		switch {
		case math.IsInf(gap, 1):
			return outcome{f.Start, true}, 0, start
		case gap > rule.Until && rule.Prewarm > 0:
			return outcome{f.Start, true}, f.MemoryMB * (rule.Until - rule.Prewarm), 2 * start
		case gap > rule.Until:
			return outcome{f.Start, true}, f.MemoryMB * rule.Until, start
		case rule.Prewarm == 0:
			return outcome{}, f.MemoryMB * gap, 0
		case gap >= rule.Prewarm:
			return outcome{0, true}, f.MemoryMB * (gap - rule.Prewarm), start
		}
		return outcome{min(rule.Prewarm-gap, f.Start), true}, 0, start
	})
	for f := range b.functions {
		function, rule := &b.load.Functions[f], rules[f]
		for _, tail := range b.functions[f].tails {
			if rule.Prewarm > 0 && tail > rule.Prewarm-function.Start {
				r.Starts++
				r.Starting += function.Fixed
			}
			r.Starting += function.MemoryMB * startingBefore(tail, rule, function.Start)
			r.Idle += function.MemoryMB * max(min(tail, rule.Until)-rule.Prewarm, 0)
		}
		if rule.Prewarm == 0 {
			continue
		}
		for _, gap := range b.Gaps(f) {
			if gap > rule.Until {
				r.Starts++ // the one that was not used
			}
		}
	}
	return r, rules
}

// startingBefore returns for how long the container of a rule is starting in the first t seconds after a use.
func startingBefore(t float64, rule Rule, start float64) float64 {
	if rule.Prewarm == 0 {
		return 0
	}
	return min(max(t-(rule.Prewarm-start), 0), start)
}

// bestRule returns the rule that costs least. The cost of a pair splits into one of Until and one of Prewarm, so that for each Prewarm
// the best Until is the best one behind it. Both are linear between the gaps, and between the gaps plus the start time.
func (h *history) bestRule() Rule {
	untils := h.candidates()
	best, least := Rule{}, math.Inf(1)
	for _, until := range untils {
		if cost := h.kept(until); cost < least {
			best, least = Rule{Until: until}, cost
		}
	}
	// behind[i] is the cheapest of untils[i:] for fresh containers.
	behind := make([]int, len(untils))
	costs := make([]float64, len(untils))
	for i := len(untils) - 1; i >= 0; i-- {
		behind[i], costs[i] = i, h.keptFresh(untils[i])
		if i+1 < len(untils) && costs[behind[i+1]] < costs[i] {
			behind[i] = behind[i+1]
		}
	}
	for i, gap := range h.gaps {
		if i > 0 && gap == h.gaps[i-1] {
			continue
		}
		for _, prewarm := range [2]float64{gap, gap + h.start} {
			if prewarm < h.start || prewarm == 0 {
				continue
			}
			fixed := h.prewarmed(prewarm)
			i, _ := slices.BinarySearch(untils, prewarm)
			until := untils[behind[i]]
			cost := fixed + costs[behind[i]]
			if at := fixed + h.keptFresh(prewarm); at < cost {
				until, cost = prewarm, at
			}
			if cost < least {
				best, least = Rule{prewarm, until}, cost
			}
		}
	}
	return best
}

// keptFresh returns what keeping until a time costs where each container that is used has been started for it.
func (h *history) keptFresh(until float64) float64 { return h.kept(until) + h.freshes[h.within(until)] }

// prewarmed returns by how much a start that is ready at a time costs more than having kept the container until then.
func (h *history) prewarmed(ready float64) float64 {
	all, asked := len(h.gaps), h.within(ready-h.start)
	before, _ := slices.BinarySearch(h.gaps, ready) // those that are no shorter find it ready
	before = max(before, asked)
	cost := h.restarts[asked] // cold: before the start
	late := before - asked
	cost += float64(late)*(h.begin+h.lambda*ready) - h.lambda*(h.sums[before]-h.sums[asked]) + h.freshes[before] - h.freshes[asked]
	cost += float64(all-before) * (h.begin - h.memory*ready)
	// What kept counts of the gaps before.
	cost -= h.memory*h.sums[before] + h.freshes[before] + h.memory*h.tail(ready)
	begun := len(h.tails) - upTo(h.tails, ready-h.start)
	return cost + h.memory*(h.tail(ready)-h.tail(ready-h.start)) + float64(begun)*(h.begin-h.memory*h.start)
}
