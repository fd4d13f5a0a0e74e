//go:build !linux

package newsvendor

import "time"

var began = time.Now()

// threadTime returns the time that has passed, where that of the processor is not known.
func threadTime() time.Duration { return time.Since(began) }
