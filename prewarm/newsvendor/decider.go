package newsvendor

import (
	"math"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// decider decides on the containers of one function. It is told of demands as values, and sees the fleet.
type decider struct {
	function int
	memory   float64 // of a container, in MB
	price    float64 // λ, in MB·s a second of waiting
	alpha    float64 // m/(λ + m)
	spread   float64 // (λ + m)·φ(z), where z is the (1 − α)-quantile of the normal distribution φ
	z        float64
	busy     Times   // how long a run takes
	first    float64 // by how long a fresh container's first call delays a request, in seconds; 0 if the function calls none
	platform prewarm.Platform
	starts   *prewarm.StartTimes

	entries  []entry
	heads    map[prewarm.ID]int32 // of the list of a trace's demands
	foreseen []Demand             // of requests that are not in flight
	runs     map[prewarm.ID]running
	ring     *ring // nil until there were many demands
	ringed   bool  // the ring is in use

	known                   bool // something was recorded of it
	dirty                   bool
	begun                   int       // containers that were started at this event
	decided, held, holdWake float64   // when starts, and holds, were last decided on, and when those want to be looked at
	asks                    []float64 // when those were asked for whose creation has not begun, as far as is known
	wake                    float64   // when it wants to be asked about starts
	starved                 bool      // there was no room for a container that was to be started
	postponed               bool      // there are containers that are kept only because the platform is overloaded
	waiting                 int       // invocations that have arrived and have not been given a container
	heard                   float64   // when something was heard of the function
	timer                   int       // in the heap of the policy
	work                    *work
	atoms                   [32]float64 // equally likely start times, in seconds
	mean                    float64     // start time
	sd                      float64
	sampled                 struct{ load, n int } // what atoms were made of
	added                   int                   // start times that were measured so far
}

// entry is a demand of a trace.
type entry struct {
	Demand
	next int32 // of the same trace, −1 at the end
	end  int64 // of the ring when it was added
}

// running is a run that holds a container.
type running struct {
	began float64
	end   int64
}

// work is memory that deciders share.
type work struct {
	uses    uses
	demands []*Demand
	runs    []run
}

// manyDemands is from how many demands and runs on they are counted in bins, and fewDemands below how many they are not any more.
const (
	manyDemands = exactly + 1
	fewDemands  = exactly / 2
)

func newDecider(function, memoryMB int, price float64, platform prewarm.Platform, starts *prewarm.StartTimes, w *work) *decider {
	m := float64(memoryMB)
	d := &decider{
		function: function, memory: m, price: price, alpha: m / (price + m), platform: platform, starts: starts, work: w,
		heads: map[prewarm.ID]int32{}, runs: map[prewarm.ID]running{}, timer: -1,
	}
	d.z = math.Sqrt2 * math.Erfinv(1-2*d.alpha)
	d.spread = (price + m) * math.Exp(-d.z*d.z/2) / math.Sqrt(2*math.Pi)
	d.sampled.n = -1
	return d
}

// remove forgets the demands of a trace, and reports whether there were any.
func (d *decider) remove(trace prewarm.ID) bool {
	at, ok := d.heads[trace]
	if !ok {
		return false
	}
	for at >= 0 {
		e := &d.entries[at]
		d.heads[trace] = e.next // one of those that are left may be moved
		if d.ringed {
			d.ring.add(e.Probability, &e.Times, e.Busy, e.end, -1)
		}
		last := int32(len(d.entries) - 1)
		if at != last {
			d.entries[at] = d.entries[last]
			d.relink(last, at)
		}
		d.entries = d.entries[:last]
		at = d.heads[trace]
	}
	delete(d.heads, trace)
	d.dirty = true
	return true
}

// relink corrects who points to an entry that has moved.
func (d *decider) relink(from, to int32) {
	trace := d.entries[to].Trace
	at := d.heads[trace]
	if at == from {
		d.heads[trace] = to
		return
	}
	for d.entries[at].next != from {
		at = d.entries[at].next
	}
	d.entries[at].next = to
}

// add adds a demand of a trace in flight.
func (d *decider) add(v *Demand) {
	head, ok := d.heads[v.Trace]
	if !ok {
		head = -1
	}
	d.entries = append(d.entries, entry{Demand: *v, next: head})
	d.heads[v.Trace] = int32(len(d.entries) - 1)
	if d.ringed {
		e := &d.entries[len(d.entries)-1]
		e.end = d.ring.end()
		d.ring.add(e.Probability, &e.Times, e.Busy, e.end, 1)
	}
	d.dirty = true
}

// forget forgets the demands of requests that are only foreseen.
func (d *decider) forget() {
	d.foreseen = d.foreseen[:0]
	d.recount()
}

// came forgets the demands of the request that was foreseen with a key.
func (d *decider) came(key uint32) {
	kept := 0
	for i := range d.foreseen {
		if d.foreseen[i].Key != key {
			if kept != i {
				d.foreseen[kept] = d.foreseen[i]
			}
			kept++
		}
	}
	d.foreseen = d.foreseen[:kept]
	d.recount()
}

// foresee adds a demand of a request that is only foreseen.
func (d *decider) foresee(v *Demand) {
	d.foreseen = append(d.foreseen, *v)
	d.recount()
}

// recount notes that what is foreseen has changed.
func (d *decider) recount() {
	if d.ring != nil {
		d.ring.foreseen = false
	}
}

// count chooses whether demands are weighed one by one or by their counts.
func (d *decider) count(now float64) {
	n := len(d.entries) + len(d.runs)
	for i := range d.foreseen {
		if d.foreseen[i].Key >= leastRoots {
			n++
		}
	}
	switch {
	case !d.ringed && n >= manyDemands:
		if d.ring == nil {
			d.ring = &ring{}
		}
		*d.ring = ring{first: binOf(now)}
		d.ringed = true
		for i := range d.entries {
			e := &d.entries[i]
			e.end = d.ring.end()
			d.ring.add(e.Probability, &e.Times, e.Busy, e.end, 1)
		}
		for id, r := range d.runs {
			r.end = d.ring.end()
			d.ring.run(r.began, &d.busy, r.end, 1)
			d.runs[id] = r
		}
	case d.ringed && n < fewDemands:
		d.ringed = false
	case d.ringed:
		d.ring.advance(now)
	}
}

// begin notes that a run holds a container.
func (d *decider) begin(container prewarm.ID, began float64) {
	d.finish(container)
	r := running{began: began}
	if d.ringed {
		r.end = d.ring.end()
		d.ring.run(r.began, &d.busy, r.end, 1)
	}
	d.runs[container] = r
}

// finish notes that a container is not in use any more.
func (d *decider) finish(container prewarm.ID) {
	r, ok := d.runs[container]
	if !ok {
		return
	}
	delete(d.runs, container)
	if d.ringed {
		d.ring.run(r.began, &d.busy, r.end, -1)
	}
}

// started adds a start time that was measured.
func (d *decider) started(load int, took prewarm.Time) {
	d.starts.Add(d.function, load, took)
	d.added++
}

// sample updates what is known of start times under a load.
func (d *decider) sample(load int) {
	load = min(load, 72) / 8
	if d.sampled.load == load && d.sampled.n == d.added {
		return
	}
	d.sampled.load, d.sampled.n = load, d.added
	sorted := d.starts.Sorted(d.function, load*8)
	if len(sorted) == 0 {
		for i := range d.atoms {
			d.atoms[i] = defaultStart.Seconds()
		}
	}
	for i := range d.atoms {
		if len(sorted) > 0 {
			d.atoms[i] = seconds(sorted[(2*i+1)*len(sorted)/(2*len(d.atoms))])
		}
	}
	var m moments
	for _, c := range d.atoms {
		m.add(c)
	}
	d.mean, d.sd = m.mean, math.Sqrt(m.sum/m.n)
}

// defaultStart is the start time of which nothing is known.
const defaultStart = 2 * time.Second

// next computes when one container more than k would be used next. Only what is in flight, and what is foreseen with less notice than the
// time limit, counts: the rest will be decided on later. Savings are computed where they are asked for, as far ahead as they matter.
func (d *decider) next(now float64, k int, limit float64, savings bool) *uses {
	w := d.work
	saving := func(v *Demand, at float64) float64 { return d.restart(v, at-now) }
	if !savings {
		saving = nil
	}
	if d.ringed {
		horizon := never
		if !savings {
			horizon = now + d.atoms[len(d.atoms)-1] + lookAhead
		}
		d.ring.foresee(d.foreseen, d.mean)
		w.uses.computeMany(now, k, d.waiting, now+d.busy.Mean(), min(horizon, now+binWidth*bins), d.ring, limit > d.mean, saving)
		return &w.uses
	}
	w.demands, w.runs = w.demands[:0], w.runs[:0]
	for i := range d.entries {
		if savings || !d.defers(&d.entries[i].Demand) {
			w.demands = append(w.demands, &d.entries[i].Demand)
		}
	}
	for i := range d.foreseen {
		if d.foreseen[i].Notice < limit && (savings || !d.defers(&d.foreseen[i])) {
			w.demands = append(w.demands, &d.foreseen[i])
		}
	}
	if k > 0 {
		for range d.waiting {
			w.runs = append(w.runs, run{began: now, left: 1, busy: &d.busy})
		}
		for _, r := range d.runs {
			w.runs = append(w.runs, run{began: r.began, left: 1 - d.busy.Within(now-r.began), busy: &d.busy})
		}
	}
	horizon := never
	if savings {
		horizon = now + d.longestKept(w.demands)
	}
	w.uses.compute(now, horizon, k, w.demands, w.runs, saving)
	return &w.uses
}

// longestKept returns for how many seconds at most a container is kept before what is to come is looked at again: three times as long as the largest
// saving is worth. Even if something was as likely all that time as just not to pay, what comes later adds less than a twentieth of that saving.
func (d *decider) longestKept(demands []*Demand) float64 {
	most := 0.0
	for _, v := range demands {
		most = max(most, d.restart(v, 0)) // with more notice it is not more
	}
	return 3 * most / d.memory
}

// lookAhead is for how many seconds beyond the start time of a container many demands are looked at, to decide on starts.
const lookAhead = 1.0

// restart returns what it costs to have no container for a demand that comes in a time, but to start one when that pays: in MB·s.
func (d *decider) restart(v *Demand, in float64) float64 {
	notice, sd := in, d.sd
	if v != nil {
		if !v.known() {
			notice = v.Notice
		}
		sd = math.Sqrt(sd*sd + v.Spread*v.Spread)
	}
	cost := d.memory*d.mean + d.price*d.first
	sd = max(sd, 1e-3)
	// The time that is left when a start is asked for at once, notice − c, is about normal.
	u := (notice - d.mean) / sd
	if u > d.z {
		return cost + d.spread*sd
	}
	l := loss(u)
	return cost + sd*(d.price*l+d.memory*(l+u))
}
