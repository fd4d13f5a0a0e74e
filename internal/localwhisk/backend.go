package localwhisk

import (
	"math/rand/v2"
	"time"
)

// Backend does what the engine decides: it creates containers and runs functions in them. That of [New] simulates the work,
// by letting the time pass that it draws from a [Config]; one that starts a process for each container takes real time.
//
// The engine calls its methods with its lock held. Each returns at once and reports through the function it was given,
// exactly once and never before it has returned. Of one container only one thing is asked at a time.
type Backend interface {
	// Create creates container c, under the given load of other creations, see [Delay]. It reports when /init could be called.
	Create(c *Container, load int, ready func(error))
	// Init puts the function of c into it, under the given load.
	Init(c *Container, load int, done func(error))
	// Run calls the function of c; run.Finish or run.Fail ends it.
	Run(c *Container, run *Run)
	// CollectLogs reports when the logs of the activation that has just ended in c are in,
	// under the given load.
	CollectLogs(c *Container, activationID string, load int, done func())
	// Pause stops the processes of c, and reports nothing.
	Pause(c *Container)
	// Unpause lets them go on.
	Unpause(c *Container, done func(error))
	// Remove removes c, and reports nothing: its memory counts as free at once.
	Remove(c *Container)
}

// simulation is the Backend of virtual time.
type simulation struct {
	clock   Clock
	config  Config
	cluster sharing // what creates and removes containers
	// Each kind of delay draws from a stream of its own, so that a changed distribution leaves the others' draws alone.
	creation, removal, init, unpause, runStart, logs *rand.Rand
}

func newSimulation(clock Clock, config Config, seed uint64) *simulation {
	return &simulation{
		clock: clock, config: config,
		cluster:  sharing{clock: clock, capacity: float64(config.Capacity)},
		creation: stream(seed, "creation"), removal: stream(seed, "removal"), init: stream(seed, "init"), unpause: stream(seed, "unpause"),
		runStart: stream(seed, "run start"), logs: stream(seed, "logs"),
	}
}

func (s *simulation) Create(_ *Container, load int, ready func(error)) {
	d := s.config.Creation
	s.cluster.add(d.work(s.creation, load), func(took time.Duration) {
		s.after(d.Min+d.inSteps(took)-took, ready)
	})
}

func (s *simulation) Init(_ *Container, load int, done func(error)) {
	s.after(s.config.Init.draw(s.init, load), done)
}

func (s *simulation) Run(_ *Container, run *Run) {
	s.plan(s.config.RunStart.draw(s.runStart, 0), handle, run)
}

func (s *simulation) CollectLogs(_ *Container, _ string, load int, done func()) {
	s.plan(s.config.Logs.draw(s.logs, load), callFunc, done)
}

func (s *simulation) Pause(*Container) {}

func (s *simulation) Unpause(_ *Container, done func(error)) {
	s.after(s.config.Unpause.draw(s.unpause, 0), done)
}

func (s *simulation) Remove(*Container) {
	if d := s.config.Removal; d != (Delay{}) {
		s.cluster.add(d.draw(s.removal, 0), func(time.Duration) {})
	}
}

func handle(arg any) {
	run := arg.(*Run)
	run.activation.function.Handler(run)
}

// plan is like [Platform.plan].
func (s *simulation) plan(d time.Duration, f func(any), arg any) {
	if v, ok := s.clock.(*VirtualClock); ok {
		v.plan(d, f, arg)
		return
	}
	s.clock.AfterFunc(d, func() { f(arg) })
}

func (s *simulation) after(d time.Duration, done func(error)) {
	s.clock.AfterFunc(d, func() { done(nil) })
}

// stream returns the seed's source for one purpose.
func stream(seed uint64, purpose string) *rand.Rand {
	// FNV-1a, so that a stream depends on its name, not on the order of fields.
	h := uint64(14695981039346656037)
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}
