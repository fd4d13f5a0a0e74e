package sampler

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/tppfaas/tppfaas/apps"
)

// Sleeps of a duration anomaly; each is as likely as the other.
const (
	LongAnomaly  = 100 * time.Millisecond
	ShortAnomaly = 5 * time.Millisecond
)

// Request is one request, with everything that was drawn for it.
type Request struct {
	// Index counts the requests from 0.
	Index int
	// Time is when to send the request, after the start of the sampling.
	Time time.Duration
	// Calls are the invocations of the request, main first and callers before those they call.
	Calls []Call
	// Anomalies and Missing are the functions that were hit, as indices into the application's functions.
	Anomalies, Missing []int
}

// Call is one invocation to be.
type Call struct {
	// Function is the index of the function among the application's.
	Function int
	// Sleep is how long the function sleeps before it calls.
	Sleep time.Duration
	// Invokes are the invocations that this one makes, as indices into the request's Calls, in their order.
	Invokes []int
}

// Planner draws the requests one after the other. What is random in them comes from separate streams: the times of the
// requests stay the same whatever else is varied, and so do durations, anomalies and missing functions, except that
// missing functions are drawn from those without an anomaly.
type Planner struct {
	app    *apps.Application
	config Config
	// tree has the calls of a request in which nothing is missing, level by level. numbers are 0, 1, 2, …: the children of
	// a call stand side by side, so what it invokes is a part of them.
	tree    []Call
	numbers []int
	gammas  []distuv.Gamma // by function

	intervals, hits, lengths, gaps *rand.Rand

	next      int
	time      time.Duration
	functions []int // besides main
	shuffled  []int // copy of functions to draw from
}

// NewPlanner returns a planner of the application's requests. A Config that is wrong is a *ConfigError.
func NewPlanner(app *apps.Application, config Config) (*Planner, error) {
	if err := app.Validate(); err != nil {
		return nil, err
	}
	if err := config.Validate(app); err != nil {
		return nil, err
	}
	p := &Planner{
		app: app, config: config,
		intervals: rand.New(stream(config.Seed, "intervals")),
		hits:      rand.New(stream(config.Seed, "anomalies")),
		lengths:   rand.New(stream(config.Seed, "lengths of anomalies")),
		gaps:      rand.New(stream(config.Seed, "missing functions")),
		gammas:    make([]distuv.Gamma, len(app.Functions)),
	}
	durations := stream(config.Seed, "durations")
	for i, f := range app.Functions {
		p.gammas[i] = distuv.Gamma{Alpha: f.Gamma.Shape, Beta: f.Gamma.Rate, Src: durations}
		if f.Name != apps.Main {
			p.functions = append(p.functions, i)
		}
	}
	p.numbers = make([]int, app.Invocations())
	for i := range p.numbers {
		p.numbers[i] = i
	}
	p.plant()
	return p, nil
}

// stream returns a source of its own for each purpose, so that more draws for one leave the others alone.
func stream(seed uint64, purpose string) rand.Source {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	return rand.NewPCG(scramble(seed), scramble(h.Sum64()^seed))
}

// scramble is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014): seeds that differ in a bit become states that
// have nothing in common, which the generator alone does not make of them.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// plant builds the tree.
func (p *Planner) plant() {
	p.tree = []Call{{Function: p.app.Index(apps.Main)}}
	for i := 0; i < len(p.tree); i++ {
		f := p.app.Functions[p.tree[i].Function]
		first := len(p.tree)
		for _, s := range f.Invokes {
			j := p.app.Index(s)
			p.tree = append(p.tree, Call{Function: j, Sleep: p.app.Functions[j].Duration})
		}
		p.tree[i].Invokes = p.numbers[first:len(p.tree)]
	}
}

// Next returns the next request, and false after the last. The Calls of several requests may share memory: they are not to
// be changed.
func (p *Planner) Next() (Request, bool) {
	if p.next == p.config.Requests {
		return Request{}, false
	}
	if p.next > 0 {
		p.time += p.interval()
		if p.config.BatchSize > 0 && p.next%p.config.BatchSize == 0 {
			p.time += p.config.BatchPause
		}
	}
	r := Request{Index: p.next, Time: p.time, Calls: p.tree}
	p.next++
	if !p.config.RandomDurations && p.config.Anomalies == 0 && p.config.Missing == 0 {
		return r, true
	}

	r.Calls = append([]Call(nil), p.tree...)
	if p.config.RandomDurations {
		for i := range r.Calls[1:] {
			c := &r.Calls[i+1]
			c.Sleep = toDuration(p.gammas[c.Function].Rand())
		}
	}
	p.shuffled = append(p.shuffled[:0], p.functions...)
	r.Anomalies = choose(p.hits, p.shuffled, p.config.Anomalies)
	for _, f := range r.Anomalies {
		sleep := ShortAnomaly
		if p.lengths.IntN(2) == 0 {
			sleep = LongAnomaly
		}
		for i := range r.Calls {
			if r.Calls[i].Function == f {
				r.Calls[i].Sleep = sleep
			}
		}
	}
	r.Missing = choose(p.gaps, p.shuffled[len(r.Anomalies):], p.config.Missing)
	r.Calls = p.prune(r.Calls, r.Missing)
	return r, true
}

// interval draws from U(MinInterval, MaxInterval).
func (p *Planner) interval() time.Duration {
	width := p.config.MaxInterval - p.config.MinInterval
	return p.config.MinInterval + time.Duration(p.intervals.Float64()*float64(width))
}

// toDuration turns milliseconds into a time that nothing overflows from.
func toDuration(ms float64) time.Duration {
	return time.Duration(math.Round(min(ms*float64(time.Millisecond), float64(apps.MaxDuration))))
}

// choose draws k of the items, moves them to the front and returns a copy of them.
func choose(rng *rand.Rand, items []int, k int) []int {
	if k == 0 {
		return nil
	}
	for i := range k {
		j := i + rng.IntN(len(items)-i)
		items[i], items[j] = items[j], items[i]
	}
	return append([]int(nil), items[:k]...)
}

// prune leaves the missing functions out: what they would have called is called in their place, also when several follow
// each other.
func (p *Planner) prune(calls []Call, missing []int) []Call {
	if len(missing) == 0 {
		return calls
	}
	gone := make([]bool, len(p.app.Functions))
	for _, f := range missing {
		gone[f] = true
	}
	kept := make([]Call, 0, len(calls))
	source := make([]int, 0, len(calls)) // where each of the kept ones stands in calls
	var add func(i int)
	add = func(i int) {
		if !gone[calls[i].Function] {
			kept = append(kept, calls[i])
			source = append(source, i)
			return
		}
		for _, j := range calls[i].Invokes {
			add(j)
		}
	}
	add(0)
	for i := 0; i < len(kept); i++ {
		first := len(kept)
		for _, j := range calls[source[i]].Invokes {
			add(j)
		}
		kept[i].Invokes = p.numbers[first:len(kept)]
	}
	return kept
}
