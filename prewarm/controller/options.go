package controller

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Options are what a core is made with.
type Options struct {
	// Epoch is the moment that prewarm.Time 0 stands for.
	Epoch time.Time
	// Platform is what the actuator can do.
	Platform prewarm.Platform
	// Functions are those that are known beforehand; others are added as they are observed.
	Functions []prewarm.Function
	// NewPolicy makes the policy. It is called with the functions of the fleet, and again when there are more of them, unless the policy is a prewarm.Grower:
	// one that is not forgets what it knows.
	NewPolicy func(functions []prewarm.Function) (prewarm.Policy, error)
	// Policy and Actuator are their names, for people.
	Policy, Actuator string
	// Version is that of the program.
	Version string
	// Act says that decisions are carried out; otherwise they are only shown.
	Act bool
	// Scales says that the actuator sets numbers of replicas: it gets commands of the kind actuator.Scale instead of actuator.Warm.
	Scales bool
	// Intend is told of the containers that the policy wants started, or whose idle time is to be renewed where the decision is a hold, in place of doing it: whoever sets it calls
	// Core.Grant for what is to be done. It is told again of what comes to nothing. Nil has it done at once.
	Intend func(d *prewarm.Decision, n int)
	// Loads says that a source tells the numbers of replicas, see source.Load: they are then what it says.
	Loads bool
	// ServesAll says that the policy needs no model: it decides on all functions. Otherwise it decides on those that Models names.
	ServesAll bool
	// Models returns the models that are in use; nil if there are none. It is called by the goroutine that uses the core.
	Models func() []Model
	// Learns says that there may be models of further functions later, so that those without one are no reason for a warning.
	Learns bool
	// DefaultMemoryMB is the memory of a container of a function of which it is not known (256).
	DefaultMemoryMB int
	// Lease is the time for which a number of replicas that was set holds, if nothing is heard of the controller (2 minutes); it is renewed after
	// half of it.
	Lease time.Duration
	// Stale is for how long nothing may be observed of a model's functions before it is not used (a day; negative: for ever).
	Stale time.Duration
	// StartTime is taken for the start time of containers as long as none was measured (1 s).
	StartTime time.Duration
	// MostTraces bounds the requests that are followed for display and calibration (20,000), MostDecisions the decisions that are remembered (512).
	MostTraces, MostDecisions int
	// Log is told of what people should know; nil for nobody.
	Log *slog.Logger
}

// Model is a model that predicts.
type Model struct {
	// Name is its file, or "learned", and Kind its kind.
	Name, Kind string
	// Functions are the names of those that it predicts; where these are not known Indices has their indices into Fleet.Functions.
	Functions []string
	Indices   []int
	// Since is when it was taken into use, and Traces how many it was trained on.
	Since  time.Time
	Traces int
	// Disagrees says why the policy itself does not trust it; "" if it does.
	Disagrees string
}

func (o *Options) setDefaults() error {
	switch {
	case o.NewPolicy == nil:
		return errors.New("controller: there is no policy")
	case o.DefaultMemoryMB < 0:
		return fmt.Errorf("controller: the default memory of a function is %d MiB, must not be negative", o.DefaultMemoryMB)
	}
	orElse(&o.DefaultMemoryMB, 256)
	orElse(&o.Lease, 2*time.Minute)
	orElse(&o.Stale, 24*time.Hour)
	orElse(&o.StartTime, time.Second)
	orElse(&o.MostTraces, 20000)
	orElse(&o.MostDecisions, 512)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}
