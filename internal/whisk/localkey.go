package whisk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// GuestKey is the key, UUID:KEY, of the namespace guest of OpenWhisk's standalone server, which the examples of wsk and Serverless use. It is
// public and protects nothing.
const GuestKey = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"

// NewKey returns a key, UUID:KEY, that nobody else knows.
func NewKey() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x:%s%s", id[:4], id[4:6], id[6:8], id[8:10], id[10:], rand.Text(), rand.Text())
}

// IsLoopback reports whether an address is one of this machine that other machines cannot reach.
func IsLoopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// LocalKeyFile returns the name of the file with the key of the platform on this machine: tppfaas/local-platform.key in the user's
// configuration folder. The platform, the sampler and the collector use that key where they are given no other.
func LocalKeyFile() (string, error) {
	folder, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("the key of the local platform: %w", err)
	}
	return filepath.Join(folder, "tppfaas", "local-platform.key"), nil
}

// LocalKey returns the key of the platform on this machine and the name of its file. The first call draws the key; of processes that do so at
// the same time all get the same.
func LocalKey() (key, file string, err error) {
	key, file, err = ReadLocalKey()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, file, err
	}
	if err := createKeyFile(errorfs.OS{}, file, NewKey()); err != nil {
		return "", file, fmt.Errorf("storing the key of the local platform: %w", err)
	}
	return ReadLocalKey()
}

// ReadLocalKey returns what [LocalKey] does, but draws no key: without a file the error is fs.ErrNotExist.
func ReadLocalKey() (key, file string, err error) {
	if file, err = LocalKeyFile(); err != nil {
		return "", "", err
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", file, fmt.Errorf("the key of the local platform: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", file, fmt.Errorf("%s: others may read this key: remove the file, and a new key is drawn", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", file, fmt.Errorf("the key of the local platform: %w", err)
	}
	key = strings.TrimSpace(string(text))
	if err := CheckKey(key); err != nil {
		return "", file, fmt.Errorf("%s: %w", file, err)
	}
	return key, file, nil
}

// createKeyFile creates a file with a key, which only this user may read. It leaves a file that is there already as it is; nobody ever sees a
// part of the key.
func createKeyFile(disk errorfs.FS, file, key string) (err error) {
	folder := filepath.Dir(file)
	if err := disk.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := disk.Create(filepath.Join(folder, ".local-platform-"+rand.Text()), 0o600)
	if err != nil {
		return err
	}
	defer func() {
		// What is left does no harm: nobody else may read it.
		_ = disk.Remove(f.Name())
	}()
	_, err = f.Write([]byte(key + "\n"))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := disk.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return disk.SyncDir(folder)
}
