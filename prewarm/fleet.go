package prewarm

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/idmap"
)

// State is what a container is doing.
type State uint8

const (
	// StateStarting: it is being created or initialised.
	StateStarting State = iota
	// StateIdle: it waits for an invocation.
	StateIdle
	// StateBusy: it has been given an invocation which has not ended; it may have been started for it.
	StateBusy
	// StateReturning: its last run has ended, and it is not idle yet.
	StateReturning
	states
)

// String returns the state in lower case.
func (s State) String() string {
	return [...]string{"starting", "idle", "busy", "returning"}[s]
}

// Container is what a fleet knows about a container. It belongs to the fleet, which changes it; it is valid until the container is removed.
type Container struct {
	ID       ID
	Function int
	State    State
	// Since is when the state began; of a container that was started for an invocation also after the run has started.
	Since Time
	// Asked is when its creation began, and Load how many other containers were being created then.
	Asked Time
	Load  int
	// Ready says that it has been initialised.
	Ready bool
	// Assigned is the number of invocations that it has been given and that have not ended.
	Assigned int
	// For is the invocation that it was given last, 0 if there was none.
	For ID
	// By is at whose wish it was started: ByPolicy, ByPlatform, and of one that was created for an invocation ByPlatform.
	By By
	// Uses is the number of invocations that it has been given.
	Uses int
	// LastRun is when it was given the last one, or else when its creation began.
	LastRun Time
	// Leaving says that it takes no more invocations.
	Leaving bool
	// CPU is the processor time that it has used. Whoever runs the policy sets it, where it is known.
	CPU time.Duration

	cold    bool // it is created for an invocation
	running int  // invocations whose run has started and has not ended
	place   int  // in the list of its function and state
}

// FunctionLoad counts the invocations of a function since the beginning. Policies that scale by load take differences.
type FunctionLoad struct {
	// Arrived, Started, Ended and Refused count events of that kind; Failed is the part of Ended that has failed.
	Arrived, Started, Ended, Refused, Failed uint64
	// Waiting is the number of invocations that have arrived and have been neither placed nor refused.
	Waiting int
	// Running is the number of invocations whose run has started and has not ended.
	Running int
	// CPU is the processor time that its containers have used. Whoever runs the policy sets it, where it is known.
	CPU time.Duration
	// Queued is the number of messages in the asynchronous queue in front of the function. Whoever runs the policy sets it.
	Queued int
	// ColdStarts and LateStarts count the invocations that were placed so.
	ColdStarts, LateStarts uint64
}

// InFlight returns the number of invocations that have arrived and not ended.
func (l *FunctionLoad) InFlight() int { return int(l.Arrived - l.Ended - l.Refused) }

// Fleet is the view of a platform's containers that policies decide by. It is kept up to date by Apply, so that any platform can fill it which
// can say what happens. All methods but Apply only read.
type Fleet struct {
	// Now is the time of the last event.
	Now Time
	// Platform does not change, and Functions only by AddFunction.
	Platform  Platform
	Functions []Function
	// Loads are by function.
	Loads []FunctionLoad
	// Starts are the start times that were measured.
	Starts *StartTimes
	// Queue is the number of invocations that wait because memory is full.
	Queue int
	// UsedMB is the memory of all containers, in MiB.
	UsedMB int

	containers idmap.Map[ID, *Container]
	lists      [][states]containerList // by function
	creating   int
	cold       int // of creating, those for an invocation
	unused     []*Container
	names      map[string]bool // of the functions
}

// mostUnused is how many containers that were removed are kept, to be used again for others.
const mostUnused = 1 << 14

// NewFleet returns a fleet without containers. An error names a function without a name or with memory that is not positive, or a name that
// two have.
func NewFleet(platform Platform, functions []Function) (*Fleet, error) {
	names, err := checkFunctions(functions)
	if err != nil {
		return nil, err
	}
	return &Fleet{
		Platform: platform, Functions: slices.Clip(functions), names: names, Loads: make([]FunctionLoad, len(functions)), Starts: NewStartTimes(len(functions)),
		lists: make([][states]containerList, len(functions)),
	}, nil
}

// checkFunctions returns an error for a function without a name, with memory that is not positive, or with the name of another.
func checkFunctions(functions []Function) (names map[string]bool, err error) {
	names = map[string]bool{}
	for i := range functions {
		if err := checkFunction(i, &functions[i], names); err != nil {
			return nil, err
		}
		names[functions[i].Name] = true
	}
	return names, nil
}

// checkFunction returns what is wrong with the i-th function, beside others of which the names are given.
func checkFunction(i int, f *Function, names map[string]bool) error {
	switch {
	case f.Name == "":
		return fmt.Errorf("prewarm: function %d has no name", i)
	case f.MemoryMB <= 0:
		return fmt.Errorf("prewarm: function %s: memory is %d MiB, must be positive", f.Name, f.MemoryMB)
	case names[f.Name]:
		return fmt.Errorf("prewarm: there are two functions %s", f.Name)
	}
	return nil
}

// AddFunction adds a function of which nothing was known when the fleet was made, and returns its index. An error is as of NewFleet.
func (f *Fleet) AddFunction(function Function) (int, error) {
	if err := checkFunction(len(f.Functions), &function, f.names); err != nil {
		return 0, err
	}
	f.names[function.Name] = true
	f.Functions = append(f.Functions, function)
	f.Loads = append(f.Loads, FunctionLoad{})
	f.lists = append(f.lists, [states]containerList{})
	f.Starts.Grow(len(f.Functions))
	return len(f.Functions) - 1, nil
}

// Forget forgets the start times that were measured of a function, whose code is new.
func (f *Fleet) Forget(function int) { f.Starts.Forget(function) }

// Containers returns the containers of a function in a state, in the order in which they entered it. The slice is valid until the next
// Apply.
func (f *Fleet) Containers(function int, s State) []*Container {
	l := &f.lists[function][s]
	l.compact()
	return l.containers
}

// Container returns the container with the number, nil if there is none.
func (f *Fleet) Container(id ID) *Container {
	c, _ := f.containers.Get(id)
	return c
}

// Count returns the number of containers of a function, in all states.
func (f *Fleet) Count(function int) int {
	n := 0
	for s := range f.lists[function] {
		n += f.lists[function][s].len()
	}
	return n
}

// StartingForNobody returns the number of containers of a function that are being started and have not been given an invocation.
func (f *Fleet) StartingForNobody(function int) int { return f.lists[function][StateStarting].len() }

// Creating returns the number of containers of all functions that are being created or initialised, for invocations or for nobody.
func (f *Fleet) Creating() int { return f.creating }

// CreatingCold returns how many of them were asked for by an invocation that found no container.
func (f *Fleet) CreatingCold() int { return f.cold }

// Apply updates the fleet with an event. An event that contradicts what is known, such as the end of a run in a container that runs nothing, is an
// error, and changes nothing but Now. Of a platform without Platform.Arrivals, Started stands for Placed too, and its container may be one
// that the fleet does not know.
func (f *Fleet) Apply(e *Event) error {
	if e.At > f.Now {
		f.Now = e.At
	}
	if e.Kind == Pressure {
		f.Queue = e.Queue
		return nil
	}
	if e.Kind == Woken {
		return nil
	}
	if e.Function < 0 || e.Function >= len(f.Functions) {
		return fmt.Errorf("prewarm: %v: there is no function %d", e.Kind, e.Function)
	}
	load := &f.Loads[e.Function]
	c := f.Container(e.Container)
	if c != nil && c.Function != e.Function {
		return fmt.Errorf("prewarm: %v: container %d is of %s, not of %s", e.Kind, c.ID, f.Functions[c.Function].Name, f.Functions[e.Function].Name)
	}
	switch e.Kind {
	case Arrived:
		load.Arrived++
		load.Waiting++
	case Refused:
		load.Refused++
		load.Waiting = max(load.Waiting-1, 0)
	case Starting:
		if c != nil {
			return fmt.Errorf("prewarm: container %d is started a second time", c.ID)
		}
		c, err := f.add(e)
		if err != nil {
			return err
		}
		c.By = e.By
	case Placed:
		return f.place(e, c)
	case Started:
		if !f.Platform.Arrivals {
			placed := *e
			placed.Start = Warm
			if c == nil || !c.Ready {
				placed.Start = Cold
				if c != nil {
					placed.Start = Late
				}
			}
			load.Arrived++
			load.Waiting++
			if err := f.place(&placed, c); err != nil {
				return err
			}
			c = f.Container(e.Container)
		}
		if c == nil || c.State != StateBusy {
			return f.unexpected(e, c)
		}
		load.Started++
		load.Running++
		c.running++
		f.ready(c, e)
	case Ended:
		if c == nil || c.Assigned == 0 {
			return f.unexpected(e, c)
		}
		load.Ended++
		if e.Failed {
			load.Failed++
		}
		// An invocation whose container fails to start ends without a run.
		if c.running > 0 {
			c.running--
			load.Running--
		}
		if c.Assigned--; c.Assigned == 0 {
			f.move(c, StateReturning)
		}
	case Idle:
		if c == nil || c.State == StateBusy && c.Assigned > 0 {
			return f.unexpected(e, c)
		}
		f.ready(c, e)
		f.move(c, StateIdle)
	case Renewed:
		if c == nil || c.State != StateIdle {
			return f.unexpected(e, c)
		}
		f.move(c, StateIdle)
	case Displaced:
		if c == nil || c.Assigned <= c.running {
			return f.unexpected(e, c)
		}
		load.Waiting++
		switch e.Start {
		case Late:
			load.LateStarts--
		case Cold:
			load.ColdStarts--
		}
		c.Uses--
		if c.Assigned--; c.Assigned == 0 {
			if c.Ready {
				f.move(c, StateIdle)
			} else {
				f.move(c, StateStarting)
			}
		}
	case Leaving:
		if c == nil {
			return f.unexpected(e, c)
		}
		c.Leaving = true
	case Removed:
		if c == nil {
			return f.unexpected(e, c)
		}
		f.unlist(c)
		f.containers.Delete(c.ID)
		f.UsedMB -= f.Functions[c.Function].MemoryMB
		load.Running -= c.running
		if !c.Ready {
			f.created(c)
		}
		if len(f.unused) < mostUnused {
			f.unused = append(f.unused, c)
		}
	}
	return nil
}

// place applies Placed, by which c was given an invocation.
func (f *Fleet) place(e *Event, c *Container) error {
	load := &f.Loads[e.Function]
	switch {
	case e.Start == Cold && c == nil:
		var err error
		if c, err = f.add(e); err != nil {
			return err
		}
		c.By, c.cold = ByPlatform, true
		f.cold++
		load.ColdStarts++
	case e.Start == Cold && c != nil && !c.Ready && c.Uses == 0 && c.By == ByPlatform:
		load.ColdStarts++ // it was taken to be created for another, which is Displaced
	case e.Start == Cold || c == nil:
		return f.unexpected(e, c)
	case e.Start == Late && !c.Ready:
		load.LateStarts++
	case e.Start == Warm && c.Ready:
	default:
		return f.unexpected(e, c)
	}
	load.Waiting = max(load.Waiting-1, 0)
	c.Assigned++
	c.Uses++
	c.For, c.LastRun = e.Invocation, e.At
	if c.State != StateBusy {
		f.move(c, StateBusy)
	}
	return nil
}

// add adds a container that is being created.
func (f *Fleet) add(e *Event) (*Container, error) {
	if e.Container == 0 {
		return nil, errors.New("prewarm: a container without a number")
	}
	var c *Container
	if n := len(f.unused); n > 0 {
		c = f.unused[n-1]
		f.unused = f.unused[:n-1]
	} else {
		c = new(Container)
	}
	*c = Container{ID: e.Container, Function: e.Function, State: StateStarting, Since: e.At, Asked: e.At - e.Late, LastRun: e.At, Load: f.creating}
	f.containers.Set(c.ID, c)
	f.list(c)
	f.creating++
	f.UsedMB += f.Functions[c.Function].MemoryMB
	return c, nil
}

// ready notes that c has been initialised, as an event says.
func (f *Fleet) ready(c *Container, e *Event) {
	if c.Ready {
		return
	}
	c.Ready = true
	f.created(c)
	if d := f.Now - e.Late - c.Asked; d > 0 {
		f.Starts.Add(c.Function, c.Load, d)
	}
}

// created notes that c is not being created any more.
func (f *Fleet) created(c *Container) {
	f.creating--
	if c.cold {
		f.cold--
	}
}

func (f *Fleet) move(c *Container, s State) {
	f.unlist(c)
	c.State, c.Since = s, f.Now
	f.list(c)
}

func (f *Fleet) list(c *Container) { f.lists[c.Function][c.State].add(c) }

func (f *Fleet) unlist(c *Container) { f.lists[c.Function][c.State].remove(c) }

// containerList has the containers of a function in a state, in the order in which they entered it. Those that are removed leave nil behind, until
// that is half of the list or somebody reads it: of thousands that run, one after the other ends.
type containerList struct {
	containers []*Container
	holes      int
}

func (l *containerList) len() int { return len(l.containers) - l.holes }

func (l *containerList) add(c *Container) {
	c.place = len(l.containers)
	l.containers = append(l.containers, c)
}

func (l *containerList) remove(c *Container) {
	l.containers[c.place] = nil
	l.holes++
	for n := len(l.containers); n > 0 && l.containers[n-1] == nil; n-- {
		l.containers = l.containers[:n-1]
		l.holes--
	}
	if 2*l.holes > len(l.containers) {
		l.compact()
	}
}

// compact removes the holes.
func (l *containerList) compact() {
	if l.holes == 0 {
		return
	}
	kept := l.containers[:0]
	for _, c := range l.containers {
		if c != nil {
			c.place = len(kept)
			kept = append(kept, c)
		}
	}
	clear(l.containers[len(kept):])
	l.containers, l.holes = kept, 0
}

func (f *Fleet) unexpected(e *Event, c *Container) error {
	if c == nil {
		return fmt.Errorf("prewarm: %v: there is no container %d", e.Kind, e.Container)
	}
	return fmt.Errorf("prewarm: %v: container %d is %v", e.Kind, c.ID, c.State)
}
