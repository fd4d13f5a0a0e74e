//go:build !linux

package lab

import "time"

var begin = time.Now()

// threadTime returns the time that has passed; this system does not tell the processor time of a thread.
func threadTime() time.Duration { return time.Since(begin) }
