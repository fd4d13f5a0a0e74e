//go:build unix

package controller

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// lockFile keeps other processes from using the state while the file is open. File systems that have no locks do without.
func lockFile(f errorfs.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return fmt.Errorf("another controller is using it")
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOLCK):
		return nil
	}
	return err
}
