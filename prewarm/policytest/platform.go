package policytest

import (
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tppfaas/tppfaas/prewarm"
)

// What happens at the same time happens in this order.
const (
	ofPlatform     = iota // starts, ends, placements
	ofScript              // what the test does, and invocations
	ofTimeouts            // removals of containers whose time has passed
	ofWakes               // what the policy has asked for
	ofExpectations        // what the test expects
)

// platform carries out the decisions of a policy in a time of its own, in which nothing is random.
type platform struct {
	test   *Test
	fleet  *prewarm.Fleet
	policy prewarm.Policy
	now    prewarm.Time
	agenda agenda
	made   uint64 // entries of agenda so far
	atOnce int    // of them that were at now

	pending    []prewarm.Event // that the policy has not been told of
	handling   bool
	containers []*container // that exist, in the order of their numbers
	lastID     prewarm.ID   // of containers, invocations and traces
	queue      []*invocation
	functions  []state
	wakes      map[uint64]int // how often a key was asked for
	log        []happening
	err        error
}

// state is what the platform knows of a function besides its containers.
type state struct {
	queue    []*invocation // in front of its replicas
	cpu      float64       // cores that its containers use
	cpuAt    prewarm.Time  // until when that is in the fleet
	rate     int           // changes of its rate
	inFlight []*invocation // that do not end by themselves
	idleFor  prewarm.Time  // time of containers idle, in all
	startFor prewarm.Time  // time of containers starting, in all
	replicas int           // that are wanted
	start    prewarm.Time  // of a container, now
}

type container struct {
	id       prewarm.ID
	function int
	since    prewarm.Time
	lastRun  prewarm.Time
	idle     bool
	ready    bool
	running  []*invocation
	waiting  *invocation // for its start
	rank     float64
	timer    int // changes of its timeout
	draining bool
	gone     bool
}

type invocation struct {
	id, trace, parent prewarm.ID
	call              *call
	arrived           prewarm.Time
	container         *container
	request           *request
	dropped           bool
}

// request is complete when no invocation of it is left.
type request struct {
	arrived prewarm.Time
	left    int
}

// happening is something that expectations are compared with.
type happening struct {
	at       prewarm.Time
	what     string
	function int
	n        float64
}

func newPlatform(t *Test, fleet *prewarm.Fleet, pol prewarm.Policy) *platform {
	p := &platform{test: t, fleet: fleet, policy: pol, functions: make([]state, len(t.functions)), wakes: map[uint64]int{}}
	for i, f := range t.functions {
		p.functions[i].start = f.start
	}
	p.at(0, ofPlatform, func() {
		p.emit(prewarm.Event{Kind: prewarm.Woken})
		for i, f := range t.functions {
			if f.replicas < 0 {
				continue
			}
			p.functions[i].replicas = f.replicas
			for range f.replicas {
				p.ready(p.create(i, prewarm.ByPlatform))
			}
		}
	})
	return p
}

// happened notes something that expectations are compared with.
func (p *platform) happened(what string, function int, n float64) {
	p.log = append(p.log, happening{p.now, what, function, n})
}

// run lets everything happen until the last step of the test.
func (p *platform) run() error {
	var last prewarm.Time
	for _, s := range p.test.steps {
		last = max(last, s.at)
	}
	for p.err == nil && len(p.agenda) > 0 && p.agenda[0].at <= last {
		e := heap.Pop(&p.agenda).(entry)
		if e.at > p.now {
			p.now, p.atOnce = e.at, 0
		}
		if p.atOnce++; p.atOnce > mostAtOnce {
			return fmt.Errorf("at %s: more than %d things happen at the same time", format(p.now), mostAtOnce)
		}
		e.do()
		p.drain()
	}
	return p.err
}

// mostAtOnce is how much may happen at the same time: more of it would never end.
const mostAtOnce = 100000

// emit tells the policy of an event, once the one that it is being told of is done with.
func (p *platform) emit(e prewarm.Event) {
	e.At = p.now
	p.pending = append(p.pending, e)
}

// drain tells the policy of all events, and carries out what it decides.
func (p *platform) drain() {
	if p.handling {
		return
	}
	p.handling = true
	defer func() { p.handling = false }()
	var d prewarm.Decisions
	for len(p.pending) > 0 && p.err == nil {
		e := p.pending[0]
		p.pending = p.pending[1:]
		if !p.fleet.Platform.Arrivals && (e.Kind == prewarm.Arrived || e.Kind == prewarm.Placed) {
			continue
		}
		if err := p.fleet.Apply(&e); err != nil {
			p.err = fmt.Errorf("at %s: %w", format(p.now), err)
			return
		}
		p.measureCPU()
		d.Reset()
		p.policy.Handle(&e, p.fleet, &d)
		for _, decision := range d.List {
			p.carryOut(decision)
		}
	}
}

// measureCPU counts the processor time until now: of each function, and in equal parts of those of its containers that are ready.
func (p *platform) measureCPU() {
	for i := range p.functions {
		s := &p.functions[i]
		used := s.cpu * float64(p.now-s.cpuAt)
		s.cpuAt = p.now
		if used == 0 {
			continue
		}
		p.fleet.Loads[i].CPU += prewarm.Time(math.Round(used))
		var ready []*prewarm.Container
		for _, c := range p.containers {
			if known := p.fleet.Container(c.id); c.function == i && c.ready && known != nil {
				ready = append(ready, known)
			}
		}
		for _, c := range ready {
			c.CPU += prewarm.Time(math.Round(used / float64(len(ready))))
		}
	}
}

func (p *platform) carryOut(d prewarm.Decision) {
	can := &p.fleet.Platform
	c := p.container(d.Container)
	switch d.Action {
	case prewarm.StartContainers:
		if !can.Warm || d.Function < 0 || d.Function >= len(p.functions) {
			return
		}
		start := p.functions[d.Function].start
		if c != nil && c.idle && p.test.functions[c.function].stock {
			p.remove(c, prewarm.ByPlatform)
			start = p.test.functions[d.Function].init
		}
		for range d.N {
			if !p.fits(d.Function) {
				p.happened("no room", d.Function, 1)
				continue
			}
			p.startForNobody(d.Function, start)
		}
	case prewarm.HoldContainer:
		if c != nil && c.idle && can.Hold {
			p.timeout(c, d.Until, prewarm.ByPolicy)
		}
	case prewarm.GiveBackContainer:
		if c != nil && c.idle && can.GiveBack {
			p.remove(c, prewarm.ByPolicy)
			p.serveQueue()
		}
	case prewarm.WakePolicy:
		p.wake(d.Until, d.Key)
	case prewarm.ScaleFunction:
		if d.Function < 0 || d.Function >= len(p.functions) {
			return
		}
		p.happened("scale", d.Function, float64(d.N))
		p.scale(d.Function, d.N)
	case prewarm.RankContainer:
		if c != nil {
			c.rank = d.Rank
			p.happened("rank", c.function, d.Rank)
		}
	}
}

// wake plans a Woken.
func (p *platform) wake(at prewarm.Time, key uint64) {
	p.wakes[key]++
	n := p.wakes[key]
	if at == prewarm.Never {
		return
	}
	p.at(max(at, p.now), ofWakes, func() {
		if p.wakes[key] != n {
			return
		}
		p.happened("wake", -1, float64(key))
		p.emit(prewarm.Event{Kind: prewarm.Woken, Key: key})
	})
}

// arrive lets an invocation arrive.
func (p *platform) arrive(c *call, parent *invocation) *invocation {
	p.lastID++
	i := &invocation{id: p.lastID, call: c, arrived: p.now}
	if parent != nil {
		i.parent, i.trace, i.request = parent.id, parent.trace, parent.request
	} else {
		p.lastID++
		i.trace, i.request = p.lastID, &request{arrived: p.now}
	}
	i.request.left++
	p.happened("arrive", c.function, 1)
	p.emit(prewarm.Event{Kind: prewarm.Arrived, Function: c.function, Trace: i.trace, Invocation: i.id, Parent: i.parent})
	p.at(p.now+p.test.dispatch, ofPlatform, func() { p.dispatch(i) })
	return i
}

// dispatch gives an invocation that has reached the pool its container, or lets it wait.
func (p *platform) dispatch(i *invocation) {
	s := &p.functions[i.call.function]
	f := &p.test.functions[i.call.function]
	switch {
	case i.dropped:
	case f.replicas >= 0:
		if p.toReplica(i) {
			return
		}
		if f.refuse {
			p.happened("refused", i.call.function, 1)
			p.emit(prewarm.Event{Kind: prewarm.Refused, Function: i.call.function, Trace: i.trace, Invocation: i.id, Parent: i.parent})
			p.leave(i.request)
			return
		}
		s.queue = append(s.queue, i)
	case len(p.queue) > 0 || !p.place(i):
		p.queue = append(p.queue, i)
		p.pressure()
	}
}

func (p *platform) pressure() {
	p.emit(prewarm.Event{Kind: prewarm.Pressure, Queue: len(p.queue)})
}

// place gives an invocation a container: the idle one that was used last, one that is starting, or a new one, for which others are evicted.
func (p *platform) place(i *invocation) bool {
	f := i.call.function
	var best *container
	for _, c := range p.containers {
		if c.function == f && c.ready && (c.idle || len(c.running) > 0 && len(c.running) < p.slots(f)) && (best == nil || c.since >= best.since) {
			best = c
		}
	}
	if best != nil {
		p.assign(i, best, prewarm.Warm)
		return true
	}
	if p.fleet.Platform.Late == prewarm.TakesStarting {
		for _, c := range p.containers {
			if c.function == f && !c.ready && c.waiting == nil {
				p.assign(i, c, prewarm.Late)
				return true
			}
		}
	}
	start := p.functions[f].start
	if stem := p.stock(f); stem != nil {
		p.remove(stem, prewarm.ByPlatform)
		start = p.test.functions[f].init
	} else if !p.fits(f) && !p.evict(f) {
		return false
	}
	c := p.newContainer(f)
	p.assign(i, c, prewarm.Cold)
	p.at(p.now+start, ofPlatform, func() { p.ready(c) })
	return true
}

// stock returns the container without a function that one of f can be made of, nil if there is none: the one that was created first.
func (p *platform) stock(f int) *container {
	for _, c := range p.containers {
		s := &p.test.functions[c.function]
		if s.stock && c.idle && s.Kind == p.test.functions[f].Kind && s.MemoryMB == p.test.functions[f].MemoryMB {
			return c
		}
	}
	return nil
}

// evict makes room for a container of f: of the idle containers those with the lowest rank are removed first, of these those whose last run
// began first. It removes none if all of them are not enough.
func (p *platform) evict(f int) bool {
	var idle []*container
	room := p.fleet.Platform.MemoryMB - p.usedMB()
	for _, c := range p.containers {
		if c.idle && !p.test.functions[c.function].stock {
			idle = append(idle, c)
			room += p.test.functions[c.function].MemoryMB
		}
	}
	if room < p.test.functions[f].MemoryMB {
		return false
	}
	slices.SortStableFunc(idle, func(a, b *container) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.lastRun, b.lastRun))
	})
	for _, c := range idle {
		if p.fits(f) {
			break
		}
		p.remove(c, prewarm.ByEviction)
	}
	return true
}

func (p *platform) usedMB() int {
	mb := 0
	for _, c := range p.containers {
		mb += p.test.functions[c.function].MemoryMB
	}
	return mb
}

// fits reports whether there is room for one more container of a function.
func (p *platform) fits(f int) bool {
	limit := p.fleet.Platform.MemoryMB
	return limit == 0 || p.usedMB()+p.test.functions[f].MemoryMB <= limit
}

// slots is the number of invocations that a container runs at once.
func (p *platform) slots(f int) int { return max(p.test.functions[f].Concurrency, 1) }

func (p *platform) newContainer(f int) *container {
	p.lastID++
	c := &container{id: p.lastID, function: f, since: p.now, lastRun: p.now}
	p.containers = append(p.containers, c)
	return c
}

// create begins the creation of a container for nobody.
func (p *platform) create(f int, by prewarm.By) *container {
	c := p.newContainer(f)
	p.happened("start", f, 1)
	p.emit(prewarm.Event{Kind: prewarm.Starting, Function: f, Container: c.id, By: by})
	return c
}

// startForNobody begins the creation of a container at the policy's wish, which takes a time.
func (p *platform) startForNobody(f int, start prewarm.Time) {
	c := p.create(f, prewarm.ByPolicy)
	p.at(p.now+start, ofPlatform, func() { p.ready(c) })
}

// ready is the end of a container's start.
func (p *platform) ready(c *container) {
	if c.gone {
		return
	}
	p.functions[c.function].startFor += p.now - c.since
	c.ready = true
	if i := c.waiting; i != nil {
		c.waiting = nil
		c.since = p.now
		p.begin(i, p.test.functions[c.function].init)
		return
	}
	p.becomeIdle(c)
}

// becomeIdle is what happens to a container that has nothing to do.
func (p *platform) becomeIdle(c *container) {
	if c.gone || len(c.running) > 0 {
		return
	}
	c.idle, c.since = true, p.now
	p.emit(prewarm.Event{Kind: prewarm.Idle, Function: c.function, Container: c.id})
	if c.draining {
		p.remove(c, prewarm.ByPolicy)
		return
	}
	if p.test.functions[c.function].replicas >= 0 {
		p.serveReplicas(c.function)
	} else if !p.test.functions[c.function].stock {
		p.timeout(c, later(p.now, p.fleet.Platform.IdleTimeout), prewarm.ByPlatform)
	}
	p.serveQueue()
}

// timeout removes a container at a time if it is idle until then.
func (p *platform) timeout(c *container, at prewarm.Time, by prewarm.By) {
	c.timer++
	n := c.timer
	if at == prewarm.Never {
		return
	}
	p.at(max(at, p.now), ofTimeouts, func() {
		if c.timer == n && c.idle && !c.gone {
			p.remove(c, by)
			p.serveQueue()
		}
	})
}

// remove removes a container that runs nothing.
func (p *platform) remove(c *container, by prewarm.By) {
	if c.idle {
		p.functions[c.function].idleFor += p.now - c.since
	} else if !c.ready {
		p.functions[c.function].startFor += p.now - c.since
	}
	c.gone, c.idle = true, false
	p.containers = slices.DeleteFunc(p.containers, func(d *container) bool { return d == c })
	what := "removed"
	if by == prewarm.ByEviction {
		what = "evicted"
	}
	p.happened(what, c.function, 1)
	p.emit(prewarm.Event{Kind: prewarm.Removed, Function: c.function, Container: c.id, By: by})
}

// serveQueue places what waits for memory, in its order.
func (p *platform) serveQueue() {
	n := len(p.queue)
	for len(p.queue) > 0 && p.place(p.queue[0]) {
		p.queue = p.queue[1:]
	}
	if len(p.queue) != n {
		p.pressure()
	}
}

// assign gives an invocation to a container.
func (p *platform) assign(i *invocation, c *container, start prewarm.Start) {
	i.container = c
	if c.idle {
		p.functions[c.function].idleFor += p.now - c.since
	}
	c.idle, c.lastRun = false, p.now
	c.timer++
	p.happened(start.String(), c.function, 1)
	p.emit(prewarm.Event{
		Kind: prewarm.Placed, Function: c.function, Container: c.id, Start: start,
		Trace: i.trace, Invocation: i.id, Parent: i.parent,
	})
	if start == prewarm.Warm {
		p.begin(i, 0)
		return
	}
	c.waiting = i
}

// begin is the start of a run, for which its container was initialised for a time.
func (p *platform) begin(i *invocation, init prewarm.Time) {
	c := i.container
	c.running = append(c.running, i)
	c.since = p.now
	e := prewarm.Event{
		Kind: prewarm.Started, Function: c.function, Container: c.id, Wait: p.now - i.arrived, Init: min(init, p.now-i.arrived),
		Trace: i.trace, Invocation: i.id, Parent: i.parent,
	}
	p.happened("run", c.function, e.Wait.Seconds())
	p.emit(e)
	i.request.left += len(i.call.children)
	for _, child := range i.call.children {
		if child.at >= 0 {
			p.at(p.now+child.at, ofScript, func() { p.send(child, i) })
		}
	}
	if i.call.run >= 0 {
		p.at(p.now+i.call.run, ofPlatform, func() { p.end(i) })
	}
}

// send lets an invocation that was counted as left before arrive.
func (p *platform) send(child *call, parent *invocation) {
	p.arrive(child, parent)
	parent.request.left--
}

// end is the end of a run.
func (p *platform) end(i *invocation) {
	c := i.container
	c.running = slices.DeleteFunc(c.running, func(j *invocation) bool { return j == i })
	p.happened("end", c.function, 1)
	p.emit(prewarm.Event{Kind: prewarm.Ended, Function: c.function, Container: c.id, Trace: i.trace, Invocation: i.id, Parent: i.parent})
	for _, child := range i.call.children {
		if child.at < 0 {
			p.at(p.now, ofScript, func() { p.send(child, i) })
		}
	}
	p.leave(i.request)
	if len(c.running) == 0 {
		c.since = p.now
		p.at(p.now+p.test.returning, ofPlatform, func() { p.becomeIdle(c) })
	}
	p.serveReplicas(c.function)
}

// leave counts an invocation of a request that is over.
func (p *platform) leave(r *request) {
	if r.left--; r.left == 0 {
		p.happened("done", -1, (p.now - r.arrived).Seconds())
	}
}

func (p *platform) container(id prewarm.ID) *container {
	i, found := slices.BinarySearchFunc(p.containers, id, func(c *container, id prewarm.ID) int { return cmp.Compare(c.id, id) })
	if !found {
		return nil
	}
	return p.containers[i]
}

// entry is something that will happen.
type entry struct {
	at    prewarm.Time
	order int
	made  uint64
	do    func()
}

// agenda is a heap of what will happen.
type agenda []entry

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(a[i].at, a[j].at), cmp.Compare(a[i].order, a[j].order), cmp.Compare(a[i].made, a[j].made)) < 0
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(entry)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = entry{}
	*a = (*a)[:last]
	return e
}

// at plans something.
func (p *platform) at(t prewarm.Time, order int, do func()) {
	p.made++
	heap.Push(&p.agenda, entry{t, order, p.made, do})
}

// format returns a time in seconds.
func format(t prewarm.Time) string { return strconv.FormatFloat(t.Seconds(), 'f', -1, 64) }

// later returns the time that is d after t, Never if d is.
func later(t, d prewarm.Time) prewarm.Time {
	if d == prewarm.Never {
		return d
	}
	return t + d
}
