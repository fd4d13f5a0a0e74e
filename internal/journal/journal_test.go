package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// open returns a journal and the lines that it had.
func open(disk errorfs.FS, path string) (*Journal, []string, error) {
	var lines []string
	j, err := Open(disk, path, "work 1", func(line []byte) error { lines = append(lines, string(line)); return nil })
	return j, lines, err
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, lines, err := open(errorfs.OS{}, path)
	require.NoError(t, err)
	require.Empty(t, lines)
	require.NoError(t, j.Append([]byte("one")))
	require.NoError(t, j.Append([]byte(strings.Repeat("two", 30_000))))
	_, _, err = open(errorfs.OS{}, path)
	require.EqualError(t, err, "journal "+path+": another process is at work on it")
	require.NoError(t, j.Close())

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(text, "torn"...), 0o600))
	j, lines, err = open(errorfs.OS{}, path)
	require.NoError(t, err)
	require.Equal(t, []string{"one", strings.Repeat("two", 30_000)}, lines)
	require.NoError(t, j.Append([]byte("three")))
	require.Error(t, j.Append(make([]byte, maxLine)))
	require.NoError(t, j.Close())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(text)+"three\n", string(after))

	_, err = Open(errorfs.OS{}, path, "work 2", nil)
	var other *OtherError
	require.ErrorAs(t, err, &other)
	require.ErrorContains(t, err, "is of other work (work 1, this is work 2)")
	_, err = Open(errorfs.OS{}, path, "work 1", func([]byte) error { return errors.New("no number") })
	require.EqualError(t, err, "journal "+path+":2: no number")
	_, _, err = open(errorfs.OS{}, filepath.Join(path, "under"))
	require.ErrorContains(t, err, "journal "+path)
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("x", 2*maxLine)), 0o600))
	_, _, err = open(errorfs.OS{}, path)
	require.ErrorContains(t, err, "longer than")
}

// TestFullDisk lets each operation fail in turn: what was appended without an error is there afterwards, and nothing but whole lines.
func TestFullDisk(t *testing.T) {
	run := func(disk errorfs.FS, path string) (appended []string) {
		j, _, err := open(disk, path)
		if err != nil {
			require.ErrorContains(t, err, "journal "+path+": ")
			return nil
		}
		for _, line := range []string{"one", "two", "three"} {
			if err := j.Append([]byte(line)); err != nil {
				require.EqualError(t, err, "journal "+path+": no space left on device")
				require.Equal(t, err, j.Append([]byte("more")))
				require.Equal(t, err, j.Close())
				return appended
			}
			appended = append(appended, line)
		}
		_ = j.Close()
		return appended
	}
	counted := errorfs.Fail(errorfs.OS{}, 0, nil)
	require.Len(t, run(counted, filepath.Join(t.TempDir(), "journal")), 3)
	for n := 1; n <= counted.Operations(); n++ {
		for _, fail := range []func(errorfs.FS, int, error) *errorfs.Faulty{errorfs.Fail, errorfs.FailFrom} {
			path := filepath.Join(t.TempDir(), "journal")
			appended := run(fail(errorfs.OS{}, n, syscall.ENOSPC), path)
			j, lines, err := open(errorfs.OS{}, path)
			require.NoError(t, err, n)
			require.NoError(t, j.Close())
			// A line whose sync failed may be there or not.
			require.GreaterOrEqual(t, len(lines), len(appended), n)
			require.True(t, slices.Equal(appended, lines[:len(appended)]), "%d: %q", n, lines)
			require.LessOrEqual(t, len(lines), len(appended)+1, n)
			for _, line := range lines {
				require.Contains(t, []string{"one", "two", "three"}, line)
			}
		}
	}
}

// TestCut checks that whatever is cut off the end of a journal, the lines that are whole are read.
func TestCut(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOf(rapid.StringMatching(`[a-z0-9,]{0,9}`)).Draw(rt, "lines")
		text := strings.Join(append([]string{"work 1"}, lines...), "\n") + "\n"
		cut := rapid.IntRange(0, len(text)).Draw(rt, "cut")
		path := filepath.Join(dir, "journal")
		require.NoError(rt, os.WriteFile(path, []byte(text[:cut]), 0o600))
		j, got, err := open(errorfs.OS{}, path)
		require.NoError(rt, err)
		require.NoError(rt, j.Close())
		whole := max(strings.Count(text[:cut], "\n")-1, 0)
		require.Len(rt, got, whole)
		for i, line := range got {
			require.Equal(rt, lines[i], line)
		}
	})
}
