package localwhisk

import (
	"math/rand/v2"
	"time"
)

// Backend creates the containers that the engine asks for, and runs functions in them. The Backend of [New] simulates the work: it lets the time
// pass that it draws from a [Config]. That of package rest starts processes, in real time.
//
// The engine calls the methods with its lock held. Each method returns at once, and calls its callback exactly once when the work is done,
// never before it has returned. The engine asks for one thing at a time of each container.
type Backend interface {
	// Create creates container c. The load is that of other creations, see [Delay]. It calls ready when /init can be called.
	Create(c *PoolContainer, load int, ready func(error))
	// Init initialises c with its function.
	Init(c *PoolContainer, load int, done func(error))
	// Run runs the function of c, which ends with run.Finish or run.Fail.
	Run(c *PoolContainer, run *Run)
	// CollectLogs collects the logs of the activation that has just ended in c.
	CollectLogs(c *PoolContainer, activationID string, load int, done func())
	// Pause stops the processes of c; it has no callback.
	Pause(c *PoolContainer)
	// Unpause continues the processes of c.
	Unpause(c *PoolContainer, done func(error))
	// Remove removes c; it has no callback, and the memory of c counts as free at once.
	Remove(c *PoolContainer)
}

// simulation is a Backend that only lets time pass.
type simulation struct {
	clock   Clock
	config  Config
	cluster processorSharing // creates and removes containers
	// Each delay draws from a source of its own, so that its draws do not depend on the distributions of the others.
	creation, removal, init, unpause, runStart, logs *rand.Rand
}

func newSimulation(clock Clock, config Config, seed uint64) *simulation {
	return &simulation{
		clock: clock, config: config,
		cluster:  processorSharing{clock: clock, capacity: float64(config.Capacity)},
		creation: randomStream(seed, "creation"), removal: randomStream(seed, "removal"), init: randomStream(seed, "init"), unpause: randomStream(seed, "unpause"),
		runStart: randomStream(seed, "run start"), logs: randomStream(seed, "logs"),
	}
}

func (s *simulation) CanWarm(Function) error { return nil }

func (s *simulation) Create(_ *PoolContainer, load int, ready func(error)) {
	d := s.config.Creation
	s.cluster.add(d.work(s.creation, load), func(took time.Duration) {
		s.after(d.Min+d.inSteps(took)-took, ready)
	})
}

func (s *simulation) Init(_ *PoolContainer, load int, done func(error)) {
	s.after(s.config.Init.draw(s.init, load), done)
}

func (s *simulation) Run(_ *PoolContainer, run *Run) {
	s.callAfter(s.config.RunStart.draw(s.runStart, 0), callHandler, run)
}

func (s *simulation) CollectLogs(_ *PoolContainer, _ string, load int, done func()) {
	s.callAfter(s.config.Logs.draw(s.logs, load), callFunc, done)
}

func (s *simulation) Pause(*PoolContainer) {}

func (s *simulation) Unpause(_ *PoolContainer, done func(error)) {
	s.after(s.config.Unpause.draw(s.unpause, 0), done)
}

func (s *simulation) Remove(*PoolContainer) {
	if d := s.config.Removal; d != (Delay{}) {
		s.cluster.add(d.draw(s.removal, 0), func(time.Duration) {})
	}
}

// callHandler calls the handler of a run, as a timer's callback.
func callHandler(arg any) {
	run := arg.(*Run)
	run.activation.function.Handler(run)
}

// callAfter is like [Platform.callAfter].
func (s *simulation) callAfter(d time.Duration, f func(any), arg any) {
	if v, ok := s.clock.(*VirtualClock); ok {
		v.callAfter(d, f, arg)
		return
	}
	s.clock.AfterFunc(d, func() { f(arg) })
}

func (s *simulation) after(d time.Duration, done func(error)) {
	s.clock.AfterFunc(d, func() { done(nil) })
}

// randomStream returns the random source of a seed for one purpose.
func randomStream(seed uint64, purpose string) *rand.Rand {
	// The hash (FNV-1a) makes a source depend on its purpose and not on the order of the calls.
	h := uint64(14695981039346656037)
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}
