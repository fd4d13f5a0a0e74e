package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func sample(app, policy string, seed uint64, p95, starting, idle float64) *StoredResult {
	return &StoredResult{Settings: "n=200", Result: Result{App: app, Load: "poisson:60", Policy: policy, Seed: seed, Measures: Measures{
		Requests: 195, P50: p95 / 4, P95: p95, P99: p95 * 1.5, Mean: p95 / 3, Starting: starting, Idle: idle, Busy: 100, Cold: p95 / 2.5, Late: 0.25, Wasted: 0.125,
	}}}
}

func open(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := OpenJournal(path, func(warning string) { t.Error(warning) })
	require.NoError(t, err)
	return j
}

// TestResultsFileGrows checks that results are found again, and that another setting, policy, load, application or seed is another result.
func TestResultsFileGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	j := open(t, path)
	r := sample("a", "p", 1, 3, 10, 20)
	r.Functions = []FunctionMeasures{{Function: "f", Wait: 1}}
	require.NoError(t, j.add(r))
	require.NoError(t, j.Close())
	j = open(t, path)
	require.Equal(t, r, j.find(r.id()))
	for _, change := range []func(r *StoredResult){
		func(r *StoredResult) { r.Settings = "n=201" }, func(r *StoredResult) { r.App = "b" }, func(r *StoredResult) { r.Load = "l" },
		func(r *StoredResult) { r.Policy = "q" }, func(r *StoredResult) { r.Seed = 2 },
	} {
		other := *r
		change(&other)
		require.Nil(t, j.find(other.id()))
	}
	require.NoError(t, j.Close())
}

// TestFullDiskEndsTheRun checks that a result which cannot be kept ends the run with an error.
func TestFullDiskEndsTheRun(t *testing.T) {
	m := small(t, 2)
	m.Explain, m.Trace = false, false
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("this system has no device that is always full")
	}
	m.Journal = open(t, full)
	defer m.Journal.Close()
	require.ErrorContains(t, m.Run(t.Context()), full+": no space left on device")
}
