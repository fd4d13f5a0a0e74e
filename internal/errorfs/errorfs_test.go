package errorfs

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// operate performs each kind of operation once and returns their errors.
func operate(fs FS, dir string) (errs []error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	errs = append(errs, fs.MkdirAll(at("folder"), 0o700))
	f, err := fs.Create(at("file"), 0o600)
	errs = append(errs, err)
	if err != nil {
		return errs
	}
	_, err = f.Write([]byte("text"))
	errs = append(errs, err, f.Sync(), f.Close(), fs.SyncDir(dir))
	_, err = fs.ReadDir(dir)
	return append(errs, err, fs.Rename(at("file"), at("renamed")), fs.Remove(at("renamed")))
}

func TestFail(t *testing.T) {
	all := Fail(OS{}, 0, syscall.ENOSPC)
	for _, err := range operate(all, t.TempDir()) {
		require.NoError(t, err)
	}
	require.Equal(t, 9, all.Operations())
	for n := 1; n <= 9; n++ {
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
	_, err = OS{}.Create(path, 0o600)
	require.ErrorIs(t, err, os.ErrExist)
}
