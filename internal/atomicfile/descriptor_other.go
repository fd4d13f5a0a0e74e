//go:build !unix

package atomicfile

import (
	"errors"
	"os"
)

// openDescriptor returns an error: on this system files have no names like /dev/fd/1.
func openDescriptor(int) (*os.File, error) { return nil, errors.ErrUnsupported }
