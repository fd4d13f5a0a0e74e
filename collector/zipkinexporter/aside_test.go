package zipkinexporter

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// files returns the names of the spans in each file of a folder, oldest first. A file that is not whole fails the test.
func files(t *testing.T, dir string) (all [][]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		traces, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(text)
		require.NoError(t, err)
		all = append(all, namesOf(traces))
	}
	return all
}

// TestFolderIsBounded checks that the oldest files go, that the newest stays though it is too large, and that files of others stay.
func TestFolderIsBounded(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "0-notes-for-me.json"), make([]byte, 100), 0o600))
	f, err := openFolder(errorfs.OS{}, SetAsideConfig{dir, 3, 1 << 20})
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "0-notes-for-me.json")))
	removed := 0
	for _, name := range names(5) {
		_, n, err := f.keep("refused", "why", spans(name, name+" too"))
		require.NoError(t, err)
		removed += n
	}
	require.Equal(t, 4, removed)
	require.Equal(t, [][]string{{"c", "c too"}, {"d", "d too"}, {"e", "e too"}}, files(t, dir))

	f, err = openFolder(errorfs.OS{}, SetAsideConfig{dir, 3, 3000})
	require.NoError(t, err)
	_, removed, err = f.keep("refused", "why", spans(strings.Repeat("f", 5000)))
	require.NoError(t, err)
	require.Equal(t, 6, removed)
	require.Len(t, files(t, dir), 1)
}

func TestSpansIn(t *testing.T) {
	for name, want := range map[string]int{
		"20261128T162709.000000001-000001-17-refused.json": 17, "notes.json": 0, "0-notes-for-me.json": 0,
		".writing-20261128T162709.000000001-000001-17-refused.json": 0, "20261128T162709.000000001-000001-17-refused.txt": 0,
	} {
		require.Equal(t, want, spansIn(name), name)
	}
}

// TestFolderFaults lets each file operation fail, alone and with all later ones, and checks that a file is whole or absent, that an error
// means absent, and that what an earlier failure left is removed at the next start.
func TestFolderFaults(t *testing.T) {
	run := func(fs errorfs.FS, dir string) (written []string) {
		f, err := openFolder(fs, SetAsideConfig{dir, 2, 1 << 20})
		if err != nil {
			return nil
		}
		for _, name := range names(4) {
			if _, _, err := f.keep("refused", "why", spans(name)); err == nil {
				written = append(written, name)
			}
		}
		return written
	}
	counting := errorfs.Fail(errorfs.OS{}, 0, nil)
	require.Equal(t, names(4), run(counting, t.TempDir()))
	require.Greater(t, counting.Operations(), 25)
	for n := 1; n <= counting.Operations(); n++ {
		for _, fail := range []func(errorfs.FS, int, error) *errorfs.Faulty{errorfs.Fail, errorfs.FailFrom} {
			dir := t.TempDir()
			written := run(fail(errorfs.OS{}, n, syscall.ENOSPC), dir)
			found := map[string]bool{}
			for _, names := range files(t, dir) {
				found[names[0]] = true
			}
			for name := range found {
				require.Contains(t, written, name, "operation %d: an error and yet a file", n)
			}
			if len(written) > 0 {
				require.True(t, found[written[len(written)-1]], "operation %d: the newest file", n)
			}
			_, err := openFolder(errorfs.OS{}, SetAsideConfig{dir, 2, 1 << 20})
			require.NoError(t, err)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, len(found), "operation %d: temporary files", n)
		}
	}
}

// TestFolderCrash lets the machine die after each file operation: each file that is there is whole, and what was reported as written is
// there, if it is among the newest.
func TestFolderCrash(t *testing.T) {
	run := func(fs errorfs.FS, dir string) (written []string) {
		f, err := openFolder(fs, SetAsideConfig{dir, 2, 1 << 20})
		if err != nil {
			return nil
		}
		for _, name := range names(4) {
			if _, _, err := f.keep("refused", "why", spans(name)); err == nil {
				written = append(written, name)
			}
		}
		return written
	}
	counting := errorfs.Fail(errorfs.OS{}, 0, nil)
	run(counting, t.TempDir())
	for n := 1; n <= counting.Operations()+1; n++ {
		for _, keepNames := range []bool{false, true} {
			dir := t.TempDir()
			disk := errorfs.NewVolatile()
			written := run(errorfs.FailFrom(disk, n, syscall.EIO), dir)
			require.NoError(t, disk.Crash(keepNames))
			found := map[string]bool{}
			for _, names := range files(t, dir) {
				found[names[0]] = true
			}
			if len(written) > 0 && n > counting.Operations() {
				require.True(t, found[written[len(written)-1]], "the newest file")
			}
			for name := range found {
				require.Contains(t, names(4), name)
			}
		}
	}
}

// TestFolderTellsOfFailures lets each operation of the opening and of the first file fail: each is an error, and leaves no temporary file.
func TestFolderTellsOfFailures(t *testing.T) {
	for n := 1; n <= 7; n++ { // mkdir, readdir; create, write, sync, close, rename
		dir := t.TempDir()
		f, err := openFolder(errorfs.Fail(errorfs.OS{}, n, syscall.EIO), SetAsideConfig{dir, 2, 1 << 20})
		if n <= 2 {
			require.ErrorIs(t, err, syscall.EIO, "operation %d", n)
			continue
		}
		require.NoError(t, err)
		_, _, err = f.keep("refused", "why", spans("a"))
		require.ErrorIs(t, err, syscall.EIO, "operation %d", n)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries, "operation %d", n)
	}
}

// TestFolderThatComesBack checks that spans are set aside as soon as there can be a folder, though there could be none at the start, and that a folder
// that was removed is made again.
func TestFolderThatComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume", "refused")
	require.NoError(t, os.WriteFile(filepath.Dir(dir), nil, 0o600)) // no folder can be made below a file
	f, err := openFolder(errorfs.OS{}, SetAsideConfig{dir, 2, 1 << 20})
	require.Error(t, err)
	_, _, err = f.keep("refused", "why", spans("a"))
	require.Error(t, err)
	require.NoError(t, os.Remove(filepath.Dir(dir)))
	for _, name := range []string{"b", "c"} {
		_, _, err = f.keep("refused", "why", spans(name))
		require.NoError(t, err)
		require.Equal(t, [][]string{{name}}, files(t, dir))
		require.NoError(t, os.RemoveAll(dir))
	}
}

// TestFolderFiles checks what stands in a file and in its name, and that exactly as much is removed as the limits ask for: no files of others,
// and no more bytes than needed.
func TestFolderFiles(t *testing.T) {
	dir := t.TempDir()
	for _, other := range []string{"0-notes-for-me.json", "0-0-0-x.json"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, other), make([]byte, 10_000), 0o600))
	}
	folderOfOthers := filepath.Join(dir, "0-1-1-folder.json")
	require.NoError(t, os.Mkdir(folderOfOthers, 0o700))
	f, err := openFolder(errorfs.OS{}, SetAsideConfig{dir, 3, 1 << 20})
	require.NoError(t, err)
	var kept []string
	var size int64
	for i, name := range names(3) {
		file, removed, err := f.keep("refused", "why", spans(name))
		require.NoError(t, err)
		require.Zero(t, removed)
		require.Contains(t, filepath.Base(file), []string{"-000001-1-refused", "-000002-1-refused", "-000003-1-refused"}[i])
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), `"reason":"refused"`)
		require.Contains(t, string(text), `"error":"why"`)
		kept, size = append(kept, file), size+int64(len(text))
	}
	f.config.MaxBytes = size
	require.Zero(t, f.prune(filepath.Base(kept[2])), "just within the limit")
	f.config.MaxBytes = size - 1
	require.Equal(t, 1, f.prune(filepath.Base(kept[2])))
	require.NoFileExists(t, kept[0])
	require.FileExists(t, kept[1])
	require.DirExists(t, folderOfOthers)

	// What cannot be removed is not counted as removed.
	f.fs = errorfs.Fail(errorfs.OS{}, 2, syscall.EIO)
	f.config.MaxFiles = 1
	require.Zero(t, f.prune(filepath.Base(kept[2])))
	require.FileExists(t, kept[1])
	require.FileExists(t, filepath.Join(dir, "0-notes-for-me.json"))
}
