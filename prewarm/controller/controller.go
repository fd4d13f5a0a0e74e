package controller

import (
	"context"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Controller runs a core in real time: it is the sink of the sources, keeps the clock, and has the actuator carry commands out. Its methods are safe
// for concurrent use.
type Controller struct {
}

// Observe implements source.Sink.
func (c *Controller) Observe(ctx context.Context, observations []source.Observation) error { return nil }

// ObserveLoad implements source.Sink.
func (c *Controller) ObserveLoad(ctx context.Context, loads []source.Load) error { return nil }

// Run runs the controller until the context is done.
func (c *Controller) Run(ctx context.Context) error { return nil }

// Snapshot returns the state as of now, or some hundred milliseconds ago. It must not be changed, as others get it too.
func (c *Controller) Snapshot() *State { return &State{} }

// Subscribe returns a channel that holds a value once something has changed since the last one was taken, and what ends that.
func (c *Controller) Subscribe() (changes <-chan struct{}, cancel func()) { return nil, func() {} }

// Pause has the controller do nothing until Resume, also after a restart. The error says that this could not be written down.
func (c *Controller) Pause(ctx context.Context) error { return nil }

// Resume ends a pause.
func (c *Controller) Resume(ctx context.Context) error { return nil }

// Ready returns why the controller does not take observations or decide, nil if it does.
func (c *Controller) Ready() error { return nil }
