package whisk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// keyAfter returns the key that the file has, "" for none. A part of a key fails the test.
func keyAfter(t *testing.T, file string, allowed ...string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	require.NoError(t, err)
	key := strings.TrimSuffix(string(text), "\n")
	require.Contains(t, allowed, key)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	return key
}

// TestKeyFileFaults lets each operation of the storing of a key fail, alone and with all later ones, and the machine die after each: the
// file has a whole key or is not there, one that was there stays, and the next attempt goes well.
func TestKeyFileFaults(t *testing.T) {
	const old, latest = "user:old", "user:new"
	prepare := func(before string) string {
		file := filepath.Join(t.TempDir(), "folder", "key")
		if before != "" {
			require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
			require.NoError(t, os.WriteFile(file, []byte(before+"\n"), 0o600))
		}
		return file
	}
	for _, before := range []string{"", old} {
		counting := errorfs.Fail(errorfs.OS{}, 0, nil)
		require.NoError(t, createKeyFile(counting, prepare(before), latest))
		require.Equal(t, 8, counting.Operations())
		for n := 1; n <= counting.Operations()+1; n++ {
			for _, kind := range []string{"one", "all", "crash", "crash that keeps names"} {
				what := fmt.Sprintf("before %q, operation %d, %s", before, n, kind)
				file := prepare(before)
				disk := errorfs.NewVolatile()
				faulty := errorfs.FailFrom(disk, n, syscall.EIO)
				if kind == "one" {
					faulty = errorfs.Fail(disk, n, syscall.EIO)
				}
				err := createKeyFile(faulty, file, latest)
				if strings.HasPrefix(kind, "crash") {
					require.NoError(t, disk.Crash(kind != "crash"))
				}
				got := keyAfter(t, file, old, latest)
				if err != nil {
					require.ErrorIs(t, err, syscall.EIO, what)
					require.ErrorContains(t, err, filepath.Dir(file), what)
					require.LessOrEqual(t, n, counting.Operations())
				} else {
					require.NotEmpty(t, got, what)
				}
				if before != "" {
					require.Equal(t, old, got, what)
				}
				// Only the removal of the temporary file, which comes last, may fail without a word.
				require.True(t, err != nil || n >= counting.Operations(), what)
				if entries, _ := os.ReadDir(filepath.Dir(file)); kind == "one" && n < counting.Operations() {
					require.LessOrEqual(t, len(entries), 1, "%s: a temporary file is left", what)
				}
				require.NoError(t, createKeyFile(errorfs.OS{}, file, latest), what)
				require.NotEmpty(t, keyAfter(t, file, old, latest), what)
			}
		}
	}
}
