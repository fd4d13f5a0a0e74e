package policy

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

func init() {
	Register(Kind{
		Name: "chain", Form: "chain[:K][:theta=θ][:hold=SECONDS]",
		Help: "starts the whole composition when its first function is invoked; K (0) seconds of keep-alive",
		New: func(a *Args, o Options) (prewarm.Policy, error) {
			keep := seconds(a.Number("K", 0, 0, maxSeconds))
			theta := a.Option("theta", 0, 0, 1)
			hold := a.Seconds("hold", unusedHold)
			c := newChain(o, false, keep, hold, theta)
			c.atOnce, c.startRule = true, "the composition has begun"
			return c, nil
		},
	})
}

// unusedHold is how long a container that was started for a request and not used is kept.
const unusedHold = 120 * time.Second

// chain prewarms compositions. Where atOnce is set it warms the whole composition at the start: when a root arrives (or, where only starts are
// seen, has started) it starts a container for each invocation that may come as far as is known, by what was recorded and what has been seen since, unless
// one is idle or starting that no other request is to have. That is what users of OpenWhisk ask for (apache/openwhisk#2359 and #4075) and US patent
// 11356367 describes. Parameters:
//
//   - K, the keep-alive of a container after its use, in seconds;
//   - θ, the probability from which on an invocation is started for; 0, the default, is for all that have ever come;
//   - hold, how long a container that was started and not used is kept, in seconds.
//
// Otherwise it is JIT-MLP, see jit.go.
//
// A container is reserved for an invocation that is expected, by count: of the idle and starting containers of a function so many are promised to
// requests in flight. Two requests do not count on the same one.
type chain struct {
	*tracker
	atOnce     bool
	theta, q   float64
	search     bool // for the delay instead of q
	keep, hold time.Duration
	startRule  string
	cold       []window        // start times that were recorded, by function; the last of all functions
	promises   []promises      // by function
	round      uint64          // of planning
	delays     map[delay]found // what search has found
}

// promises are the containers of a function that requests in flight are to have.
type promises struct {
	reserved int
	asked    int          // of them have been asked for, and their creation has not begun
	askedAt  prewarm.Time // the last
}

// askedLimit is after how long a container that was asked for, and of which nothing was seen, is not reckoned with any more.
const askedLimit = time.Second

func newChain(o Options, offsets bool, keep, hold time.Duration, theta float64) *chain {
	c := &chain{
		tracker: newTracker(o, offsets), keep: keep, hold: hold, theta: theta,
		promises: make([]promises, len(o.Functions)), cold: make([]window, len(o.Functions)+1),
	}
	for _, a := range o.Knowledge.Applications {
		for _, trace := range a.Cold {
			for _, v := range trace {
				if v.Init > 0 {
					c.cold[v.Function].add(seconds(v.Start - v.Arrival))
					c.cold[len(o.Functions)].add(seconds(v.Start - v.Arrival))
				}
			}
		}
	}
	return c
}

// Handle implements prewarm.Policy.
func (c *chain) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for f := c.complete(e.At); f != nil; f = c.complete(e.At) {
		c.releaseAll(f)
		c.finish(f)
	}
	switch e.Kind {
	case prewarm.Woken:
		if i := int(e.Key) - 1; i >= 0 && i < len(c.flights) && c.flights[i].active {
			c.flights[i].wake = prewarm.Never
			c.plan(c.flights[i], e.At, fleet, d)
		}
	case prewarm.Starting:
		if p := &c.promises[e.Function]; e.By == prewarm.ByPolicy {
			p.asked = max(p.asked-1, 0)
		}
	case prewarm.Idle:
		c.idle(fleet.Container(e.Container), fleet, d)
	case prewarm.Removed:
		c.removed(e, fleet, d)
	case prewarm.Arrived, prewarm.Placed, prewarm.Started, prewarm.Ended, prewarm.Refused:
		c.invocation(e, fleet, d)
	}
}

// invocation is told of what happens to an invocation.
func (c *chain) invocation(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	before := len(c.invocations)
	f, node := c.see(e)
	if f == nil {
		return
	}
	isNew := len(c.invocations) > before
	if isNew && f.slots[node].reserved { // from now on it is counted as one that waits
		f.slots[node].reserved = false
		c.promises[e.Function].reserved--
	}
	if !c.atOnce || isNew && node == 0 {
		c.plan(f, e.At, fleet, d)
	}
}

// idle decides how long a container is kept that has become idle.
func (c *chain) idle(k *prewarm.Container, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	switch {
	case k.Uses == 0:
		keep(k, fleet.Now, c.hold, "kept for the request that it was started for", d)
	case c.spare(k.Function, fleet) <= 0:
		keep(k, fleet.Now, c.hold, "kept for a request in flight", d)
	default:
		keep(k, fleet.Now, c.keep, "kept for K after its use", d)
	}
}

// spare returns how many containers of a function are idle or starting that nobody is to have; it is negative if some are promised that are not
// there.
func (c *chain) spare(function int, fleet *prewarm.Fleet) int {
	p := &c.promises[function]
	if p.asked > 0 && p.askedAt+askedLimit < fleet.Now {
		p.asked = 0
	}
	return len(fleet.Containers(function, prewarm.StateIdle)) + fleet.StartingForNobody(function) + p.asked - p.reserved - fleet.Loads[function].Waiting
}

// removed plans requests again which were to have a container that is gone.
func (c *chain) removed(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for _, f := range c.flights {
		if c.promises[e.Function].reserved == 0 || c.spare(e.Function, fleet) >= 0 {
			return
		}
		if !f.active {
			continue
		}
		for i := range f.slots {
			if f.slots[i].reserved && f.composition.nodes[i].function == e.Function {
				c.plan(f, e.At, fleet, d)
				break
			}
		}
	}
}

// reference is the last that is known of an ancestor of an invocation which has not come.
type reference struct {
	depth int
	ended bool
	at    prewarm.Time // when it has ended, or has started or will
}

// plan decides for which invocations of a request containers are started now, and when it is to be planned again.
func (c *chain) plan(f *flight, now prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	c.round++
	f.fit()
	next := c.visit(f, 0, 1, c.reference(f, 0, fleet), fleet, d)
	for i := range f.slots {
		if s := &f.slots[i]; s.reserved && s.round != c.round {
			s.reserved = false
			c.promises[f.composition.nodes[i].function].reserved--
		}
	}
	if !c.atOnce && next != f.wake {
		f.wake = next
		d.Wake(next, uint64(f.index+1))
	}
}

// releaseAll takes back what a request was to have.
func (c *chain) releaseAll(f *flight) {
	for i := range f.slots {
		if f.slots[i].reserved {
			c.promises[f.composition.nodes[i].function].reserved--
		}
	}
}

// reference returns what is known of an invocation that has come. Its start, if that is to come, is expected after the median start time.
func (c *chain) reference(f *flight, node int, fleet *prewarm.Fleet) reference {
	r := reference{depth: f.composition.nodes[node].depth}
	v := f.of(node)
	switch {
	case v == nil:
		r.at = fleet.Now
	case v.ended >= 0:
		r.at, r.ended = v.ended, true
	case v.started >= 0:
		r.at = v.started
	default:
		function, asked := f.composition.nodes[node].function, fleet.Now
		if k := fleet.Container(v.container); k != nil {
			asked = k.Asked
		} else if len(fleet.Containers(function, prewarm.StateIdle)) > 0 {
			r.at = fleet.Now
			return r
		}
		start, _ := c.startTime(function, fleet)
		r.at = max(fleet.Now, asked+start)
	}
	return r
}

// startTime returns the median start time of a function under the load of now, or what was recorded of it, or of all functions; false if no start is
// known.
func (c *chain) startTime(function int, fleet *prewarm.Fleet) (time.Duration, bool) {
	if t := fleet.Starts.Quantile(function, fleet.Creating(), 0.5, -1); t >= 0 {
		return t, true
	}
	for _, w := range []*window{&c.cold[function], &c.cold[len(c.cold)-1]} {
		if len(w.sorted) > 0 {
			return w.quantile(0.5), true
		}
	}
	return 0, false
}

// visit plans the invocations below a node, which comes with a probability, and returns when the next container is to be started.
func (c *chain) visit(f *flight, node int, p float64, last reference, fleet *prewarm.Fleet, d *prewarm.Decisions) prewarm.Time {
	next := prewarm.Never
	sibling := -1 // the last that has come
	caller := f.of(node)
	for _, i := range f.composition.nodes[node].children {
		if v := f.of(i); v != nil && (sibling < 0 || v.arrived >= f.of(sibling).arrived) {
			sibling = i
		}
	}
	for _, i := range f.composition.nodes[node].children {
		if f.of(i) != nil {
			next = min(next, c.visit(f, i, 1, c.reference(f, i, fleet), fleet, d))
			continue
		}
		probability := p * f.composition.probability(i, sibling)
		if caller != nil && caller.ended >= 0 {
			probability = f.composition.afterEnd(i, probability, fleet.Now-caller.ended)
		}
		if probability == 0 || probability < c.theta {
			continue
		}
		f.slots[i].round = c.round
		next = min(next, c.want(f, i, probability, last, fleet, d))
		next = min(next, c.visit(f, i, probability, last, fleet, d))
	}
	return next
}

// want sees to it that there is a container for an invocation which may come, and returns when one is to be started, Never if that is done.
func (c *chain) want(f *flight, node int, probability float64, last reference, fleet *prewarm.Fleet, d *prewarm.Decisions) prewarm.Time {
	function := f.composition.nodes[node].function
	s, p := &f.slots[node], &c.promises[function]
	spare := c.spare(function, fleet)
	if s.reserved {
		if spare >= 0 {
			return prewarm.Never
		}
		s.reserved = false
		p.reserved--
		spare++
	}
	if spare > 0 {
		if idle := fleet.Containers(function, prewarm.StateIdle); len(idle) > 0 {
			k := idle[max(len(idle)-1-p.reserved, 0)]
			d.Hold(k, fleet.Now+max(c.hold, c.keep)+1, prewarm.Why{Rule: "kept for a request in flight", Trace: f.trace, Probability: probability})
		}
		s.reserved = true
		p.reserved++
		return prewarm.Never
	}
	at, demand := c.startAt(f, node, last, fleet)
	if at > fleet.Now {
		return at
	}
	d.Start(function, 1, prewarm.Why{Rule: c.startRule, Trace: f.trace, Probability: probability, Demand: demand})
	s.reserved = true
	p.reserved++
	p.asked++
	p.askedAt = fleet.Now
	return prewarm.Never
}
