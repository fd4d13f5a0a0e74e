//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package openwhisk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// lock locks a journal for this process until the file is closed, however the process ends.
func lock(file errorfs.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("journal %s: another sampler is at work on it", file.Name())
	}
	return nil // some file systems have no locks
}
