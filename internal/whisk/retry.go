package whisk

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Retry says how a request that failed is repeated: after pauses that double from First to Max, each drawn at random between half of
// its length and all of it, and never shorter than the server asks. The zero value repeats until the context ends.
type Retry struct {
	// First is the first pause and Max the longest; 0 stands for 250 ms and 30 s.
	First, Max time.Duration
	// Patience bounds the time from the first attempt until the last begins; 0 leaves that to the context.
	Patience time.Duration
	// AtMostOnce repeats only what the server cannot have carried out, for requests that must not be done twice.
	AtMostOnce bool
	// Passes says of which errors a repeated request may be free; nil stands for [Error.Temporary].
	Passes func(*Error) bool
	// OnPause is called before each pause; it may be nil.
	OnPause func(err error, pause time.Duration)
}

// Pause returns how long to wait after so many failures in a row before the one that e is of.
func (r Retry) Pause(failures int, e *Error) time.Duration {
	d, most := r.First, r.Max
	if d <= 0 {
		d = 250 * time.Millisecond
	}
	if most <= 0 {
		most = 30 * time.Second
	}
	for ; failures > 0 && d < most; failures-- {
		d *= 2
	}
	d = min(d, most)
	d = d/2 + rand.N(d/2+1) //nolint:gosec // jitter
	if e != nil && e.RetryAfter > d {
		d = e.RetryAfter + rand.N(e.RetryAfter/8+1) //nolint:gosec // jitter
	}
	return d
}

// Do calls request until it succeeds, fails in a way that does not pass, or patience or the context ends. It
// returns the last error of request.
func (r Retry) Do(ctx context.Context, request func() error) error {
	passes := r.Passes
	if passes == nil {
		passes = (*Error).Temporary
	}
	begin := time.Now()
	for failures := 0; ; failures++ {
		err := request()
		var e *Error
		if err == nil || ctx.Err() != nil || !errors.As(err, &e) || !passes(e) || r.AtMostOnce && e.MaybeProcessed {
			return err
		}
		pause := r.Pause(failures, e)
		if r.Patience > 0 && time.Since(begin)+pause > r.Patience {
			return err
		}
		if r.OnPause != nil {
			r.OnPause(err, pause)
		}
		if Sleep(ctx, pause) != nil {
			return err
		}
	}
}

// Sleep returns when d has passed, or the context's error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
