package localwhisk

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Handler is the code of a function. It is called when a run starts, after /init, and must not block.
type Handler func(run *Run)

// Function is a function to deploy.
type Function struct {
	// Name is the name by which it is invoked.
	Name string
	// MemoryMB is the memory of its containers in MiB; 0 means the platform's FunctionMemoryMB.
	MemoryMB int
	// Kind is the runtime that it needs, such as nodejs:20. It matters only for StemCell.
	Kind string
	// StemCell says that this is no function but a stock of stem cells of the Kind and the memory. It has no code and is not invoked. Its
	// containers are started with [Platform.StartContainer], and are never evicted. A function of that Kind and memory for which no container
	// is idle takes one of them: it is then Removed from the stock, and has a new number.
	StemCell bool
	// Handler is its code.
	Handler Handler

	undeployed      bool
	usage           *usage
	idle            containerList // its idle containers
	idleUnconnected containerList // with Config.WarmedLast, those of them that have made no call
	starting        containerList // those that are started for nobody and that no activation waits for
}

// Platform runs invocations of functions in containers. Its methods may be called from handlers, from the callbacks given to it, and, if
// its clock allows, from several goroutines.
type Platform struct {
	clock   Clock
	virtual *VirtualClock // the clock, if it is a virtual one
	config  Config
	backend Backend

	mu        sync.Mutex
	functions map[string]*Function
	random    randomStreams
	idText    string // hexadecimal digits for the next activation ids

	// The container pool. Memory is in use by containers of all kinds: busy, idle, and stem cells.
	containers        int // number of containers ever created; the last one's ID
	creating          int // number being created for an activation; stem cells do not count, because traces do not show their creation
	memoryMB          int // of all containers
	idle              idlePool
	pauseTimerSet     bool             // onPauseTimer will be called
	expiryTimerSet    bool             // onExpiryTimer will be called
	stemCells         []*PoolContainer // ready ones
	stocks            []*Function      // those of them that are a StemCell
	creatingStemCells int
	queue             []*activation // those that wait for a container, first in, first out
	toldQueue         int           // its length in the last event
	live              map[int]*PoolContainer
	holdTimers        []time.Time // when onHoldTimer will be called, the latest first

	// What functions have used, by name, and the names in the order of their deployment.
	usages        map[string]*usage
	deployed      []string
	stemCellUsage usage

	// Events that have happened and that the watchers have not been told of; toldEvents is memory for more.
	watchers           []func(Event)
	events, toldEvents []Event
	telling            bool // tellEvents is running

	// Activations in flight, linked in the order in which they were sent.
	firstInFlight, lastInFlight *activation
	// Activations that have ended, linked in order; they are reported when the lock is released.
	firstFinished, lastFinished *activation
	observers                   []func(Activation)
	faults                      []error
}

// randomStreams has one source for each delay that the platform draws, so that the draws for one do not depend on the others.
type randomStreams struct {
	ids, call, firstCall, warmFirstCall, afterSleep, oversleep, dispatch, stemCell *rand.Rand
}

// activation is an invocation in flight.
type activation struct {
	record    Activation
	run       Run
	function  *Function
	done      func(Activation) // may be nil
	arrival   time.Time
	container *PoolContainer // nil until it is placed

	earlier, later *activation // neighbours among those in flight
	nextFinished   *activation
}

func (a *activation) String() string {
	return fmt.Sprintf("activation %s of %s", a.record.ID, a.record.Name)
}

// New returns a platform without functions that simulates its containers on the given clock. The seed determines all random numbers.
func New(clock Clock, config Config, seed uint64) (*Platform, error) {
	return NewWithBackend(clock, config, seed, newSimulation(clock, config, seed))
}

// NewWithBackend returns a platform whose containers are managed by the backend. Its stem cells exist from the beginning, without a call of
// Create.
func NewWithBackend(clock Clock, config Config, seed uint64, backend Backend) (*Platform, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	p := &Platform{
		clock: clock, config: config, backend: backend,
		functions: map[string]*Function{}, live: map[int]*PoolContainer{}, usages: map[string]*usage{},
		idle: idlePool{warmedLast: config.WarmedLast},
		random: randomStreams{
			ids: randomStream(seed, "ids"), call: randomStream(seed, "call"), firstCall: randomStream(seed, "first call"), warmFirstCall: randomStream(seed, "warm first call"),
			afterSleep: randomStream(seed, "call after sleep"), oversleep: randomStream(seed, "oversleep"),
			dispatch: randomStream(seed, "dispatch"), stemCell: randomStream(seed, "stem cell"),
		},
	}
	p.virtual, _ = clock.(*VirtualClock)
	for len(p.stemCells) < config.StemCells && p.memoryMB+config.FunctionMemoryMB <= config.MemoryMB {
		c := p.newStemCell(config.FunctionMemoryMB)
		p.enter(c, usageIdle)
		p.stemCells = append(p.stemCells, c)
	}
	return p, nil
}

// Deploy deploys a function. It returns an error if the name or the handler is missing, the name is taken, or the memory is negative or more
// than the platform has.
func (p *Platform) Deploy(f Function) error {
	if f.MemoryMB == 0 {
		f.MemoryMB = p.config.FunctionMemoryMB
	}
	switch {
	case f.Name == "":
		return errors.New("localwhisk: a function needs a name")
	case f.StemCell && f.Handler != nil:
		return fmt.Errorf("localwhisk: function %s is a stock of stem cells and has a handler", f.Name)
	case !f.StemCell && f.Handler == nil:
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
	if p.usages[f.Name] == nil {
		p.usages[f.Name] = &usage{}
		p.deployed = append(p.deployed, f.Name)
	}
	f.usage = p.usages[f.Name]
	p.functions[f.Name] = &f
	if f.StemCell {
		p.stocks = append(p.stocks, &f)
	}
	return nil
}

// Undeploy removes a function. Invocations that have been sent still run; its containers are removed as they become idle. An unknown function
// is an error.
func (p *Platform) Undeploy(name string) error {
	var err error
	p.withLock(func() {
		f, ok := p.functions[name]
		if !ok {
			err = fmt.Errorf("localwhisk: function %s is not deployed", name)
			return
		}
		delete(p.functions, name)
		p.stocks = slices.DeleteFunc(p.stocks, func(s *Function) bool { return s == f })
		f.undeployed = true
		for c := f.newestIdle(); c != nil; c = f.newestIdle() {
			p.idle.remove(c)
			p.removeContainer(c, ByPlatform)
		}
		p.schedule()
	})
	return err
}

// OnEnd registers a callback that is called with the record of every activation that has ended, in the order of their ends, before the
// activation's own callback.
func (p *Platform) OnEnd(f func(Activation)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.observers = append(p.observers, f)
}

// Invoke invokes a function from outside: the invocation arrives at the controller now. It returns the activation id at once. When the
// activation has ended, done is called with its record, unless done is nil. An unknown function is an error.
func (p *Platform) Invoke(name string, params any, done func(Activation)) (activationID string, err error) {
	p.withLock(func() {
		var a *activation
		if a, err = p.newActivation(name, params, done); err != nil {
			return
		}
		activationID = a.record.ID
		p.arrive(a)
	})
	return activationID, err
}

// InFlight returns the records of the activations that have been sent and have not ended, in the order of sending. They have ID, Name, Cause
// and, once placed, Container. After the end of a virtual clock's Run these are activations whose handlers never finish, and those that wait
// for their containers.
func (p *Platform) InFlight() []Activation {
	p.mu.Lock()
	defer p.mu.Unlock()
	var records []Activation
	for a := p.firstInFlight; a != nil; a = a.later {
		records = append(records, a.record)
	}
	return records
}

// Err returns the faults of handlers that have slept, invoked or finished after the end of their runs, at most ten; nil if there are none.
func (p *Platform) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.faults...)
}

// withLock runs a step of the engine with the lock held, and then reports the activations that have ended, without it.
func (p *Platform) withLock(step func()) {
	p.mu.Lock()
	step()
	p.unlockAndReport()
}

// unlockAndReport releases the lock, tells the watchers of events, and reports the activations that have ended.
func (p *Platform) unlockAndReport() {
	a, observers := p.firstFinished, p.observers
	p.firstFinished, p.lastFinished = nil, nil
	tell := len(p.events) > 0 && !p.telling
	p.telling = p.telling || tell
	p.mu.Unlock()
	if tell {
		p.tellEvents()
	}
	for a != nil {
		next := a.nextFinished
		a.nextFinished = nil
		for _, observe := range observers {
			observe(a.record)
		}
		if a.done != nil {
			a.done(a.record)
		}
		a = next
	}
}

// callAfter calls f with arg when d has passed. On a virtual clock it allocates no memory.
func (p *Platform) callAfter(d time.Duration, f func(arg any), arg any) {
	if p.virtual != nil {
		p.virtual.callAfter(d, f, arg)
		return
	}
	p.clock.AfterFunc(d, func() { f(arg) })
}

// maxFaults is the number of faults that are kept.
const maxFaults = 10

func (p *Platform) addFault(err error) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, err)
	}
}

// newActivation returns an activation that is in flight.
func (p *Platform) newActivation(name string, params any, done func(Activation)) (*activation, error) {
	f, ok := p.functions[name]
	if !ok {
		return nil, fmt.Errorf("localwhisk: function %s is not deployed", name)
	}
	if f.StemCell {
		return nil, fmt.Errorf("localwhisk: function %s is a stock of stem cells and cannot be invoked", name)
	}
	a := &activation{record: Activation{ID: p.newID(), Name: name, Params: params}, function: f, done: done, earlier: p.lastInFlight}
	a.run = Run{platform: p, activation: a}
	if p.lastInFlight != nil {
		p.lastInFlight.later = a
	} else {
		p.firstInFlight = a
	}
	p.lastInFlight = a
	return a, nil
}

// retire moves an activation that has ended from those in flight to those to be reported.
func (p *Platform) retire(a *activation) {
	if a.earlier != nil {
		a.earlier.later = a.later
	} else {
		p.firstInFlight = a.later
	}
	if a.later != nil {
		a.later.earlier = a.earlier
	} else {
		p.lastInFlight = a.earlier
	}
	a.earlier, a.later = nil, nil
	if p.lastFinished != nil {
		p.lastFinished.nextFinished = a
	} else {
		p.firstFinished = a
	}
	p.lastFinished = a
}

// newID returns a random activation id. It formats many at once, which allocates one string for all of them.
func (p *Platform) newID() string {
	const batch, length = 32, 32
	if p.idText == "" {
		var raw [batch * length / 2]byte
		for i := 0; i < len(raw); i += 8 {
			binary.BigEndian.PutUint64(raw[i:], p.random.ids.Uint64())
		}
		p.idText = hex.EncodeToString(raw[:])
	}
	id := p.idText[:length]
	p.idText = p.idText[length:]
	return id
}
