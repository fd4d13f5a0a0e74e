//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package journal

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// lock locks a journal for this process until the file is closed, however the process ends.
func lock(file errorfs.File, path string) error {
	if errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return fmt.Errorf("journal %s: another process is at work on it", path)
	}
	return nil // some file systems have no locks
}
