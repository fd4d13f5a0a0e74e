package oracle_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/oracle"
)

// inf is an endless time.
var inf = math.Inf(1)

// one returns a load of one function, used once at each of some times for a duration.
func one(f oracle.Function, duration float64, at ...float64) oracle.Workload {
	w := oracle.Workload{Functions: []oracle.Function{f}}
	for _, t := range at {
		w.Requests = append(w.Requests, oracle.Request{Arrival: t, Calls: []oracle.Call{{Parent: -1, Duration: duration}}})
	}
	return w
}

// sequence returns the request of functions 0, 1, … that call each other at the end of their runs, which have these durations.
func sequence(at float64, durations ...float64) oracle.Request {
	r := oracle.Request{Arrival: at}
	for i, d := range durations {
		c := oracle.Call{Function: i, Parent: i - 1, Duration: d}
		if i > 0 {
			c.Delay = durations[i-1]
		}
		r.Calls = append(r.Calls, c)
	}
	return r
}

func bounds(t *testing.T, w oracle.Workload) *oracle.Bounds {
	t.Helper()
	b, err := oracle.New(w)
	require.NoError(t, err)
	return b
}

// TestClairvoyantVector: with 256 MB and starts of 2 s, a gap of 1.5 s costs 384 MB·s, one of 100 s costs 512.
func TestClairvoyantVector(t *testing.T) {
	f := oracle.Function{Name: "f", MemoryMB: 256, Start: 2}
	first := 512.0
	for gap, cost := range map[float64]float64{1.5: 384, 2: 512, 100: 512} {
		r := bounds(t, one(f, 1, 0, 1+gap)).Clairvoyant(1280)
		require.Equal(t, first+cost, r.J(1280), "gap %v", gap)
		require.Zero(t, r.Wait)
	}
	f.Fixed = 256 // as much as one second: κ/m
	require.Equal(t, 2*512.0+2*256, bounds(t, one(f, 1, 0, 101)).Clairvoyant(0).J(0))
	require.Equal(t, 768.0+640, bounds(t, one(f, 1, 0, 3.5)).Clairvoyant(0).J(0))
}

// TestLookAheadVector: who learns of an arrival H before it pays the lesser of m·g and m·c + λ·(c − H) for a gap, which with H = 0 is the best of
// keeping and a cold start.
func TestLookAheadVector(t *testing.T) {
	f := oracle.Function{Name: "f", MemoryMB: 256, Start: 2}
	for _, tt := range []struct{ gap, ahead, cost, wait float64 }{
		{100, 0, 512 + 1280*2, 2},
		{100, 0.5, 512 + 1280*1.5, 1.5},
		{100, 2, 512, 0},
		{100, 5, 512, 0},
		{11, 0, 11 * 256, 0},
		{11, 0.5, 512 + 1280*1.5, 1.5},
		{1.5, 1, 1.5 * 256, 0},
	} {
		r := bounds(t, one(f, 1, 0, 1+tt.gap)).LookAhead(tt.ahead, 1280)
		first := max(2-tt.ahead, 0)
		require.Equal(t, 512+1280*first+tt.cost, r.J(1280), "%+v", tt)
		require.Equal(t, []float64{first, tt.wait}, r.Added, "%+v", tt)
	}
}

// TestBestKeepAliveVector: for gaps of 1, 1, 10 and 100 s the best keep-alive is 1 s while waiting costs little, and then 10 and 100 s.
func TestBestKeepAliveVector(t *testing.T) {
	f := oracle.Function{Name: "f", MemoryMB: 1, Start: 2}
	for lambda, want := range map[float64]struct{ keep, cost float64 }{
		0:  {0, 4 * 2}, // as 1 s, which has 4 + 2·2, and shorter
		1:  {1, 4 + 2*4},
		7:  {1, 4 + 2*(2+14)},       // 36; 10 s cost 22 + 16
		9:  {10, 22 + 2 + 18},       // 42; 1 s costs 44
		43: {10, 22 + 2 + 86},       // 110
		45: {100, 1 + 1 + 10 + 100}, // 112; 10 s cost 114
	} {
		w := one(f, 1, 0, 2, 4, 15, 116)
		w.Until = 117
		r, keep := bounds(t, w).BestKeepAlive(lambda)
		require.Equal(t, []float64{want.keep}, keep, "λ = %v", lambda)
		require.Equal(t, 2+2*lambda+want.cost, r.J(lambda), "λ = %v", lambda)
	}
}

// TestSkiRentalVector: 256 MB, starts of 2 s and λ = 1280 are kept for 12 s.
func TestSkiRentalVector(t *testing.T) {
	f := oracle.Function{Name: "f", MemoryMB: 256, Start: 2}
	require.Equal(t, 12.0, f.SkiRental(1280, false))
	w := one(f, 1, 0, 13, 26.5)
	w.Until = 1000
	r, keep := bounds(t, w).SkiRental(1280)
	require.Equal(t, []float64{12}, keep)
	require.Equal(t, 2, r.Cold, "the first, and that after a gap of 12.5 s")
	require.Equal(t, 256.0*(12+12+12), r.Idle)
	require.Equal(t, 1024.0, r.Starting)
	require.Equal(t, []float64{2, 0, 2}, r.Added)
}

// TestSkiPolicyVector: as a policy, by the start times that it has seen.
func TestSkiPolicyVector(t *testing.T) {
	p, err := oracle.NewSki(1280, 2*time.Second)
	require.NoError(t, err)
	fleet, err := prewarm.NewFleet(prewarm.Platform{Arrivals: true, Hold: true}, []prewarm.Function{{Name: "f", MemoryMB: 256}})
	require.NoError(t, err)
	var d prewarm.Decisions
	until := func(events ...prewarm.Event) prewarm.Time {
		t.Helper()
		for _, e := range events {
			require.NoError(t, fleet.Apply(&e))
			d.Reset()
			p.Handle(&e, fleet, &d)
			if e.Kind != prewarm.Idle {
				require.Empty(t, d.List)
			}
		}
		require.Len(t, d.List, 1)
		require.Equal(t, prewarm.HoldContainer, d.List[0].Action)
		return d.List[0].Until
	}
	require.Equal(t, 19*time.Second, until(
		prewarm.Event{Kind: prewarm.Woken},
		prewarm.Event{Kind: prewarm.Arrived, At: 2 * time.Second, Invocation: 1},
		prewarm.Event{Kind: prewarm.Placed, At: 2 * time.Second, Invocation: 1, Container: 1, Start: prewarm.Cold},
		prewarm.Event{Kind: prewarm.Started, At: 4 * time.Second, Invocation: 1, Container: 1},
		prewarm.Event{Kind: prewarm.Ended, At: 6 * time.Second, Invocation: 1, Container: 1},
		prewarm.Event{Kind: prewarm.Idle, At: 7 * time.Second, Container: 1},
	))
	// A second start took 4 s: the mean is 3 s, which are kept for 18.
	require.Equal(t, 34*time.Second, until(
		prewarm.Event{Kind: prewarm.Starting, At: 12 * time.Second, Container: 2},
		prewarm.Event{Kind: prewarm.Idle, At: 16 * time.Second, Container: 2},
	))
	for _, bad := range []float64{-1, math.NaN(), inf} {
		_, err := oracle.NewSki(bad, time.Second)
		require.Error(t, err)
	}
	_, err = oracle.NewSki(1, 0)
	require.Error(t, err)
}

// TestChainVectors: three functions of 1 s with starts of 2 s. All cold they take 9 s when each starts its own, 5 s by O3; with a warm root 7 and
// 4 s. Of 5 s each, with a warm root, O3 has nobody wait.
func TestChainVectors(t *testing.T) {
	functions := []oracle.Function{{Name: "a", MemoryMB: 100, Start: 2}, {Name: "b", MemoryMB: 100, Start: 2}, {Name: "c", MemoryMB: 100, Start: 2}}
	cold := bounds(t, oracle.Workload{Functions: functions, Requests: []oracle.Request{sequence(7, 1, 1, 1)}})
	require.Equal(t, []float64{9 - 3}, cold.KeepAlive([]float64{0, 0, 0}).Added)
	r := cold.Chain(oracle.ChainOptions{}, 1)
	require.Equal(t, []float64{5 - 3}, r.Added)
	require.Zero(t, r.Idle)
	require.Equal(t, 600.0, r.Starting)
	require.Equal(t, [3]int{1, 0, 3}, [3]int{r.Cold, r.Late, r.Starts})
	require.Equal(t, []float64{6 - 3}, cold.Chain(oracle.ChainOptions{AtStart: true}, 1).Added, "b waits 1 s more when the start is what is seen")

	twice := bounds(t, oracle.Workload{Functions: functions, Requests: []oracle.Request{sequence(0, 1, 1, 1), sequence(100, 1, 1, 1)}})
	require.Equal(t, []float64{6, 4}, twice.KeepAlive([]float64{99, 0, 0}).Added)
	r = twice.Chain(oracle.ChainOptions{Keep: 99}, 1)
	require.Equal(t, []float64{2, 1}, r.Added)
	require.Equal(t, 100*(99.0+2), r.Idle, "over the gap, and until the end of the last run")
	require.Equal(t, 1, r.Late)
	require.Equal(t, 0.0, bounds(t, oracle.Workload{Functions: functions, Requests: []oracle.Request{sequence(0, 1), sequence(9, 5, 5, 5)}}).Chain(oracle.ChainOptions{Keep: 8}, 1).Added[1])
}

// TestFirstCalls: a fresh container is slower by its first call, if it makes one, and delays all it calls.
func TestFirstCalls(t *testing.T) {
	functions := []oracle.Function{{Name: "a", MemoryMB: 100, Start: 2, FirstCall: 0.25}, {Name: "b", MemoryMB: 100, Start: 1, FirstCall: 0.25}}
	b := bounds(t, oracle.Workload{Functions: functions, Requests: []oracle.Request{sequence(0, 1, 1), sequence(10, 1, 1)}})
	r := b.Clairvoyant(1000)
	require.Equal(t, []float64{0.25, 0.25}, r.Added)
	require.Equal(t, 600.0+1000*0.5, r.J(1000))
	r = b.Clairvoyant(3000) // the call is worth more than 8 s of a, which is there from 1 to 10
	require.Equal(t, []float64{0.25, 0}, r.Added)
	require.Equal(t, 900.0, r.Idle)
	require.Equal(t, []float64{3.25, 3.25}, b.KeepAlive([]float64{0, 0}).Added)
	require.Equal(t, []float64{2.25, 2.25}, b.Chain(oracle.ChainOptions{}, 1).Added)
}

// TestDealing: containers are used most recently used first, and can be used at the moment at which they are free.
func TestDealing(t *testing.T) {
	w := one(oracle.Function{Name: "f", MemoryMB: 1, Start: 1}, 2, 0, 1, 10, 12, 13)
	b := bounds(t, w)
	require.Equal(t, 2, b.Containers(0))
	require.Equal(t, []float64{7, 0, 11}, b.Gaps(0))
	w.Return, w.Until = 0.5, 20
	b = bounds(t, w)
	require.Equal(t, []float64{6.5, 9.5, 0.5}, b.Gaps(0))
	require.Equal(t, 5, b.Invocations())
	require.Equal(t, 5, b.Requests())
	r := b.KeepAlive([]float64{inf})
	require.InDelta(t, 6.5+9.5+0.5+5.5+4.5, r.Idle, 1e-12)
}

// TestFromTrace: what a cold invocation waited is not part of the request.
func TestFromTrace(t *testing.T) {
	r := oracle.FromTrace(50, prewarm.Trace{
		{Function: 1, Parent: -1, Arrival: 0, Start: 0.01, End: 1},
		{Function: 0, Parent: 0, Arrival: 1, Start: 3, End: 4, Init: 0.2},
		{Function: 2, Parent: 1, Arrival: 4, Start: 4.02, End: 4.5},
	})
	require.Equal(t, 50.0, r.Arrival)
	for i, want := range []oracle.Call{{1, -1, 0.01, 0.99}, {0, 0, 0.99, 1}, {2, 1, 1.02, 0.48}} {
		require.Equal(t, want.Function, r.Calls[i].Function)
		require.Equal(t, want.Parent, r.Calls[i].Parent)
		require.InDelta(t, want.Delay, r.Calls[i].Delay, 1e-12)
		require.InDelta(t, want.Duration, r.Calls[i].Duration, 1e-12)
	}
}

// TestMistakes: what is wrong with a load is said.
func TestMistakes(t *testing.T) {
	f := oracle.Function{Name: "f", MemoryMB: 1}
	for text, w := range map[string]oracle.Workload{
		"function 0, f, has no memory":                    one(oracle.Function{Name: "f"}, 1, 0),
		"function 0, f: start time is -1":                 one(oracle.Function{Name: "f", MemoryMB: 1, Start: -1}, 1, 0),
		"function 0, f: first call is NaN":                one(oracle.Function{Name: "f", MemoryMB: 1, FirstCall: math.NaN()}, 1, 0),
		"request 0 arrived at NaN":                        one(f, 1, math.NaN()),
		"request 0, call 0: delay 0 s, duration -1 s":     one(f, -1, 0),
		"request 0 has no calls":                          {Functions: []oracle.Function{f}, Requests: []oracle.Request{{}}},
		"request 0, call 0: there is no function 1":       {Functions: []oracle.Function{f}, Requests: []oracle.Request{{Calls: []oracle.Call{{Function: 1, Parent: -1}}}}},
		"request 0, call 1: its caller is call 1":         {Functions: []oracle.Function{f}, Requests: []oracle.Request{{Calls: []oracle.Call{{Parent: -1}, {Parent: 1}}}}},
		"request 0, call 1: its caller is call -1":        {Functions: []oracle.Function{f}, Requests: []oracle.Request{{Calls: []oracle.Call{{Parent: -1}, {Parent: -1}}}}},
		"containers return after -1 s, memory is charged": {Return: -1},
	} {
		_, err := oracle.New(w)
		require.ErrorContains(t, err, "oracle: "+text)
	}
	r := bounds(t, oracle.Workload{}).Clairvoyant(1)
	require.True(t, math.IsNaN(r.AddedQuantile(0.5)))
	require.True(t, math.IsNaN(r.AddedMean()))
	require.Zero(t, r.MemoryPerRequest())
}
