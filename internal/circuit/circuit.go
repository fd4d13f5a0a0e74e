// Package circuit has a circuit breaker: after several failures in a row whatever is asked is left alone for a while.
//
//	c := circuit.New(circuit.Config{Failures: 10, Pause: time.Second, MaximumPause: 30 * time.Second})
//	if c.Allow(time.Now()) {
//		if err := request(); err != nil {
//			c.Failure(time.Now(), 0, "")
//		} else {
//			c.Success(time.Now())
//		}
//	}
package circuit

import "time"

// Config configures a Circuit: after Failures in a row there is a Pause, which doubles with each trial that fails, up to MaximumPause.
type Config struct {
	Failures            int
	Pause, MaximumPause time.Duration
}

// Circuit is a circuit breaker for requests. While it is closed, requests are allowed. After several failures in a row it opens: none is
// allowed for a pause, then one as a trial, which closes the circuit or starts a longer pause. The times passed to its methods must not
// decrease. It is not safe for concurrent use.
type Circuit struct {
	config Config

	failures int             // in a row
	failed   map[string]bool // the ids among them, which count only once
	pause    time.Duration   // length of the last pause, 0 before the first
	until    time.Time       // end of the pause; zero if there is none
	open     bool
	trial    bool          // a trial is under way
	since    time.Time     // when requests were suspended, by a failure or a rest; zero if they are not
	down     time.Duration // total time for which they were suspended before since
}

// New returns a circuit that is closed.
func New(c Config) Circuit { return Circuit{config: c} }

// Open reports whether it is open, also while a trial is under way.
func (c *Circuit) Open() bool { return c.open }

// Trial reports whether a trial is under way.
func (c *Circuit) Trial() bool { return c.open && c.trial }

// Failures returns how many requests have failed in a row; those that count only once for their id, once.
func (c *Circuit) Failures() int { return c.failures }

// advance ends the suspension of requests if it was due to a rest that is over.
func (c *Circuit) advance(now time.Time) {
	if !c.open && !c.since.IsZero() && !now.Before(c.until) {
		c.down += c.until.Sub(c.since)
		c.since = time.Time{}
	}
}

// Allow reports whether a request may be made now. If the circuit is open, that request is the trial.
func (c *Circuit) Allow(now time.Time) bool {
	c.advance(now)
	if now.Before(c.until) || c.open && c.trial {
		return false
	}
	c.until = time.Time{}
	c.trial = c.open
	return true
}

// Wait returns the time until a request is allowed: 0 if one is allowed now, and a long time while a trial is under way, whose result
// is reported by Success, Failure or Rest.
func (c *Circuit) Wait(now time.Time) time.Duration {
	if c.open && c.trial {
		return time.Hour
	}
	return max(c.until.Sub(now), 0)
}

// Success closes the circuit and reports whether it was open. A rest goes on.
func (c *Circuit) Success(now time.Time) (closed bool) {
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

// Failure counts a failure and reports whether it opened the circuit. A pause that begins lasts at least as long as given. A failure that
// may be due to what was asked for alone is reported with its id: several in a row of the same id count as one.
func (c *Circuit) Failure(now time.Time, atLeast time.Duration, id string) (opened bool) {
	c.advance(now)
	if id == "" || !c.failed[id] {
		c.failures++
	}
	if id != "" {
		if c.failed == nil {
			c.failed = map[string]bool{}
		}
		if len(c.failed) < c.config.Failures {
			c.failed[id] = true
		}
	}
	if !c.open && c.failures < c.config.Failures {
		return false
	}
	if c.open && !c.trial {
		return false // the request began before the pause
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

// Rest makes a pause that is not due to a failure and needs no trial.
func (c *Circuit) Rest(now time.Time, d time.Duration) {
	c.advance(now)
	c.trial = false
	if until := now.Add(d); until.After(c.until) && until.After(now) {
		c.until = until
		if c.since.IsZero() {
			c.since = now
		}
	}
}

// Downtime returns the total time for which requests have been suspended.
func (c *Circuit) Downtime(now time.Time) time.Duration {
	switch {
	case c.since.IsZero():
		return c.down
	case !c.open && c.until.Before(now):
		return c.down + c.until.Sub(c.since)
	default:
		return c.down + now.Sub(c.since)
	}
}
