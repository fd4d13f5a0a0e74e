package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// policyOf makes a policy of a function.
func policyOf(f prewarm.PolicyFunc) NewPolicy {
	return func(prewarm.Platform, []prewarm.Function, prewarm.Knowledge, uint64) (prewarm.Policy, error) {
		return f, nil
	}
}

// keepAlive keeps idle containers for d.
func keepAlive(d time.Duration) NewPolicy {
	return policyOf(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
		if e.Kind == prewarm.Idle {
			out.Hold(f.Container(e.Container), f.Now+d, prewarm.Why{Rule: "kept after its use"})
		}
	})
}

func newWorkload(t testing.TB, app, load string, n int) *Workload {
	t.Helper()
	w, err := NewWorkload(app, load, Options{Requests: n})
	require.NoError(t, err)
	return w
}

// clockwork returns a workload of 8 requests, 3 of which are scored, one every 500 s: main calls f, which works for 5 s. A container takes 2 s to
// be created and 0.1 s to be initialised; all else takes no time, but for a first call, which takes 0.25 s more.
func clockwork(t testing.TB) *Workload {
	t.Helper()
	w := newWorkload(t, "sequence", "periodic:500", 8)
	w.apps = []*application{{Application: &apps.Application{
		Name: "two", Functions: []apps.Function{{Name: apps.Main, Invokes: apps.Always("f")}, function("f", 5000)},
	}}}
	w.bases, w.options.Fixed = []int{0}, true
	w.Functions = []prewarm.Function{{Name: "two-dev-main", MemoryMB: 256}, {Name: "two-dev-f", MemoryMB: 256}}
	w.config = localwhisk.Config{
		MemoryMB: 1024, FunctionMemoryMB: 256, IdleTimeout: 10 * time.Minute, PauseGrace: 10 * time.Second,
		Creation: localwhisk.Delay{Min: 2 * time.Second}, Init: localwhisk.Delay{Min: 100 * time.Millisecond}, FirstCall: localwhisk.Delay{Min: 250 * time.Millisecond},
	}
	return w
}

// TestByHand checks measures that were computed by hand. Everything warm, a request takes 5 s. Memory counts from the first scored request
// on until 500 s after the last one: 1500 s.
func TestByHand(t *testing.T) {
	startF := func(after time.Duration) NewPolicy { // starts f some time after main has arrived, and keeps nothing after use
		return policyOf(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
			switch {
			case e.Kind == prewarm.Arrived && e.Function == 0:
				out.Wake(e.At+after, 1)
			case e.Kind == prewarm.Woken && e.Key == 1:
				out.Start(1, 1, prewarm.Why{})
			case e.Kind == prewarm.Idle && f.Container(e.Container).Uses > 0:
				out.GiveBack(f.Container(e.Container), prewarm.Why{})
			case e.Kind == prewarm.Idle:
				out.Hold(f.Container(e.Container), e.At+100*time.Second, prewarm.Why{})
			}
		})
	}
	const c = 2.1 // a start
	for _, test := range []struct {
		name    string
		policy  NewPolicy
		setting Setting
		want    Measures
	}{
		// Containers are idle all the time but when they are busy: main never is, f for 5 s.
		{"kept over the gap", keepAlive(600 * time.Second), Setting{}, Measures{Idle: 256 * (500 + 495), Busy: 256 * 5}},
		// f waits for main's start, its first call, and its own start. main is idle at once, but busy for the 0.25 s of its first call.
		{"kept too short", keepAlive(400 * time.Second), Setting{}, Measures{
			Mean: 2*c + 0.25, Starting: 2 * 256 * c, Idle: 256 * 2 * 400, Busy: 256 * 5.25, Cold: 2,
		}},
		{"nothing kept", keepAlive(0), Setting{}, Measures{Mean: 2*c + 0.25, Starting: 2 * 256 * c, Busy: 256 * 5.25, Cold: 2}},
		// f arrives at 2.35 s; its container is there since 2.1 s.
		{"f in time", startF(0), Setting{}, Measures{Mean: c + 0.25, Starting: 2 * 256 * c, Idle: 256 * 0.25, Busy: 256 * 5.25, Cold: 1}},
		// Its container is there at 3.1 s.
		{"f late", startF(time.Second), Setting{}, Measures{Mean: 1 + c, Starting: 2 * 256 * c, Busy: 256 * 5.25, Cold: 1, Late: 1}},
		// It has another one created instead; the one on the way is idle for 100 s.
		{"f late, with a container of its own", startF(time.Second), Setting{Own: true}, Measures{
			Mean: 2*c + 0.25, Starting: 3 * 256 * c, Idle: 256 * 100, Busy: 256 * 5.25, Cold: 2, Wasted: 1,
		}},
		// The first call of f, which calls nothing, is made for nothing.
		{"f in time, with its first call", startF(0), Setting{FirstCall: true}, Measures{
			Mean: c + 0.25, Starting: 256 * (c + c + 0.25), Busy: 256 * 5.25, Cold: 1,
		}},
		// f comes at 2.35 s, but the policy first hears of the request at 2.1 s: its container is created for it.
		{"hearing of starts only", policyOf(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
			require.NotEqual(t, prewarm.Arrived, e.Kind)
			require.NotEqual(t, prewarm.Placed, e.Kind)
			require.False(t, f.Platform.Arrivals)
			switch {
			case e.Kind == prewarm.Started && e.Function == 0:
				out.Start(1, 1, prewarm.Why{})
			case e.Kind == prewarm.Idle:
				out.GiveBack(f.Container(e.Container), prewarm.Why{})
			}
		}), Setting{StartsOnly: true}, Measures{Mean: 2 * c, Starting: 2 * 256 * c, Busy: 256 * 5.25, Cold: 1, Late: 1}},
		// The platform keeps containers, whatever the policy wants.
		{"without giving back", keepAlive(0), Setting{NoGiveBack: true}, Measures{Idle: 256 * (500 + 495), Busy: 256 * 5}},
		// It removes them after 300 s, unless they are renewed 15 s, here 5 s at most, before: each once in a gap.
		{"kept by renewing", keepAlive(600 * time.Second), Setting{NoGiveBack: true, Renew: true, Own: true, IdleTimeout: 300 * time.Second}, Measures{
			Idle: 256 * (500 + 495), Busy: 256 * 5, Renewals: 2,
		}},
		{"which is not wanted", keepAlive(300 * time.Second), Setting{NoGiveBack: true, Renew: true, Own: true, IdleTimeout: 300 * time.Second}, Measures{
			Mean: 2*c + 0.25, Starting: 2 * 256 * c, Idle: 256 * 2 * 300, Busy: 256 * 5.25, Cold: 2,
		}},
		// Renewed after 95 s, after 190 s, and after 285 s, when it is to be kept until 390 s, they are there until 385 s.
		{"kept by renewing, too short", keepAlive(390 * time.Second), Setting{NoGiveBack: true, Renew: true, Own: true, IdleTimeout: 100 * time.Second}, Measures{
			Mean: 2*c + 0.25, Starting: 2 * 256 * c, Idle: 256 * 2 * 385, Busy: 256 * 5.25, Cold: 2, Renewals: 6,
		}},
		// Two replicas of each, whatever the load.
		{"replicas", policyOf(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
			if e.Kind == prewarm.Woken {
				out.Scale(0, 1, prewarm.Why{})
				out.Scale(1, 2, prewarm.Why{})
			}
		}), Setting{}, Measures{Idle: 256 * (500 + 995), Busy: 256 * 5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := clockwork(t)
			run, err := w.Run(t.Context(), test.setting, 1, test.policy, Observer{})
			require.NoError(t, err)
			want := test.want
			want.Requests = 3
			want.P50, want.P95, want.P99 = want.Mean, want.Mean, want.Mean
			requireMeasures(t, want, run.Measures)
			require.Len(t, run.Added, 3)
			require.InDelta(t, 1, run.Functions[1].Invocations, 1e-9)
		})
	}
}

// requireMeasures compares measures but for rounding of times to nanoseconds.
func requireMeasures(t *testing.T, want, got Measures) {
	t.Helper()
	text := func(m Measures) map[string]float64 {
		line, err := json.Marshal(m)
		require.NoError(t, err)
		var out map[string]float64
		require.NoError(t, json.Unmarshal(line, &out))
		return out
	}
	g := text(got)
	for name, v := range text(want) {
		require.InDelta(t, v, g[name], 1e-5, "%s: want %+v, got %+v", name, want, got)
	}
}

// TestScaleDown checks that of too many replicas idle ones are removed at once, and busy ones once they are idle.
func TestScaleDown(t *testing.T) {
	w := clockwork(t)
	counts := map[time.Duration]int{}
	_, err := w.Run(t.Context(), Setting{}, 1, policyOf(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
		switch {
		case e.Kind == prewarm.Woken && e.Key == 0:
			out.Scale(1, 3, prewarm.Why{})
			out.Wake(501*time.Second, 1) // main is warm by then or not: f is busy from 502.35 s at the latest
			out.Wake(504*time.Second, 2)
			out.Wake(505*time.Second, 3)
			out.Wake(510*time.Second, 4)
		case e.Kind == prewarm.Woken:
			counts[e.At] = f.Count(1)
			if e.Key == 2 {
				out.Scale(1, 0, prewarm.Why{})
			}
		}
	}), Observer{})
	require.NoError(t, err)
	require.Equal(t, map[time.Duration]int{501 * time.Second: 3, 504 * time.Second: 3, 505 * time.Second: 1, 510 * time.Second: 0}, counts)
}

// TestProcessorTime checks that policies see the durations of runs as processor time, by function and by container, also of a run under way.
func TestProcessorTime(t *testing.T) {
	w := clockwork(t)
	seen := map[prewarm.Time][2]time.Duration{}
	_, err := w.Run(t.Context(), Setting{}, 1, policyOf(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
		switch {
		case e.Kind == prewarm.Woken:
			at := seen[e.At]
			at[0] = f.Loads[1].CPU
			for _, s := range []prewarm.State{prewarm.StateIdle, prewarm.StateBusy} {
				for _, c := range f.Containers(1, s) {
					at[1] += c.CPU
				}
			}
			seen[e.At] = at
			if e.Key == 0 {
				for i, at := range []prewarm.Time{506450 * time.Millisecond, 600 * time.Second, 1001 * time.Second, 1100 * time.Second} {
					out.Wake(at, uint64(i+1))
				}
			}
		case e.Kind == prewarm.Idle:
			out.Hold(f.Container(e.Container), prewarm.Never, prewarm.Why{})
		}
	}), Observer{})
	require.NoError(t, err)
	// The first run of f is from 504.45 to 509.45 s, the second from 1000 to 1005 s.
	for at, want := range map[prewarm.Time]time.Duration{506450 * time.Millisecond: 2 * time.Second, 600 * time.Second: 5 * time.Second, 1001 * time.Second: 6 * time.Second, 1100 * time.Second: 10 * time.Second} {
		require.Equal(t, [2]time.Duration{want, want}, seen[at], at)
	}
}

// TestWakes checks that a policy is asked at the times that it has named: at once for one in the past, and once for a key that was given twice.
func TestWakes(t *testing.T) {
	w := clockwork(t)
	var woken []prewarm.Time
	_, err := w.Run(t.Context(), Setting{}, 1, policyOf(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
		if e.Kind != prewarm.Woken {
			return
		}
		woken = append(woken, e.At)
		switch e.Key {
		case 0:
			out.Wake(5*time.Second, 1)
			out.Wake(7*time.Second, 1)
			out.Wake(6*time.Second, 2)
			out.Wake(prewarm.Never, 2)
			out.Wake(8*time.Second, 3)
		case 3:
			out.Wake(time.Second, 4)
		}
	}), Observer{})
	require.NoError(t, err)
	require.Equal(t, []prewarm.Time{0, 7 * time.Second, 8 * time.Second, 8 * time.Second}, woken)
}

// TestPolicyWithoutEnd checks that a policy which wants to be asked at once again and again is an error, not a run without an end.
func TestPolicyWithoutEnd(t *testing.T) {
	_, err := clockwork(t).Run(t.Context(), Setting{}, 1, policyOf(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
		out.Wake(0, 7)
	}), Observer{})
	require.ErrorContains(t, err, "the policy does not come to an end at 0s")
}

// TestEveryPolicyMeetsTheSameRequests checks that requests do not depend on the policy, on its platform, or on what shares it.
func TestEveryPolicyMeetsTheSameRequests(t *testing.T) {
	alone, err := newWorkload(t, "tree_small", "poisson:60", 50).Plan(t.Context(), 3)
	require.NoError(t, err)
	shared, err := newWorkload(t, "sequence+tree_small", "poisson:60", 50).Plan(t.Context(), 3)
	require.NoError(t, err)
	var mine []Request
	for _, r := range shared.Requests {
		if r.Application == 1 {
			mine = append(mine, r)
		}
	}
	require.Len(t, mine, len(alone.Requests))
	for i, r := range mine {
		require.Equal(t, alone.Requests[i].At, r.At)
		require.Len(t, r.Calls, len(alone.Requests[i].Calls))
		for k, c := range alone.Requests[i].Calls {
			require.Equal(t, c.Sleep, r.Calls[k].Sleep)
			require.Equal(t, c.Function+11, r.Calls[k].Function) // behind those of sequence
		}
	}
	w := newWorkload(t, "tree_small", "poisson:60", 50)
	sleeps := func(p NewPolicy) (arrivals []prewarm.Time, busy []float64) {
		run, err := w.Run(t.Context(), Setting{}, 3, p, Observer{})
		require.NoError(t, err)
		for _, r := range run.requests {
			arrivals = append(arrivals, r.records[0].arrival)
			busy = append(busy, (r.records[1].end - r.records[1].start).Round(time.Second).Seconds())
		}
		return arrivals, busy
	}
	a1, _ := sleeps(keepAlive(0))
	a2, _ := sleeps(keepAlive(time.Hour))
	require.Equal(t, a1, a2)
}

// TestKnowledge checks what policies are told beforehand.
func TestKnowledge(t *testing.T) {
	w := newWorkload(t, "branch+tree_small", "gamma:60:2", 10)
	k, err := w.Knowledge()
	require.NoError(t, err)
	require.Len(t, k.Applications, 2)
	for i, a := range k.Applications {
		require.Equal(t, []string{"branch", "tree_small"}[i], a.Name)
		require.Len(t, a.Warm, 400)
		require.Len(t, a.Cold, 40)
		require.Len(t, a.Gaps, 400)
		require.Equal(t, a.Name, w.Functions[a.Functions[0]].Application)
		for _, trace := range slices.Concat(a.Warm, a.Cold) {
			require.Equal(t, -1, trace[0].Parent)
			require.Zero(t, trace[0].Arrival)
			for n, v := range trace {
				require.Contains(t, a.Functions, v.Function)
				require.LessOrEqual(t, v.Arrival, v.Start)
				require.LessOrEqual(t, v.Start, v.End)
				if n > 0 {
					require.Less(t, v.Parent, n)
					require.GreaterOrEqual(t, v.Arrival, trace[v.Parent].Start)
				}
			}
		}
		for _, v := range slices.Concat(a.Warm...) {
			require.Zero(t, v.Init)
		}
		for _, v := range slices.Concat(a.Cold...) {
			require.Positive(t, v.Init)
		}
	}
	plan, err := w.Plan(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 10, plan.Scored)
	for _, r := range plan.Requests {
		require.Positive(t, r.Warm)
	}
	// The mean of a creation is about 2 s, and a first call takes about 0.165 s more.
	require.InDelta(t, 2.1, w.starts.start, 0.2)
	require.InDelta(t, 0.165, w.starts.firstCall, 0.02)
}

// TestMemoryCounts checks when memory begins and ends to count.
func TestMemoryCounts(t *testing.T) {
	for load, charge := range map[string]time.Duration{"periodic:5": time.Minute, "periodic:300": 5 * time.Minute, "periodic:7200": 30 * time.Minute} {
		p, err := newWorkload(t, "sequence", load, 8).Plan(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, p.Requests[5].At, p.Begin)
		require.Equal(t, p.Requests[7].At+charge, p.End, load)
		require.Equal(t, 3, p.Scored)
	}
}

// TestRandomPolicies checks that whatever a policy decides, every request is served, and what happens fits together.
func TestRandomPolicies(t *testing.T) {
	w := newWorkload(t, "tree_small+memory", "gamma:5:0.5", 12)
	w.config.MemoryMB = 15 * 256
	rapid.Check(t, func(t *rapid.T) {
		setting := Setting{
			Own: rapid.Bool().Draw(t, "own"), NoGiveBack: rapid.Bool().Draw(t, "no giveback"), StartsOnly: rapid.Bool().Draw(t, "starts only"),
			FirstCall: rapid.Bool().Draw(t, "first call"), WarmedLast: rapid.Bool().Draw(t, "warmed last"),
		}
		steps := rapid.SliceOfN(rapid.IntRange(0, 7), 1, 50).Draw(t, "steps")
		n := 0
		run, err := w.Run(context.Background(), setting, rapid.Uint64Range(1, 3).Draw(t, "seed"), policyOf(func(e *prewarm.Event, f *prewarm.Fleet, out *prewarm.Decisions) {
			n++
			function := n % len(f.Functions)
			c := f.Container(e.Container)
			switch step := steps[n%len(steps)]; {
			case step == 0:
				out.Start(function, 1+n%3, prewarm.Why{})
			case step == 1 && c != nil:
				out.Hold(c, e.At+time.Duration(n%90)*time.Second, prewarm.Why{})
			case step == 2 && c != nil:
				out.GiveBack(c, prewarm.Why{})
			case step == 3:
				out.Wake(e.At+time.Duration(1+n%9)*time.Second, uint64(n%5))
			case step == 4 && n%7 == 0:
				out.Scale(function, n%4, prewarm.Why{})
			case step == 5 && c != nil:
				out.Rank(c, float64(n%3))
			case step == 6 && c != nil:
				out.Hold(c, prewarm.Never, prewarm.Why{})
				out.GiveBack(c, prewarm.Why{})
			}
		}), Observer{})
		if err != nil {
			t.Fatal(err)
		}
		m := run.Measures
		if m.Requests != 14 || m.Starting < 0 || m.Idle < 0 || m.Busy <= 0 || m.Cold < 0 || m.Wasted < 0 {
			t.Fatalf("%+v", m)
		}
		for i := range run.Functions {
			if run.Functions[i].Wasted < 0 {
				t.Fatalf("%+v", run.Functions[i])
			}
		}
	})
}

// small returns a matrix of two policies, two workloads and three seeds.
func small(t testing.TB, workers int) *Matrix {
	return &Matrix{
		Workloads: []*Workload{newWorkload(t, "tree_small", "poisson:60", 12), newWorkload(t, "memory~0.5", "bursts:3:0.1:100", 12)},
		Policies: func(*Workload) []NamedPolicy {
			o1, err := ParseBound("O1")
			require.NoError(t, err)
			return []NamedPolicy{{Name: "keep:60", New: keepAlive(time.Minute)}, {Name: "none", New: keepAlive(0)}, {Name: "O1", Bound: o1}}
		},
		Seeds: []uint64{1, 2, 3}, Workers: workers, Explain: true, Trace: true,
	}
}

// TestSameBytesForAnyNumberOfWorkers checks that results, decisions and traces come in the same order, and are the same.
func TestSameBytesForAnyNumberOfWorkers(t *testing.T) {
	var first []byte
	for _, workers := range []int{1, 4, 0} {
		m := small(t, workers)
		var out bytes.Buffer
		m.Each = func(c *Cell) error {
			line, err := json.Marshal(&c.StoredResult)
			out.Write(line)
			out.Write(c.Explanations)
			out.Write(c.Traces)
			return err
		}
		require.NoError(t, m.Run(t.Context()))
		if first == nil {
			first = out.Bytes()
			require.Greater(t, len(first), 10_000)
		}
		require.True(t, bytes.Equal(first, out.Bytes()), "%d workers", workers)
	}
}

// TestTracesAreADataset checks that what -traces writes is read as a dataset whose sequences are the requests.
func TestTracesAreADataset(t *testing.T) {
	m := small(t, 1)
	var text bytes.Buffer
	cold, events := 0.0, 0
	m.Each = func(c *Cell) error {
		text.Write(c.Traces)
		cold += c.Cold * float64(c.Requests)
		return nil
	}
	require.NoError(t, m.Run(t.Context()))
	var line traceLine
	require.NoError(t, json.Unmarshal(text.Bytes()[:bytes.IndexByte(text.Bytes(), '\n')], &line))
	require.Equal(t, []any{"tree_small", "poisson:60", "keep:60", uint64(1)}, []any{line.App, line.Load, line.Policy, line.Seed})
	d, err := dataset.Read(&text)
	require.NoError(t, err)
	require.Len(t, d.Sequences, 2*2*3*12)
	for i := range d.Sequences {
		s := &d.Sequences[i]
		require.NoError(t, s.Validate(len(d.MarkNames)))
		require.Equal(t, -1, s.Parents[0])
		events += s.Len()
	}
	require.Greater(t, events, 1000)
	require.Positive(t, cold)
}

// TestExplanations checks that every decision but Wake is a line with its reason.
func TestExplanations(t *testing.T) {
	m := small(t, 1)
	var text bytes.Buffer
	m.Each = func(c *Cell) error {
		text.Write(c.Explanations)
		return nil
	}
	require.NoError(t, m.Run(t.Context()))
	decoder := json.NewDecoder(&text)
	decoder.DisallowUnknownFields()
	n := 0
	for decoder.More() {
		var e Explanation
		require.NoError(t, decoder.Decode(&e))
		require.Equal(t, "hold", e.Action)
		require.Equal(t, "kept after its use", e.Rule)
		require.True(t, e.Done)
		require.NotNil(t, e.Until)
		require.Contains(t, e.Function, "-dev-")
		n++
	}
	require.Greater(t, n, 1000)
}

// TestInterruptedRunsGoOn checks that a run which was interrupted goes on with the results that it has, and ends with the same ones.
func TestInterruptedRunsGoOn(t *testing.T) {
	path := t.TempDir() + "/results.jsonl"
	matrix := func(each func(c *Cell) error) (m *Matrix, made *atomic.Int32) {
		m, made = small(t, 2), new(atomic.Int32)
		m.Explain, m.Trace = false, false
		policies := m.Policies(nil)
		for i := range policies[:2] {
			inner := policies[i].New
			policies[i].New = func(p prewarm.Platform, f []prewarm.Function, k prewarm.Knowledge, seed uint64) (prewarm.Policy, error) {
				made.Add(1)
				return inner(p, f, k, seed)
			}
		}
		m.Policies = func(*Workload) []NamedPolicy { return policies }
		m.Each = each
		var err error
		m.Journal, err = OpenJournal(path, func(warning string) { t.Error(warning) })
		require.NoError(t, err)
		return m, made
	}
	var want []StoredResult
	uninterrupted := small(t, 1)
	uninterrupted.Each = func(c *Cell) error {
		want = append(want, c.StoredResult)
		return nil
	}
	require.NoError(t, uninterrupted.Run(t.Context()))

	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	m, _ := matrix(func(*Cell) error {
		if told++; told == 5 {
			cancel()
		}
		return nil
	})
	err := m.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "of 18 runs")
	kept := m.Journal.Has()
	require.GreaterOrEqual(t, kept, 5)
	require.NoError(t, m.Journal.Close())

	var got []StoredResult
	m, made := matrix(func(c *Cell) error {
		got = append(got, c.StoredResult)
		return nil
	})
	require.Equal(t, kept, m.Journal.Has())
	require.NoError(t, m.Run(t.Context()))
	require.LessOrEqual(t, int(made.Load()), 12-min(kept, 12)+3, "what was kept is not run again")
	require.Equal(t, want, got)
	require.NoError(t, m.Journal.Close())
}

// TestErrorsNameTheRun checks that an error says which run has failed: the first one in order.
func TestErrorsNameTheRun(t *testing.T) {
	m := small(t, 1)
	m.Policies = func(*Workload) []NamedPolicy {
		return []NamedPolicy{{Name: "wrong", New: func(prewarm.Platform, []prewarm.Function, prewarm.Knowledge, uint64) (prewarm.Policy, error) {
			return nil, context.DeadlineExceeded
		}}}
	}
	require.EqualError(t, m.Run(t.Context()), "wrong on tree_small, poisson:60, seed 1: context deadline exceeded")
}

func BenchmarkRun(b *testing.B) {
	w := newWorkload(b, "sequence", "poisson:1200", 200)
	if _, err := w.Plan(context.Background(), 1); err != nil {
		b.Fatal(err)
	}
	if _, err := w.Knowledge(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := w.Run(context.Background(), Setting{}, 1, keepAlive(10*time.Minute), Observer{}); err != nil {
			b.Fatal(err)
		}
	}
}
