package localwhisk

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Handler is what a function does; it is called when the run starts, after /init. It must not block.
type Handler func(run *Run)

// Function is what can be deployed.
type Function struct {
	// Name is what it is invoked by.
	Name string
	// MemoryMB is the memory of its containers in MiB; 0 stands for the platform's FunctionMemoryMB.
	MemoryMB int
	// Handler is what it does.
	Handler Handler

	undeployed bool
	newest     *Container // of its idle ones the one that became idle last
}

// Platform runs invocations of functions in containers. Its methods may be called from handlers, from the functions
// given to it, and, if its clock allows, from several goroutines.
type Platform struct {
	clock   Clock
	virtual *VirtualClock // clock, if it is one
	config  Config
	backend Backend

	mu                                                              sync.Mutex
	functions                                                       map[string]*Function
	ids, call, firstCall, afterSleep, oversleep, dispatch, stemCell *rand.Rand

	containers int // ever made
	creating   int // being created now for an activation; the load is fitted to these, stem cells are not to be seen in traces
	memoryMB   int // of all containers there are
	idle       idlePool
	pausing    bool         // whether a look at the idle ones that are due to be paused is planned
	expiring   bool         // or due to be removed
	stems      []*Container // ready ones
	stemsToBe  int          // being created
	queue      []*activation

	idText         string      // of activations to come
	first, last    *activation // in flight, in the order of sending
	over, overLast *activation // to be reported when the lock is free
	observers      []func(Activation)
	faults         []error
}

// activation is an invocation on its way.
type activation struct {
	record    Activation
	run       Run
	function  *Function
	done      func(Activation)
	arrival   time.Time
	container *Container

	earlier, later *activation // neighbours in flight
	overNext       *activation
}

func (a *activation) String() string {
	return fmt.Sprintf("activation %s of %s", a.record.ID, a.record.Name)
}

// New returns a platform without functions that simulates the work on containers, on the given clock. The seed
// determines everything that is random.
func New(clock Clock, config Config, seed uint64) (*Platform, error) {
	return NewWithBackend(clock, config, seed, newSimulation(clock, config, seed))
}

// NewWithBackend returns a platform whose containers are the backend's. Its stem cells are taken to be there already.
func NewWithBackend(clock Clock, config Config, seed uint64, backend Backend) (*Platform, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	p := &Platform{
		clock: clock, config: config, backend: backend,
		functions: map[string]*Function{},
		ids:       stream(seed, "ids"), call: stream(seed, "call"), firstCall: stream(seed, "first call"), afterSleep: stream(seed, "call after sleep"), oversleep: stream(seed, "oversleep"), dispatch: stream(seed, "dispatch"),
		stemCell: stream(seed, "stem cell"),
	}
	p.virtual, _ = clock.(*VirtualClock)
	for len(p.stems) < config.StemCells && p.memoryMB+config.FunctionMemoryMB <= config.MemoryMB {
		p.stems = append(p.stems, p.newContainer(config.FunctionMemoryMB))
	}
	return p, nil
}

// Deploy makes a function known. A function without name or handler, a name that is taken, and memory that is negative
// or more than the platform has, are errors.
func (p *Platform) Deploy(f Function) error {
	if f.MemoryMB == 0 {
		f.MemoryMB = p.config.FunctionMemoryMB
	}
	switch {
	case f.Name == "":
		return errors.New("localwhisk: a function needs a name")
	case f.Handler == nil:
		return fmt.Errorf("localwhisk: function %s has no handler", f.Name)
	case f.MemoryMB < 0:
		return fmt.Errorf("localwhisk: function %s: memory is %d MiB, must be positive", f.Name, f.MemoryMB)
	case f.MemoryMB > p.config.MemoryMB:
		return fmt.Errorf("localwhisk: function %s needs %d MiB, the platform has %d", f.Name, f.MemoryMB, p.config.MemoryMB)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.functions[f.Name]; ok {
		return fmt.Errorf("localwhisk: function %s is deployed already", f.Name)
	}
	p.functions[f.Name] = &f
	return nil
}

// Undeploy makes a function unknown. The invocations of it that were sent run to their end; its containers are not used for others, and
// removed as they become idle. An unknown function is an error.
func (p *Platform) Undeploy(name string) error {
	var err error
	p.enter(func() {
		f, ok := p.functions[name]
		if !ok {
			err = fmt.Errorf("localwhisk: function %s is not deployed", name)
			return
		}
		delete(p.functions, name)
		f.undeployed = true
		for c := f.newest; c != nil; c = f.newest {
			p.idle.remove(c)
			p.remove(c)
		}
		p.schedule()
	})
	return err
}

// OnEnd has f called with the record of every activation when it has ended, in the order of the ends; before the
// activation's own done.
func (p *Platform) OnEnd(f func(Activation)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.observers = append(p.observers, f)
}

// Invoke has the controller receive an invocation now, and returns its activation id at once. When the activation has
// ended, done is called with its record, unless done is nil. An unknown function is an error.
func (p *Platform) Invoke(name string, params any, done func(Activation)) (activationID string, err error) {
	p.enter(func() {
		var a *activation
		if a, err = p.newActivation(name, params, done); err != nil {
			return
		}
		activationID = a.record.ID
		p.arrive(a)
	})
	return activationID, err
}

// InFlight returns what is known of the activations that have been sent and have not ended, in the order of sending:
// ID, Name and Cause; Container where they have one. After the end of a virtual clock's Run these are the ones whose
// handlers never finish, and those that wait behind them.
func (p *Platform) InFlight() []Activation {
	p.mu.Lock()
	defer p.mu.Unlock()
	var records []Activation
	for a := p.first; a != nil; a = a.later {
		records = append(records, a.record)
	}
	return records
}

// Err returns what handlers did wrong after the end of their runs (slept, invoked, finished again), nil if nothing;
// of many faults the first ten.
func (p *Platform) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.faults...)
}

// enter makes a step of the engine under the lock, then the calls that came of it without.
func (p *Platform) enter(step func()) {
	p.mu.Lock()
	step()
	p.leave()
}

// leave gives the lock back and reports what has ended.
func (p *Platform) leave() {
	a, observers := p.over, p.observers
	p.over, p.overLast = nil, nil
	p.mu.Unlock()
	for a != nil {
		next := a.overNext
		a.overNext = nil
		for _, observe := range observers {
			observe(a.record)
		}
		if a.done != nil {
			a.done(a.record)
		}
		a = next
	}
}

// plan plans a call of f with arg for the time d from now. On a virtual clock it takes no memory.
func (p *Platform) plan(d time.Duration, f func(arg any), arg any) {
	if p.virtual != nil {
		p.virtual.plan(d, f, arg)
		return
	}
	p.clock.AfterFunc(d, func() { f(arg) })
}

const maxFaults = 10

func (p *Platform) fault(err error) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, err)
	}
}

func (p *Platform) newActivation(name string, params any, done func(Activation)) (*activation, error) {
	f, ok := p.functions[name]
	if !ok {
		return nil, fmt.Errorf("localwhisk: function %s is not deployed", name)
	}
	a := &activation{record: Activation{ID: p.newID(), Name: name, Params: params}, function: f, done: done, earlier: p.last}
	a.run = Run{platform: p, activation: a}
	if p.last != nil {
		p.last.later = a
	} else {
		p.first = a
	}
	p.last = a
	return a, nil
}

// land takes a out of those in flight, and has its end reported.
func (p *Platform) land(a *activation) {
	if a.earlier != nil {
		a.earlier.later = a.later
	} else {
		p.first = a.later
	}
	if a.later != nil {
		a.later.earlier = a.earlier
	} else {
		p.last = a.earlier
	}
	a.earlier, a.later = nil, nil
	if p.overLast != nil {
		p.overLast.overNext = a
	} else {
		p.over = a
	}
	p.overLast = a
}

// newID draws an activation id. Many are formatted at once: one string instead of one each.
func (p *Platform) newID() string {
	const batch, length = 32, 32
	if p.idText == "" {
		var raw [batch * length / 2]byte
		for i := 0; i < len(raw); i += 8 {
			binary.BigEndian.PutUint64(raw[i:], p.ids.Uint64())
		}
		p.idText = hex.EncodeToString(raw[:])
	}
	id := p.idText[:length]
	p.idText = p.idText[length:]
	return id
}
