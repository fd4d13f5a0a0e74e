package newsvendor

import (
	"slices"
	"sync"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/requests"
)

// runTimes are how long the last runs of a function have taken, in seconds.
type runTimes struct {
	last  []float64 // a ring
	next  int
	seen  int
	known bool // the decider reckons with them
}

// mostRuns is how many runs are remembered, and enoughRuns from how many on, and after how many more, a decider reckons with them.
const mostRuns, enoughRuns = 64, 16

// learnRun learns from the end of a run.
func (d *Decider) learnRun(e *prewarm.Event) {
	f := d.policy.deciders[e.Function]
	r := f.runs.of(e.Container)
	if r == nil || !f.known {
		return
	}
	times := d.runs[e.Function]
	if times == nil {
		times = &runTimes{}
		d.runs[e.Function] = times
	}
	took := max(seconds(e.At-e.Late)-r.began, 0)
	if len(times.last) < mostRuns {
		times.last = append(times.last, took)
	} else {
		times.last[times.next] = took
		times.next = (times.next + 1) % mostRuns
	}
	if times.seen++; times.seen%enoughRuns != 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(times.last))
	for i := range f.busy {
		f.busy[i] = sorted[(2*i+1)*len(sorted)/(2*Quantiles)]
	}
	times.known, f.ringed, f.dirty = true, false, true // what is in the ring was added as it was known before
}

// stream are the arrivals of the requests that begin with a function.
type stream struct {
	arrivals []prewarm.Time // the last ones
	seen     int
	due      int // from how many on the model of when they come is fitted again
}

// mostArrivals is how many arrivals are remembered. The first fits are at firstFit and secondFit arrivals, with so few that only the simplest processes are tried; then each is at
// so many times as many as the last, for one takes a tenth of a second, and a process adapts by itself.
const mostArrivals, firstFit, secondFit, rarer = 200, 8, 16, 4

// learnGap learns from the arrival of a request that begins with a function.
func (d *Decider) learnGap(root int, at prewarm.Time) {
	s := d.streams[root]
	if s == nil {
		s = &stream{due: firstFit}
		d.streams[root] = s
	}
	if n := len(s.arrivals); n > 0 {
		at = max(at, s.arrivals[n-1])
	}
	if len(s.arrivals) == mostArrivals {
		s.arrivals = append(s.arrivals[:0], s.arrivals[1:]...)
	}
	s.arrivals = append(s.arrivals, at)
	if s.seen++; s.seen < s.due {
		return
	}
	if s.due = rarer * s.seen; s.seen < secondFit {
		s.due = secondFit
	}
	gaps := make([]float64, 0, len(s.arrivals))
	for i := 1; i < len(s.arrivals); i++ {
		gaps = append(gaps, seconds(s.arrivals[i]-s.arrivals[i-1]))
	}
	m, err := fits.get(gaps)
	if err != nil {
		return // the model before is as good as any
	}
	d.policy.foreseeBy(root, m, s.arrivals)
}

// foreseeBy has the requests that begin with a function foreseen by a model of when they come, of which recent are the last.
func (p *Policy) foreseeBy(root int, m requests.Model, recent []prewarm.Time) {
	a := p.predictor.appOf[root]
	if a < 0 {
		return
	}
	if !p.deciders[root].isRoot(p.roots[a]) {
		_ = p.Foresee(root, m, recent) // there is such an application
		return
	}
	r := p.roots[a]
	r.model = m
	r.begin(p.at, recent)
}

// fitted has the models that were fitted last: deciders of the same process that are told of the same requests fit the same ones.
type fitted struct {
	mu     sync.Mutex
	models []fit // a ring
	next   int
}

type fit struct {
	gaps  []float64
	model requests.Model
}

// mostFits is how many models are remembered.
const mostFits = 256

var fits fitted

// get returns the model of when requests come with such gaps.
func (f *fitted) get(gaps []float64) (requests.Model, error) {
	f.mu.Lock()
	for i := range f.models {
		if slices.Equal(f.models[i].gaps, gaps) {
			m := f.models[i].model
			f.mu.Unlock()
			return m, nil
		}
	}
	f.mu.Unlock()
	m, err := requests.Fit(gaps)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.models) < mostFits {
		f.models = append(f.models, fit{gaps, m})
		return m, nil
	}
	f.models[f.next] = fit{gaps, m}
	f.next = (f.next + 1) % mostFits
	return m, nil
}
