package scaler

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Keys of the timers of a policy.
const (
	keyTick  uint64 = iota + 1 // of its schedule
	keyGroup                   // of a group of alerts
)

// schedule has what a policy does at regular intervals. What is due at the same time is done in the order of the jobs, whatever the order in
// which a platform would wake several timers: scrapes, then rules that look at them, then decisions.
type schedule []job

type job struct {
	period time.Duration
	do     func(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions)
	next   prewarm.Time
}

// start begins the intervals at a time: the first of each job ends at the next multiple of its period.
func (s schedule) start(at prewarm.Time, d *prewarm.Decisions) {
	for i := range s {
		s[i].next = (at/s[i].period + 1) * s[i].period
	}
	s.wake(d)
}

// tick does what is due. What was missed, because nobody woke the policy for long, is not made up for: samples of one time say nothing of how fast something grows.
func (s schedule) tick(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for i := range s {
		if s[i].next <= at {
			s[i].next += ((at-s[i].next)/s[i].period + 1) * s[i].period
			s[i].do(at, fleet, d)
		}
	}
	s.wake(d)
}

// wake asks for the next tick.
func (s schedule) wake(d *prewarm.Decisions) {
	next := prewarm.Never
	for i := range s {
		next = min(next, s[i].next)
	}
	d.Wake(next, keyTick)
}

// replicas is what a policy knows of the replicas of a function.
type replicas struct {
	function int
	// spec is the number that was asked for last.
	spec int
}

// set asks for n replicas, unless that is what was asked for last.
func (r *replicas) set(d *prewarm.Decisions, n int, rule string) {
	if n == r.spec {
		return
	}
	r.spec = n
	d.Scale(r.function, n, prewarm.Why{Rule: rule})
}

// arrived reports whether an event is the first that a policy hears of an invocation.
func arrived(e *prewarm.Event, fleet *prewarm.Fleet) bool {
	return e.Kind == prewarm.Arrived || e.Kind == prewarm.Started && !fleet.Platform.Arrivals
}

// orInt and orTime set what is zero to its default.
func orInt(v *int, otherwise int) {
	if *v == 0 {
		*v = otherwise
	}
}

func orTime(v *time.Duration, otherwise time.Duration) {
	if *v == 0 {
		*v = otherwise
	}
}
