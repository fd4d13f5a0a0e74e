package openwhisk

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/sampler/internal/testenv"
)

// faults are the ways in which operations of a disk fail from the n-th on, or it alone.
var faults = map[string]func(errorfs.FS, int, error) *errorfs.Faulty{"one": errorfs.Fail, "all": errorfs.FailFrom}

// record writes a journal of four requests until something fails, and closes it. It returns the states after the header and each line
// of which the last acknowledged one is the last, and the state that the line after it makes, if that failed.
func record(t *testing.T, disk errorfs.FS, path string) (states []map[int]entry, attempted map[int]entry, err error) {
	t.Helper()
	j, err := createJournal(disk, path, headerOf(t, every(time.Second, 9)))
	if err != nil {
		require.Nil(t, j)
		return nil, nil, err
	}
	now := map[int]entry{}
	states = append(states, maps.Clone(now))
	do := func(request int, e *entry, write func() error) {
		if e == nil {
			delete(now, request)
		} else {
			now[request] = *e
		}
		failed := write()
		switch {
		case err != nil:
			require.Equal(t, err, failed, "nothing is written after a failure")
		case failed != nil:
			err, attempted = failed, maps.Clone(now)
		default:
			states = append(states, maps.Clone(now))
		}
	}
	for i := range 4 {
		e := entry{trace: fmt.Sprintf("%032d", i), at: time.UnixMicro(int64(i + 1))}
		do(i, &e, func() error { return j.send(i, e.trace, e.at) })
		if i == 2 {
			do(i, nil, func() error { return j.refused(i) })
			continue
		}
		e.activation = fmt.Sprint("a", i)
		do(i, &e, func() error { return j.sent(i, e.activation) })
		if i == 1 {
			continue
		}
		trace := sampler.Trace{{ID: "a", Name: "main", Arrival: e.at, End: e.at}}
		e = entry{at: e.at, complete: j.size}
		do(i, &e, func() error { return j.complete(i, trace) })
		if err == nil {
			got, failed := j.trace(i)
			if failed != nil {
				err = failed
				break
			}
			require.Equal(t, trace, got)
		}
	}
	if states != nil {
		whole, _ := j.completed()
		require.Equal(t, numComplete(states[len(states)-1]), whole)
	}
	if closed := j.Close(); err == nil {
		err = closed
	}
	return states, attempted, err
}

// numComplete returns the number of complete traces in a state.
func numComplete(state map[int]entry) (n int) {
	for _, e := range state {
		if e.complete != 0 {
			n++
		}
	}
	return n
}

// checkJournalAfter checks that a journal is read again that holds what was acknowledged, at most one line more, and that it goes on.
func checkJournalAfter(t *testing.T, path string, states []map[int]entry, attempted map[int]entry, what string) {
	t.Helper()
	h := headerOf(t, every(time.Second, 9))
	j, err := openJournal(errorfs.OS{}, path, h)
	require.NoError(t, err, what)
	allowed := []any{states[len(states)-1]}
	if attempted != nil {
		allowed = append(allowed, attempted)
	}
	require.Contains(t, allowed, j.found, what)
	whole, _ := j.completed()
	require.Equal(t, numComplete(j.found), whole, what)
	for i, e := range j.found {
		if e.complete != 0 {
			trace, err := j.trace(i)
			require.NoError(t, err, what)
			require.Len(t, trace, 1, what)
		}
	}
	require.NoError(t, j.sent(8, "next"))
	require.NoError(t, j.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.HasSuffix(text, []byte("\"next\"}\n")), what)
	j, err = openJournal(errorfs.OS{}, path, h)
	require.NoError(t, err, what)
	require.Equal(t, "next", j.found[8].activation)
	require.NoError(t, j.Remove())
}

// TestJournalFaults lets each operation of the recording fail, alone and with all later ones: an error says so and names the journal,
// nothing is written after it, and what was acknowledged is read again.
func TestJournalFaults(t *testing.T) {
	counting := errorfs.Fail(errorfs.OS{}, 0, nil)
	states, _, err := record(t, counting, filepath.Join(t.TempDir(), "x.journal"))
	require.NoError(t, err)
	require.Len(t, states, 11)
	require.Greater(t, counting.Operations(), 25)
	for n := 1; n <= counting.Operations(); n++ {
		for kind, fail := range faults {
			what := fmt.Sprintf("operation %d, %s", n, kind)
			path := filepath.Join(t.TempDir(), "x.journal")
			states, attempted, err := record(t, fail(errorfs.OS{}, n, syscall.EIO), path)
			require.ErrorIs(t, err, syscall.EIO, what)
			require.True(t, strings.HasPrefix(err.Error(), "journal "+path+": "), "%s: %v", what, err)
			if states != nil {
				if kind == "one" {
					text, err := os.ReadFile(path)
					require.NoError(t, err)
					require.True(t, bytes.HasSuffix(text, []byte("\n")), "%s: half a line stays", what)
				}
				checkJournalAfter(t, path, states, attempted, what)
				continue
			}
			// It could not be created: nothing is left, unless it cannot be removed, and then the error says so.
			require.NotContains(t, err.Error(), "\n")
			_, missing := os.Stat(path)
			require.Equal(t, errors.Is(missing, os.ErrNotExist), !strings.Contains(err.Error(), "it is left"), what)
			require.True(t, kind == "all" || missing != nil, what)
			if missing == nil {
				require.NoError(t, discardJournal(errorfs.OS{}, path, func(string) error { return nil }), what)
			}
		}
	}
}

// TestJournalCrash lets the machine die after each operation of the recording: what was acknowledged is there when it starts again.
func TestJournalCrash(t *testing.T) {
	counting := errorfs.Fail(errorfs.OS{}, 0, nil)
	_, _, err := record(t, counting, filepath.Join(t.TempDir(), "x.journal"))
	require.NoError(t, err)
	for n := 1; n <= counting.Operations()+1; n++ {
		for _, keepNames := range []bool{false, true} {
			what := fmt.Sprintf("operation %d", n)
			path := filepath.Join(t.TempDir(), "x.journal")
			disk := errorfs.NewVolatile()
			states, attempted, _ := record(t, errorfs.FailFrom(disk, n, syscall.EIO), path)
			require.NoError(t, disk.Crash(keepNames))
			if states != nil {
				checkJournalAfter(t, path, states, attempted, what)
			}
		}
	}
}

// TestJournalOpenFaults lets each operation of the opening and the discarding of a journal with a torn end fail: its lines stay.
func TestJournalOpenFaults(t *testing.T) {
	h := headerOf(t, every(time.Second, 9))
	prepare := func() (path string, states []map[int]entry) {
		path = filepath.Join(t.TempDir(), "x.journal")
		states, _, err := record(t, errorfs.OS{}, path)
		require.NoError(t, err)
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = file.WriteString(`{"complete":8,"activations":[` + strings.Repeat(`{"id":"a","name":"main"},`, 9))
		require.NoError(t, errors.Join(err, file.Close()))
		return path, states
	}
	for name, operate := range map[string]func(disk errorfs.FS, path string) error{
		"check": func(disk errorfs.FS, path string) error { return checkJournal(disk, path, true) },
		"open": func(disk errorfs.FS, path string) error {
			j, err := openJournal(disk, path, h)
			if err == nil {
				err = j.Close()
			}
			return err
		},
		"create": func(disk errorfs.FS, path string) error {
			if _, err := createJournal(disk, path, h); !errors.Is(err, ErrJournalExists) {
				return err
			}
			return nil
		},
		"discard": func(disk errorfs.FS, path string) error {
			return discardJournal(disk, path, func(string) error { return nil })
		},
	} {
		counting := errorfs.Fail(errorfs.OS{}, 0, nil)
		path, _ := prepare()
		require.NoError(t, operate(counting, path), name)
		require.Positive(t, counting.Operations())
		for n := 1; n <= counting.Operations(); n++ {
			for kind, fail := range faults {
				what := fmt.Sprintf("%s: operation %d, %s", name, n, kind)
				path, states := prepare()
				if err := operate(fail(errorfs.OS{}, n, syscall.EIO), path); err != nil {
					require.ErrorIs(t, err, syscall.EIO, what)
					require.Contains(t, err.Error(), path, what)
				} else if name == "open" {
					t.Errorf("%s: no error", what)
				} else if name == "discard" {
					require.NoFileExists(t, path, what)
					continue
				}
				checkJournalAfter(t, path, states, nil, what)
			}
		}
	}
}

// slowSync is a file whose first sync begins, waits, and has a result; it counts all.
type slowSync struct {
	errorfs.File
	begun, written chan struct{}
	result         chan error
	syncs          atomic.Int32
}

func (f *slowSync) Write(p []byte) (int, error) {
	defer func() { f.written <- struct{}{} }()
	return f.File.Write(p)
}

func (f *slowSync) Sync() error {
	if f.syncs.Add(1) > 1 {
		return nil
	}
	f.begun <- struct{}{}
	return <-f.result
}

// syncSlowly writes a line, and two others while that is synced, which ends with a result. It returns the errors, and the number of syncs.
func syncSlowly(t *testing.T, result error) (errs []error, syncs int) {
	t.Helper()
	j, err := createJournal(errorfs.OS{}, filepath.Join(t.TempDir(), "x.journal"), headerOf(t, every(time.Second, 9)))
	require.NoError(t, err)
	file := &slowSync{File: j.file, begun: make(chan struct{}), result: make(chan error), written: make(chan struct{}, 3)}
	j.file = file
	done := make(chan error)
	go func() { done <- j.sent(1, "a") }()
	<-file.begun
	<-file.written
	for i := range 2 {
		go func() { done <- j.sent(2+i, "b") }()
		<-file.written
	}
	file.result <- result
	for range 3 {
		errs = append(errs, <-done)
	}
	require.NoError(t, j.Remove())
	return errs, int(file.syncs.Load())
}

// TestFailedSyncIsNotForgiven checks that a line that was written while a sync failed is not acknowledged because the next sync goes well:
// the system has dropped it.
func TestFailedSyncIsNotForgiven(t *testing.T) {
	errs, _ := syncSlowly(t, syscall.EIO)
	for _, err := range errs {
		require.ErrorIs(t, err, syscall.EIO)
	}
}

// TestOneSyncServesSeveralLines checks that lines that were written during a sync share the next one.
func TestOneSyncServesSeveralLines(t *testing.T) {
	errs, syncs := syncSlowly(t, nil)
	require.Equal(t, []error{nil, nil, nil}, errs)
	require.Equal(t, 2, syncs)
}

// TestSampleWithJournalFaults lets each operation on the journal of a sampling fail, with all later ones, and resumes the sampling: each
// request is sent once, and no trace is missing.
func TestSampleWithJournalFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const requests = 3
	config := every(time.Millisecond, requests)
	sample := func(t *testing.T, env *testenv.Env, disk errorfs.FS, journal string, resume bool) (log string, sampled error) {
		r, err := beginOn(t, env, disk, config, journal, resume, settleSoon)
		if err != nil {
			return "", err
		}
		_, sampled = r.Sample(t.Context(), nil)
		if sampled == nil {
			_, sampled = r.Dataset()
		}
		if sampled == nil {
			require.Equal(t, requests, r.Complete())
		}
		r.clean()
		if failed := r.Journal().Close(); sampled == nil {
			sampled = failed
		}
		r.Close()
		return r.log(), sampled
	}
	counting := errorfs.Fail(errorfs.OS{}, 0, nil)
	_, err := sample(t, testenv.New(t, rest.Limits{}), counting, filepath.Join(t.TempDir(), "x.journal"), false)
	require.NoError(t, err)
	for n := 1; n <= counting.Operations(); n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			env := testenv.New(t, rest.Limits{})
			var posts atomic.Int32
			env.OpenWhisk.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost {
					posts.Add(1)
				}
				return false
			})
			journal := filepath.Join(t.TempDir(), "x.journal")
			disk := errorfs.FailFrom(errorfs.OS{}, n, syscall.EIO)
			log, err := sample(t, env, disk, journal, false)
			if err == nil && disk.Operations() < n {
				return // one sync has served several lines
			}
			if err != nil {
				require.ErrorIs(t, err, syscall.EIO)
				require.Contains(t, err.Error(), "journal")
				require.NotContains(t, err.Error(), "\n")
			} else {
				require.Contains(t, log, "from now on traces are kept in memory alone: journal "+journal)
			}
			if _, missing := os.Stat(journal); missing == nil {
				_, err := sample(t, env, errorfs.OS{}, journal, true)
				if err != nil { // it has no beginning, which the next run says
					require.ErrorContains(t, err, "nothing was sent")
					return
				}
				require.EqualValues(t, requests, posts.Load())
			}
		})
	}
}
