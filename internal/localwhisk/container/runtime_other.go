//go:build !linux

package container

import (
	"context"
	"fmt"
	"runtime"
)

// Processes is the Runtime whose containers are processes; there is none for this system.
type Processes struct{}

// NewProcesses returns an error: containers as processes take Linux.
func NewProcesses(Options) (*Processes, error) {
	return nil, fmt.Errorf("containers as processes take Linux; on %s point the tools to an OpenWhisk elsewhere", runtime.GOOS)
}

// Start returns an error.
func (*Processes) Start(context.Context, int) (Container, error) {
	return nil, fmt.Errorf("there are no containers on %s", runtime.GOOS)
}

// Prepare does nothing.
func (*Processes) Prepare([]byte) {}

// Close does nothing.
func (*Processes) Close() error { return nil }
