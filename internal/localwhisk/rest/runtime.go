package rest

import (
	"fmt"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// newProcessRuntime returns the Runtime of processes of this machine: there is none yet, so Options.Runtime must be set.
func newProcessRuntime(string) (Runtime, error) {
	return nil, fmt.Errorf("localwhisk: %w", container.ErrUnsupported)
}
