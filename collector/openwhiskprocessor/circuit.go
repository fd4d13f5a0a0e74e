package openwhiskprocessor

import "time"

// circuit is a circuit breaker for lookups. While it is closed, lookups are allowed. After several failures in a row it opens: none is
// allowed for a pause, then one as a trial, which closes the circuit or starts a longer pause. The times passed to its methods must not
// decrease. It is not safe for concurrent use.
type circuit struct {
	config CircuitConfig

	failures int             // in a row
	failed   map[string]bool // the activations among them that count only once
	pause    time.Duration   // length of the last pause, 0 before the first
	until    time.Time       // end of the pause; zero if there is none
	open     bool
	trial    bool          // a trial is under way
	since    time.Time     // when lookups were suspended, by a failure or a rest; zero if they are not
	down     time.Duration // total time for which they were suspended before since
}

// advance ends the suspension of lookups if it was due to a rest that is over.
func (c *circuit) advance(now time.Time) {
	if !c.open && !c.since.IsZero() && !now.Before(c.until) {
		c.down += c.until.Sub(c.since)
		c.since = time.Time{}
	}
}

// allow reports whether a lookup may be made now. If the circuit is open, that lookup is the trial.
func (c *circuit) allow(now time.Time) bool {
	c.advance(now)
	if now.Before(c.until) || c.open && c.trial {
		return false
	}
	c.until = time.Time{}
	c.trial = c.open
	return true
}

// wait returns the time until a lookup is allowed: 0 if one is allowed now, and a long time while a trial is under way, whose result
// is reported by success, failure or rest.
func (c *circuit) wait(now time.Time) time.Duration {
	if c.open && c.trial {
		return time.Hour
	}
	return max(c.until.Sub(now), 0)
}

// success closes the circuit and reports whether it was open. A rest goes on.
func (c *circuit) success(now time.Time) (closed bool) {
	c.advance(now)
	closed = c.open
	if c.open && !now.Before(c.until) {
		c.down += now.Sub(c.since)
		c.since = time.Time{}
	}
	c.open, c.trial, c.failures, c.pause = false, false, 0, 0
	clear(c.failed)
	return closed
}

// failure counts a failure and reports whether it opened the circuit. A pause that begins lasts at least as long as given. A failure that
// may be due to the activation alone is reported with its id: several in a row of the same activation count as one.
func (c *circuit) failure(now time.Time, atLeast time.Duration, activation string) (opened bool) {
	c.advance(now)
	if activation == "" || !c.failed[activation] {
		c.failures++
	}
	if activation != "" {
		if c.failed == nil {
			c.failed = map[string]bool{}
		}
		if len(c.failed) < c.config.Failures {
			c.failed[activation] = true
		}
	}
	if !c.open && c.failures < c.config.Failures {
		return false
	}
	if c.open && !c.trial {
		return false // the lookup began before the pause
	}
	if c.pause == 0 {
		c.pause = c.config.Pause
	} else {
		c.pause = min(2*c.pause, c.config.MaximumPause)
	}
	opened = !c.open
	if c.since.IsZero() {
		c.since = now
	}
	c.open, c.trial = true, false
	c.until = now.Add(max(c.pause, atLeast))
	return opened
}

// rest makes a pause that is not due to a failure and needs no trial.
func (c *circuit) rest(now time.Time, d time.Duration) {
	c.advance(now)
	c.trial = false
	if until := now.Add(d); until.After(c.until) && until.After(now) {
		c.until = until
		if c.since.IsZero() {
			c.since = now
		}
	}
}

// downtime returns the total time for which lookups have been suspended.
func (c *circuit) downtime(now time.Time) time.Duration {
	switch {
	case c.since.IsZero():
		return c.down
	case !c.open && c.until.Before(now):
		return c.down + c.until.Sub(c.since)
	default:
		return c.down + now.Sub(c.since)
	}
}
