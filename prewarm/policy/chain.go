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
	cold       []window        // start times, by function
	coldAll    window          // start times of all functions
	promises   []promises      // by function
	freed      []int           // functions, while planning
	delays     map[delay]found // what search has found
}

// promises are the containers of a function that requests in flight are to have.
type promises struct {
	reserved int
	asked    int          // of them have been asked for, and their creation has not begun
	askedAt  prewarm.Time // the last
	held     prewarm.Time // until when one is held for a request at most
}

// askedLimit is after how long a container that was asked for, and of which nothing was seen, is not reckoned with any more.
const askedLimit = time.Second

func newChain(o Options, offsets bool, keep, hold time.Duration, theta float64) *chain {
	c := &chain{
		tracker: newTracker(o, offsets, keep == 0), keep: keep, hold: hold, theta: theta,
		promises: make([]promises, len(o.Functions)), cold: make([]window, len(o.Functions)),
	}
	for _, a := range o.Knowledge.Applications {
		for _, trace := range a.Cold {
			for _, v := range trace {
				if v.Init > 0 {
					c.cold[v.Function].add(seconds(v.Start - v.Arrival))
					c.coldAll.add(seconds(v.Start - v.Arrival))
				}
			}
		}
	}
	return c
}

// Grown implements prewarm.Grower.
func (c *chain) Grown(fleet *prewarm.Fleet, _ *prewarm.Decisions) {
	n := len(fleet.Functions)
	c.promises, c.cold, c.compositions = grown(c.promises, n), grown(c.cold, n), grown(c.compositions, n)
}

// grown returns a list with room for n functions.
func grown[T any](list []T, n int) []T {
	return append(list, make([]T, max(n-len(list), 0))...)
}

// Handle implements prewarm.Policy.
func (c *chain) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for f := c.complete(e.At); f != nil; f = c.complete(e.At) {
		for i := range f.slots {
			if f.slots[i].reserved {
				c.promises[f.composition.nodes[i].function].reserved--
				c.release(f.composition.nodes[i].function, fleet, d)
			}
		}
		c.finish(f)
	}
	switch e.Kind {
	case prewarm.Woken:
		if i := int(e.Key) - 1; i >= 0 && i < len(c.flights) && c.flights[i].active {
			c.flights[i].wake = prewarm.Never
			c.plan(c.flights[i], !c.atOnce, fleet, d)
		}
	case prewarm.Starting:
		if p := &c.promises[e.Function]; e.By == prewarm.ByPolicy {
			p.asked = max(p.asked-1, 0)
		}
	case prewarm.Idle:
		if k := fleet.Container(e.Container); k.Uses == 0 {
			c.measure(k, e.At-k.Asked)
		}
		c.idle(fleet.Container(e.Container), fleet, d)
	case prewarm.Removed:
		c.removed(e, fleet, d)
	case prewarm.Arrived, prewarm.Placed, prewarm.Started, prewarm.Ended, prewarm.Refused:
		if e.Kind == prewarm.Started && e.Init > 0 {
			k := fleet.Container(e.Container)
			took := e.At - k.Asked
			if took == 0 { // its creation was not seen
				took = e.Wait
			}
			c.measure(k, took)
		}
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
	for i := range f.slots {
		f.slots[i].tired = false
	}
	c.plan(f, !c.atOnce || isNew && node == 0, fleet, d)
}

// idle decides how long a container is kept that has become idle.
func (c *chain) idle(k *prewarm.Container, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	switch {
	case c.spare(k.Function, fleet) <= 0:
		c.holdFor(k, prewarm.Why{Rule: "kept for a request in flight"}, fleet, d)
	case k.Uses == 0:
		keep(k, fleet.Now, c.keep, "the request that it was started for does not need it", d)
	default:
		keep(k, fleet.Now, c.keep, "kept for K after its use", d)
	}
}

// holdFor holds a container for a request.
func (c *chain) holdFor(k *prewarm.Container, why prewarm.Why, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	until := fleet.Now + max(c.hold, c.keep) + 1
	c.promises[k.Function].held = until
	d.Hold(k, until, why)
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

// removed plans requests again which were to have a container that is gone. Where the policy has held it for long enough, they do without.
func (c *chain) removed(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for _, f := range c.flights {
		if c.promises[e.Function].reserved == 0 || c.spare(e.Function, fleet) >= 0 {
			return
		}
		if !f.active {
			continue
		}
		for i := range f.slots {
			s := &f.slots[i]
			if !s.reserved || f.composition.nodes[i].function != e.Function {
				continue
			}
			if e.By == prewarm.ByPolicy && e.At >= c.promises[e.Function].held {
				s.reserved, s.tired = false, true
				c.promises[e.Function].reserved--
			} else {
				c.plan(f, true, fleet, d)
			}
			break
		}
	}
}

// reference is the last that is known of an ancestor of an invocation which has not come.
type reference struct {
	depth int
	ended bool
	at    prewarm.Time // when it has ended, or has started or will
}

// plan takes back what invocations were to have that do not come any more. If starts is set it decides for which invocations containers are started
// now. It asks to be woken when there is more to do.
func (c *chain) plan(f *flight, starts bool, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	f.fit()
	threshold := c.theta
	if c.atOnce && !starts {
		threshold = 0
	}
	next := c.reach(f, threshold, fleet.Now)
	c.freed = c.freed[:0]
	for i := range f.slots {
		if s := &f.slots[i]; s.reserved && s.probability == 0 {
			s.reserved = false
			c.promises[f.composition.nodes[i].function].reserved--
			c.freed = append(c.freed, f.composition.nodes[i].function)
		}
	}
	if starts {
		for i := range f.slots {
			if s := &f.slots[i]; s.invocation == 0 && s.probability > 0 && !s.tired {
				next = min(next, c.want(f, i, fleet, d))
			}
		}
	}
	for _, function := range c.freed {
		c.release(function, fleet, d)
	}
	if next != f.wake {
		f.wake = next
		d.Wake(next, uint64(f.index+1))
	}
}

// reach sets the probabilities of all invocations of a request by what is known of it; those below a threshold are 0. It returns the next time
// at which they may change by themselves.
func (c *chain) reach(f *flight, threshold float64, now prewarm.Time) prewarm.Time {
	next := prewarm.Never
	for i, n := range f.composition.nodes {
		s := &f.slots[i]
		if s.invocation > 0 {
			s.probability = 1
			continue
		}
		s.probability = 0
		if n.parent < 0 || f.slots[n.parent].probability == 0 {
			continue
		}
		p := f.slots[n.parent].probability * f.composition.probability(i, f.slots[n.parent].latest)
		if caller := f.of(n.parent); caller != nil && caller.ended >= 0 && p > 0 {
			if caller.ended+c.callGrace <= now {
				continue
			}
			next = min(next, caller.ended+c.callGrace)
		}
		if p >= threshold {
			s.probability = p
		}
	}
	return next
}

// release decides on a container that a request was to have and is not to have any more: if nobody else is, it is kept for no longer than after a use.
func (c *chain) release(function int, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if c.spare(function, fleet) <= 0 {
		return
	}
	for _, k := range fleet.Containers(function, prewarm.StateIdle) {
		if k.Uses == 0 {
			keep(k, fleet.Now, c.keep, "the request that it was started for does not need it", d)
			return
		}
	}
}

// reference returns what is known last on the way to an invocation that has not come. If a start is to come it is expected after the median start time.
func (c *chain) reference(f *flight, node int, fleet *prewarm.Fleet) reference {
	for f.slots[node].invocation == 0 {
		node = f.composition.nodes[node].parent
	}
	r := reference{depth: f.composition.nodes[node].depth}
	v := f.of(node)
	switch {
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

// startTime returns the median start time of a function: of those that were recorded and those measured since, or, while many containers are being
// created, of those that were measured under such a load; of all functions if there is none of its own. It returns false if no start is known.
func (c *chain) startTime(function int, fleet *prewarm.Fleet) (time.Duration, bool) {
	if fleet.Creating() >= busyCreations {
		if t := fleet.Starts.Sorted(function, fleet.Creating()); len(t) >= enoughStarts {
			return t[len(t)/2], true
		}
	}
	for _, w := range []*window{&c.cold[function], &c.coldAll} {
		if len(w.sorted) > 0 {
			return w.quantile(0.5), true
		}
	}
	return 0, false
}

// busyCreations is the number of containers that are being created at once from which on starts are slower than recorded, and enoughStarts how many must
// have been measured under such a load to go by them.
const (
	busyCreations = 8
	enoughStarts  = 8
)

// measure notes the start time of a container that has become ready.
func (c *chain) measure(k *prewarm.Container, took time.Duration) {
	if took > 0 && k.Load < busyCreations {
		c.cold[k.Function].add(took)
		c.coldAll.add(took)
	}
}

// want sees to it that there is a container for an invocation which may come, and returns when one is to be started, Never if that is done.
func (c *chain) want(f *flight, node int, fleet *prewarm.Fleet, d *prewarm.Decisions) prewarm.Time {
	function := f.composition.nodes[node].function
	s, p := &f.slots[node], &c.promises[function]
	probability := s.probability
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
			c.holdFor(k, prewarm.Why{Rule: "kept for a request in flight", Trace: f.trace, Probability: probability}, fleet, d)
		}
		s.reserved = true
		p.reserved++
		return prewarm.Never
	}
	if caller := f.of(f.composition.nodes[node].parent); caller != nil && caller.ended >= 0 {
		if still := c.afterEnd(f.composition, node, probability, fleet.Now-caller.ended); still == 0 || still < c.theta {
			return prewarm.Never
		}
	}
	at, demand := c.startAt(f, node, fleet)
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
