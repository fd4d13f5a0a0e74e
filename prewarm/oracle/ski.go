package oracle

import (
	"fmt"
	"math"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// NewSki returns ski rental as a policy: each container is kept for K* = c·(λ + m)/m after its last use, where c is the mean start time that was
// measured of its function, or start as long as none was. It needs a platform with Hold. λ must not be negative, and start must be positive.
func NewSki(lambda float64, start time.Duration) (prewarm.Policy, error) {
	if !(lambda >= 0) || math.IsInf(lambda, 0) || start <= 0 {
		return nil, fmt.Errorf("oracle: ski rental at a price of %v MB·s per second and a start time of %v", lambda, start)
	}
	return &ski{lambda, start}, nil
}

type ski struct {
	lambda float64
	start  time.Duration
}

// Grown implements prewarm.Grower.
func (s *ski) Grown(*prewarm.Fleet, *prewarm.Decisions) {}

// Handle implements prewarm.Policy.
func (s *ski) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if e.Kind != prewarm.Idle {
		return
	}
	c := fleet.Container(e.Container)
	if c == nil {
		return
	}
	f := Function{
		MemoryMB: float64(fleet.Functions[c.Function].MemoryMB),
		Start:    fleet.Starts.Mean(c.Function, c.Load, s.start).Seconds(),
	}
	keep := f.SkiRental(s.lambda, false) * float64(time.Second)
	until := prewarm.Never
	if keep < float64(prewarm.Never-e.At) {
		until = e.At + time.Duration(keep)
	}
	d.Hold(c, until, prewarm.Why{Rule: "ski rental"})
}
