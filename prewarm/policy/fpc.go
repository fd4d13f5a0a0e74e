package policy

import (
	"math"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

func init() {
	Register(Kind{
		Name: "fpc", Form: "fpc[:keep=N][:promotion=yes][:OPTION=VALUE]...",
		Help: "OpenWhisk's newer scheduler: containers by the length and the age of a function's queue; options keep (N containers of each function, 0) for keeping (600 s), idle, grace, stale, promotion, and those of openwhisk's stem cells",
		New: func(a *Args, o Options) (prewarm.Policy, error) {
			p := &fpc{
				idle: a.Seconds("idle", 10*time.Minute), grace: a.Seconds("grace", 10*time.Second),
				keepCount: int(a.Option("keep", 0, 0, 1e6)), keeping: a.Seconds("keeping", 10*time.Minute),
				promotion: a.Choice("promotion", "no", "yes") == "yes",
				stale:     max(a.Seconds("stale", 100*time.Millisecond), time.Millisecond),
				queues:    make([]queue, len(o.Functions)), runs: map[prewarm.ID]prewarm.Time{}, stem: newStemCells(a, o),
			}
			p.stem.unbounded, p.stem.counted = true, true
			return p, nil
		},
	})
}

// fpc is the scheduler that Apache OpenWhisk has had as its default since 2024, with the pool whose containers fetch their work (SchedulingDecisionMaker.scala,
// MemoryQueue.scala and v2/FunctionPullingContainerPool.scala of apache/openwhisk@1fae641). Each function has a queue, from which its containers take
// the next invocation as soon as they are free. It is for functions whose invocations wait for a container: where they have one created for
// themselves, nothing waits, and it starts nothing.
//
// Every 100 ms (stale) in which something waits it decides on new containers. With the number of containers there are (existing) and of those that are
// starting, of invocations that have waited for more than 100 ms (stale) and for no more (fresh), n of them at once in a container, and the mean duration D of the
// last ten runs:
//
//	nothing there or starting:  1
//	D not known:                ⌈stale/n⌉ − starting, at most all that wait
//	D known, t = n·100 ms/D:    if fresh ≥ t·(existing+starting) and fresh > existing+starting,
//	                            ⌈fresh/t − existing − starting⌉, so that there are at most as many as fresh ones,
//	                            and with stale ones besides min(⌈stale/t⌉, stale) − starting, which may be less than 0
//
// A container is idle for grace (10 s) and then, paused, for idle (600 s). If its function has no more than keep (0) containers then, it stays for
// another keeping (600 s). For a new container that there is no room for, paused ones of any function are removed, the least recently used first, until
// what is missing is freed. A new container is made of a stem cell of its runtime and just its memory, or with promotion=yes of the smallest one that is
// large enough. Stem cells, see stemcells.go, do not count as used memory here. Limits of namespaces and functions are not modelled.
type fpc struct {
	idle, grace, keeping, stale time.Duration
	keepCount                   int
	promotion                   bool
	queues                      []queue // by function
	stem                        stemCells
	runs                        map[prewarm.ID]prewarm.Time // when they have started, by invocation
}

// queue is what waits for a function's containers.
type queue struct {
	waiting  []message
	asked    int // containers that have been asked for now
	askedAt  prewarm.Time
	last     [10]time.Duration // durations of runs, a ring
	measured int               // in all
}

// message is an invocation that waits.
type message struct {
	id prewarm.ID
	at prewarm.Time
}

// Keys of Woken: these and the number of the function or container.
const (
	queueKey     = 1 << 62
	containerKey = 1 << 63
)

// Grown implements prewarm.Grower. Functions that are added have no stem cells.
func (p *fpc) Grown(fleet *prewarm.Fleet, _ *prewarm.Decisions) {
	p.queues = grown(p.queues, len(fleet.Functions))
}

// Handle implements prewarm.Policy.
func (p *fpc) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	p.stem.handle(e, fleet, d)
	if e.Kind == prewarm.Woken {
		switch {
		case e.Key >= containerKey:
			p.timeout(fleet.Container(prewarm.ID(e.Key-containerKey)), fleet, d)
		case e.Key >= queueKey && e.Key-queueKey < uint64(len(p.queues)):
			p.decide(int(e.Key-queueKey), fleet, d)
		}
		return
	}
	if e.Kind == prewarm.Pressure || fleet.Functions[e.Function].StemCell {
		return
	}
	q := &p.queues[e.Function]
	switch e.Kind {
	case prewarm.Arrived:
		q.waiting = append(q.waiting, message{e.Invocation, e.At})
		if len(q.waiting) == 1 {
			d.Wake(e.At+p.stale, queueKey+uint64(e.Function))
		}
		if fleet.Count(e.Function)+q.onTheWay(e.At) == 0 {
			p.add(e.Function, 1, "the first container", fleet, d)
		}
	case prewarm.Placed, prewarm.Refused:
		q.waiting = slices.DeleteFunc(q.waiting, func(m message) bool { return m.id == e.Invocation })
	case prewarm.Starting:
		q.asked = max(q.asked-1, 0)
	case prewarm.Started:
		p.runs[e.Invocation] = e.At
	case prewarm.Ended:
		if at, ok := p.runs[e.Invocation]; ok {
			q.last[q.measured%len(q.last)] = e.At - at
			q.measured++
			delete(p.runs, e.Invocation)
		}
	case prewarm.Idle:
		c := fleet.Container(e.Container)
		if p.keepCount == 0 {
			keep(c, e.At, p.grace+p.idle, "paused after its grace, and kept", d)
			return
		}
		d.Hold(c, prewarm.Never, prewarm.Why{Rule: "kept until its function's containers are counted"})
		d.Wake(e.At+p.grace+p.idle, containerKey+uint64(c.ID))
	}
}

// onTheWay returns the number of containers that have been asked for now and whose creation has not begun.
func (q *queue) onTheWay(now prewarm.Time) int {
	if q.askedAt != now {
		q.asked = 0
	}
	return q.asked
}

// duration returns the mean of the last runs, false if there was none.
func (q *queue) duration() (time.Duration, bool) {
	n := min(q.measured, len(q.last))
	if n == 0 {
		return 0, false
	}
	var sum time.Duration
	for _, d := range q.last[:n] {
		sum += d
	}
	return sum / time.Duration(n), true
}

// timeout decides on a container that was idle for its whole time.
func (p *fpc) timeout(c *prewarm.Container, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	switch {
	case c == nil || c.State != prewarm.StateIdle || fleet.Now < c.Since+p.grace+p.idle:
	case fleet.Count(c.Function) <= p.keepCount:
		keep(c, fleet.Now, p.keeping, "one of the few that are kept longer", d)
	default:
		d.GiveBack(c, prewarm.Why{Rule: "idle for its whole time"})
	}
}

// decide decides on new containers for a function for which something waits.
func (p *fpc) decide(function int, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	q := &p.queues[function]
	if len(q.waiting) == 0 {
		return
	}
	d.Wake(fleet.Now+p.stale, queueKey+uint64(function))
	stale := 0
	for _, m := range q.waiting {
		if fleet.Now-m.at > p.stale {
			stale++
		}
	}
	starting := fleet.StartingForNobody(function) + q.onTheWay(fleet.Now)
	existing := fleet.Count(function) - fleet.StartingForNobody(function)
	n := 0
	mean, ok := q.duration()
	switch {
	case existing+starting == 0:
		n = 1 // however much waits
	case ok:
		n = additional(len(q.waiting)-stale, stale, existing, starting, p.throughput(function, mean, fleet))
	case stale > 0:
		slots := max(fleet.Functions[function].Concurrency, 1)
		n = min((stale+slots-1)/slots-starting, len(q.waiting))
	}
	p.add(function, n, "more waits than the containers can do", fleet, d)
}

// throughput is the number of invocations that a container can do in the time after which one is stale.
func (p *fpc) throughput(function int, mean time.Duration, fleet *prewarm.Fleet) float64 {
	return float64(p.stale) / float64(max(mean, time.Microsecond)) * float64(max(fleet.Functions[function].Concurrency, 1))
}

// additional returns how many containers are needed besides those that exist and are starting, each of which has a throughput.
func additional(fresh, stale, existing, starting int, throughput float64) int {
	n := 0
	if there := existing + starting; float64(fresh) >= throughput*float64(there) && there < fresh {
		n = min(int(math.Ceil(float64(fresh)/throughput-float64(there))), fresh-there)
	}
	if stale > 0 {
		// Those that are starting are taken off even where that is less than nothing: the sum counts.
		n += min(int(math.Ceil(float64(stale)/throughput)), stale) - starting
	}
	return max(n, 0)
}

// add starts containers, of stem cells where there are some that fit, and removes what they need the memory of.
func (p *fpc) add(function, n int, rule string, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	f, q := &fleet.Functions[function], &p.queues[function]
	if n <= 0 {
		return
	}
	q.asked, q.askedAt = q.onTheWay(fleet.Now)+n, fleet.Now
	cells := p.stemCells(f, fleet)
	made := min(n, len(cells))
	for _, c := range cells[:made] {
		d.StartFrom(c, function, prewarm.Why{Rule: rule})
	}
	if n -= made; n == 0 {
		return
	}
	if k := p.stem.of(f, fleet); k != nil {
		k.cold += n
	}
	if limit := fleet.Platform.MemoryMB; limit > 0 {
		used := fleet.UsedMB + made*f.MemoryMB
		for i, g := range fleet.Functions {
			if g.StemCell {
				used -= g.MemoryMB * fleet.Count(i)
			}
		}
		paused := func(c *prewarm.Container) bool { return fleet.Now >= c.Since+p.grace }
		// Each container makes its own room: as many as can be are made.
		var victims []*prewarm.Container
		for k := n; k > 0 && k*f.MemoryMB > limit-used && victims == nil; k-- {
			victims = leastRecentlyUsed(k*f.MemoryMB-(limit-used), fleet, paused)
		}
		for _, c := range victims {
			d.GiveBack(c, prewarm.Why{Rule: "least recently used, and memory is needed"})
		}
	}
	d.Start(function, n, prewarm.Why{Rule: rule})
}

// stemCells returns the idle stem cells that a function's containers may be made of, in the order in which they are taken.
func (p *fpc) stemCells(f *prewarm.Function, fleet *prewarm.Fleet) []*prewarm.Container {
	if !p.promotion {
		if k := p.stem.of(f, fleet); k != nil {
			return fleet.Containers(k.function, prewarm.StateIdle)
		}
		return nil
	}
	var cells []*prewarm.Container
	for i, g := range fleet.Functions {
		if g.StemCell && g.Kind == f.Kind && g.MemoryMB >= f.MemoryMB {
			cells = append(cells, fleet.Containers(i, prewarm.StateIdle)...)
		}
	}
	slices.SortStableFunc(cells, func(a, b *prewarm.Container) int {
		return fleet.Functions[a.Function].MemoryMB - fleet.Functions[b.Function].MemoryMB
	})
	return cells
}
