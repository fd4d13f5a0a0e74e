package learn

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
)

// gap is the time between requests of tests.
const gap = 20 * time.Minute

// TestLearnsFromNothing: with the fifth request a model serves, and what follows the first function is warmed from the sixth on.
func TestLearnsFromNothing(t *testing.T) {
	w := newWorld(t, 4, Options{Model: newsvendor.Table})
	for i := range 5 {
		require.Empty(t, w.policy.Models(), "after %d requests", i)
		w.request(prewarm.Time(i+1)*gap, w.chain(3, 0, 1, 2))
		require.Empty(t, w.started())
	}
	w.request(6*gap, w.chain(3, 0, 1, 2))
	started := w.started()
	require.Positive(t, started[1])
	require.Positive(t, started[2])
	require.Zero(t, started[3], "nothing is known of it")
	models := w.policy.Models()
	require.Len(t, models, 1)
	require.Equal(t, []int{0, 1, 2}, models[0].Functions)
	require.Equal(t, "f0", models[0].Application)
	require.Equal(t, 5, models[0].Traces)
	require.True(t, models[0].Agrees)
	require.Empty(t, w.policy.Warnings())
}

// TestForeseesRegularRequests checks that ten requests at about regular times are enough to have a container for the root of the next ones.
func TestForeseesRegularRequests(t *testing.T) {
	w := newWorld(t, 3, Options{Model: newsvendor.Table})
	at := prewarm.Time(0)
	for i := range 20 {
		at += time.Duration(w.about(12) * float64(time.Second))
		w.tell(prewarm.Event{Kind: prewarm.Woken, At: at - time.Millisecond, Key: 97})
		if foreseen := w.started()[0] > 0; i >= 10 {
			require.True(t, foreseen, "request %d", i)
		}
		w.request(at, w.chain(0.3, 0, 1))
		w.started()
	}
}

// TestKnowledge: what was recorded beforehand serves from the first request on, and is kept beside what comes.
func TestKnowledge(t *testing.T) {
	r := prewarm.Recording{Name: "chain", Functions: []int{0, 1}, Gaps: []float64{900, 1100, 1300}}
	for range 40 {
		r.Warm = append(r.Warm, prewarm.Trace{{Function: 0, Parent: -1, End: 3}, {Function: 1, Parent: 0, Arrival: 3, Start: 3, End: 4}})
	}
	w := newWorld(t, 3, Options{Model: newsvendor.Table, Knowledge: prewarm.Knowledge{Applications: []prewarm.Recording{r}}})
	require.Equal(t, 40, w.policy.Models()[0].Traces)
	w.request(gap, w.chain(3, 0, 1))
	require.Positive(t, w.started()[1])
	require.Equal(t, 41, w.policy.library.apps[0].seen)
	require.Len(t, w.policy.recorder.arrivals[0].gaps, 3, "the time before the first request is none between two")
}

// TestTrainsAModel: from 50 requests on there are enough for a race, which is taken over only if it foretells the newest ones better.
func TestTrainsAModel(t *testing.T) {
	w := newWorld(t, 3, Options{})
	for i := range 60 {
		// All calls of a request take long, or none does: a table does not know that.
		took := 1.0
		if w.rng.IntN(2) == 0 {
			took = 4
		}
		w.request(prewarm.Time(i+1)*gap, w.chain(took, 0, 1, 2))
	}
	require.Empty(t, w.policy.Warnings())
	require.Equal(t, "race", w.policy.Models()[0].Kind)
	require.Equal(t, 40, w.policy.Models()[0].Traces)
	a := w.policy.library.apps[0]
	require.Equal(t, newsvendor.Table, a.previous.Kind(), "it is kept to fall back to")
}

// TestApplications: requests that share no function belong to two applications, until one connects them.
func TestApplications(t *testing.T) {
	w := newWorld(t, 5, Options{Model: newsvendor.Table})
	at := prewarm.Time(0)
	for range 12 {
		at += gap
		w.request(at, w.chain(1, 0, 1))
		at += gap
		w.request(at, w.chain(1, 2, 3))
	}
	models := w.policy.Models()
	require.Len(t, models, 2)
	require.Equal(t, []int{0, 1}, models[0].Functions)
	require.Equal(t, []int{2, 3}, models[1].Functions)
	w.started()
	// Function 4 is shared.
	for range 24 {
		at += gap
		w.request(at, w.chain(1, 0, 1, 4))
		at += gap
		w.request(at, w.chain(1, 2, 3, 4))
	}
	require.Len(t, w.policy.library.apps, 1)
	models = w.policy.Models()
	require.Len(t, models, 1)
	require.Equal(t, []int{0, 1, 2, 3, 4}, models[0].Functions)
	w.started()
	at += gap
	w.request(at, w.chain(1, 2, 3, 4))
	started := w.started()
	require.Positive(t, started[3])
	require.Positive(t, started[4])
}

// TestFollowsDrift: when all durations double, what is expected follows within 60 requests, and what is older is forgotten.
func TestFollowsDrift(t *testing.T) {
	for _, kind := range []string{newsvendor.Table, newsvendor.DefaultModel} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, 3, Options{Model: kind})
			var medians []float64 // of the arrival of the last function, after that of the root
			w.arrived = func(e *prewarm.Event) {
				for _, x := range w.policy.Expected(e.Trace, nil) {
					if x.Function == 2 {
						medians = append(medians, (x.Median - e.At).Seconds())
					}
				}
			}
			const before, after = 120, 60
			for i := range before + after {
				took := 3.0
				if i >= before {
					took = 6
				}
				w.request(prewarm.Time(i+1)*gap, w.chain(took, 0, 1, 2))
			}
			require.Empty(t, w.policy.Warnings())
			// Two cold starts and two runs lie before it; where what is between is warmed by then, one start.
			require.InDelta(t, 10, medians[before-10], 2.5)
			require.InDelta(t, 16, medians[len(medians)-1], 2.5)
			require.Less(t, w.policy.library.apps[0].seen, after+window)
			require.True(t, w.policy.Models()[0].Agrees)
		})
	}
}

// TestDisagrees: where what came is not what was expected, and is not learned, the state says so.
func TestDisagrees(t *testing.T) {
	m := raceOf(t, newWorld(t, 3, Options{}), 0, 1, 2)
	w := newWorld(t, 3, Options{Models: []Model{m}, Fixed: true})
	for i := range 30 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 0, 1, 2))
	}
	require.True(t, w.policy.Models()[0].Agrees)
	for i := range 60 {
		w.request(prewarm.Time(i+31)*gap, w.chain(1, 0))
	}
	state := w.policy.Models()[0]
	require.False(t, state.Agrees)
	require.Contains(t, state.Reason, "have come")
}

// TestSameDecisions: the same events lead to the same decisions.
func TestSameDecisions(t *testing.T) {
	var first string
	for range 2 {
		w := newWorld(t, 3, Options{Seed: 3})
		for i := range 55 {
			w.request(prewarm.Time(i+1)*gap, w.chain(2, 0, 1, 2))
		}
		got := fmt.Sprint(w.decided)
		if first == "" {
			first = got
		}
		require.Equal(t, first, got)
	}
}

// TestBackground: the training does not keep the events waiting, and its model is taken over at a later event.
func TestBackground(t *testing.T) {
	w := newWorld(t, 3, Options{Model: newsvendor.Table, Background: true})
	for i := range 6 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 0, 1, 2))
	}
	if w.policy.worker.busy { // otherwise it was taken over at one of the events
		v := <-w.policy.worker.done // it is trained at some time
		require.NoError(t, v.err)
		w.policy.worker.done <- v
	}
	w.handle(prewarm.Event{Kind: prewarm.Woken, At: w.now, Key: 99})
	require.Len(t, w.policy.Models(), 1)
	require.NoError(t, w.policy.Close())
	w.request(8*gap, w.chain(1, 0, 1, 2))
}

// TestGrows: functions that were added to the fleet are learned like others.
func TestGrows(t *testing.T) {
	w := newWorld(t, 1, Options{Model: newsvendor.Table})
	for _, name := range []string{"later", "last"} {
		_, err := w.fleet.AddFunction(prewarm.Function{Name: name, MemoryMB: 128})
		require.NoError(t, err)
	}
	for i := range 7 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 0, 1, 2))
	}
	require.Positive(t, w.started()[2])
	require.Equal(t, []int{0, 1, 2}, w.policy.Models()[0].Functions)
}

// TestForget: after a redeployment only the start times are learned anew.
func TestForget(t *testing.T) {
	w := newWorld(t, 2, Options{Model: newsvendor.Table})
	for i := range 6 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 0, 1))
	}
	count := func() (n int) {
		w.policy.newsvendor.EachStart(1, func(_ int, took time.Duration) {
			require.InDelta(t, coldStart.Seconds(), took.Seconds(), 0.01)
			n++
		})
		return n
	}
	require.Equal(t, 6, count())
	w.policy.Forget(1)
	w.policy.Forget(17)
	require.Zero(t, count())
	require.Len(t, w.policy.Models(), 1)
	w.request(7*gap, w.chain(1, 0, 1))
	require.Equal(t, 1, count())
}

// TestAnyOrder: whatever a platform tells, in whatever order, the policy goes on, and what it keeps is consistent.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		platform := testPlatform
		platform.Arrivals = rapid.Bool().Draw(t, "arrivals")
		platform.MemoryMB = rapid.SampledFrom([]int{0, 1024}).Draw(t, "memory")
		functions := functionsOf(3)
		p, err := New(t.Context(), Options{Price: 2560, Model: newsvendor.Table, Platform: platform, Functions: functions, MaxBytes: 20_000})
		require.NoError(t, err)
		fleet, err := prewarm.NewFleet(platform, functions)
		require.NoError(t, err)
		var out prewarm.Decisions
		at := prewarm.Time(0)
		for range rapid.IntRange(0, 400).Draw(t, "events") {
			at += time.Duration(rapid.SampledFrom([]int64{0, 1, 1e6, 1e9, 3e9, 1e12}).Draw(t, "later"))
			if rapid.IntRange(0, 100).Draw(t, "add") == 0 {
				_, err := fleet.AddFunction(prewarm.Function{Name: fmt.Sprint("g", len(fleet.Functions)), MemoryMB: 128})
				require.NoError(t, err)
			}
			e := prewarm.Event{
				Kind: prewarm.Kind(rapid.IntRange(0, int(prewarm.Displaced)+1).Draw(t, "kind")), At: at,
				Function:   rapid.IntRange(-1, len(fleet.Functions)).Draw(t, "function"),
				Container:  prewarm.ID(rapid.IntRange(0, 6).Draw(t, "container")),
				Trace:      prewarm.ID(rapid.IntRange(0, 4).Draw(t, "trace")),
				Invocation: prewarm.ID(rapid.IntRange(0, 12).Draw(t, "invocation")),
				Parent:     prewarm.ID(rapid.IntRange(0, 4).Draw(t, "parent")),
				Start:      prewarm.Start(rapid.IntRange(0, 2).Draw(t, "start")),
				Key:        uint64(rapid.IntRange(0, 4).Draw(t, "key")),
			}
			if fleet.Apply(&e) != nil && rapid.Bool().Draw(t, "leave out") {
				continue
			}
			out.Reset()
			p.Handle(&e, fleet, &out)
			checkLibrary(t, p.library)
		}
		for _, w := range p.Warnings() {
			t.Fatal(w)
		}
	})
}

// checkLibrary checks that what the library says of itself is so.
func checkLibrary(t require.TestingT, l *library) {
	total := 0
	for _, a := range l.apps {
		bytes := 0
		for _, s := range a.all() {
			bytes += sizeOf(s.trace)
		}
		require.Equal(t, bytes, a.bytes)
		require.LessOrEqual(t, len(a.fresh), mostNew)
		require.LessOrEqual(t, len(a.old), mostOld)
		for _, f := range a.functions {
			require.Same(t, a, l.of[f])
		}
		total += bytes
	}
	require.Equal(t, total, l.bytes)
	require.LessOrEqual(t, l.bytes, l.most)
}

// TestMemoryIsBounded: whatever many requests of many applications come, and are left unfinished, what is kept stays within bounds.
func TestMemoryIsBounded(t *testing.T) {
	const apps, requests = 40, 100_000
	p := prewarm.Platform{Arrivals: true}
	r := newRecorder(p)
	l := &library{most: 2 << 20, rng: newWorld(t, 1, Options{}).rng}
	r.over = func(f *flight) { l.add(f) }
	fleet, err := prewarm.NewFleet(p, functionsOf(3*apps))
	require.NoError(t, err)
	for i := range requests {
		root := i % apps * 3
		trace := prewarm.ID(i + 1)
		at := prewarm.Time(i) * time.Millisecond
		for k := range 3 {
			e := prewarm.Event{Kind: prewarm.Arrived, At: at, Function: root + k, Trace: trace, Invocation: trace*4 + prewarm.ID(k)}
			if k > 0 {
				e.Parent = e.Invocation - 1
			}
			r.observe(&e, fleet)
			if i%7 == 6 {
				continue // of these nothing more is heard
			}
			e.Kind = prewarm.Started
			r.observe(&e, fleet)
			e.Kind = prewarm.Ended
			r.observe(&e, fleet)
		}
	}
	checkLibrary(t, l)
	require.Len(t, l.apps, apps)
	require.Greater(t, l.bytes, l.most/2)
	require.LessOrEqual(t, len(r.flights), mostInFlight)
	require.InDelta(t, requests/7+2000*6/7, len(r.index), 2, "those that nobody ends, and those that have not settled")
}

// TestAgreement checks the bounds of what agrees.
func TestAgreement(t *testing.T) {
	var a application
	require.True(t, func() bool { _, _, ok := a.agree(); return ok }())
	f := &flight{calls: make([]call, 3), expected: 2, variance: 0}
	for range 250 {
		a.compare(f)
	}
	expected, came, ok := a.agree()
	require.Equal(t, 200.0, expected)
	require.Equal(t, 200.0, came)
	require.True(t, ok)
	f.expected = 4
	for range 100 {
		a.compare(f)
	}
	_, _, ok = a.agree()
	require.False(t, ok)
	f.expected = math.NaN()
	a.compare(f)
	require.Equal(t, 350, a.agreed, "of what nothing was expected says nothing")
}
