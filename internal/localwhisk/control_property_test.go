package localwhisk

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm"
)

// auditor follows a platform by its events, as a policy does, and compares what it knows with the engine after every event of the clock.
type auditor struct {
	t           rapid.TB
	platform    *Platform
	fleet       *prewarm.Fleet
	functions   map[string]int
	invocations map[string]prewarm.ID
	holders     map[int]string         // the activation that a container has been given
	running     map[string]int         // number of runs of each function
	steps       map[string][]EventKind // of each activation
	told        time.Time
	memoryTime  float64 // MB·s of all containers
}

func newAuditor(t rapid.TB, p *Platform, memory []int) *auditor {
	a := &auditor{
		t: t, platform: p, functions: map[string]int{}, invocations: map[string]prewarm.ID{}, holders: map[int]string{}, running: map[string]int{},
		steps: map[string][]EventKind{}, told: p.clock.Now(),
	}
	var functions []prewarm.Function
	for i, mb := range memory {
		a.functions[functionName(i)] = i
		functions = append(functions, prewarm.Function{Name: functionName(i), MemoryMB: mb})
	}
	var err error
	if a.fleet, err = prewarm.NewFleet(prewarm.Platform{Arrivals: true}, functions); err != nil {
		t.Fatal(err)
	}
	p.Watch(a.hear)
	return a
}

func functionName(i int) string { return fmt.Sprintf("f%d", i) }

// translated returns an event as a policy is told of it.
func (a *auditor) translated(e Event) prewarm.Event {
	id := func(activation string) prewarm.ID {
		if activation != "" && a.invocations[activation] == 0 {
			a.invocations[activation] = prewarm.ID(len(a.invocations) + 1)
		}
		return a.invocations[activation]
	}
	return prewarm.Event{
		Kind: prewarm.Kind(e.Kind), At: e.At.Sub(epoch), Function: a.functions[e.Function], Container: prewarm.ID(e.Container),
		Invocation: id(e.ID), Parent: id(e.Cause), Start: prewarm.Start(e.Start), By: prewarm.By(e.By), Wait: e.Wait, Init: e.Init, Failed: e.Err != nil, Queue: e.Queue,
	}
}

func (a *auditor) hear(e Event) {
	if got, want := e.Kind.String(), prewarm.Kind(e.Kind).String(); got != want {
		a.t.Fatalf("kind %s is %s for a policy", got, want)
	}
	if e.At.Before(a.told) || !e.At.Equal(a.platform.clock.Now()) {
		a.t.Fatalf("event of %v is told at %v, after one of %v", e.At, a.platform.clock.Now(), a.told)
	}
	a.told = e.At
	p := a.translated(e)
	if err := a.fleet.Apply(&p); err != nil {
		a.t.Fatalf("%v: %+v", err, e)
	}
	if mb := a.fleet.UsedMB; mb > a.platform.config.MemoryMB {
		a.t.Fatalf("containers use %d MiB after %+v", mb, e)
	}
	switch e.Kind {
	case Placed:
		if other := a.holders[e.Container]; other != "" {
			a.t.Fatalf("container %d is given to %s, and has %s", e.Container, e.ID, other)
		}
		a.holders[e.Container] = e.ID
	case Started, Ended:
		if a.holders[e.Container] != e.ID {
			a.t.Fatalf("%s %v in container %d, which has %s", e.ID, e.Kind, e.Container, a.holders[e.Container])
		}
	case Idle, Removed:
		delete(a.holders, e.Container)
	}
	switch {
	case e.Kind == Started:
		a.running[e.Function]++
	case e.Kind == Ended && slices.Contains(a.steps[e.ID], Started):
		a.running[e.Function]--
	}
	if got, want := a.fleet.Loads[p.Function].Running, a.running[e.Function]; e.Function != "" && got != want {
		a.t.Fatalf("the fleet has %d runs of %s after %+v, want %d", got, e.Function, e, want)
	}
	if e.ID != "" {
		a.steps[e.ID] = append(a.steps[e.ID], e.Kind)
	}
}

// stateOf returns the state of a container as the engine knows it, and false for a stem cell.
func stateOf(c *PoolContainer) (prewarm.State, bool) {
	switch {
	case c.function == nil:
		return 0, false
	case c.idle:
		return prewarm.StateIdle, true
	case c.activation == nil:
		return prewarm.StateStarting, true
	case c.activation.record.End.IsZero():
		return prewarm.StateBusy, true
	}
	return prewarm.StateReturning, true
}

// compare compares the fleet with the engine.
func (a *auditor) compare() {
	var stemCells int
	for _, c := range a.platform.live {
		s, ok := stateOf(c)
		if !ok {
			stemCells += c.memoryMB
			continue
		}
		known := a.fleet.Container(prewarm.ID(c.id))
		if known == nil || known.State != s || a.fleet.Functions[known.Function].Name != c.function.Name {
			a.t.Fatalf("container %d of %s is %v, the fleet has %+v", c.id, c.function.Name, s, known)
		}
	}
	count := 0
	for i := range a.fleet.Functions {
		count += a.fleet.Count(i)
	}
	if used := a.platform.memoryMB - stemCells; used != a.fleet.UsedMB {
		a.t.Fatalf("the fleet uses %d MiB, the engine %d", a.fleet.UsedMB, used)
	}
	if a.fleet.Queue != len(a.platform.queue) {
		a.t.Fatalf("the fleet has a queue of %d, the engine of %d", a.fleet.Queue, len(a.platform.queue))
	}
	if a.platform.memoryMB > a.platform.config.MemoryMB {
		a.t.Fatalf("%d MiB are in use", a.platform.memoryMB)
	}
}

// run advances the clock event by event to its end.
func (a *auditor) run(clock *VirtualClock) {
	for len(clock.events) > 0 {
		e := clock.events.pop()
		if e.stopped() {
			clock.stopped--
			continue
		}
		a.memoryTime += float64(a.platform.memoryMB) * (e.at - clock.now).Seconds()
		clock.now = e.at
		e.call(e.arg)
		a.compare()
	}
}

// checkUsage compares the sums of Usage with the events.
func (a *auditor) checkUsage() {
	sum := 0.0
	for _, u := range a.platform.Usage() {
		sum += u.Starting + u.Idle + u.Busy
		if u.Function == "" {
			continue
		}
		load := &a.fleet.Loads[a.functions[u.Function]]
		if u.Cold != int(load.ColdStarts) || u.Late != int(load.LateStarts) {
			a.t.Errorf("usage %+v, but %d cold starts and %d late ones", u, load.ColdStarts, load.LateStarts)
		}
	}
	if math.Abs(sum-a.memoryTime) > 1e-6*(1+a.memoryTime) {
		a.t.Errorf("the sums of all states are %v MB·s, the containers there were %v", sum, a.memoryTime)
	}
}

// flaky is a simulation in which a share of the work fails.
type flaky struct {
	*simulation
	rare func() bool
}

func (b flaky) fails(done func(error)) func(error) {
	if b.rare() {
		return func(error) { done(errors.New("broken")) }
	}
	return done
}

func (b flaky) Create(c *PoolContainer, load int, ready func(error)) {
	b.simulation.Create(c, load, b.fails(ready))
}

func (b flaky) Init(c *PoolContainer, load int, done func(error)) {
	b.simulation.Init(c, load, b.fails(done))
}

func (b flaky) Unpause(c *PoolContainer, done func(error)) { b.simulation.Unpause(c, b.fails(done)) }

// TestControlProperties lets a random policy start, hold, rank and give back containers, at random times and in answer to events, while functions
// are invoked, undeployed and deployed again, and work fails now and then.
func TestControlProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := scenarios.Draw(t, "scenario")
		s.config.TakesStarting = rapid.Bool().Draw(t, "takes starting")
		s.config.WarmFirstCall = rapid.Bool().Draw(t, "warm first call")
		s.config.WarmedLast = rapid.Bool().Draw(t, "warmed last")
		rng := randomStream(rapid.Uint64().Draw(t, "policy"), "test")
		mishap := rapid.SampledFrom([]float64{0, 0.1}).Draw(t, "mishaps")
		rare := func() bool { return rng.Float64() < mishap }
		clock := NewVirtualClock(epoch)
		p, err := NewWithBackend(clock, s.config, s.seed, flaky{newSimulation(clock, s.config, s.seed), rare})
		if err != nil {
			t.Fatal(err)
		}
		deploy := func(i int) {
			err := p.Deploy(Function{Name: functionName(i), MemoryMB: s.memory[i], Handler: func(run *Run) {
				run.Sleep(s.sleep[i], func() {
					for _, next := range s.invokes[i] {
						// It may be undeployed.
						_, _ = run.Invoke(functionName(next), nil)
					}
					if rare() {
						run.DiscardContainer()
					}
					run.Finish()
				})
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range s.memory {
			deploy(i)
		}
		if rapid.Bool().Draw(t, "a stock") {
			s.memory = append(s.memory, s.memory[0])
			if err := p.Deploy(Function{Name: functionName(len(s.memory) - 1), MemoryMB: s.memory[0], StemCell: true}); err != nil {
				t.Fatal(err)
			}
		}
		a := newAuditor(t, p, s.memory)
		check := func(err error, expected error) {
			if err != nil && !errors.Is(err, expected) {
				t.Fatal(err)
			}
		}
		// act does something at random, with the container if it is not 0.
		act := func(container int) {
			until := clock.Now().Add(time.Duration(rng.IntN(20000)-2000) * time.Millisecond)
			if container == 0 {
				container = 1 + rng.IntN(p.containers+1)
			}
			name := functionName(rng.IntN(len(s.memory)))
			if p.functions[name] == nil {
				return // it is just being deployed again
			}
			switch rng.IntN(6) {
			case 0:
				_, err := p.StartContainer(name)
				check(err, ErrMemory)
			case 1:
				_, err := p.StartContainerEvicting(name)
				check(err, ErrMemory)
			case 2, 3:
				check(p.Hold(container, until), ErrNotIdle)
			case 4:
				check(p.GiveBack(container), ErrNotIdle)
			case 5:
				if err := p.Rank(container, float64(rng.IntN(3)-1)); err == nil != (p.live[container] != nil && p.live[container].function != nil) {
					t.Fatalf("rank of container %d: %v", container, err)
				}
			}
		}
		share := rapid.Float64Range(0, 0.5).Draw(t, "share of events with an answer")
		answers := 0
		p.Watch(func(e Event) {
			// A policy that answers every event of its own doing with another would never end.
			if answers < 300 && rng.Float64() < share {
				answers++
				act(e.Container)
			}
		})
		for _, at := range rapid.SliceOfN(rapid.IntRange(0, 40000), 0, 30).Draw(t, "acts") {
			clock.AfterFunc(time.Duration(at)*time.Millisecond, func() { act(0) })
		}
		if mishap > 0 {
			i := rapid.IntRange(0, len(s.memory)-1).Draw(t, "undeployed")
			clock.AfterFunc(time.Duration(rapid.IntRange(0, 30000).Draw(t, "undeployed at"))*time.Millisecond, func() {
				check(p.Undeploy(functionName(i)), nil)
				deploy(i)
			})
		}
		for _, r := range s.requests {
			clock.AfterFunc(r.at, func() {
				if _, err := p.Invoke(functionName(r.function), nil, nil); err != nil {
					t.Fatal(err)
				}
			})
		}
		records := 0
		p.OnEnd(func(Activation) { records++ })
		a.run(clock)
		a.checkUsage()
		if err := p.Err(); err != nil {
			t.Error(err)
		}
		if n := len(p.InFlight()); n > 0 {
			t.Errorf("%d activations are still in flight", n)
		}
		if records != len(a.steps) {
			t.Errorf("%d invocations have ended, %d have arrived", records, len(a.steps))
		}
		for _, id := range slices.Sorted(maps.Keys(a.steps)) {
			whole := []EventKind{Arrived, Placed, Started, Ended}
			if got := a.steps[id]; !slices.Equal(got, whole) && !(mishap > 0 && slices.Equal(got, []EventKind{Arrived, Placed, Ended})) {
				t.Errorf("activation %s: %v", id, got)
			}
		}
		for id, c := range p.live {
			if c.function != nil {
				t.Errorf("container %d of %s outlived its idle timeout", id, c.function.Name)
			}
		}
		if n := len(p.idle.held) + len(p.holdTimers); n > 0 {
			t.Errorf("%d holds or their timers are left", n)
		}
	})
}
