package errorfs

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// operations are how many operate performs.
const operations = 20

// operate performs each kind of operation at least once and returns their errors. It ends at the first file that cannot be opened.
func operate(fs FS, dir string) (errs []error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	did := func(err error) { errs = append(errs, err) }
	did(fs.MkdirAll(at("folder"), 0o700))
	f, err := fs.Create(at("file"), 0o600)
	if did(err); err != nil {
		return errs
	}
	_, err = f.Write([]byte("text"))
	did(err)
	did(f.Chmod(0o640))
	did(f.Sync())
	did(f.Close())
	did(fs.SyncDir(dir))
	f, err = fs.Open(at("file"), os.O_RDWR)
	if did(err); err != nil {
		return errs
	}
	_, err = f.Read(make([]byte, 1))
	did(err)
	_, err = f.ReadAt(make([]byte, 1), 1)
	did(err)
	_, err = f.Seek(1, io.SeekStart)
	did(err)
	did(f.Truncate(3))
	did(f.Close())
	_, err = fs.Stat(at("file"))
	did(err)
	_, err = fs.ReadDir(dir)
	did(err)
	did(fs.Link(at("file"), at("second")))
	did(fs.Rename(at("file"), at("renamed")))
	did(fs.Remove(at("second")))
	_, err = fs.Stat(dir)
	did(err)
	did(fs.MkdirAll(at("folder"), 0o700))
	return errs
}

func TestFail(t *testing.T) {
	all := Fail(NewVolatile(), 0, syscall.ENOSPC)
	for _, err := range operate(all, t.TempDir()) {
		require.NoError(t, err)
	}
	require.Equal(t, operations, all.Operations())
	for n := 1; n <= operations; n++ {
		for i, err := range operate(Fail(OS{}, n, syscall.ENOSPC), t.TempDir()) {
			if i+1 == n {
				require.ErrorIs(t, err, syscall.ENOSPC)
			} else {
				require.NotErrorIs(t, err, syscall.ENOSPC)
			}
		}
		for i, err := range operate(FailFrom(OS{}, n, syscall.ENOSPC), t.TempDir()) {
			require.Equal(t, i+1 >= n, err != nil, "operation %d of %d", i+1, n)
		}
	}
}

// TestWriteIsCut checks that a write that fails leaves half of its bytes, and that a file that exists is not created again.
func TestWriteIsCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := Fail(OS{}, 2, syscall.EIO).Create(path, 0o600)
	require.NoError(t, err)
	n, err := f.Write([]byte("text"))
	require.ErrorIs(t, err, syscall.EIO)
	require.Equal(t, 2, n)
	require.NoError(t, f.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "te", string(content))
	f, err = OS{}.Create(path, 0o600)
	require.ErrorIs(t, err, os.ErrExist)
	require.Nil(t, f)
}

// TestCrash checks what is left of files whose content, name, both or neither was synced.
func TestCrash(t *testing.T) {
	for _, keepNames := range []bool{false, true} {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		for _, name := range []string{"old", "replaced", "removed", "kept", "appended"} {
			require.NoError(t, os.WriteFile(at(name), []byte(name), 0o640))
		}
		v := NewVolatile()
		create := func(name string, sync bool) {
			f, err := v.Create(at(name), 0o600)
			require.NoError(t, err)
			_, err = f.Write([]byte("new " + name))
			require.NoError(t, err)
			if sync {
				require.NoError(t, f.Sync())
				_, err = f.Write([]byte(", and more"))
				require.NoError(t, err)
			}
			require.NoError(t, f.Close())
		}
		create("whole", true)
		create("empty", false)
		require.NoError(t, v.SyncDir(dir))
		create("nameless", true)
		create("temporary", true)
		require.NoError(t, v.Rename(at("temporary"), at("replaced")))
		require.NoError(t, v.Link(at("whole"), at("linked")))
		require.NoError(t, v.Remove(at("removed")))
		f, err := v.Open(at("appended"), os.O_RDWR)
		require.NoError(t, err)
		_, err = f.Write([]byte("A"))
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.NoError(t, v.Crash(keepNames))

		want := map[string]string{
			"old": "old", "replaced": "replaced", "removed": "removed", "kept": "kept", "appended": "appended", "whole": "new whole", "empty": "",
		}
		if keepNames {
			delete(want, "removed")
			want["replaced"], want["nameless"], want["linked"] = "new temporary", "new nameless", "new whole"
		}
		got := map[string]string{}
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			text, err := os.ReadFile(at(e.Name()))
			require.NoError(t, err)
			got[e.Name()] = string(text)
		}
		require.Equal(t, want, got)
	}
}

// TestSyncDir checks that a folder that is gone is an error.
func TestSyncDir(t *testing.T) {
	require.NoError(t, OS{}.SyncDir(t.TempDir()))
	require.ErrorIs(t, OS{}.SyncDir(filepath.Join(t.TempDir(), "gone")), os.ErrNotExist)
}
