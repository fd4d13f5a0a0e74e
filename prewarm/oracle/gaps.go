package oracle

import (
	"math"
	"slices"
)

// firstCall returns what the first call of a fresh container costs in use i of function f, in seconds.
func (b *Bounds) firstCall(f *Function, i int) float64 {
	if b.uses[i].calls {
		return f.FirstCall
	}
	return 0
}

// decide returns the costs of a load where each use's outcome is a function of the gap before it alone. each is called with the function and
// the number of the use, and returns the outcome and the memory that is idle and starting from the last use to this one.
func (b *Bounds) decide(each func(function, use int) (o outcome, idle, starting float64)) *Result {
	r := &Result{Added: make([]float64, 0, len(b.load.Requests))}
	var outcomes []outcome
	var shifts []float64
	for i := range b.load.Requests {
		calls, root := b.load.Requests[i].Calls, b.first[i]
		outcomes, shifts = slices.Grow(outcomes[:0], len(calls)), slices.Grow(shifts[:0], len(calls))[:len(calls)]
		for k, c := range calls {
			o, idle, starting := each(c.Function, root+k)
			r.Idle += idle
			r.Starting += starting
			outcomes = append(outcomes, o)
		}
		r.add(b, root, calls, outcomes, shifts)
	}
	return r
}

// Clairvoyant returns the costs of O1, which knows all arrivals: after each use it keeps the container for the next one, or starts one
// that is ready when it comes, whichever costs less. Nobody waits for a container; where first calls are slow, a fresh one is slower
// by Function.FirstCall, which λ prices.
func (b *Bounds) Clairvoyant(lambda float64) *Result { return b.LookAhead(math.Inf(1), lambda) }

// LookAhead returns the costs of O2, which learns of each arrival h seconds ahead (h ≥ 0), and of the length of each gap when it begins, at
// a price λ: it keeps the container over the gap, or starts one as soon as it knows that it is needed.
func (b *Bounds) LookAhead(h, lambda float64) *Result {
	return b.decide(func(function, i int) (o outcome, idle, starting float64) {
		f, gap := &b.load.Functions[function], b.uses[i].gap
		wait, start := max(f.Start-h, 0), f.MemoryMB*f.Start+f.Fixed
		if f.MemoryMB*gap <= start+lambda*(wait+b.firstCall(f, i)) {
			return o, f.MemoryMB * gap, 0
		}
		return outcome{wait, true}, 0, start
	})
}

// KeepAlive returns the costs of keeping each container of a function for a time after each use, given by function in seconds (+Inf: until
// the end). An invocation whose gap is longer is cold.
func (b *Bounds) KeepAlive(keep []float64) *Result {
	r := b.decide(func(function, i int) (outcome, float64, float64) {
		f, gap, k := &b.load.Functions[function], b.uses[i].gap, keep[function]
		switch {
		case math.IsInf(gap, 1):
			return outcome{f.Start, true}, 0, f.MemoryMB*f.Start + f.Fixed
		case gap <= k:
			return outcome{}, f.MemoryMB * gap, 0
		}
		return outcome{f.Start, true}, f.MemoryMB * k, f.MemoryMB*f.Start + f.Fixed
	})
	for f := range b.functions {
		for _, tail := range b.functions[f].tails {
			r.Idle += b.load.Functions[f].MemoryMB * min(tail, keep[f])
		}
	}
	return r
}

// BestKeepAlive returns the costs of O4, and its keep-alive for each function: that which has the least J at a price λ, known afterwards. It is one
// of the gaps, 0, or +Inf, and the shortest of several equal ones.
func (b *Bounds) BestKeepAlive(lambda float64) (*Result, []float64) {
	keep := make([]float64, len(b.functions))
	for f := range b.functions {
		h := b.historyOf(f, lambda)
		least := math.Inf(1)
		for _, k := range h.candidates() {
			if cost := h.kept(k); cost < least {
				least, keep[f] = cost, k
			}
		}
	}
	return b.KeepAlive(keep), keep
}

// SkiRental returns the costs of O5, and its keep-alive for each function.
func (b *Bounds) SkiRental(lambda float64) (*Result, []float64) {
	keep := make([]float64, len(b.functions))
	for f := range b.functions {
		keep[f] = b.load.Functions[f].SkiRental(lambda, b.functions[f].calls)
	}
	return b.KeepAlive(keep), keep
}

// SkiRental returns K* = (m·c + κ + λ·(c + f))/m in seconds: after it, keeping a container has cost as much as the next cold start will. f is
// the first call if it makes calls, otherwise 0.
func (f *Function) SkiRental(lambda float64, calls bool) float64 {
	wait := f.Start
	if calls {
		wait += f.FirstCall
	}
	return (f.MemoryMB*f.Start + f.Fixed + lambda*wait) / f.MemoryMB
}

// history is what a function's containers went through, at a price.
type history struct {
	memory, start   float64   // MB; s
	gaps, sums      []float64 // ascending; sums[i] is that of the first i
	restarts        []float64 // restarts[i] is what cold starts cost behind the first i
	tails, tailSums []float64 // ascending; the sums of the first
	firsts          float64   // what the first uses of all containers cost
	begin           float64   // what a start costs without waiting
	freshes         []float64 // the sums of what first calls cost behind the first i gaps
	lambda          float64
}

func (b *Bounds) historyOf(function int, lambda float64) *history {
	f, d := &b.load.Functions[function], &b.functions[function]
	h := &history{memory: f.MemoryMB, start: f.Start, tails: slices.Sorted(slices.Values(d.tails)), begin: f.MemoryMB*f.Start + f.Fixed, lambda: lambda}
	h.tailSums = append(h.tailSums, 0)
	for i, t := range h.tails {
		h.tailSums = append(h.tailSums, h.tailSums[i]+t)
	}
	order := slices.Clone(d.uses)
	slices.SortFunc(order, func(i, k int) int {
		switch g, o := b.uses[i].gap, b.uses[k].gap; {
		case g < o:
			return -1
		case g > o:
			return 1
		}
		return i - k
	})
	h.sums, h.restarts, h.freshes = append(h.sums, 0), append(h.restarts, 0), append(h.freshes, 0)
	for _, i := range order {
		first := lambda * b.firstCall(f, i)
		cost := h.begin + lambda*f.Start + first
		if math.IsInf(b.uses[i].gap, 1) {
			h.firsts += cost
			continue
		}
		n := len(h.gaps)
		h.gaps = append(h.gaps, b.uses[i].gap)
		h.sums = append(h.sums, h.sums[n]+b.uses[i].gap)
		h.restarts = append(h.restarts, h.restarts[n]+cost)
		h.freshes = append(h.freshes, h.freshes[n]+first)
	}
	return h
}

// candidates returns the keep-alives that can be best, ascending: the cost rises between two gaps.
func (h *history) candidates() []float64 {
	c := append(make([]float64, 0, len(h.gaps)+2), 0)
	for _, g := range h.gaps {
		if g > c[len(c)-1] {
			c = append(c, g)
		}
	}
	return append(c, math.Inf(1))
}

// within returns how many gaps are at most t.
func (h *history) within(t float64) int { return upTo(h.gaps, t) }

// upTo returns how many ascending values are at most t.
func upTo(values []float64, t float64) int {
	n, _ := slices.BinarySearchFunc(values, t, func(v, t float64) int {
		if v <= t {
			return -1
		}
		return 1
	})
	return n
}

// kept returns what a keep-alive costs.
func (h *history) kept(k float64) float64 {
	n, all := h.within(k), len(h.gaps)
	cost := h.firsts + h.memory*(h.sums[n]+h.tail(k)) + h.restarts[all] - h.restarts[n]
	if n < all {
		cost += float64(all-n) * h.memory * k
	}
	return cost
}

// tail returns for how long containers are idle behind their last uses, together, when each is kept for k.
func (h *history) tail(k float64) float64 {
	n := upTo(h.tails, k)
	sum := h.tailSums[n]
	if n < len(h.tails) {
		sum += float64(len(h.tails)-n) * k
	}
	return sum
}
