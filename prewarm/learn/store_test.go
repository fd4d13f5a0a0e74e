package learn

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
)

// TestSaveAndLoad: after a restart the policy expects what it would have expected without.
func TestSaveAndLoad(t *testing.T) {
	for _, kind := range []string{newsvendor.Table, newsvendor.DefaultModel} {
		t.Run(kind, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "new")
			w := newWorld(t, 4, Options{Model: kind})
			require.NoError(t, w.policy.Load(folder), "nothing is there yet")
			n := 22
			if kind == newsvendor.DefaultModel {
				n = 52
			}
			for i := range n {
				took := 1.0
				if w.rng.IntN(2) == 0 {
					took = 4
				}
				w.request(prewarm.Time(i+1)*gap, w.chain(took, 2, 0, 1))
			}
			require.NoError(t, w.policy.Save(folder))
			again := newWorld(t, 4, Options{Model: kind})
			require.NoError(t, again.policy.Load(folder))
			require.Empty(t, again.policy.Warnings())
			want, got := w.policy.Models()[0], again.policy.Models()[0]
			require.Equal(t, kind, got.Kind)
			require.Equal(t, want.Functions, got.Functions)
			require.Equal(t, want.Application, got.Application)
			require.Equal(t, w.policy.recorder.arrivals[2].inOrder(), again.policy.recorder.arrivals[2].inOrder())
			require.Equal(t, w.policy.library.bytes, again.policy.library.bytes)
			a, b := w.policy.library.apps[0], again.policy.library.apps[0]
			require.Equal(t, a.seen, b.seen)
			require.Equal(t, a.count-a.unseen, b.count-b.unseen)
			require.Equal(t, a.reference, b.reference)
			if kind != newsvendor.Table {
				sample, err := newsvendor.NewSample(w.policy.job(a).recording([]int{0, 1, 2}, a.all()), 40, 4)
				require.NoError(t, err)
				require.InDeltaSlice(t, a.present.Score(sample), b.present.Score(sample), 1, "the table beside it was made of other requests")
			}
			again.request(100*gap, again.chain(1, 2, 0, 1))
			require.Positive(t, again.started()[1])
			// A second time nothing is lost.
			require.NoError(t, again.policy.Save(folder))
		})
	}
}

// TestLoadWaitsForFunctions: what was saved of functions that the fleet does not have yet is taken when they are added, and is not lost before.
func TestLoadWaitsForFunctions(t *testing.T) {
	folder := t.TempDir()
	w := newWorld(t, 3, Options{Model: newsvendor.Table})
	for i := range 8 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 0, 1, 2))
	}
	require.NoError(t, w.policy.Save(folder))
	again := newWorld(t, 1, Options{Model: newsvendor.Table})
	require.NoError(t, again.policy.Load(folder))
	require.NoError(t, again.policy.Save(folder))
	require.Empty(t, again.policy.Models())
	for _, f := range functionsOf(3)[1:] {
		_, err := again.fleet.AddFunction(f)
		require.NoError(t, err)
	}
	again.handle(prewarm.Event{Kind: prewarm.Woken, At: gap, Key: 99})
	require.Empty(t, again.policy.Warnings())
	require.Len(t, again.policy.Models(), 1)
	require.Equal(t, 7, again.policy.Models()[0].Traces, "the newest is held out")
	n := 0
	require.NotEmpty(t, again.policy.recorder.arrivals[0].gaps)
	again.policy.newsvendor.EachStart(2, func(int, prewarm.Time) { n++ })
	require.Equal(t, 8, n)
}

// TestGivenModelAfterRestart: a model that is given again keeps what was learned beside it.
func TestGivenModelAfterRestart(t *testing.T) {
	folder := t.TempDir()
	m := raceOf(t, newWorld(t, 3, Options{}), 0, 1, 2)
	w := newWorld(t, 3, Options{Models: []Model{m}, Fixed: true})
	for i := range 8 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 0, 1, 2))
	}
	require.NoError(t, w.policy.Save(folder))
	again := newWorld(t, 3, Options{Models: []Model{m}, Fixed: true})
	require.NoError(t, again.policy.Load(folder))
	require.Empty(t, again.policy.Warnings())
	again.handle(prewarm.Event{Kind: prewarm.Woken, At: gap, Key: 99})
	require.Len(t, again.policy.library.apps, 1)
	require.Equal(t, 8, again.policy.library.apps[0].present.Traces())
	require.Equal(t, "a.safetensors", again.policy.Models()[0].Name)
	// Without it, another one is learned.
	other := newWorld(t, 3, Options{Model: newsvendor.Table})
	require.NoError(t, other.policy.Load(folder))
	other.handle(prewarm.Event{Kind: prewarm.Woken, At: gap, Key: 99})
	require.Equal(t, "learned", other.policy.Models()[0].Name)
}

// TestDamagedFiles: whatever is cut off or changed, Load says so in one line or reads something sound, and the policy works.
func TestDamagedFiles(t *testing.T) {
	folder := t.TempDir()
	w := newWorld(t, 2, Options{Model: newsvendor.Table})
	for i := range 7 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 0, 1))
	}
	require.NoError(t, w.policy.Save(folder))
	path := filepath.Join(folder, fileName)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for n := 0; n < len(whole); n += 1 + len(whole)/40 {
		require.NoError(t, os.WriteFile(path, whole[:n], 0o666))
		again := newWorld(t, 2, Options{Model: newsvendor.Table})
		err := again.policy.Load(folder)
		require.Error(t, err, "%d bytes", n)
		require.NotContains(t, err.Error(), "\n")
		require.Contains(t, err.Error(), path)
		require.Empty(t, again.policy.library.apps)
		again.request(gap, again.chain(1, 0, 1))
	}
}

// TestUnreadIsKept: what cannot be read, such as that of a later version, is not lost when something else is saved.
func TestUnreadIsKept(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(`{"format": 2, "applications": {"of": "another form"}}`))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	folder := t.TempDir()
	path := filepath.Join(folder, fileName)
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o666))
	w := newWorld(t, 2, Options{Model: newsvendor.Table})
	err = w.policy.Load(folder)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "format 2, this program reads 1; everything is learned anew, and it is kept as learned.json.gz.unread")
	w.request(gap, w.chain(1, 0, 1))
	require.NoError(t, w.policy.Save(folder))
	require.NoError(t, newWorld(t, 2, Options{Model: newsvendor.Table}).policy.Load(folder))
	kept, err := os.ReadFile(path + ".unread")
	require.NoError(t, err)
	require.Equal(t, b.Bytes(), kept)
}

// TestFailingDisk: if any operation of the disk fails, the error says so and what was there is there still, or the whole of what is new.
func TestFailingDisk(t *testing.T) {
	w := newWorld(t, 2, Options{Model: newsvendor.Table})
	for i := range 6 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 0, 1))
	}
	before, err := w.policy.Snapshot()
	require.NoError(t, err)
	w.request(7*gap, w.chain(1, 0, 1))
	after, err := w.policy.Snapshot()
	require.NoError(t, err)
	requests := func(folder string) int {
		again := newWorld(t, 2, Options{Model: newsvendor.Table})
		require.NoError(t, again.policy.Load(folder))
		return again.policy.library.apps[0].seen
	}
	counting := errorfs.Fail(errorfs.OS{}, 0, nil)
	folder := t.TempDir()
	require.NoError(t, before.save(counting, folder))
	require.Equal(t, 6, requests(folder))
	require.Greater(t, counting.Operations(), 3)
	for n := 1; n <= counting.Operations(); n++ {
		folder := t.TempDir()
		require.NoError(t, before.Save(folder))
		if err := after.save(errorfs.Fail(errorfs.OS{}, n, syscall.ENOSPC), folder); err == nil {
			require.Equal(t, 7, requests(folder))
			continue
		}
		require.Contains(t, []int{6, 7}, requests(folder))
	}
}

// FuzzDecode: no file makes Load panic, and what it accepts can be worked with.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"format":1}`, `{"format":1,"applications":[{"functions":["f0","f1"],"calls":[[[0,-1,0,1,2,0,1],[1,0,1,1,2,0,0]]],"seen":1,"kind":"table","marks":["f0","f1"]}]}`,
		`{"format":1,"starts":{"f0":[[0,1.5]]},"gaps":{"f0":[1,2]}}`, `{"format":1,"applications":[{"functions":["f0","f0"],"calls":[[[1,-1,0,0,0,0,0]]]}]}`,
		`{"format":1,"applications":[{"functions":["f0"],"calls":[[[0,-1,0,0,0,0,0]],[[0,-1,0,0,0,0,0]],[[0,-1,0,0,0,0,0]],[[0,-1,0,0,0,0,0]],[[0,-1,0,0,0,0,0]]],"seen":5,"kind":"race","model":"AAAA","marks":["f0"]}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(text)
		require.NoError(t, z.Close())
		folder := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(folder, fileName), b.Bytes(), 0o666))
		w := newWorld(t, 2, Options{Model: newsvendor.Table})
		_ = w.policy.Load(folder)
		checkLibrary(t, w.policy.library)
		for i := range 6 {
			w.request(prewarm.Time(i+1)*gap, w.chain(1, 0, 1))
		}
		require.NoError(t, w.policy.Save(folder))
	})
}
