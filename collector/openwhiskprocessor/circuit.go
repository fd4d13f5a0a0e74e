package openwhiskprocessor

import "time"

// circuit says when OpenWhisk may be asked. It is closed while all is well. It opens, and nothing is asked, after several
// failures in a row; when the pause is over one lookup tries, and closes it or opens it again for longer. The times it is
// given never go back: they carry the monotonic clock.
type circuit struct {
	config CircuitConfig

	failures int           // in a row
	pause    time.Duration // the next
	until    time.Time     // no lookup before; zero if there is no pause
	open     bool          // after failures: a pause that ends in a trial
	trial    bool          // the trial is under way
	since    time.Time     // when it was opened
	down     time.Duration // in all, before since
}

// may reports whether a lookup may be made now. Where that is the trial, it is the caller's.
func (c *circuit) may(now time.Time) bool {
	if now.Before(c.until) || c.open && c.trial {
		return false
	}
	c.until = time.Time{}
	c.trial = c.open
	return true
}

// wait returns how long no lookup may be made: 0 if one may be made now, and a long time while a trial is under way, whose
// end tells more.
func (c *circuit) wait(now time.Time) time.Duration {
	if c.open && c.trial {
		return time.Hour
	}
	return max(c.until.Sub(now), 0)
}

// success closes the circuit; it reports whether it was open.
func (c *circuit) success(now time.Time) (closed bool) {
	closed = c.open
	if c.open {
		c.down += now.Sub(c.since)
	}
	c.open, c.trial, c.failures, c.pause = false, false, 0, 0
	return closed
}

// failure counts a failure; it reports whether that opened the circuit.
func (c *circuit) failure(now time.Time, atLeast time.Duration) (opened bool) {
	c.failures++
	if !c.open && c.failures < c.config.Failures {
		return false
	}
	if c.open && !c.trial {
		return false // a lookup from before the pause
	}
	if c.pause == 0 {
		c.pause = c.config.Pause
	} else {
		c.pause = min(2*c.pause, c.config.MaximumPause)
	}
	opened = !c.open
	if opened {
		c.since = now
	}
	c.open, c.trial = true, false
	c.until = now.Add(max(c.pause, atLeast))
	return opened
}

// rest makes a pause without a failure.
func (c *circuit) rest(now time.Time, d time.Duration) {
	c.trial = false
	if until := now.Add(d); until.After(c.until) {
		c.until = until
	}
}

// downtime returns how long the circuit has been open, in all.
func (c *circuit) downtime(now time.Time) time.Duration {
	if c.open {
		return c.down + now.Sub(c.since)
	}
	return c.down
}
