package sampler

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/localwhisk"
)

// LocalStart is when the virtual time of a Local begins: a date of its own would make every dataset another.
var LocalStart = time.Date(2021, time.June, 1, 0, 0, 0, 0, time.UTC)

// Local is the OpenWhisk-compatible platform in this process, in virtual time: a Target that takes seconds for hours, and
// gives the same traces for the same seed. It belongs to one goroutine.
type Local struct {
	clock    *localwhisk.VirtualClock
	platform *localwhisk.Platform
	app      *apps.Application
	names    []string // deployed names by function
}

// call is an invocation on its way: which one of which request.
type call struct {
	local  *Local
	flight *flight
	index  int

	run  *localwhisk.Run
	todo []int // what it has yet to invoke
}

// flight is a request whose trace is not complete.
type flight struct {
	request Request
	trace   Trace
	missing int
	done    func(Trace, error)
}

// Overheads names what a Local takes its overheads and its size from: how long containers take to be created, calls to
// arrive, and so on.
type Overheads string

const (
	// Cluster is the OpenWhisk cluster on Kubernetes that the published traces were recorded on.
	Cluster Overheads = "cluster"
	// Standalone is one server of a standalone OpenWhisk, with Docker.
	Standalone Overheads = "standalone"
	// RealTime is the platform of this repository in real time, sampler platform.
	RealTime Overheads = "local"
)

// AllOverheads are those that can be had, the default first.
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

// Validate returns an error that names those that can be had if o is none of them.
func (o Overheads) Validate() error {
	if !slices.Contains(AllOverheads(), o) {
		return fmt.Errorf("there are no overheads of %q, only of %s, %s and %s", o, Cluster, Standalone, RealTime)
	}
	return nil
}

// LocalOptions says what a Local is like.
type LocalOptions struct {
	// Overheads are those of the platform; "" for those of the Cluster.
	Overheads Overheads
	// MemoryMB is the platform's memory for containers in MiB, of which each takes 256; 0 for that of the Overheads.
	MemoryMB int
	// Seed determines all that is random about the platform.
	Seed uint64
}

// NewLocal returns an empty platform with the overheads of the Cluster. The seed determines all that is random about it.
func NewLocal(seed uint64) (*Local, error) { return NewLocalWith(LocalOptions{Seed: seed}) }

// NewLocalWith returns an empty platform. Overheads that are not known, and memory that does not suffice for a container, are errors.
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

// AfterFunc plans a call of f for the virtual time d from now.
func (l *Local) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return l.clock.AfterFunc(d, f)
}

// Deploy makes the application's functions known; a Local runs one application.
func (l *Local) Deploy(_ context.Context, app *apps.Application) error {
	if l.app != nil {
		return fmt.Errorf("deploy %s: the platform runs %s already", app.Name, l.app.Name)
	}
	l.app = app
	for _, f := range app.Functions {
		name := app.DeployedName(f.Name)
		l.names = append(l.names, name)
		if err := l.platform.Deploy(localwhisk.Function{Name: name, Handler: l.handle}); err != nil {
			return fmt.Errorf("deploy %s: %w", app.Name, err)
		}
	}
	return nil
}

// Send has main invoked now.
func (l *Local) Send(r Request, done func(Trace, error)) error {
	if l.app == nil {
		return fmt.Errorf("send request %d: no application is deployed", r.Index)
	}
	f := &flight{request: r, trace: make(Trace, len(r.Calls)), missing: len(r.Calls), done: done}
	_, err := l.platform.Invoke(l.names[r.Calls[0].Function], &call{local: l, flight: f}, nil)
	return err
}

// handle is what every function does: sleep, then call.
func (l *Local) handle(run *localwhisk.Run) {
	c := run.Params().(*call)
	todo := &c.flight.request.Calls[c.index]
	c.run, c.todo = run, todo.Invokes
	if todo.Sleep > 0 {
		run.Sleep(todo.Sleep, c.next)
	} else {
		c.next()
	}
}

// next makes the next call of a function, and plans the one after it.
func (c *call) next() {
	if len(c.todo) > 0 {
		successor := &call{local: c.local, flight: c.flight, index: c.todo[0]}
		c.todo = c.todo[1:]
		name := c.local.names[c.flight.request.Calls[successor.index].Function]
		if _, err := c.run.Invoke(name, successor); err != nil {
			c.run.Fail(err)
			return
		}
	}
	if len(c.todo) > 0 {
		c.run.Sleep(apps.CallGap, c.next)
	} else {
		c.run.Finish()
	}
}

// ended puts a record into its trace, which is complete when every call has ended.
func (l *Local) ended(a localwhisk.Activation) {
	c := a.Params.(*call)
	f := c.flight
	if f.done == nil {
		return
	}
	if a.Err != nil {
		f.done(nil, fmt.Errorf("activation %s of %s: %w", a.ID, a.Name, a.Err))
		f.done = nil
		return
	}
	f.trace[c.index] = Activation{
		ID: a.ID, Cause: a.Cause, Name: a.Name,
		Arrival: a.Arrival(), End: a.End, Wait: a.WaitTime, Init: a.InitTime,
	}
	if f.missing--; f.missing == 0 {
		f.done(f.trace, nil)
	}
}

// Wait lets the virtual time pass.
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
