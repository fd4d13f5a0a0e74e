package controller

import (
	"context"
	"log/slog"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Engine is what a Controller runs: a Core, or several of them. What its methods mean stands at those of Core.
type Engine interface {
	Begin(now prewarm.Time, saved *Saved)
	Observe(now prewarm.Time, o *source.Observation) error
	ObserveLoad(now prewarm.Time, l *source.Load) error
	Pass(now prewarm.Time)
	Next() prewarm.Time
	Commands() []actuator.Command
	Acted(now prewarm.Time, command uint64, results []actuator.Result)
	Releases() []Release
	Records() []Record
	Pause(now prewarm.Time)
	Resume(now prewarm.Time)
	Block(reason string)
	Disturbed()
	Remember()
	Saved() *Saved
	State() *State
	Now() prewarm.Time
	Epoch() time.Time
	Shift(by time.Duration)
	Log() *slog.Logger
}

// Do has the goroutine that runs the engine call f with the time that it is, and returns when it has. An error says that it was not called.
func (c *Controller) Do(ctx context.Context, f func(now prewarm.Time)) error {
	return c.call(ctx, func() { f(c.now()) })
}
