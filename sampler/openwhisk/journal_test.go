package openwhisk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/sampler"
)

func headerOf(t require.TestingT, config sampler.Config) header {
	h, err := newHeader(quick(), config, "http://x", "tppfaas-quick-1")
	require.NoError(t, err)
	return h
}

// TestJournal checks that whatever is recorded is read again, wherever the file is cut off.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		h := headerOf(rt, every(time.Second, 9))
		j, err := createJournal(errorfs.OS{}, path, h)
		require.NoError(rt, err)
		states := []map[int]entry{{}} // after each line
		ends := []int64{j.size}
		now := map[int]entry{}
		traces := map[int64]sampler.Trace{} // by where their lines begin
		for range rapid.IntRange(0, 12).Draw(rt, "lines") {
			i := rapid.IntRange(0, 4).Draw(rt, "request")
			at := time.UnixMicro(int64(rapid.IntRange(1, 1<<50).Draw(rt, "at")))
			e := now[i]
			switch rapid.IntRange(0, 3).Draw(rt, "kind") {
			case 0:
				e = entry{trace: fmt.Sprintf("%032d", n), at: at}
				require.NoError(rt, j.send(i, e.trace, at))
			case 1:
				e.activation = fmt.Sprint("a", i)
				require.NoError(rt, j.sent(i, e.activation))
			case 2:
				trace := sampler.Trace{{ID: "a", Name: "main", Arrival: at, End: at.Add(time.Second), Wait: time.Millisecond}, {ID: "b", Cause: "a", Name: "f", Arrival: at, End: at, Init: 5 * time.Microsecond}}
				e = entry{at: e.at, complete: j.size}
				traces[j.size] = trace
				require.NoError(rt, j.complete(i, trace))
				require.True(rt, j.has(i))
				got, err := j.trace(i)
				require.NoError(rt, err)
				require.Equal(rt, trace, got)
			case 3:
				require.NoError(rt, j.refused(i))
				delete(now, i)
				e = entry{}
			}
			if e.trace != "" || e.activation != "" || e.complete != 0 {
				now[i] = e
			}
			copied := map[int]entry{}
			for k, v := range now {
				copied[k] = v
			}
			states, ends = append(states, copied), append(ends, j.size)
		}
		require.NoError(rt, j.Close())
		text, err := os.ReadFile(path)
		require.NoError(rt, err)
		cut := rapid.IntRange(int(ends[0]), len(text)).Draw(rt, "cut")
		require.NoError(rt, os.WriteFile(path, text[:cut], 0o600))
		whole := 0
		for ends[min(whole+1, len(ends)-1)] <= int64(cut) && whole+1 < len(ends) {
			whole++
		}
		j, err = openJournal(errorfs.OS{}, path, h)
		require.NoError(rt, err)
		require.Equal(rt, states[whole], j.found)
		require.Equal(rt, h.Package, j.header.Package)
		complete, _ := j.completed()
		require.Equal(rt, numComplete(states[whole]), complete)
		for i := range 9 {
			require.Equal(rt, states[whole][i].complete != 0, j.has(i))
			if j.has(i) {
				got, err := j.trace(i)
				require.NoError(rt, err)
				require.Equal(rt, traces[states[whole][i].complete], got)
			}
		}
		// What is written next stands on a line of its own.
		require.NoError(rt, j.sent(4, "next"))
		require.NoError(rt, j.Close())
		j, err = openJournal(errorfs.OS{}, path, h)
		require.NoError(rt, err)
		require.Equal(rt, "next", j.found[4].activation)
		require.NoError(rt, j.Remove())
		require.NoFileExists(rt, path)
	})
}

func TestJournalOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.journal")
	config := sampler.Config{Requests: 5, MinInterval: time.Second, MaxInterval: 2 * time.Second, BatchSize: 2, BatchPause: time.Minute, Seed: 1}
	j, err := createJournal(errorfs.OS{}, path, headerOf(t, config))
	require.NoError(t, err)
	_, err = openJournal(errorfs.OS{}, path, headerOf(t, config))
	require.ErrorContains(t, err, "another sampler is at work on it")
	_, err = createJournal(errorfs.OS{}, path, headerOf(t, config))
	require.ErrorContains(t, err, "another sampler is at work on it")
	pack := ""
	discard := func() error { return DiscardJournal(path, func(p string) error { pack = p; return nil }) }
	require.ErrorContains(t, discard(), "another sampler is at work on it")
	require.Empty(t, pack)
	require.NoError(t, j.Close())
	_, err = createJournal(errorfs.OS{}, path, headerOf(t, config))
	require.ErrorIs(t, err, ErrJournalExists)
	for _, c := range []struct {
		want   string
		change func(*header)
	}{
		{"application was quick, and is slow now", func(h *header) { h.Application = "slow" }},
		{"API host was http://x, and is http://y now", func(h *header) { h.APIHost = "http://y" }},
		{"-u was 2 s, and is 3 s now", func(h *header) { h.Config.MaxInterval = 3 * time.Second }},
		{"-b was 2, and is 0 now", func(h *header) { h.Config.BatchSize = 0 }},
		{"-w was 60 s, and is 1.5 s now", func(h *header) { h.Config.BatchPause = 1500 * time.Millisecond }},
		{"-r was false, and is true now", func(h *header) { h.Config.RandomDurations = true }},
		{"-seed was 1, and is 2 now", func(h *header) { h.Config.Seed = 2 }},
		{"the graph of quick has changed", func(h *header) { h.Graph = json.RawMessage(`{}`) }},
	} {
		h := headerOf(t, config)
		c.change(&h)
		_, err := openJournal(errorfs.OS{}, path, h)
		require.EqualError(t, err, "journal "+path+" is of another sampling: "+c.want)
	}
	left := errors.New("it cannot be removed")
	require.ErrorIs(t, DiscardJournal(path, func(string) error { return left }), left)
	require.FileExists(t, path)
	require.NoError(t, discard())
	require.Equal(t, "tppfaas-quick-1", pack)
	require.NoFileExists(t, path)
	_, err = openJournal(errorfs.OS{}, path, headerOf(t, config))
	require.EqualError(t, err, "there is nothing to go on with: no journal "+path)
}

// TestJournalOnFullDisk checks that a full disk ends the recording, and that no half line stands before others.
func TestJournalOnFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	j := &Journal{path: "x.journal", file: full}
	err = j.sent(1, "a")
	require.EqualError(t, err, "journal x.journal: no space left on device")
	require.Equal(t, err, j.sent(2, "b"))
	require.NoError(t, j.Close())
}

// TestNoJournal checks that without a journal nothing is recorded, and nothing fails.
func TestNoJournal(t *testing.T) {
	var j *Journal
	require.NoError(t, j.send(1, "x", time.Now()))
	require.NoError(t, j.sent(1, "a"))
	require.NoError(t, j.refused(1))
	require.NoError(t, j.complete(1, sampler.Trace{{ID: "a"}}))
	require.False(t, j.has(1))
	whole, end := j.completed()
	require.Zero(t, whole+end)
}

// TestCheckJournal checks what is said before a sampling of a journal that is there, or not.
func TestCheckJournal(t *testing.T) {
	missing, there := filepath.Join(t.TempDir(), "missing"), filepath.Join(t.TempDir(), "there")
	require.NoError(t, os.WriteFile(there, nil, 0o600))
	require.NoError(t, checkJournal(errorfs.OS{}, "", true))
	require.NoError(t, checkJournal(errorfs.OS{}, missing, false))
	require.NoError(t, checkJournal(errorfs.OS{}, there, true))
	require.EqualError(t, checkJournal(errorfs.OS{}, missing, true), "there is nothing to go on with: no journal "+missing)
	require.ErrorIs(t, checkJournal(errorfs.OS{}, there, false), ErrJournalExists)
	below := filepath.Join(there, "below")
	require.ErrorContains(t, checkJournal(errorfs.OS{}, below, false), "journal "+below+": ")
}

// TestWrongLines checks that a line that no journal has is an error with its number, in the middle, and is left out at the end, where the
// process may have died.
func TestWrongLines(t *testing.T) {
	const first = `{"journal":1,"config":{},"package":"p"}` + "\n"
	const good = `{"refused":7}` + "\n"
	for _, wrong := range []string{
		"x", "{}", "\x00", `{"send":0}`, `{"send":0,"trace":"short"}`, `{"trace":"00000000000000000000000000000001"}`, `{"sent":0}`, `{"activation":"a"}`,
		`{"complete":0}`, `{"complete":0,"activations":[]}`, `{"activations":[{"id":"a"}]}`, `{"refused":0,"at":"soon"}`,
	} {
		_, _, _, err := parseJournal(strings.NewReader(first + good + wrong + "\n" + good))
		require.True(t, err != nil && strings.HasPrefix(err.Error(), "3: "), "%s: %v", wrong, err)
		for _, end := range []string{"", "\n"} {
			_, _, whole, err := parseJournal(strings.NewReader(first + good + wrong + end))
			require.NoError(t, err, wrong)
			require.EqualValues(t, len(first+good), whole, wrong)
		}
	}
}

// TestRequestsOutOfPlan checks that a journal with a request that the plan does not have is refused.
func TestRequestsOutOfPlan(t *testing.T) {
	h := headerOf(t, every(time.Second, 9))
	for request, want := range map[int]string{-1: "it has a request -1, of 9", 0: "", 8: "", 9: "it has a request 9, of 9"} {
		path := filepath.Join(t.TempDir(), "x.journal")
		j, err := createJournal(errorfs.OS{}, path, h)
		require.NoError(t, err)
		require.NoError(t, j.sent(request, "a"))
		require.NoError(t, j.Close())
		j, err = openJournal(errorfs.OS{}, path, h)
		if want == "" {
			require.NoError(t, err)
			require.NoError(t, j.Close())
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}

// TestCompleteTwice checks that a trace that is recorded twice counts once, and that the later one is read.
func TestCompleteTwice(t *testing.T) {
	j, err := createJournal(errorfs.OS{}, filepath.Join(t.TempDir(), "x.journal"), headerOf(t, every(time.Second, 9)))
	require.NoError(t, err)
	for _, id := range []string{"a", "b"} {
		require.NoError(t, j.complete(2, sampler.Trace{{ID: id, Name: "main"}}))
	}
	whole, end := j.completed()
	require.Equal(t, []int{1, 3}, []int{whole, end})
	trace, err := j.trace(2)
	require.NoError(t, err)
	require.Equal(t, "b", trace[0].ID)
	require.NoError(t, j.Remove())
}

// TestChangedTrace checks that a trace whose line was changed meanwhile is an error, and that what cannot be written is one.
func TestChangedTrace(t *testing.T) {
	for _, line := range []string{`{"complete":5,"activations":1}`, `{"complete":4,"activations":[]}`, `{"refused":5}`, `x`} {
		path := filepath.Join(t.TempDir(), "x.journal")
		j, err := createJournal(errorfs.OS{}, path, headerOf(t, every(time.Second, 9)))
		require.NoError(t, err)
		offset := j.size
		require.NoError(t, j.complete(5, sampler.Trace{{ID: "a", Name: "main"}}))
		_, err = j.append(func() {})
		require.ErrorContains(t, err, "journal "+path+": ")
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = file.WriteAt([]byte(line+"\n"), offset)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		_, err = j.trace(5)
		require.ErrorContains(t, err, "somebody has changed it: the trace of request 5 is not where it was", line)
		require.NoError(t, j.Remove())
	}
}

// TestDiscardJournalOfWhat checks that only packages of samplers are named, as only journals that can be read tell.
func TestDiscardJournalOfWhat(t *testing.T) {
	for text, want := range map[string]string{
		`{"journal":1,"package":"tppfaas-quick-1"}` + "\n": "tppfaas-quick-1", `{"journal":1,"package":"tppfaas-quick-1"}`: "",
		`{"journal":1,"package":"my-own"}` + "\n": "", `{"journal":2,"package":"tppfaas-quick-1"}` + "\n": "", "x\n": "",
	} {
		path := filepath.Join(t.TempDir(), "x.journal")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		pack := ""
		require.NoError(t, DiscardJournal(path, func(p string) error { pack = p; return nil }))
		require.Equal(t, want, pack, text)
		require.NoFileExists(t, path)
	}
}

// otherLocks is a disk on which another process locks each file as soon as it is there.
type otherLocks struct {
	errorfs.OS
	held errorfs.File
}

func (o *otherLocks) Create(path string, mode os.FileMode) (errorfs.File, error) {
	file, err := o.OS.Create(path, mode)
	if err == nil {
		if o.held, err = o.OS.Open(path, os.O_RDONLY); err == nil {
			err = lock(o.held)
		}
	}
	return file, err
}

// TestJournalLockedAtOnce checks that a journal that another process locks first is not written.
func TestJournalLockedAtOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no locks here")
	}
	disk := &otherLocks{}
	_, err := createJournal(disk, filepath.Join(t.TempDir(), "x.journal"), headerOf(t, every(time.Second, 9)))
	require.ErrorContains(t, err, "another sampler is at work on it")
	info, err := os.Stat(fmt.Sprintf("/proc/self/fd/%d", disk.held.Fd()))
	if err == nil {
		require.Zero(t, info.Size())
	}
	require.NoError(t, disk.held.Close())
}

func FuzzJournal(f *testing.F) {
	const first = `{"journal":1,"application":"quick","graph":{},"config":{},"apihost":"x","package":"p"}` + "\n"
	f.Add([]byte(first + `{"send":0,"trace":"00000000000000000000000000000001","at":5}` + "\n" + `{"sent":0,"activation":"a"}` + "\n" + `{"comp`))
	f.Add([]byte(first + `{"complete":3,"activations":[{"id":"a","name":"b","arrival":1,"end":2,"wait":0,"init":0}]}` + "\n"))
	f.Add([]byte(first + "\x00\x00\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, found, whole, err := parseJournal(bytes.NewReader(text))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.Equal(t, 1, h.Journal)
		// Without its torn end it says the same.
		again, same, all, err := parseJournal(bytes.NewReader(text[:whole]))
		require.NoError(t, err)
		require.Equal(t, whole, all)
		require.Equal(t, h, again)
		require.Equal(t, found, same)
		require.True(t, whole == 0 || bytes.HasSuffix(text[:whole], []byte("\n")))
	})
}

func TestTornBeginning(t *testing.T) {
	for _, text := range []string{"", `{"journal":1`} {
		_, _, _, err := parseJournal(strings.NewReader(text))
		require.ErrorContains(t, err, "it has no beginning")
	}
	for _, text := range []string{"{}\n", "x\n", `{"journal":2}` + "\n"} {
		_, _, _, err := parseJournal(strings.NewReader(text))
		require.True(t, err != nil && strings.HasPrefix(err.Error(), "1: "), err)
	}
}
