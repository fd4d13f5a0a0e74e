//go:build !linux

package container

import (
	"context"
	"fmt"
	"runtime"
)

// ProcessRuntime would run containers as processes; it is not available on this system.
type ProcessRuntime struct{}

// NewProcessRuntime returns an error: containers as processes need Linux.
func NewProcessRuntime(Options) (*ProcessRuntime, error) {
	return nil, fmt.Errorf("containers as processes take Linux; on %s point the tools to an OpenWhisk elsewhere", runtime.GOOS)
}

// Start returns an error.
func (*ProcessRuntime) Start(context.Context, int) (Container, error) {
	return nil, fmt.Errorf("there are no containers on %s", runtime.GOOS)
}

// Prepare does nothing.
func (*ProcessRuntime) Prepare([]byte) {}

// Close does nothing.
func (*ProcessRuntime) Close() error { return nil }
