//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package install

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// share locks a file together with other processes, once nobody has it for himself. What it returns ends that, and before calls a function if this process
// is the last one.
func share(t *testing.T, path string) (end func(last func())) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH); err != nil {
		t.Logf("another test of this kind may disturb this one: %s: %v", path, err) // some file systems have no locks
	}
	return func(last func()) {
		_ = unix.Flock(int(f.Fd()), unix.LOCK_UN) // of two that end at once one gets it
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != unix.EWOULDBLOCK {
			last()
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
