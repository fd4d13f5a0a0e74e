//go:build !linux

package acquire

import (
	"fmt"
	"runtime"
)

// canLook reports why processes cannot be looked at.
func canLook() error {
	return fmt.Errorf("what processes use is read from /proc, which Linux has and %s has not", runtime.GOOS)
}
