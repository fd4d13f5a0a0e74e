package newsvendor

import (
	"math"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/idmap"
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
	creation float64 // what a start costs beside its memory, in MB·s
	busy     Times   // how long a run takes
	first    float64 // by how long a fresh container's first call delays a request, in seconds; 0 if the function calls none
	platform prewarm.Platform
	patience float64 // 0 if nothing can be lost
	starts   *prewarm.StartTimes

	entries  []entry
	heads    idmap.Map[prewarm.ID, int32] // of the list of a trace's demands
	foreseen []Demand                     // of requests that are not in flight
	runs     runs
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
	renewed                 float64   // until when the containers are there that are idle, if it was decided to renew their idle time
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
	container prewarm.ID
	began     float64
	end       int64 // of the ring when it was added
}

// runs are the runs that hold containers, always visited in the same order, so that the same events lead to the same sums.
type runs struct {
	list []running
	at   idmap.Map[prewarm.ID, int32] // by container
}

// of returns the run in a container, nil if there is none. It is valid until the next call of add or remove.
func (r *runs) of(container prewarm.ID) *running {
	if at, ok := r.at.Get(container); ok {
		return &r.list[at]
	}
	return nil
}

// add adds a run in a container that has none.
func (r *runs) add(v running) {
	r.at.Set(v.container, int32(len(r.list)))
	r.list = append(r.list, v)
}

// remove removes the run in a container, which has one. The last one takes its place.
func (r *runs) remove(container prewarm.ID) {
	at, _ := r.at.Get(container)
	last := len(r.list) - 1
	if int(at) != last {
		r.list[at] = r.list[last]
		r.at.Set(r.list[at].container, at)
	}
	r.list = r.list[:last]
	r.at.Delete(container)
}

func (r *runs) clear() {
	r.list = r.list[:0]
	r.at.Clear()
}

// work is memory that deciders share.
type work struct {
	uses    uses
	single  uses // of one demand
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
		timer: -1,
	}
	d.z = math.Sqrt2 * math.Erfinv(1-2*d.alpha)
	d.spread = (price + m) * math.Exp(-d.z*d.z/2) / math.Sqrt(2*math.Pi)
	d.sampled.n = -1
	return d
}

// remove forgets the demands of a trace, and reports whether there were any.
func (d *decider) remove(trace prewarm.ID) bool {
	at, ok := d.heads.Get(trace)
	if !ok {
		return false
	}
	d.heads.Delete(trace)
	for at >= 0 {
		e := &d.entries[at]
		next := e.next
		if d.ringed {
			d.ring.add(e.Probability, &e.Times, e.Busy, e.end, -1)
		}
		last := int32(len(d.entries) - 1)
		if at != last {
			d.entries[at] = d.entries[last]
			if d.entries[at].Trace == trace {
				next = d.relink(next, last, at)
			} else {
				head, _ := d.heads.Get(d.entries[at].Trace)
				if moved := d.relink(head, last, at); moved != head {
					d.heads.Set(d.entries[at].Trace, moved)
				}
			}
		}
		d.entries = d.entries[:last]
		at = next
	}
	d.dirty = true
	return true
}

// relink corrects who points to an entry that has moved, in the list that begins at head, and returns where that begins now.
func (d *decider) relink(head, from, to int32) int32 {
	if head == from {
		return to
	}
	at := head
	for d.entries[at].next != from {
		at = d.entries[at].next
	}
	d.entries[at].next = to
	return head
}

// add adds a demand of a trace in flight.
func (d *decider) add(v *Demand) {
	head, ok := d.heads.Get(v.Trace)
	if !ok {
		head = -1
	}
	d.entries = append(d.entries, entry{Demand: *v, next: head})
	d.heads.Set(v.Trace, int32(len(d.entries)-1))
	if d.ringed {
		e := &d.entries[len(d.entries)-1]
		e.end = d.ring.end()
		d.ring.add(e.Probability, &e.Times, e.Busy, e.end, 1)
	}
	d.dirty = true
}

// forget forgets the demands of a stream's requests that are only foreseen.
func (d *decider) forget(stream uint32) {
	d.foreseen = slices.DeleteFunc(d.foreseen, func(v Demand) bool { return v.Key>>keyBits == stream })
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
	n := len(d.entries) + len(d.runs.list)
	for i := range d.foreseen {
		if d.foreseen[i].Key&(1<<keyBits-1) >= leastRoots {
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
		for i := range d.runs.list {
			r := &d.runs.list[i]
			r.end = d.ring.end()
			d.ring.run(r.began, &d.busy, r.end, 1)
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
	r := running{container: container, began: began}
	if d.ringed {
		r.end = d.ring.end()
		d.ring.run(r.began, &d.busy, r.end, 1)
	}
	d.runs.add(r)
}

// finish notes that a container is not in use any more.
func (d *decider) finish(container prewarm.ID) {
	r := d.runs.of(container)
	if r == nil {
		return
	}
	if d.ringed {
		d.ring.run(r.began, &d.busy, r.end, -1)
	}
	d.runs.remove(container)
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
// time limit, counts: the rest will be decided on later. Savings are computed where they are asked for, as far ahead as they matter; where many are
// weighed, s is told of them, instead of the list that is returned, and says how far that is.
func (d *decider) next(now float64, k int, limit float64, savings bool, s *stopping) *uses {
	w := d.work
	saving := d
	if !savings {
		saving = nil
	}
	if d.ringed {
		horizon := never
		if !savings {
			horizon = now + d.atoms[len(d.atoms)-1] + lookAhead
		}
		d.ring.foresee(d.foreseen, d.mean)
		w.uses.computeMany(now, k, d.waiting, now+d.busy.Mean(), min(horizon, now+binWidth*bins), d.ring, limit > d.mean, saving, s)
		return &w.uses
	}
	w.demands, w.runs = w.demands[:0], w.runs[:0]
	for i := range d.entries {
		v := &d.entries[i].Demand
		if !v.Times.lost(now, d.patience) && (savings || !d.defers(v)) { // a predictor that is elsewhere may be cut off
			w.demands = append(w.demands, v)
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
		for i := range d.runs.list {
			r := &d.runs.list[i]
			w.runs = append(w.runs, run{began: r.began, left: 1 - d.busy.Within(now-r.began), busy: &d.busy})
		}
	}
	horizon := never
	if savings {
		horizon = now + d.longestKept(w.demands)
		if d.platform.Renews() {
			horizon = now + d.longestRenewed()
		}
	}
	w.uses.compute(now, horizon, k, w.demands, w.runs, saving)
	return &w.uses
}

// longestKept returns for how many seconds at most a container is kept before what is to come is looked at again: three times as long as the largest
// saving is worth. Even if something was as likely all that time as just not to pay, what comes later adds less than a twentieth of that saving.
func (d *decider) longestKept(demands []*Demand) float64 {
	most := 0.0
	for _, v := range demands {
		most = max(most, d.restart(v)) // with more notice it is not more
	}
	return 3 * most / d.memory
}

// lookAhead is for how many seconds beyond the start time of a container many demands are looked at, to decide on starts.
const lookAhead = 1.0

// restart returns what it costs to have no container for a demand, but to start one when that pays: in MB·s, where a demand that is known comes at once.
func (d *decider) restart(v *Demand) float64 {
	notice := 0.0
	if !v.known() {
		notice = v.Notice
	}
	return d.restartIn(notice, d.spreadOf(v))
}

// spreadOf returns the standard deviation of the time that is left when a start is asked for, for a demand whose time is known as it will be.
func (d *decider) spreadOf(v *Demand) float64 { return math.Sqrt(d.sd*d.sd + v.Spread*v.Spread) }

// restartIn is restart of what comes in a time, as it is known then, with a standard deviation of what is left.
func (d *decider) restartIn(notice, sd float64) float64 {
	cost := d.memory*d.mean + d.creation + d.price*d.first
	sd = max(sd, 1e-3)
	// The time that is left when a start is asked for at once, notice − c, is about normal.
	u := (notice - d.mean) / sd
	if u > d.z {
		return cost + d.spread*sd
	}
	l := loss(u)
	return cost + sd*(d.price*l+d.memory*(l+u))
}
