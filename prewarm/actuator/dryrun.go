package actuator

import (
	"context"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// DryRun is an Actuator that does nothing: the outcome of every command is Dry.
type DryRun struct {
	// Of is the actuator in whose place it stands: it says what the platform can do, and is closed with it. It may be nil.
	Of Actuator
	// Is is what the platform can do where Of is nil.
	Is prewarm.Platform
}

// Name returns dry run, and of what.
func (d DryRun) Name() string {
	if d.Of == nil {
		return "dry run"
	}
	return d.Of.Name() + " (dry run)"
}

// Platform says what the platform could do.
func (d DryRun) Platform() prewarm.Platform {
	if d.Of == nil {
		return d.Is
	}
	return d.Of.Platform()
}

// Act does nothing.
func (d DryRun) Act(_ context.Context, c Command) ([]Result, error) {
	now := time.Now()
	results := make([]Result, c.Results())
	for i := range results {
		results[i] = Result{Outcome: Dry, Asked: now, Ready: now}
	}
	return results, nil
}

// Close closes the actuator in whose place it stands.
func (d DryRun) Close(ctx context.Context) error {
	if d.Of == nil {
		return nil
	}
	return d.Of.Close(ctx)
}
