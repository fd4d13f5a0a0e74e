package localwhisk

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var epoch = time.Date(2021, 6, 1, 0, 0, 0, 0, time.UTC)

// sequenceSleeps are the durations of the sequence composition's functions f1 to f10, in milliseconds.
var sequenceSleeps = []int{300, 400, 500, 300, 400, 500, 300, 400, 500, 300}

// sequenceName returns the name of the i-th function of the chain.
func sequenceName(i int) string {
	if i == 0 {
		return "main"
	}
	return fmt.Sprintf("f%d", i)
}

// sleepOf returns how long the i-th function of the chain sleeps.
func sleepOf(i int) time.Duration {
	if i == 0 {
		return 0
	}
	return time.Duration(sequenceSleeps[i-1]) * time.Millisecond
}

// runSequence sends requests to main at the given times after the epoch. Main and each function invoke the next at their ends. It returns the
// records of each request, in the order of the chain.
func runSequence(tb testing.TB, config Config, seed uint64, requests []time.Duration) [][]Activation {
	tb.Helper()
	clock := NewVirtualClock(epoch)
	platform, err := New(clock, config, seed)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range len(sequenceSleeps) + 1 {
		err := platform.Deploy(Function{Name: sequenceName(i), Handler: func(run *Run) {
			run.Sleep(sleepOf(i), func() {
				if i < len(sequenceSleeps) {
					if _, err := run.Invoke(sequenceName(i+1), run.Params()); err != nil {
						tb.Error(err)
					}
				}
				run.Finish()
			})
		}})
		if err != nil {
			tb.Fatal(err)
		}
	}
	traceOf := map[string]int{}
	traces := make([][]Activation, len(requests))
	byID := map[string]Activation{}
	platform.OnEnd(func(a Activation) { byID[a.ID] = a })
	for i, at := range requests {
		clock.AfterFunc(at, func() {
			id, err := platform.Invoke("main", i, nil)
			if err != nil {
				tb.Error(err)
			}
			traceOf[id] = i
		})
	}
	if err := clock.Run(context.Background()); err != nil {
		tb.Fatal(err)
	}
	if err := platform.Err(); err != nil {
		tb.Fatal(err)
	}
	if flying := platform.InFlight(); len(flying) > 0 {
		tb.Fatalf("%d activations did not end, the first: %+v", len(flying), flying[0])
	}
	child := map[string]Activation{}
	for _, a := range byID {
		child[a.Cause+a.Name] = a
	}
	for id, i := range traceOf {
		a := byID[id]
		for n := 1; ; n++ {
			traces[i] = append(traces[i], a)
			next, ok := child[a.ID+sequenceName(n)]
			if !ok {
				break
			}
			a = next
		}
	}
	return traces
}

// uniformRequests returns n times with gaps that are uniformly distributed between lower and upper.
func uniformRequests(n int, lower, upper time.Duration, seed uint64) []time.Duration {
	rng := rand.New(rand.NewPCG(seed, 0))
	at := make([]time.Duration, n)
	for i := 1; i < n; i++ {
		at[i] = at[i-1] + lower + time.Duration(rng.Int64N(int64(upper-lower)+1))
	}
	return at
}

// batchedRequests returns n times in batches, with a gap between requests and a pause between batches.
func batchedRequests(n, size int, gap, pause time.Duration) []time.Duration {
	at := make([]time.Duration, n)
	for i := 1; i < n; i++ {
		at[i] = at[i-1] + gap
		if i%size == 0 {
			at[i] = at[i-1] + pause
		}
	}
	return at
}
