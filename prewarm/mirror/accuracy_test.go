package mirror_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/seed"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// conditions are how a platform is observed.
type conditions struct {
	instances bool          // containers have ids
	calls     bool          // invocations have ids of their calls
	announced bool          // callers announce invocations
	delay     time.Duration // the longest of an observation
	lost      float64       // share of observations that never come
	twice     float64       // and of those that come twice
	skew      time.Duration // by which the clocks of functions are wrong at most
	warmups   bool          // every minute a container of some function is asked for
	takes     bool          // the platform lets invocations wait for containers that are being started
	restarts  bool          // every 97 s the mirror is one that is restored from a snapshot
	memoryMB  int           // of the platform, if it is not the usual one
}

// counts are the containers of a function: idle, busy or being created for an invocation, and starting for nobody.
type counts struct{ idle, busy, starting int }

// change is what a function has from a time on.
type change struct {
	at prewarm.Time
	n  counts
}

// agreement is how often the mirror's view is the platform's, looking once a second at every function.
type agreement struct {
	looks int
	// now counts looks at which both agree; late those at which the mirror has what the platform had at some time in the last 300 ms. Active are the
	// looks at functions that had a change in the last 10 s, and activeLate the part of them that agree so.
	now, late, active, activeLate int
	// idle is the sum of the true numbers of idle containers, tooMany and tooFew by how much the mirror's are above and below.
	idle, tooMany, tooFew int
	// starts is the largest difference of a function's mean start time that was measured from the true one, in percent.
	starts float64
	counts mirror.Counts
}

// share returns n in percent of a number.
func share(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

func (a agreement) String() string {
	return fmt.Sprintf("at once %.2f %%, late %.2f %%, late while something happens %.2f %%; idle containers %+.2f %% and −%.2f %%; start times ±%.1f %%; %+v",
		share(a.now, a.looks), share(a.late, a.looks), share(a.activeLate, a.active), share(a.tooMany, a.idle), share(a.tooFew, a.idle), a.starts, a.counts)
}

// observed is a platform in virtual time that is observed by a mirror.
type observed struct {
	*follower
	c        conditions
	clock    *localwhisk.VirtualClock
	platform *localwhisk.Platform
	truth    *prewarm.Fleet
	names    []string
	index    map[string]int
	random   *rand.Rand
	skews    []time.Duration
	history  [][]change
	used     map[int]bool // containers in which something has run, or that were warmed
	asked    map[int]*warmup
	result   agreement
}

type warmup struct {
	id prewarm.ID
	at time.Time
}

// call is an invocation of a request.
type call struct {
	o     *observed
	trace int
	calls []apps.Call
	index int
	run   *localwhisk.Run
	todo  []int
	from  int // the call that has made it, −1 if it is the root
	begun time.Time
}

// runObserved runs the requests of a workload and compares the mirror's view with the platform.
func runObserved(t *testing.T, app, load string, requests int, c conditions) agreement {
	t.Helper()
	w, err := lab.NewWorkload(app, load, lab.Options{Requests: requests})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := w.Plan(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	config := localwhisk.DefaultConfig()
	config.StemCells, config.TakesStarting = 0, c.takes
	config.MemoryMB = cmp.Or(c.memoryMB, config.MemoryMB)
	platform := prewarm.Platform{Warm: true, Arrivals: c.announced, IdleTimeout: config.IdleTimeout, MemoryMB: config.MemoryMB}
	if !c.takes {
		platform.Late = prewarm.OwnContainer
	}
	o := &observed{
		follower: follow(t, mirror.Options{Epoch: epoch, Platform: platform, Functions: w.Functions}),
		c:        c, clock: localwhisk.NewVirtualClock(epoch), index: map[string]int{}, random: rand.New(seed.Stream(1, "observed")),
		history: make([][]change, len(w.Functions)), used: map[int]bool{}, asked: map[int]*warmup{},
	}
	truth := platform
	truth.Arrivals = true
	if o.truth, err = prewarm.NewFleet(truth, w.Functions); err != nil {
		t.Fatal(err)
	}
	if o.platform, err = localwhisk.New(o.clock, config, 1); err != nil {
		t.Fatal(err)
	}
	for i, f := range w.Functions {
		o.names = append(o.names, f.Name)
		o.index[f.Name] = i
		o.skews = append(o.skews, time.Duration((2*o.random.Float64()-1)*float64(c.skew)))
		o.history[i] = []change{{}}
		err := o.platform.Deploy(localwhisk.Function{Name: f.Name, MemoryMB: f.MemoryMB, Handler: func(run *localwhisk.Run) { run.Params().(*call).handle(run) }})
		if err != nil {
			t.Fatal(err)
		}
	}
	o.platform.Watch(o.event)
	end := time.Duration(0)
	for i := range plan.Requests {
		r := &plan.Requests[i]
		end = r.At + 12*time.Minute
		o.clock.AfterFunc(r.At, func() {
			root := &call{o: o, trace: i, calls: r.Calls, from: -1}
			o.invoked(root)
			if _, err := o.platform.Invoke(o.names[r.Calls[0].Function], root, nil); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var look func()
	look = func() {
		o.look()
		if o.time() > end {
			cancel()
			return
		}
		o.clock.AfterFunc(time.Second, look)
	}
	o.clock.AfterFunc(10*time.Second+500*time.Millisecond, look)
	if c.warmups {
		var warm func()
		warm = func() {
			o.warm(o.random.IntN(len(o.names)))
			o.clock.AfterFunc(time.Minute, warm)
		}
		o.clock.AfterFunc(time.Minute, warm)
	}
	if c.restarts {
		var restart func()
		restart = func() {
			o.pass(o.time())
			o.restart()
			o.clock.AfterFunc(97*time.Second, restart)
		}
		o.clock.AfterFunc(97*time.Second, restart)
	}
	if err := o.clock.Run(ctx); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	o.quiet()
	for i := range o.names {
		if want := o.truth.Starts.Mean(i, 0, 0).Seconds(); want > 0 {
			o.result.starts = max(o.result.starts, 100*math.Abs(o.fleet.Starts.Mean(i, 0, 0).Seconds()/want-1))
		}
	}
	o.result.counts = o.m.Counts()
	return o.result
}

func (o *observed) time() prewarm.Time { return o.clock.Now().Sub(epoch) }

// handle is the code of every function.
func (c *call) handle(run *localwhisk.Run) {
	c.run, c.todo = run, c.calls[c.index].Invokes
	if sleep := c.calls[c.index].Sleep; sleep > 0 {
		run.Sleep(sleep, c.next)
	} else {
		c.next()
	}
}

func (c *call) next() {
	if len(c.todo) > 0 {
		successor := &call{o: c.o, trace: c.trace, calls: c.calls, index: c.todo[0], from: c.index}
		c.todo = c.todo[1:]
		c.o.invoked(successor)
		if _, err := c.run.Invoke(c.o.names[c.calls[successor.index].Function], successor); err != nil {
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

// observation returns what all observations of a call have.
func (c *call) observation(k source.Kind, by int) source.Observation {
	s := source.Observation{
		Kind: k, Function: c.o.names[c.calls[c.index].Function], Trace: "trace" + strconv.Itoa(c.trace), Wait: -1, Init: -1,
		Time: c.o.clock.Now().Add(c.o.skews[by]), Clock: c.o.names[by],
	}
	if k != source.Invoked {
		s.Span = "span" + strconv.Itoa(c.index)
	}
	if c.from >= 0 {
		s.ParentSpan = "span" + strconv.Itoa(c.from)
	}
	if c.o.c.calls {
		s.Call = "call" + strconv.Itoa(c.index)
		if c.from >= 0 {
			s.ParentCall = "call" + strconv.Itoa(c.from)
		}
	}
	return s
}

// invoked is the announcement of a call.
func (o *observed) invoked(c *call) {
	if o.c.announced {
		o.send(c.observation(source.Invoked, c.calls[max(c.from, 0)].Function))
	}
}

// send delivers an observation.
func (o *observed) send(s source.Observation) {
	if o.random.Float64() < o.c.lost {
		return
	}
	n := 1
	if o.random.Float64() < o.c.twice {
		n = 2
	}
	for range n {
		o.clock.AfterFunc(time.Duration(o.random.Float64()*float64(o.c.delay)), func() {
			if err := o.observe(o.time(), s); err != nil {
				o.t.Fatalf("%v", err)
			}
		})
	}
}

// warm asks for a container.
func (o *observed) warm(function int) {
	k, err := o.platform.StartContainer(o.names[function])
	if err != nil {
		return
	}
	o.now = o.time()
	ids, events := o.m.Warm(o.now, function, 1, nil)
	o.take(events)
	o.asked[k] = &warmup{id: ids[0], at: o.clock.Now()}
	o.used[k] = true
}

// event takes an event of the platform: to the true fleet, and to the mirror what is observed of it.
func (o *observed) event(ev localwhisk.Event) {
	c, _ := ev.Params.(*call)
	e := prewarm.Event{At: ev.At.Sub(epoch), Function: o.index[ev.Function], Container: prewarm.ID(ev.Container)}
	switch ev.Kind {
	case localwhisk.Arrived:
		e.Kind = prewarm.Arrived
	case localwhisk.Placed:
		e.Kind, e.Start = prewarm.Placed, map[localwhisk.StartKind]prewarm.Start{localwhisk.Cold: prewarm.Cold, localwhisk.Late: prewarm.Late}[ev.Start]
	case localwhisk.Started:
		e.Kind = prewarm.Started
		s := c.observation(source.Started, e.Function)
		c.begun = s.Time
		s.Temperature = source.Cold
		if o.used[ev.Container] {
			s.Temperature = source.Warm
		}
		o.used[ev.Container] = true
		if o.c.instances {
			s.Instance = "instance" + strconv.Itoa(ev.Container)
		}
		o.send(s)
	case localwhisk.Ended:
		e.Kind = prewarm.Ended
		s := c.observation(source.Ended, e.Function)
		s.Begin = c.begun
		if o.c.instances {
			s.Instance = "instance" + strconv.Itoa(ev.Container)
		}
		o.send(s)
	case localwhisk.Starting:
		e.Kind = prewarm.Starting
	case localwhisk.Idle:
		e.Kind = prewarm.Idle
		if w := o.asked[ev.Container]; w != nil {
			delete(o.asked, ev.Container)
			r := actuator.Result{Outcome: actuator.Created, Asked: w.at, Ready: ev.At}
			if o.c.instances {
				r.Instance = "instance" + strconv.Itoa(ev.Container)
			}
			o.clock.AfterFunc(50*time.Millisecond, func() {
				o.now = o.time()
				o.take(o.m.Warmed(o.now, w.id, r, nil))
			})
		}
	case localwhisk.Removed:
		e.Kind = prewarm.Removed
	default:
		return
	}
	if err := o.truth.Apply(&e); err != nil {
		o.t.Fatalf("%v", err)
	}
	n := countsOf(o.truth, e.Function)
	if h := o.history[e.Function]; h[len(h)-1].n != n {
		o.history[e.Function] = append(h, change{at: e.At, n: n})
	}
}

func countsOf(f *prewarm.Fleet, function int) counts {
	return counts{
		idle:     len(f.Containers(function, prewarm.StateIdle)),
		busy:     len(f.Containers(function, prewarm.StateBusy)) + len(f.Containers(function, prewarm.StateReturning)),
		starting: len(f.Containers(function, prewarm.StateStarting)),
	}
}

// look compares.
func (o *observed) look() {
	now := o.time()
	o.pass(now)
	r := &o.result
	for i := range o.names {
		r.looks++
		got, h := countsOf(o.fleet, i), o.history[i]
		last := len(h) - 1
		r.idle += h[last].n.idle
		r.tooMany += max(got.idle-h[last].n.idle, 0)
		r.tooFew += max(h[last].n.idle-got.idle, 0)
		if h[last].n == got {
			r.now++
		}
		late := false
		for j := last; j >= 0; j-- {
			if late = late || h[j].n == got; late || h[j].at < now-300*time.Millisecond {
				break
			}
		}
		if late {
			r.late++
		}
		if h[last].at > now-10*time.Second {
			r.active++
			if late {
				r.activeLate++
			}
		}
	}
}

// TestAccuracy compares a mirror's view of containers with the platform in virtual time. The shares are those that were measured, rounded down; in
// percent of all looks.
func TestAccuracy(t *testing.T) {
	if testing.Short() {
		t.Skip("much work in one goroutine")
	}
	base := conditions{calls: true, announced: true, delay: 200 * time.Millisecond}
	with := func(change func(c *conditions)) conditions {
		c := base
		change(&c)
		return c
	}
	lossy := func(c *conditions) { c.lost, c.twice = 0.01, 0.01 }
	for _, test := range []struct {
		name string
		c    conditions
		// atOnce and late are the least shares of looks at which the mirror's view is the platform's, and the platform's of at most 300 ms ago. wrong is the
		// most that its idle containers are too many or too few, in percent of the true number.
		atOnce, late, wrong float64
	}{
		{"instances", with(func(c *conditions) { c.instances = true }), 99.5, 99.99, 0.3},
		{"no instances", base, 99.5, 99.99, 0.3},
		{"clocks that are wrong by up to 5 s", with(func(c *conditions) { c.instances, c.skew = true, 5*time.Second }), 99.5, 99.99, 0.3},
		{"clocks that are wrong, no instances", with(func(c *conditions) { c.skew = 5 * time.Second }), 99.5, 99.9, 0.3},
		{"loss, instances", with(func(c *conditions) { lossy(c); c.instances = true }), 98.3, 98.7, 1.5},
		{"loss, no instances", with(lossy), 96.2, 96.6, 2.0},
		{"loss, no ids of calls, no instances", with(func(c *conditions) { lossy(c); c.calls = false }), 96.2, 96.6, 2.0},
		{"warm-ups, loss, instances", with(func(c *conditions) { lossy(c); c.instances, c.warmups = true, true }), 98.6, 99.0, 0.6},
		{"warm-ups, no instances", with(func(c *conditions) { c.warmups = true }), 98.3, 98.6, 0.8},
		{"warm-ups that invocations wait for", with(func(c *conditions) { c.warmups, c.takes = true, true }), 98.3, 98.6, 0.8},
		{"evictions, instances", with(func(c *conditions) { c.instances, c.memoryMB = true, 10*256 }), 98.0, 98.4, 1.8},
		{"evictions, no instances", with(func(c *conditions) { c.memoryMB = 10 * 256 }), 98.0, 98.4, 1.8},
		{"restarts, warm-ups, instances", with(func(c *conditions) { c.instances, c.warmups, c.restarts = true, true, true }), 99.5, 99.8, 0.3},
		{"restarts, no instances", with(func(c *conditions) { c.restarts = true }), 99.5, 99.9, 0.3},
		{"starts only, instances", with(func(c *conditions) { c.announced, c.instances = false, true }), 99.4, 99.9, 0.3},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, app := range []string{"tree_small", "checkout"} {
				for _, load := range []string{"poisson:30", "poisson:1200"} {
					a := runObserved(t, app, load, 200, test.c)
					t.Logf("%s %s: %v", app, load, a)
					if share(a.now, a.looks) < test.atOnce || share(a.late, a.looks) < test.late || share(a.tooMany, a.idle) > test.wrong || share(a.tooFew, a.idle) > test.wrong {
						t.Errorf("%s %s: want %.2f %%, %.2f %%, %.2f %%; got %v", app, load, test.atOnce, test.late, test.wrong, a)
					}
					// A caller whose container is cold announces a call up to 0.2 s before it arrives, which counts as a part of the start. With frequent requests there
					// are too few starts to compare their mean.
					if load == "poisson:1200" && test.c.announced && a.starts > 12 {
						t.Errorf("%s %s: start times differ by %.1f %%", app, load, a.starts)
					}
				}
			}
		})
	}
}
