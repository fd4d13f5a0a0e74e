package controller

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// clockStep is by how much the machine's clock may differ from the time that has passed before it counts as set.
const clockStep = time.Second

// followClock has times shown, and ends of commands told, by the machine's clock, also after it was set or the machine was asleep. Otherwise commands would
// be over before they begin, or last too long. How much time passes between events is not changed.
func (c *Controller) followClock(now prewarm.Time) {
	if off := c.wall().Round(0).Sub(c.core.Epoch().Add(now)); off.Abs() > clockStep {
		c.core.Log().Info("the machine's clock was set, or it was asleep: times are counted by its clock as it is now", "by", off.Round(time.Millisecond))
		c.core.Shift(off)
	}
}

// sayWhatSourcesSay logs when a source has begun to fail, and when it works again.
func (c *Controller) sayWhatSourcesSay() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sinks {
		if s.counts == nil {
			continue
		}
		switch failure := s.counts().Error; {
		case (failure == "") == (s.said == ""):
		case failure == "":
			c.core.Log().Info("a source works again", "source", s.name)
			s.said = ""
		default:
			c.core.Log().Warn("a source fails", "source", s.name, "error", failure)
			s.said = failure
		}
	}
}
