package scaler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm/policy/scaler"
)

// TestStepReplicas checks the answers of the gateway of Community Edition to alerts.
func TestStepReplicas(t *testing.T) {
	for _, tt := range []struct {
		firing                       bool
		current, most, factor, least int
		want                         int
	}{
		{true, 1, 5, 10, 1, 2},
		{true, 4, 5, 25, 1, 5},
		{true, 5, 5, 10, 1, 5},
		{true, 1, 10, 100, 1, 10}, // most is limited to 5 before
		{true, 1, 5, 100, 1, 5},
		{true, 1, 5, 30, 1, 3},
		{true, 1, 4, 1, 1, 2},
		{true, 3, 5, 0, 1, 1},
		{false, 8, 5, 10, 1, 1},
		{false, 4, 5, 10, 2, 2},
		{true, 1, 20, 20, 1, 5}, // the limits until 2023
		{true, 5, 20, 20, 1, 9},
	} {
		require.Equal(t, tt.want, scaler.StepReplicas(tt.firing, tt.current, tt.most, tt.least, tt.factor), "%+v", tt)
	}
}

// TestProReplicas checks the formula of OpenFaaS Pro; the examples are those of its documentation.
func TestProReplicas(t *testing.T) {
	for _, tt := range []struct {
		load, target, proportion float64
		least, most              int
		want                     int
	}{
		{15, 5, 0.9, 1, 20, 4}, // at one ready replica as at four
		{4 * 3.75, 5, 0.9, 1, 20, 4},
		{21, 3, 0.7, 1, 20, 10}, // 11 in plain floating point
		{15, 5, 1, 1, 20, 3},
		{25, 5, 1, 1, 20, 5},
		{90, 100, 0.7, 1, 20, 2},
		{0, 50, 0.9, 1, 20, 1},
		{0, 50, 0.9, 0, 20, 0},
		{30, 1, 1, 1, 10, 10},
		{9600, 500, 0.9, 1, 10, 10},
	} {
		require.Equal(t, tt.want, scaler.ProReplicas(tt.load, tt.target, tt.proportion, tt.least, tt.most), "%+v", tt)
	}
}

// TestProReplicasOfWholeParts checks that a load which is exactly what n replicas should have needs n, whatever floating point makes of it.
func TestProReplicasOfWholeParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 10_000).Draw(t, "replicas")
		target := rapid.IntRange(1, 1000).Draw(t, "target")
		percent := rapid.IntRange(1, 100).Draw(t, "proportion in percent")
		load := float64(n*target*percent) / 100
		if got := scaler.ProReplicas(load, float64(target), float64(percent)/100, 1, 1_000_000); got != n {
			t.Fatalf("%d replicas for %v at %d × %d %%, want %d", got, load, target, percent, n)
		}
	})
}

// TestDownWindow checks that replicas are taken away down to the largest number in the window only.
func TestDownWindow(t *testing.T) {
	recent := []int{8, 8, 7, 6, 5, 4, 5, 5}
	require.Equal(t, 8, scaler.DownWindow(10, 2, recent))
	require.Equal(t, 12, scaler.DownWindow(10, 12, recent), "up is not affected")
	require.Equal(t, 3, scaler.DownWindow(3, 2, recent), "it never scales up")
	require.Equal(t, 2, scaler.DownWindow(10, 2, nil))
}

// pods returns n pods that use so much of a request of 100.
func pods(n int, use float64, more ...scaler.HPAPod) []scaler.HPAPod {
	var all []scaler.HPAPod
	for range n {
		all = append(all, scaler.HPAPod{Use: use, Request: 100})
	}
	return append(all, more...)
}

// TestHPAReplicas checks the calculation of the horizontal pod autoscaler.
func TestHPAReplicas(t *testing.T) {
	missing, ignored := scaler.HPAPod{Missing: true, Request: 100}, scaler.HPAPod{Use: 7, Ignored: true, Request: 100}
	for _, tt := range []struct {
		name            string
		current, target int
		pods            []scaler.HPAPod
		want            int
		ok              bool
	}{
		{"more", 4, 60, pods(4, 90), 6, true},
		{"within the tolerance", 4, 60, pods(4, 65), 4, true},
		{"fewer", 4, 60, pods(4, 20), 2, true},
		{"one without a metric, more", 4, 60, pods(3, 90, missing), 5, true},
		{"one without a metric, fewer", 4, 60, pods(3, 20, missing), 3, true},
		{"one that does not count, more", 4, 60, pods(3, 90, ignored), 5, true},
		{"one that does not count, fewer", 4, 60, pods(3, 20, ignored), 1, true},
		{"the direction would turn", 4, 60, pods(1, 90, missing, missing, missing), 4, true},
		{"a whole percentage", 4, 65, pods(4, 71.9), 4, true}, // 71 ÷ 65 is within the tolerance, 71.9 ÷ 65 would not be
		{"none with a metric", 4, 60, pods(0, 0, missing, ignored), 4, false},
		{"no pods", 0, 60, nil, 0, false},
		{"half of them go in one step", 10, 50, pods(10, 5), 1, true},
		{"far over the target", 2, 20, pods(2, 5830), 583, true},
	} {
		n, ok := scaler.HPAReplicas(tt.current, tt.target, 0.1, tt.pods)
		require.Equal(t, tt.want, n, tt.name)
		require.Equal(t, tt.ok, ok, tt.name)
	}
}

// TestHPALimitsUp checks how fast the number grows by both paths.
func TestHPALimitsUp(t *testing.T) {
	for _, tt := range []struct {
		legacy      bool
		start, most int
		every       time.Duration
		wanted      int
		want        []int
	}{
		{legacy: true, start: 2, most: 50, wanted: 100, want: []int{4, 8, 16, 32, 50, 50}},
		{legacy: false, start: 2, most: 50, wanted: 100, want: []int{6, 12, 24, 48, 50, 50}},
		{legacy: true, start: 2, most: 6, wanted: 583, want: []int{4, 6, 6}}, // as measured in a thesis, 15 s apart
		{legacy: false, start: 2, most: 6, wanted: 583, want: []int{6, 6}},
		{legacy: true, start: 1, most: 50, wanted: 3, want: []int{3, 3}},
		{legacy: false, start: 1, most: 50, wanted: 100, every: 5 * time.Second, want: []int{5, 5, 5, 10}}, // one period, one change
	} {
		every := tt.every
		if every == 0 {
			every = 15 * time.Second
		}
		l := scaler.HPALimits{Min: 1, Max: tt.most, Legacy: tt.legacy, Stabilization: 300 * time.Second}
		l.Start(0, tt.start)
		current := tt.start
		for i, want := range tt.want {
			current = l.Apply(time.Duration(i+1)*every, current, tt.wanted)
			require.Equal(t, want, current, "%+v, decision %d", tt, i+1)
		}
	}
}

// TestHPALimitsDown checks that the largest recommendation of the last 300 s holds, and which path counts one that is exactly as old.
func TestHPALimitsDown(t *testing.T) {
	for legacy, atTie := range map[bool]int{true: 10, false: 3} {
		l := scaler.HPALimits{Min: 1, Max: 50, Legacy: legacy, Stabilization: 300 * time.Second}
		require.Equal(t, 10, l.Apply(0, 10, 10))
		for at := 15 * time.Second; at < 300*time.Second; at += 15 * time.Second {
			require.Equal(t, 10, l.Apply(at, 10, 3), "at %v", at)
		}
		require.Equal(t, atTie, l.Apply(300*time.Second, 10, 3), "legacy %v", legacy)
		require.Equal(t, 3, l.Apply(301*time.Second, 10, 3), "legacy %v", legacy)
	}
	l := scaler.HPALimits{Min: 2, Max: 50, Stabilization: 300 * time.Second}
	l.Start(0, 5)
	require.Equal(t, 5, l.Apply(15*time.Second, 5, 1), "what was found at first counts too")
	require.Equal(t, 2, l.Apply(315*time.Second, 5, 1), "not below the least")
}

// TestHPALimitsProperties checks that the number stays within its limits, and that a path allows no faster growth than it says.
func TestHPALimitsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		least := rapid.IntRange(1, 5).Draw(t, "least")
		most := rapid.IntRange(least, 60).Draw(t, "most")
		legacy := rapid.Bool().Draw(t, "legacy")
		l := scaler.HPALimits{Min: least, Max: most, Legacy: legacy, Stabilization: 300 * time.Second}
		current := rapid.IntRange(least, most).Draw(t, "start")
		l.Start(0, current)
		for i, wanted := range rapid.SliceOfN(rapid.IntRange(0, 100), 1, 60).Draw(t, "wanted") {
			n := l.Apply(time.Duration(i+1)*15*time.Second, current, wanted)
			limit := max(2*current, 4)
			if !legacy {
				limit = max(current+4, 2*current)
			}
			if n < least || n > most || n > limit || n < current && n < min(wanted, most) {
				t.Fatalf("%d after %d, wanted %d", n, current, wanted)
			}
			current = n
		}
	})
}

// TestKPADecide checks the decisions of the Knative pod autoscaler, which of them begin a panic, and the excess burst capacity.
func TestKPADecide(t *testing.T) {
	for _, tt := range []struct {
		stable, panicked float64
		ready            int
		want, excess     int
		panics           bool
	}{
		{210, 210, 3, 3, -121, false},
		{60, 300, 2, 5, -311, true},   // 5 ÷ 2 is at least 2
		{140, 140, 1, 2, -251, true},  // 2 ÷ 1
		{0, 0, 5, 2, 289, false},      // not below half
		{0, 0, 3, 1, 89, false},       // three free replicas are enough for the activator to leave the path
		{0, 0, 2, 1, -11, false},      // two are not
		{0, 0, 1, 0, -111, false},     // none but at zero load
		{70, 70, 0, 1, -281, false},   // no ready replica counts as one
		{1e9, 0, 2, 2000, -11, false}, // not more than a thousand times
	} {
		k := scaler.NewKPADecider(scaler.KPAOptions{}, 0, 0)
		n, excess := k.Decide(time.Second, tt.stable, tt.panicked, tt.ready)
		require.Equal(t, tt.want, n, "%+v", tt)
		require.Equal(t, tt.excess, excess, "%+v", tt)
		kept := 0 // in a panic nothing is taken away
		if tt.panics {
			kept = tt.want
		}
		n, _ = k.Decide(time.Minute, 0, 0, 1)
		require.Equal(t, kept, n, "%+v", tt)
	}
	// With one invocation at a time in each, 211 free ones would do, and with one of them in use 212.
	for ready, behind := range map[int][2]bool{210: {true, true}, 211: {false, true}, 212: {false, false}} {
		for used, want := range behind {
			k := scaler.NewKPADecider(scaler.KPAOptions{Total: 1}, 0, 0)
			_, excess := k.Decide(0, float64(used), float64(used), ready)
			require.Equal(t, want, excess < 0, "%d ready, %d in use", ready, used)
		}
	}
	_, excess := scaler.NewKPADecider(scaler.KPAOptions{NoBurst: true}, 0, 0).Decide(0, 1000, 1000, 1)
	require.Equal(t, 0, excess)
	_, excess = scaler.NewKPADecider(scaler.KPAOptions{Burst: -1}, 0, 0).Decide(0, 0, 0, 100)
	require.Equal(t, -1, excess)
}

// TestKPAPanic is a test of the project itself: with a target of 10 and factors of 10, 1000 wanted from one ready, and then nothing.
func TestKPAPanic(t *testing.T) {
	o := scaler.KPAOptions{Total: 10, Utilization: 1, MaxUp: 10, MaxDown: 10}
	k := scaler.NewKPADecider(o, 0, 0)
	decide := func(at time.Duration, concurrency float64, ready int) int {
		n, _ := k.Decide(at, concurrency, concurrency, ready)
		return n
	}
	require.Equal(t, 10, decide(0, 10_000, 1))
	require.Equal(t, 100, decide(time.Second, 10_000, 10))
	require.Equal(t, 100, decide(31*time.Second, 1, 10), "a panic takes nothing away")
	require.Equal(t, 100, decide(61*time.Second, 1, 10), "nor exactly a window later")
	require.Equal(t, 1, decide(62*time.Second, 1, 10))
	require.Equal(t, 10, decide(64*time.Second, 1, 100), "at most to a tenth")

	k = scaler.NewKPADecider(o, 0, 7)
	require.Equal(t, 7, decide(2*time.Second, 1, 7), "who finds replicas begins in a panic")
	k = scaler.NewKPADecider(scaler.KPAOptions{DownDelay: 30 * time.Second}, 0, 0)
	require.Equal(t, 3, decide(0, 210, 3))
	require.Equal(t, 3, decide(29*time.Second, 70, 3))
	require.Equal(t, 1, decide(40*time.Second, 70, 2))
}

// TestKPAZero checks when the last replica goes.
func TestKPAZero(t *testing.T) {
	o := scaler.KPAOptions{StableWindow: time.Minute, Grace: 30 * time.Second}
	never := time.Duration(1<<63 - 1)
	// Behind the activator all the time, as one replica is.
	z := scaler.KPAZero{Active: 0, Proxied: 0, Idle: never}
	require.Equal(t, 1, z.Apply(59*time.Second, 0, -111, &o))
	require.Equal(t, 0, z.Apply(60*time.Second, 0, -111, &o))
	// Not behind it before.
	z = scaler.KPAZero{Active: 0, Proxied: never, Idle: never}
	require.Equal(t, 4, z.Apply(30*time.Second, 4, 10, &o))
	require.Equal(t, 1, z.Apply(60*time.Second, 0, -111, &o))
	require.Equal(t, 1, z.Apply(89*time.Second, 0, -111, &o))
	require.Equal(t, 0, z.Apply(90*time.Second, 0, -111, &o))
	// The last one is retained.
	o.Retention = 5 * time.Minute
	z = scaler.KPAZero{Active: 0, Proxied: 0, Idle: never}
	require.Equal(t, 1, z.Apply(60*time.Second, 0, -111, &o))
	require.Equal(t, 1, z.Apply(359*time.Second, 0, -111, &o))
	require.Equal(t, 0, z.Apply(360*time.Second, 0, -111, &o))
}
