package resultfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type result struct {
	Name  string  `json:"name"`
	Seed  uint64  `json:"seed"`
	Score float64 `json:"score"`
}

type key struct {
	name string
	seed uint64
}

var format = Format[key, result]{
	Begin: `{"name":"`,
	Key:   func(r *result) key { return key{r.Name, r.Seed} },
	Check: func(r *result) error {
		if r.Name == "" {
			return errors.New("no name")
		}
		return nil
	},
}

func open(t *testing.T, path string) *File[key, result] {
	t.Helper()
	j, err := format.Open(path, func(warning string) { t.Error(warning) })
	require.NoError(t, err)
	return j
}

// write makes a file of the results a with seeds 1 to n, and returns its text.
func write(t *testing.T, path string, n uint64) string {
	t.Helper()
	j := open(t, path)
	for seed := range n {
		require.NoError(t, j.Add(&result{"a", seed + 1, 0.5}))
	}
	require.NoError(t, j.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// TestGoesOn finds results again, the newest of each key.
func TestGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	write(t, path, 2)
	j := open(t, path)
	require.NoError(t, j.Add(&result{"a", 1, 7}))
	require.Equal(t, 7.0, j.Find(key{"a", 1}).Score)
	require.NoError(t, j.Close())
	j = open(t, path)
	require.Equal(t, []*result{{"a", 1, 7}, {"a", 2, 0.5}}, j.Results())
	require.Nil(t, j.Find(key{"b", 1}))
	require.NoError(t, j.Close())
}

// TestNone keeps nothing in a nil journal.
func TestNone(t *testing.T) {
	var j *File[key, result]
	require.NoError(t, j.Add(&result{}))
	require.Nil(t, j.Find(key{}))
	require.Empty(t, j.Results())
	require.NoError(t, j.Close())
}

// TestCutOff leaves a line that was cut off out, with a warning unless nothing but its end is missing, and begins a new line after it.
func TestCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	whole := write(t, path, 2)
	rapid.Check(t, func(rt *rapid.T) {
		text := whole[:rapid.IntRange(0, len(whole)).Draw(rt, "bytes")]
		require.NoError(rt, os.WriteFile(path, []byte(text), 0o600))
		complete := strings.Count(text, "\n")
		if strings.HasSuffix(text, "}") {
			complete++
		}
		cut := complete == strings.Count(text, "\n") && text != "" && !strings.HasSuffix(text, "\n")
		var warnings []string
		j, err := format.Open(path, func(w string) { warnings = append(warnings, w) })
		require.NoError(rt, err)
		require.Len(rt, j.Results(), complete)
		require.Equal(rt, cut, len(warnings) == 1, "%q: %q", text, warnings)
		if cut {
			require.Contains(rt, warnings[0], fmt.Sprintf("%s:%d: no result, left out: ", path, complete+1))
		}
		require.NoError(rt, j.Add(&result{"b", 1, 1}))
		require.NoError(rt, j.Close())
		j, err = format.Open(path, func(string) {})
		require.NoError(rt, err)
		require.Len(rt, j.Results(), complete+1)
		require.NoError(rt, j.Close())
	})
}

// TestNoise tells many lines that are no results as one, and none of a file that has nothing else: it is not one of results.
func TestNoise(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	noise := strings.Repeat("noise\n", 1000)
	require.NoError(t, os.WriteFile(path, []byte(write(t, path, 1)+noise), 0o600))
	var warnings []string
	j, err := format.Open(path, func(w string) { warnings = append(warnings, w) })
	require.NoError(t, err)
	require.NoError(t, j.Close())
	require.Len(t, warnings, mostWarnings+1)
	require.Equal(t, path+": 995 more lines are no results, left out", warnings[mostWarnings])
	require.NoError(t, os.WriteFile(path, []byte(noise), 0o600))
	_, err = format.Open(path, func(w string) { t.Error(w) })
	require.EqualError(t, err, path+": it has no results; choose another file")
	for _, wrong := range []string{filepath.Join(path, "r"), t.TempDir()} {
		_, err = format.Open(wrong, func(string) {})
		require.ErrorContains(t, err, wrong)
	}
}

// TestSeveralAtOnce appends from several journals of one file, as several processes would.
func TestSeveralAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	var writers sync.WaitGroup
	for w := range 4 {
		j := open(t, path)
		writers.Go(func() {
			defer j.Close()
			for seed := range uint64(10) {
				if err := j.Add(&result{strings.Repeat("x", 1000+w), seed, 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	j := open(t, path)
	require.Len(t, j.Results(), 40)
	require.NoError(t, j.Close())
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
	f := &failing{left: 10}
	j := &File[key, result]{format: format, file: f, name: "r.jsonl", place: map[key]int{}}
	require.EqualError(t, j.Add(&result{"a", 1, 1}), "r.jsonl: no space left on device")
	require.Empty(t, j.Results())
	f.left = 1 << 20
	require.NoError(t, j.Add(&result{"a", 2, 1}))
	lines := strings.Split(string(f.text), "\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[1], `"seed":2`)
	f.sync = &fs.PathError{Op: "sync", Path: "r.jsonl", Err: errors.New("input/output error")}
	require.EqualError(t, j.Add(&result{"a", 3, 1}), "r.jsonl: input/output error")
	require.Nil(t, j.Find(key{"a", 3}))
	f.closeFail = errors.New("input/output error")
	require.EqualError(t, j.Close(), "r.jsonl: input/output error")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"name":"a","seed":1,"score":0.5}` + "\n{}\n\n{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		others := 0
		results := format.Parse(text, "r", func(string) { others++ })
		for _, r := range results {
			require.NotEmpty(t, r.Name)
		}
		require.LessOrEqual(t, others+len(results), strings.Count(string(text), "\n")+1)
	})
}
