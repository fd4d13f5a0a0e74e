package localwhisk

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// scenario is a configuration, functions, and invocations.
type scenario struct {
	config   Config
	seed     uint64
	memory   []int           // of each function
	sleep    []time.Duration // of each function
	invokes  [][]int         // the functions that each invokes at its end; only later ones
	requests []request
}

type request struct {
	at       time.Duration
	function int
}

var scenarios = rapid.Custom(func(t *rapid.T) scenario {
	ms := func(most int) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.IntRange(0, most), func(n int) time.Duration { return time.Duration(n) * time.Millisecond })
	}
	delay := func(name string, most int) Delay {
		return Delay{
			Min: ms(most).Draw(t, name+" min"), Median: ms(most).Draw(t, name+" median"), MedianPerLoad: ms(most/4).Draw(t, name+" per load"),
			Sigma: rapid.Float64Range(0, 1).Draw(t, name+" sigma"), Step: ms(most/2).Draw(t, name+" step"),
			TailShare: rapid.Float64Range(0, 1).Draw(t, name+" tail"), TailMedian: ms(4*most).Draw(t, name+" tail median"), TailSigma: 1,
		}
	}
	s := scenario{seed: rapid.Uint64().Draw(t, "seed")}
	s.config = Config{
		FunctionMemoryMB: 256, StemCells: rapid.IntRange(0, 3).Draw(t, "stem cells"),
		MemoryMB:    256 * rapid.IntRange(1, 8).Draw(t, "memory"),
		IdleTimeout: ms(20000).Draw(t, "idle timeout"), PauseGrace: ms(20000).Draw(t, "pause grace"),
		ParallelCreations: rapid.IntRange(0, 4).Draw(t, "parallel creations"),
		Capacity:          rapid.IntRange(0, 3).Draw(t, "capacity"), Removal: delay("removal", 1000),
		// Constant, so that work begins in the order in which containers were assigned.
		Dispatch: Delay{Min: 3 * time.Millisecond},
		Creation: delay("creation", 2000), Init: delay("init", 200), Unpause: delay("unpause", 40), Logs: delay("logs", 50),
		RunStart: delay("run start", 5), Call: delay("call", 10), FirstCall: delay("first call", 100), FirstCallPerInit: 0.5,
	}
	s.config.Init.Min += time.Millisecond
	n := rapid.IntRange(1, 5).Draw(t, "functions")
	for i := range n {
		s.memory = append(s.memory, min(128*rapid.IntRange(1, 6).Draw(t, "memory of a function"), s.config.MemoryMB))
		s.sleep = append(s.sleep, ms(1000).Draw(t, "sleep"))
		var invokes []int
		if i+1 < n {
			invokes = rapid.SliceOfN(rapid.IntRange(i+1, n-1), 0, 2).Draw(t, "invokes")
		}
		s.invokes = append(s.invokes, invokes)
	}
	s.requests = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) request {
		return request{ms(30000).Draw(t, "at"), rapid.IntRange(0, n-1).Draw(t, "function")}
	}), 1, 30).Draw(t, "requests")
	return s
})

// outcome is the result of a scenario.
type outcome struct {
	records []Activation
	ends    map[string]int // how often each activation ended
	begun   []*activation  // in the order in which the work for them began
	errs    []error
}

// watch is a simulation that checks the calls of the engine.
type watch struct {
	*simulation
	platform *Platform
	live     map[*PoolContainer]int // memory of the containers there are
	begun    []*activation
	errs     []error
}

func (w *watch) memoryMB() int {
	sum := 0
	for _, mb := range w.live {
		sum += mb
	}
	return sum
}

func (w *watch) look(c *PoolContainer) {
	if a := c.activation; a != nil && !slices.Contains(w.begun, a) {
		w.begun = append(w.begun, a)
	}
	// The platform counts a container before it calls Create, the watch in Create.
	if sum, counted, limit := w.memoryMB(), w.platform.memoryMB, w.platform.config.MemoryMB; sum > counted || counted > limit {
		w.errs = append(w.errs, fmt.Errorf("containers use %d MiB, the platform counts %d of %d", sum, counted, limit))
	}
	if c.activation != nil && c.activation.container != c {
		w.errs = append(w.errs, fmt.Errorf("%v works in two containers", c.activation))
	}
}

func (w *watch) Create(c *PoolContainer, load int, ready func(error)) {
	w.live[c] = c.memoryMB
	w.look(c)
	w.simulation.Create(c, load, ready)
}

func (w *watch) Init(c *PoolContainer, load int, done func(error)) {
	w.look(c)
	w.simulation.Init(c, load, done)
}

func (w *watch) Run(c *PoolContainer, run *Run) {
	w.look(c)
	w.simulation.Run(c, run)
}

func (w *watch) Unpause(c *PoolContainer, done func(error)) {
	w.look(c)
	w.simulation.Unpause(c, done)
}

func (w *watch) Remove(c *PoolContainer) {
	if _, ok := w.live[c]; !ok {
		w.errs = append(w.errs, fmt.Errorf("container %d is removed, and was not there", c.id))
	}
	if c.activation != nil {
		w.errs = append(w.errs, fmt.Errorf("container %d is removed under %v", c.id, c.activation))
	}
	delete(w.live, c)
	w.simulation.Remove(c)
}

// run runs the scenario on the virtual clock; clock is the platform's view of it.
func (s scenario) run(t rapid.TB, virtual *VirtualClock, clock Clock) outcome {
	w := &watch{simulation: newSimulation(clock, s.config, s.seed), live: map[*PoolContainer]int{}}
	platform, err := NewWithBackend(clock, s.config, s.seed, w)
	if err != nil {
		t.Fatal(err)
	}
	w.platform = platform
	for _, c := range platform.stemCells {
		w.live[c] = c.memoryMB
	}
	name := func(i int) string { return fmt.Sprintf("f%d", i) }
	o := outcome{ends: map[string]int{}}
	for i := range s.memory {
		err := platform.Deploy(Function{Name: name(i), MemoryMB: s.memory[i], Handler: func(run *Run) {
			run.Sleep(s.sleep[i], func() {
				for _, next := range s.invokes[i] {
					id, err := run.Invoke(name(next), nil)
					if err != nil {
						t.Error(err)
					}
					o.ends[id] += 0
				}
				run.Finish()
			})
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	platform.OnEnd(func(a Activation) {
		o.records = append(o.records, a)
		o.ends[a.ID]++
	})
	for _, r := range s.requests {
		clock.AfterFunc(r.at, func() {
			id, err := platform.Invoke(name(r.function), nil, nil)
			if err != nil {
				t.Error(err)
			}
			o.ends[id] += 0
		})
	}
	if err := virtual.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := platform.Err(); err != nil {
		t.Error(err)
	}
	if n := len(platform.InFlight()); n > 0 {
		t.Errorf("%d activations are still in flight", n)
	}
	if sum, counted := w.memoryMB(), platform.memoryMB; sum != counted {
		t.Errorf("in the end containers use %d MiB, the platform counts %d", sum, counted)
	}
	for c := range w.live {
		if c.function != nil {
			t.Errorf("container %d of %s outlived its idle timeout", c.id, c.function.Name)
		}
	}
	o.begun, o.errs = w.begun, w.errs
	return o
}

// lateClock is a clock whose timers are always stopped too late, as can happen in real time.
type lateClock struct{ Clock }

func (c lateClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.Clock.AfterFunc(d, f)
	return func() bool { return false }
}

// TestPlatformProperties checks properties of random scenarios.
func TestPlatformProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := scenarios.Draw(t, "scenario")
		clock := NewVirtualClock(epoch)
		o := s.run(t, clock, clock)
		for _, err := range o.errs {
			t.Error(err)
		}
		for _, id := range slices.Sorted(maps.Keys(o.ends)) {
			if o.ends[id] != 1 {
				t.Errorf("activation %s ended %d times", id, o.ends[id])
			}
		}
		checkTimes(t, o.records)
		checkContainers(t, o.records)
		for i := 1; i < len(o.begun); i++ {
			if before, after := o.begun[i-1], o.begun[i]; before.arrival.After(after.arrival) {
				t.Errorf("%v arrived before %v, and was given its container later", after, before)
			}
		}
		clock = NewVirtualClock(epoch)
		if again := s.run(t, clock, clock); !slices.Equal(o.records, again.records) {
			t.Error("the same seed gave other records")
		}
		clock = NewVirtualClock(epoch)
		if late := s.run(t, clock, lateClock{clock}); !slices.Equal(o.records, late.records) {
			t.Error("timers that fire although they were stopped change the records")
		}
	})
}

// checkTimes checks the relations between the times of each record.
func checkTimes(t rapid.TB, records []Activation) {
	t.Helper()
	for _, a := range records {
		switch {
		case a.Arrival().Add(a.WaitTime) != a.Start || a.Start.Add(a.Duration) != a.End:
			t.Errorf("the times do not add up: %+v", a)
		case a.WaitTime < 0 || a.InitTime < 0 || a.Duration < a.InitTime:
			t.Errorf("a time is negative, or /init is not in the duration: %+v", a)
		case a.Cold() != (a.InitTime > 0):
			t.Errorf("cold without initTime, or warm with one: %+v", a)
		}
		for _, at := range []time.Time{a.Arrival(), a.Start, a.End} {
			if at.Nanosecond()%int(time.Millisecond) != 0 {
				t.Errorf("a time is no whole millisecond: %+v", a)
			}
		}
	}
}

// checkContainers checks that the runs in each container do not overlap and are of one function, and that exactly the first is cold.
func checkContainers(t rapid.TB, records []Activation) {
	t.Helper()
	byContainer := map[int][]Activation{}
	for _, a := range records {
		byContainer[a.Container] = append(byContainer[a.Container], a)
	}
	for c, runs := range byContainer {
		slices.SortStableFunc(runs, func(a, b Activation) int { return cmp.Or(a.Start.Compare(b.Start), a.End.Compare(b.End)) })
		for i, a := range runs {
			if a.Cold() != (i == 0) {
				t.Errorf("run %d in container %d: cold is %t", i, c, a.Cold())
			}
			if i > 0 && a.Start.Before(runs[i-1].End) {
				t.Errorf("container %d runs %+v and %+v at once", c, runs[i-1], a)
			}
			if a.Name != runs[0].Name {
				t.Errorf("container %d runs %s and %s", c, runs[0].Name, a.Name)
			}
		}
	}
}
