package policytest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

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

func (p *platform) container(id prewarm.ID) *container {
	i, found := slices.BinarySearchFunc(p.containers, id, func(c *container, id prewarm.ID) int { return cmp.Compare(c.id, id) })
	if !found {
		return nil
	}
	return p.containers[i]
}
