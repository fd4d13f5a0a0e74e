package lab

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
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

// TestResultsFileThatWasCutOff checks that a line which was cut off is left out with a warning, and does not spoil the next one.
func TestResultsFileThatWasCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	j := open(t, path)
	require.NoError(t, j.add(sample("a", "p", 1, 3, 10, 20)))
	require.NoError(t, j.add(sample("a", "p", 2, 3, 10, 20)))
	require.NoError(t, j.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text[:len(text)-30], 0o600))
	var warnings []string
	j, err = OpenJournal(path, func(w string) { warnings = append(warnings, w) })
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], path+":2: no result, left out: ")
	require.Equal(t, 1, j.Has())
	require.NoError(t, j.add(sample("a", "p", 2, 4, 10, 20)))
	require.NoError(t, j.Close())
	j, err = OpenJournal(path, func(string) {})
	require.NoError(t, err)
	require.Equal(t, 2, j.Has())
	require.Equal(t, 4.0, j.find(sample("a", "p", 2, 0, 0, 0).id()).P95)
	require.NoError(t, j.Close())
}

// TestResultsFileCutOffInItsFirstLine checks that a file of nothing but the beginning of a result goes on.
func TestResultsFileCutOffInItsFirstLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	j := open(t, path)
	require.NoError(t, j.add(sample("a", "p", 1, 3, 10, 20)))
	require.NoError(t, j.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, n := range []int{1, 5, 30, len(text) - 2} {
		require.NoError(t, os.WriteFile(path, text[:n], 0o600))
		var warnings []string
		j, err := OpenJournal(path, func(w string) { warnings = append(warnings, w) })
		require.NoError(t, err)
		require.Len(t, warnings, 1)
		require.Zero(t, j.Has())
		require.NoError(t, j.add(sample("a", "p", 1, 3, 10, 20)))
		require.NoError(t, j.Close())
		j, err = OpenJournal(path, func(string) {})
		require.NoError(t, err)
		require.Equal(t, 1, j.Has())
		require.NoError(t, j.Close())
	}
}

// TestManyLinesThatAreNoResults checks that they are told as one, and not at all of a file that has nothing else.
func TestManyLinesThatAreNoResults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	j := open(t, path)
	require.NoError(t, j.add(sample("a", "p", 1, 3, 10, 20)))
	require.NoError(t, j.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	noise := strings.Repeat("noise\n", 1000)
	require.NoError(t, os.WriteFile(path, append(text, noise...), 0o600))
	var warnings []string
	j, err = OpenJournal(path, func(w string) { warnings = append(warnings, w) })
	require.NoError(t, err)
	require.NoError(t, j.Close())
	require.Len(t, warnings, mostWarnings+1)
	require.Equal(t, path+": 995 more lines are no results, left out", warnings[mostWarnings])
	require.NoError(t, os.WriteFile(path, []byte(noise), 0o600))
	_, err = OpenJournal(path, func(w string) { t.Error(w) })
	require.ErrorContains(t, err, "it has no results")
}

// TestNoResultsFile checks that a file of something else is not written to.
func TestNoResultsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	require.NoError(t, os.WriteFile(path, []byte("notes\n"), 0o600))
	_, err := OpenJournal(path, func(string) {})
	require.EqualError(t, err, path+": it has no results; choose another file")
	_, err = OpenJournal(filepath.Join(path, "r"), func(string) {})
	require.Error(t, err)
	_, err = OpenJournal(t.TempDir(), func(string) {})
	require.Error(t, err)
}

// failing is a file whose writes fail after some bytes, or whose data do not get to the disk.
type failing struct {
	left      int
	sync      error
	text      []byte
	closeFail error
}

func (f *failing) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	f.text = append(f.text, p[:n]...)
	f.left -= n
	if n < len(p) {
		return n, &fs.PathError{Op: "write", Path: "x", Err: errors.New("no space left on device")}
	}
	return n, nil
}

func (f *failing) Sync() error  { return f.sync }
func (f *failing) Close() error { return f.closeFail }

// TestFullDisk checks that an error names the file, that a result which could not be written is not taken for one that is there, and that the
// next one begins a new line.
func TestFullDisk(t *testing.T) {
	f := &failing{left: 40}
	j := &Journal{file: f, name: "r.jsonl", done: map[id]*StoredResult{}}
	require.EqualError(t, j.add(sample("a", "p", 1, 3, 10, 20)), "r.jsonl: no space left on device")
	require.Zero(t, j.Has())
	f.left = 1 << 20
	require.NoError(t, j.add(sample("a", "p", 2, 3, 10, 20)))
	lines := strings.Split(string(f.text), "\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[1], `"seed":2`)
	f.sync = &fs.PathError{Op: "sync", Path: "r.jsonl", Err: errors.New("input/output error")}
	require.EqualError(t, j.add(sample("a", "p", 3, 3, 10, 20)), "r.jsonl: input/output error")
	require.Nil(t, j.find(sample("a", "p", 3, 0, 0, 0).id()))
	f.closeFail = errors.New("input/output error")
	require.EqualError(t, j.Close(), "r.jsonl: input/output error")
}

// TestFullDiskEndsTheRun checks that a result which cannot be kept ends the run with an error.
func TestFullDiskEndsTheRun(t *testing.T) {
	m := small(t, 2)
	m.Explain, m.Trace = false, false
	m.Journal = &Journal{file: &failing{left: 3000}, name: "r.jsonl", done: map[id]*StoredResult{}}
	require.ErrorContains(t, m.Run(t.Context()), "r.jsonl: no space left on device")
}

// TestAnyPrefixIsRead checks that wherever a results file is cut off, the results before are read.
func TestAnyPrefixIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	j := open(t, path)
	for seed := range uint64(4) {
		require.NoError(t, j.add(sample("a", "p", seed, 3, 10, 20)))
	}
	require.NoError(t, j.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, len(text)).Draw(t, "bytes")
		results := parseResults(text[:n], "r", func(string) {})
		whole := strings.Count(string(text[:n]), "\n")
		if len(results) != whole && len(results) != whole+1 { // a last line may lack its end only
			t.Fatalf("%d results in %d lines", len(results), whole)
		}
	})
}

func FuzzParseResults(f *testing.F) {
	f.Add([]byte(`{"settings":"n=200","app":"a","load":"l","policy":"p","seed":1,"requests":5,"p50":1}` + "\n{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, r := range parseResults(text, "r", func(string) {}) {
			require.NotEmpty(t, r.App)
		}
	})
}
