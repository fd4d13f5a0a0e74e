package experiment_test

import (
	"bytes"
	"context"
	"flag"
	"image/color"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/internal/pngtest"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/lab/experiment"
)

var (
	update = flag.Bool("update", false, "write the golden files")
	keep   = flag.String("keep", "", "directory to keep the pictures in, for looking at them")
)

// run runs an experiment, which change may change.
func run(t *testing.T, name string, change func(e *experiment.Experiment)) (*experiment.Experiment, []*experiment.Run) {
	t.Helper()
	e, err := experiment.New(name)
	require.NoError(t, err)
	if change != nil {
		change(e)
	}
	runs, err := e.Run(t.Context(), 1)
	require.NoError(t, err)
	return e, runs
}

// TestGoldenTables compares the tables of all experiments with those of testdata.
func TestGoldenTables(t *testing.T) {
	for _, name := range experiment.Names() {
		t.Run(name, func(t *testing.T) {
			e, runs := run(t, name, nil)
			var got bytes.Buffer
			require.NoError(t, lab.WriteText(&got, experiment.Tables(e, runs, experiment.Every(runs))))
			path := filepath.Join("testdata", name+".txt")
			if *update {
				require.NoError(t, os.WriteFile(path, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got.String())
		})
	}
}

// TestPictures checks that the pictures of all experiments can be read.
func TestPictures(t *testing.T) {
	grid := color.NRGBA{0xe6, 0xe6, 0xe6, 0xff}
	for _, name := range experiment.Names() {
		t.Run(name, func(t *testing.T) {
			e, runs := run(t, name, nil)
			picture := experiment.Picture(e, runs)
			width, height := picture.Size()
			pngtest.Legible(t, pngtest.Record(width, height, picture.Draw), color.White, grid)
			require.Len(t, picture.Panels, 5*len(runs))
			if *keep != "" {
				require.NoError(t, figure.Write(filepath.Join(*keep, "experiment-"+name+".png"), picture))
			}
		})
	}
}

// replicas returns the numbers that were asked for from the beginning of the load on.
func replicas(r *experiment.Run) []int {
	var all []int
	for _, a := range r.Around() {
		all = append(all, a.To)
	}
	return all
}

// TestSleepNeverScalesCommunityEdition checks that 70 users of 20 s complete too few requests a second for the alert, while requests in flight
// bring ten replicas.
func TestSleepNeverScalesCommunityEdition(t *testing.T) {
	_, runs := run(t, "a", nil)
	require.Equal(t, 10, runs[0].Summary().Replicas)
	require.Empty(t, replicas(runs[1]))
	require.Equal(t, runs[0].Summary().Done, runs[1].Summary().Done)
	last := replicas(runs[0])
	require.Equal(t, 1, last[len(last)-1], "and then one again")
	// With requests of a second the alert fires.
	_, runs = run(t, "a", func(e *experiment.Experiment) { e.Function.Sleep = time.Second })
	require.Equal(t, 5, runs[1].Summary().Replicas)
}

// TestHardLimit checks that replicas ahead of the users spare them all answers 429, which one replica does not.
func TestHardLimit(t *testing.T) {
	_, runs := run(t, "b", nil)
	require.Zero(t, runs[0].Summary().Refused)
	require.InDelta(t, 3, float64(runs[0].Summary().P99), 0.001)
	require.Greater(t, runs[1].Summary().Refused, 2*runs[1].Summary().Done)
	require.Greater(t, float64(runs[1].Summary().P95), 20.0)
	_, runs = run(t, "b", func(e *experiment.Experiment) { e.Load.Ramp = 10 * time.Second })
	require.Positive(t, runs[0].Summary().Refused, "a ramp of 10 s is faster than the policy")
}

// TestHPAStepsAndLatency checks that the legacy path doubles every 15 s, the other goes to the top at once, and that each brings the latency down
// as the processors are more: ten users on two, four and six replicas of a core with requests of 200 ms.
func TestHPAStepsAndLatency(t *testing.T) {
	_, runs := run(t, "d", nil)
	for i, want := range [][]int{{4, 6, 2}, {4, 6, 2}, {6, 2}, {6, 2}} {
		require.Equal(t, want, replicas(runs[i]), runs[i].Policy)
	}
	around := runs[0].Around()
	require.Equal(t, 15*time.Second, around[1].At-around[0].At)
	require.InDelta(t, 1, float64(around[0].Before), 0.01)
	require.InDelta(t, 0.5, float64(around[0].After), 0.05)
	require.InDelta(t, 0.33, float64(around[1].After), 0.02)
	require.GreaterOrEqual(t, around[2].At, 10*time.Minute, "not before 300 s after the load")
}

// TestQueueIsDrainedAndThenThereIsNothing checks the way of the replicas by the length of the queue: from none to the most, one, and none.
func TestQueueIsDrainedAndThenThereIsNothing(t *testing.T) {
	_, runs := run(t, "e", nil)
	steps := replicas(runs[0])
	require.Equal(t, []int{1, 20}, steps[:2])
	require.Equal(t, []int{1, 0}, steps[len(steps)-2:])
	s := runs[0].Summary()
	require.Equal(t, 2000, s.Done)
	require.Zero(t, s.Open)
	require.Less(t, s.Last, 200.0)
	require.Greater(t, runs[1].Summary().Last, s.Last, "requests in flight say less about a queue than its length")
	require.Equal(t, 2000, runs[2].Summary().Done+runs[2].Summary().Open)
}

// TestRunsAreDeterministic checks that a seed gives the same tables, and another one others.
func TestRunsAreDeterministic(t *testing.T) {
	tables := func(seed uint64) string {
		e, err := experiment.New("bcrypt")
		require.NoError(t, err)
		e.Load.Hold = 0
		runs, err := e.Run(t.Context(), seed)
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, lab.WriteText(&b, experiment.Tables(e, runs, time.Minute)))
		return b.String()
	}
	require.Equal(t, tables(3), tables(3))
	require.NotEqual(t, tables(3), tables(4))
}

// TestPoliciesMeetTheSameRequests checks that requests of an open loop arrive at the same times for all policies.
func TestPoliciesMeetTheSameRequests(t *testing.T) {
	_, runs := run(t, "c", nil)
	a, b := runs[0].Rows(time.Second), runs[1].Rows(time.Second)
	for i := range a {
		require.Equal(t, a[i].Load, b[i].Load)
	}
}

// TestErrors checks that what is out of range, and a policy for other platforms, is named.
func TestErrors(t *testing.T) {
	_, err := experiment.New("x")
	require.ErrorContains(t, err, "sleep, page-to-pdf, bcrypt, hpa, queue")
	for message, change := range map[string]func(e *experiment.Experiment){
		"ramp is -1s":                 func(e *experiment.Experiment) { e.Load.Ramp = -time.Second },
		"tail is":                     func(e *experiment.Experiment) { e.Tail = 1000 * time.Hour },
		"the load is 0 users":         func(e *experiment.Experiment) { e.Load.Most = 0 },
		"time until they try again":   func(e *experiment.Experiment) { e.Function.MaxInFlight = 1 },
		"requests that take some":     func(e *experiment.Experiment) { e.Function.Sleep = 0 },
		"there is no policy":          func(e *experiment.Experiment) { e.Policies = nil },
		`there is no policy "what"`:   func(e *experiment.Experiment) { e.Policies = []string{"what"} },
		"decides about single":        func(e *experiment.Experiment) { e.Policies = []string{"keepalive:60"} },
		"Cores is -1, must be a numb": func(e *experiment.Experiment) { e.Function.Cores = -1 },
	} {
		e, err := experiment.New("sleep")
		require.NoError(t, err)
		change(e)
		_, err = e.Run(t.Context(), 1)
		require.ErrorContains(t, err, message)
	}
	e, err := experiment.New("sleep")
	require.NoError(t, err)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = e.Run(cancelled, 1)
	require.ErrorIs(t, err, context.Canceled)
}

// TestEveryPolicyOnEveryLoad checks on random functions, loads and policies that no request is lost between the intervals and the summary.
func TestEveryPolicyOnEveryLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, err := experiment.New(rapid.SampledFrom(experiment.Names()).Draw(t, "experiment"))
		require.NoError(t, err)
		seconds := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(1, most).Draw(t, name)) * time.Second
		}
		e.Load.Most = float64(rapid.IntRange(1, 30).Draw(t, "load"))
		e.Load.Ramp, e.Load.Hold, e.Load.Down, e.Tail = seconds("ramp", 60), seconds("hold", 60), seconds("down", 30), seconds("tail", 120)
		e.Load.Retry, e.Load.Think = time.Second, seconds("think", 3)
		e.Function.MaxInFlight = rapid.IntRange(0, 3).Draw(t, "max in flight")
		e.Function.Start, e.Function.Probe = seconds("start", 5), seconds("probe", 2)
		e.Policies = []string{rapid.SampledFrom([]string{
			"openfaas-ce", "openfaas-pro:rps:2:zero=20", "openfaas-pro:capacity:1:0.7", "openfaas-pro:cpu:100:down=1m", "openfaas-pro:queue:3:min=0:zero=10",
			"hpa:50", "hpa:50:path=legacy", "kpa:1", "kpa:5:min=1:max=3",
		}).Draw(t, "policy")}
		runs, err := e.Run(context.Background(), rapid.Uint64().Draw(t, "seed"))
		require.NoError(t, err)
		s := runs[0].Summary()
		if e.Load.Kind == experiment.Messages {
			require.Equal(t, int(e.Load.Most), s.Done+s.Open+s.Failed)
		}
		done, refused, at := 0.0, 0.0, 0.0
		width := seconds("width", 40)
		for _, row := range runs[0].Rows(width) {
			require.InDelta(t, at, row.From, 1e-9)
			at = row.To
			done += row.Done * (row.To - row.From)
			refused += row.Refused * (row.To - row.From)
			require.LessOrEqual(t, row.Ready, float64(s.Replicas)+1e-9)
			require.Equal(t, row.Done > 0, row.Mean.Known())
		}
		require.InDelta(t, float64(s.Done), done, 1e-6)
		require.InDelta(t, float64(s.Refused), refused, 1e-6)
		require.InDelta(t, runs[0].End.Seconds(), at, 1e-9)
	})
}

// BenchmarkExperiment measures the requests to a function that computes, under a policy.
func BenchmarkExperiment(b *testing.B) {
	done := 0
	for b.Loop() {
		e, err := experiment.New("bcrypt")
		require.NoError(b, err)
		e.Policies = e.Policies[:1]
		runs, err := e.Run(b.Context(), 1)
		require.NoError(b, err)
		done += runs[0].Summary().Done
	}
	b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "requests/s")
}
