package oracle_test

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm/oracle"
)

// quarter draws a multiple of a quarter second, so that sums are exact.
func quarter(t *rapid.T, most int, name string) float64 {
	return float64(rapid.IntRange(0, most*4).Draw(t, name)) / 4
}

// drawFunction draws a function.
func drawFunction(t *rapid.T, name string) oracle.Function {
	return oracle.Function{
		Name: name, MemoryMB: float64(rapid.IntRange(1, 4).Draw(t, "memory")), Start: quarter(t, 4, "start"),
		FirstCall: quarter(t, 1, "first call"), Fixed: float64(rapid.IntRange(0, 2).Draw(t, "fixed")),
	}
}

// drawWorkload draws a small load of up to most invocations.
func drawWorkload(t *rapid.T, most int) oracle.Workload {
	w := oracle.Workload{Return: quarter(t, 1, "return")}
	for _, name := range []string{"a", "b"}[:rapid.IntRange(1, 2).Draw(t, "functions")] {
		w.Functions = append(w.Functions, drawFunction(t, name))
	}
	for left := rapid.IntRange(0, most).Draw(t, "invocations"); left > 0; {
		r := oracle.Request{Arrival: quarter(t, 30, "arrival")}
		n := rapid.IntRange(1, left).Draw(t, "calls")
		left -= n
		for k := range n {
			r.Calls = append(r.Calls, oracle.Call{
				Function: rapid.IntRange(0, len(w.Functions)-1).Draw(t, "function"), Parent: k - 1,
				Delay: quarter(t, 3, "delay"), Duration: quarter(t, 3, "duration"),
			})
			if k > 0 {
				r.Calls[k].Parent = rapid.IntRange(0, k-1).Draw(t, "parent")
			}
		}
		w.Requests = append(w.Requests, r)
	}
	w.Until = quarter(t, 60, "until")
	return w
}

// interval is an invocation of the all-warm schedule, found again without the package.
type interval struct {
	function   int
	begin, end float64
	calls      bool
}

func schedule(w oracle.Workload) []interval {
	var all []interval
	for _, r := range w.Requests {
		from := len(all)
		for _, c := range r.Calls {
			begin := r.Arrival + c.Delay
			if c.Parent >= 0 {
				all[from+c.Parent].calls = true
				begin = all[from+c.Parent].begin + c.Delay
			}
			all = append(all, interval{c.Function, begin, begin + c.Duration + w.Return, false})
		}
	}
	slices.SortStableFunc(all, func(a, b interval) int { return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end)) })
	return all
}

// uniform reports whether starts of a function all cost the same: first calls cost nothing, or all its runs make calls, or none.
func uniform(w oracle.Workload) bool {
	calls, none := map[int]bool{}, map[int]bool{}
	for _, u := range schedule(w) {
		if u.calls {
			calls[u.function] = true
		} else {
			none[u.function] = true
		}
	}
	for f := range w.Functions {
		if w.Functions[f].FirstCall > 0 && calls[f] && none[f] {
			return false
		}
	}
	return true
}

// leastByTrying returns the least J of all ways to give each invocation a container that is free or a new one, and to keep each container over
// each gap or to start it again.
func leastByTrying(w oracle.Workload, h, lambda float64) float64 {
	all := schedule(w)
	type container struct {
		function int
		free     float64
	}
	var try func(i int, containers []container) float64
	try = func(i int, containers []container) float64 {
		if i == len(all) {
			return 0
		}
		u := all[i]
		f := w.Functions[u.function]
		start := f.MemoryMB*f.Start + f.Fixed + lambda*max(f.Start-h, 0)
		if u.calls {
			start += lambda * f.FirstCall
		}
		least := start + try(i+1, append(slices.Clone(containers), container{u.function, u.end}))
		for k, c := range containers {
			if c.function != u.function || c.free > u.begin {
				continue
			}
			next := slices.Clone(containers)
			next[k].free = u.end
			rest := try(i+1, next)
			least = min(least, start+rest, f.MemoryMB*(u.begin-c.free)+rest)
		}
		return least
	}
	return try(0, nil)
}

// TestClairvoyantAndLookAheadAreLeast compares O1 and O2 with all there is to decide.
func TestClairvoyantAndLookAheadAreLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorkload(t, 6)
		lambda := quarter(t, 10, "λ")
		b, err := oracle.New(w)
		require.NoError(t, err)
		for _, h := range []float64{quarter(t, 5, "H"), inf} {
			least, found := leastByTrying(w, h, lambda), b.LookAhead(h, lambda).J(lambda)
			if uniform(w) {
				require.InDelta(t, least, found, 1e-9)
			}
			require.GreaterOrEqual(t, found, least-1e-9)
		}
	})
}

// keepBySimulation returns J of a keep-alive, following containers from one use to the next.
func keepBySimulation(w oracle.Workload, keep []float64, lambda float64) float64 {
	type container struct {
		function int
		free     float64
	}
	all := schedule(w)
	until := w.Until
	for _, u := range all {
		until = max(until, u.end)
	}
	j := 0.0
	var pool []container
	retire := func(now float64, final bool) {
		pool = slices.DeleteFunc(pool, func(c container) bool {
			k, m := keep[c.function], w.Functions[c.function].MemoryMB
			if gone := c.free + k; gone < now || final {
				j += m * (min(gone, until) - c.free)
				return true
			}
			return false
		})
	}
	for _, u := range all {
		retire(u.begin, false)
		best := -1
		for i, c := range pool {
			if c.function == u.function && c.free <= u.begin && (best < 0 || c.free > pool[best].free) {
				best = i
			}
		}
		f := w.Functions[u.function]
		if best >= 0 {
			j += f.MemoryMB * (u.begin - pool[best].free)
			pool[best].free = u.end
			continue
		}
		j += f.MemoryMB*f.Start + f.Fixed + lambda*f.Start
		if u.calls {
			j += lambda * f.FirstCall
		}
		pool = append(pool, container{u.function, u.end})
	}
	retire(inf, true)
	return j
}

// TestBestKeepAliveIsLeast compares O4 with a simulation at every keep-alive that a quarter second allows.
func TestBestKeepAliveIsLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorkload(t, 8)
		lambda := quarter(t, 10, "λ")
		b, err := oracle.New(w)
		require.NoError(t, err)
		found, keep := b.BestKeepAlive(lambda)
		require.InDelta(t, keepBySimulation(w, keep, lambda), found.J(lambda), 1e-9)
		for f := range w.Functions {
			other := slices.Clone(keep)
			for other[f] = 0; other[f] <= 130; other[f] += 0.25 {
				simulated := keepBySimulation(w, other, lambda)
				require.InDelta(t, simulated, b.KeepAlive(other).J(lambda), 1e-9)
				require.LessOrEqual(t, found.J(lambda), simulated+1e-9)
			}
		}
	})
}

// ruleCost returns what a rule costs over a gap.
func ruleCost(f oracle.Function, rule oracle.Rule, gap, lambda float64) float64 {
	start := f.MemoryMB*f.Start + f.Fixed
	cold := start + lambda*f.Start
	if rule.Prewarm == 0 {
		if gap <= rule.Until {
			return f.MemoryMB * gap
		}
		return f.MemoryMB*rule.Until + cold
	}
	switch asked := rule.Prewarm - f.Start; {
	case gap <= asked:
		return cold
	case gap < rule.Prewarm:
		return start + lambda*(rule.Prewarm-gap)
	case gap <= rule.Until:
		return start + f.MemoryMB*(gap-rule.Prewarm)
	}
	return start + f.MemoryMB*(rule.Until-rule.Prewarm) + cold
}

// TestKnownIsLeast compares O6 with every pair of times that a quarter second allows, on a function that is used once at a time.
func TestKnownIsLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFunction(t, "f")
		lambda := quarter(t, 10, "λ")
		at, times := 0.0, []float64{0}
		var gaps []float64
		for range rapid.IntRange(0, 6).Draw(t, "gaps") {
			gap := quarter(t, 10, "gap")
			at += 1 + gap
			gaps, times = append(gaps, gap), append(times, at)
		}
		b, err := oracle.New(one(f, 1, times...))
		require.NoError(t, err)
		require.Equal(t, gaps, b.Gaps(0))
		found, rules := b.Known(lambda)
		first := f.MemoryMB*f.Start + f.Fixed + lambda*f.Start
		cost := func(rule oracle.Rule) float64 {
			sum := first
			for _, g := range gaps {
				sum += ruleCost(f, rule, g, lambda)
			}
			return sum
		}
		require.InDelta(t, cost(rules[0]), found.J(lambda), 1e-9, "%+v", rules)
		for prewarm := 0.0; prewarm <= 15; prewarm += 0.25 {
			if prewarm > 0 && prewarm < f.Start {
				continue
			}
			for until := prewarm; until <= 15; until += 0.25 {
				require.LessOrEqual(t, found.J(lambda), cost(oracle.Rule{Prewarm: prewarm, Until: until})+1e-9, "%v to %v, found %+v", prewarm, until, rules)
			}
		}
	})
}

// chainByTrying returns the least Σ over a request's calls of what O3 costs with hindsight, over all choices of which containers were kept.
func chainByTrying(w oracle.Workload, b *oracle.Bounds, gap func(request, call int) float64, atStart bool, lambda float64) float64 {
	total := 0.0
	for i, r := range w.Requests {
		least := inf
		for choice := range 1 << len(r.Calls) {
			cost, shifts, offsets, t0 := 0.0, make([]float64, len(r.Calls)), make([]float64, len(r.Calls)), 0.0
			for k, c := range r.Calls {
				f := w.Functions[c.Function]
				offsets[k] = c.Delay
				if k > 0 {
					offsets[k] += offsets[c.Parent]
					shifts[k] = shifts[c.Parent]
				}
				if choice>>k&1 == 1 {
					cost += f.MemoryMB * gap(i, k)
					if k == 0 && atStart {
						t0 = offsets[0]
					}
					continue
				}
				wait := f.Start
				if k == 0 && atStart {
					t0 = offsets[0] + wait
				} else if k > 0 {
					wait = max(0, f.Start-(offsets[k]+shifts[k]-t0))
				}
				if slices.ContainsFunc(r.Calls, func(d oracle.Call) bool { return d.Parent == k }) {
					wait += f.FirstCall
				}
				shifts[k] += wait
				cost += f.MemoryMB*f.Start + f.Fixed + lambda*wait
			}
			least = min(least, cost)
		}
		total += least
	}
	return total
}

// TestChainWithHindsightIsLeast compares O3 with hindsight with all choices of what was kept.
func TestChainWithHindsightIsLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorkload(t, 10)
		lambda := quarter(t, 10, "λ")
		b, err := oracle.New(w)
		require.NoError(t, err)
		gap := oracle.GapsOf(b)
		for _, atStart := range []bool{false, true} {
			found := b.Chain(oracle.ChainOptions{Hindsight: true, AtStart: atStart}, lambda)
			require.InDelta(t, chainByTrying(w, b, gap, atStart, lambda), found.J(lambda), 1e-9)
			require.LessOrEqual(t, found.J(lambda), b.Chain(oracle.ChainOptions{AtStart: atStart}, lambda).J(lambda)+1e-9)
			require.GreaterOrEqual(t, found.J(lambda), b.Clairvoyant(lambda).J(lambda)-1e-9)
		}
	})
}

// TestOrderOfBounds checks which bound lies below which, and that ski rental costs at most twice what is best when gaps are known as they begin.
func TestOrderOfBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorkload(t, 30)
		lambda := quarter(t, 10, "λ")
		b, err := oracle.New(w)
		require.NoError(t, err)
		last := b.Clairvoyant(lambda).J(lambda)
		for _, h := range []float64{4, 3, 2, 1, 0} {
			j := b.LookAhead(h, lambda).J(lambda)
			require.GreaterOrEqual(t, j, last-1e-9, "H = %v", h)
			last = j
		}
		best, _ := b.BestKeepAlive(lambda)
		known, _ := b.Known(lambda)
		ski, _ := b.SkiRental(lambda)
		require.GreaterOrEqual(t, best.J(lambda), last-1e-9)
		require.LessOrEqual(t, known.J(lambda), best.J(lambda)+1e-9)
		require.LessOrEqual(t, best.J(lambda), ski.J(lambda)+1e-9)
		if uniform(w) {
			require.LessOrEqual(t, ski.J(lambda), 2*last+1e-9)
		}
		require.Len(t, ski.Added, len(w.Requests))
		if len(w.Requests) > 0 {
			require.LessOrEqual(t, ski.AddedMean(), slices.Max(ski.Added)+1e-12)
			require.Equal(t, slices.Max(ski.Added), ski.AddedQuantile(1))
		}
	})
}

// TestHazardRule: where gaps are Lomax distributed with density falling as 2/(1+t)³, the hazard 2/(1+t) reaches m/(λc + mc) at t = 2(λc+mc)/m − 1,
// and that is for how long O6 keeps containers.
func TestHazardRule(t *testing.T) {
	f := oracle.Function{Name: "f", MemoryMB: 1, Start: 1}
	const lambda, n = 4, 20000
	var times []float64
	at := 0.0
	for i := range n {
		u := (float64(i*7919%n) + 0.5) / n
		at += 1 + 1/math.Sqrt(1-u) - 1
		times = append(times, at)
	}
	_, rules := bounds(t, one(f, 1, times...)).Known(lambda)
	require.Zero(t, rules[0].Prewarm)
	require.InDelta(t, 9, rules[0].Until, 0.7)
}
