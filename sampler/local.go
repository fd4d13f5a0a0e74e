package sampler

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/localwhisk/composition"
)

// LocalStart is when the virtual time of every Local begins, so that the same sampling gives the same dataset on any day.
var LocalStart = time.Date(2021, time.June, 1, 0, 0, 0, 0, time.UTC)

// Local is the OpenWhisk-compatible platform in this process, in virtual time: a [Target] that simulates hours in seconds, and
// gives the same traces for the same seed. It is not safe for concurrent use.
type Local struct {
	clock    *localwhisk.VirtualClock
	platform *localwhisk.Platform
	app      *apps.Application
	names    []string // deployed names, by function
}

// pendingRequest is a request whose trace is not complete.
type pendingRequest struct {
	trace   Trace
	missing int                // calls that have not ended
	done    func(Trace, error) // nil once it was called with an error
}

// Overheads names the platform whose size and overheads a [Local] imitates: how long containers take to be created, calls to arrive, and
// so on.
type Overheads string

const (
	// Cluster is the OpenWhisk cluster on Kubernetes on which the published traces were recorded.
	Cluster Overheads = "cluster"
	// Standalone is a standalone OpenWhisk on one machine, with Docker.
	Standalone Overheads = "standalone"
	// RealTime is the platform of this module in real time: sampler platform.
	RealTime Overheads = "local"
)

// AllOverheads returns all values of Overheads, the default first.
func AllOverheads() []Overheads { return []Overheads{Cluster, Standalone, RealTime} }

// config returns the platform's configuration.
func (o Overheads) config() (localwhisk.Config, error) {
	switch o {
	case Cluster:
		return localwhisk.DefaultConfig(), nil
	case Standalone:
		return localwhisk.StandaloneConfig(), nil
	case RealTime:
		return localwhisk.LocalConfig(), nil
	}
	return localwhisk.Config{}, o.Validate()
}

// Validate returns an error that names the allowed values if o is none of them.
func (o Overheads) Validate() error {
	if !slices.Contains(AllOverheads(), o) {
		return fmt.Errorf("there are no overheads of %q, only of %s, %s and %s", o, Cluster, Standalone, RealTime)
	}
	return nil
}

// LocalOptions configures a [Local].
type LocalOptions struct {
	// Overheads are those of the platform; "" stands for Cluster.
	Overheads Overheads
	// MemoryMB is the platform's memory for containers in MiB, of which each takes 256; 0 stands for that of the Overheads.
	MemoryMB int
	// Seed determines everything that is random about the platform.
	Seed uint64
}

// NewLocal returns an empty platform with the overheads of Cluster. The seed determines everything that is random about it.
func NewLocal(seed uint64) (*Local, error) { return NewLocalWith(LocalOptions{Seed: seed}) }

// NewLocalWith returns an empty platform. Unknown overheads are an error, and so is memory that does not suffice for a container.
func NewLocalWith(o LocalOptions) (*Local, error) {
	if o.Overheads == "" {
		o.Overheads = Cluster
	}
	config, err := o.Overheads.config()
	if err != nil {
		return nil, err
	}
	if o.MemoryMB != 0 {
		config.MemoryMB = o.MemoryMB
	}
	clock := localwhisk.NewVirtualClock(LocalStart)
	platform, err := localwhisk.New(clock, config, o.Seed)
	if err != nil {
		return nil, err
	}
	l := &Local{clock: clock, platform: platform}
	platform.OnEnd(l.ended)
	return l, nil
}

// Now returns the virtual time.
func (l *Local) Now() time.Time { return l.clock.Now() }

// AfterFunc calls f when the virtual time d has passed.
func (l *Local) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return l.clock.AfterFunc(d, f)
}

// Deploy deploys the application's functions. A Local runs one application.
func (l *Local) Deploy(_ context.Context, app *apps.Application) error {
	if l.app != nil {
		return fmt.Errorf("deploy %s: the platform runs %s already", app.Name, l.app.Name)
	}
	l.app = app
	for _, f := range app.Functions {
		name := app.DeployedName(f.Name)
		l.names = append(l.names, name)
		if err := l.platform.Deploy(localwhisk.Function{Name: name, Handler: composition.Handle[*pendingRequest]}); err != nil {
			return fmt.Errorf("deploy %s: %w", app.Name, err)
		}
	}
	return nil
}

// Send invokes main now.
func (l *Local) Send(r Request, done func(Trace, error)) error {
	if l.app == nil {
		return fmt.Errorf("send request %d: no application is deployed", r.Index)
	}
	p := &pendingRequest{trace: make(Trace, len(r.Calls)), missing: len(r.Calls), done: done}
	return composition.Invoke(l.platform, l.names, r.Calls, p)
}

// ended adds the record of an activation to its trace, and hands the trace over once every call has ended.
func (l *Local) ended(a localwhisk.Activation) {
	c := a.Params.(*composition.Call[*pendingRequest])
	p := c.Request
	if p.done == nil {
		return
	}
	if a.Err != nil {
		p.done(nil, fmt.Errorf("activation %s of %s: %w", a.ID, a.Name, a.Err))
		p.done = nil
		return
	}
	p.trace[c.Index] = Activation{
		ID: a.ID, Cause: a.Cause, Name: a.Name,
		Arrival: a.Arrival(), End: a.End, Wait: a.WaitTime, Init: a.InitTime,
	}
	if p.missing--; p.missing == 0 {
		p.done(p.trace, nil)
	}
}

// Wait lets virtual time pass until nothing is planned any more.
func (l *Local) Wait(ctx context.Context) error {
	if err := l.clock.Run(ctx); err != nil {
		return err
	}
	if err := l.platform.Err(); err != nil {
		return err
	}
	if stuck := l.platform.InFlight(); len(stuck) > 0 {
		return fmt.Errorf("%d activations never end, among them %s of %s", len(stuck), stuck[0].ID, stuck[0].Name)
	}
	return nil
}
