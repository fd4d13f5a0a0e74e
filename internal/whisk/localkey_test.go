package whisk

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ownConfigFolder gives the test a configuration folder of its own.
func ownConfigFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, ".config"))
	return dir
}

func TestNewKey(t *testing.T) {
	key := NewKey()
	require.Regexp(t, regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}:[0-9A-Za-z]{52}$`), key)
	require.NoError(t, CheckKey(key))
	other := NewKey()
	require.NotEqual(t, key[:36], other[:36])
	require.NotEqual(t, key[37:], other[37:])
}

// TestLocalKeyIsDrawnOnce checks that all who need the key at once get the same, and that only this user may read it.
func TestLocalKeyIsDrawnOnce(t *testing.T) {
	ownConfigFolder(t)
	_, _, err := ReadLocalKey()
	require.ErrorIs(t, err, fs.ErrNotExist)
	var keys [20]string
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			keys[i], _, err = LocalKey()
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, key := range keys {
		require.Equal(t, keys[0], key)
	}
	key, file, err := ReadLocalKey()
	require.NoError(t, err)
	require.Equal(t, keys[0], key)
	require.NotEqual(t, GuestKey, key)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	folder, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, folder, 1, "a temporary file is left")
}

// TestUnusableLocalKey checks that a key that others may read, and one that cannot be, are errors that name the file and not the key.
func TestUnusableLocalKey(t *testing.T) {
	ownConfigFolder(t)
	_, file, err := LocalKey()
	require.NoError(t, err)
	require.NoError(t, os.Chmod(file, 0o640))
	_, _, err = LocalKey()
	require.EqualError(t, err, file+": others may read this key: remove the file, and a new key is drawn")
	require.NoError(t, os.Chmod(file, 0o600))
	require.NoError(t, os.WriteFile(file, []byte("secret\n"), 0o600))
	_, _, err = LocalKey()
	require.EqualError(t, err, file+": the key must be of the form user:password")

	require.NoError(t, os.Remove(file))
	require.NoError(t, os.Mkdir(file, 0o700))
	_, _, err = LocalKey()
	require.ErrorContains(t, err, "is a directory")

	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	_, file, err = LocalKey()
	require.ErrorContains(t, err, "the key of the local platform: neither ")
	require.Empty(t, file)
	// A configuration folder that cannot be made.
	plain := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	t.Setenv("XDG_CONFIG_HOME", plain)
	_, _, err = LocalKey()
	require.ErrorContains(t, err, plain)
}

// TestFailedKeyIsNamed checks that a key that cannot be stored is an error that says so, and that a key that is there is only read.
func TestFailedKeyIsNamed(t *testing.T) {
	dir := ownConfigFolder(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".config"), 0o700))
	link := filepath.Join(dir, ".config", "tppfaas")
	require.NoError(t, os.Symlink("/nowhere/at/all", link))
	_, _, err := LocalKey()
	require.ErrorContains(t, err, "storing the key of the local platform: ")

	require.NoError(t, os.Remove(link))
	_, file, err := LocalKey()
	require.NoError(t, err)
	past := time.Unix(1_000_000_000, 0)
	require.NoError(t, os.Chtimes(filepath.Dir(file), past, past))
	_, _, err = LocalKey()
	require.NoError(t, err)
	info, err := os.Stat(filepath.Dir(file))
	require.NoError(t, err)
	require.Equal(t, past, info.ModTime(), "something was written to the folder")
}

func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"http://127.0.0.1:3233": true, "http://localhost": true, "https://[::1]:1": true, "http://127.8.9.1": true,
		"http://10.0.0.1": false, "https://openwhisk.example.com": false, "http://localhost.example.com": false, "http://0.0.0.0:3233": false,
	} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.Equal(t, want, IsLoopback(u), strings.TrimSpace(address))
	}
}
