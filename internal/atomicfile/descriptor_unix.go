//go:build unix

package atomicfile

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// openDescriptor returns a file that writes to an open file of this process at the place where that stands, and is closed by itself.
func openDescriptor(n int) (*os.File, error) {
	flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFL, 0)
	if err != nil {
		return nil, errors.New("no file of that number is open")
	}
	if flags&unix.O_ACCMODE == unix.O_RDONLY {
		return nil, errors.New("it is open for reading only")
	}
	dup, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dup), "/dev/fd/"+strconv.Itoa(n)), nil
}
