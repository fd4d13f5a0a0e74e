//go:build !linux

package action

import (
	"context"
	"time"
)

// sleep returns when d has passed, or the context's error.
func sleep(ctx context.Context, d time.Duration) error { return timerSleep(ctx, d) }
