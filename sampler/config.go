package sampler

import (
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/apps"
)

// MaxSpan is the longest time that all requests together may take.
const MaxSpan = 100 * 365 * 24 * time.Hour

// Config says how many requests are sent at which intervals, and what is varied in each. Requests is needed;
// the rest may be zero.
type Config struct {
	// Requests is the number of requests in all, at least 1.
	Requests int
	// MinInterval and MaxInterval bound the time between two requests, which is uniform between them:
	// 0 ≤ MinInterval ≤ MaxInterval.
	MinInterval, MaxInterval time.Duration
	// BatchSize is the number of requests in a batch, and BatchPause the time that is added to the interval after the last
	// request of each. Both are positive, or both zero: no batches.
	BatchSize  int
	BatchPause time.Duration
	// Anomalies is the number of functions that sleep 100 or 5 ms instead of their duration, and Missing the number of
	// functions that are skipped, their successors being invoked in their place: in each request, drawn anew for each,
	// never one function for both and never main.
	Anomalies, Missing int
	// RandomDurations draws each sleep from the function's gamma distribution.
	RandomDurations bool
	// Seed determines everything that is drawn.
	Seed uint64
}

// ConfigError says which field of a Config is wrong and why.
type ConfigError struct {
	Field  string
	Reason string
}

// Error returns FIELD: REASON.
func (e *ConfigError) Error() string { return e.Field + ": " + e.Reason }

// Validate reports the first field that is wrong for the application, as a *ConfigError.
func (c Config) Validate(app *apps.Application) error {
	wrong := func(field, format string, args ...any) error {
		return &ConfigError{field, fmt.Sprintf(format, args...)}
	}
	switch {
	case c.Requests < 1:
		return wrong("Requests", "must be at least 1, not %d", c.Requests)
	case c.MinInterval < 0:
		return wrong("MinInterval", "must not be negative, and is %v", c.MinInterval)
	case c.MaxInterval < c.MinInterval:
		return wrong("MaxInterval", "must not be less than the lower bound: %v < %v", c.MaxInterval, c.MinInterval)
	case c.BatchSize < 0:
		return wrong("BatchSize", "must be positive, not %d", c.BatchSize)
	case c.BatchPause < 0:
		return wrong("BatchPause", "must be positive, not %v", c.BatchPause)
	case c.BatchSize > 0 && c.BatchPause == 0:
		return wrong("BatchPause", "a batch needs both a size and a pause")
	case c.BatchSize == 0 && c.BatchPause > 0:
		return wrong("BatchSize", "a batch needs both a size and a pause")
	case c.Anomalies < 0:
		return wrong("Anomalies", "must not be negative, and is %d", c.Anomalies)
	case c.Missing < 0:
		return wrong("Missing", "must not be negative, and is %d", c.Missing)
	}
	// In floating point, where nothing overflows.
	span := float64(c.Requests-1) * float64(c.MaxInterval)
	if c.BatchSize > 0 {
		span += float64((c.Requests-1)/c.BatchSize) * float64(c.BatchPause)
	}
	if span > float64(MaxSpan) {
		return wrong("Requests", "%d requests at these intervals may take more than a hundred years", c.Requests)
	}
	if err := c.variation().Validate(app); err != nil {
		return wrong("Anomalies", "%v", err)
	}
	return nil
}

// variation returns what is varied from request to request.
func (c Config) variation() apps.Variation {
	return apps.Variation{Anomalies: c.Anomalies, Missing: c.Missing, RandomDurations: c.RandomDurations}
}
