package report

import (
	"math"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// Options say what is analysed, and at which prices.
type Options struct {
	// Source names where the traces are from.
	Source string
	// MemoryMB is the memory of a container in MB (default 256).
	MemoryMB float64
	// Lambda is the price of a second of waiting in MB·s (default 2560).
	Lambda float64
	// Keep are the keep-alives to try, in seconds (default 0, 60, 300, 600, 1200, 3600 and for ever).
	Keep []float64
	// Only bounds which sequences are analysed: those whose labels equal each one that is not empty here.
	Only Labels
	// MaxInvocations bounds how many invocations are analysed, and by that the memory (default 2²⁰, some 350 MB): of a larger recording the
	// first traces are. All are counted.
	MaxInvocations int
	// OnProgress is called after each trace with the number of them; it may be nil.
	OnProgress func(traces int)
}

// Labels say which run of a laboratory a sequence is from; they are empty where there is none.
type Labels struct {
	App    string `json:"app,omitempty"`
	Load   string `json:"load,omitempty"`
	Policy string `json:"policy,omitempty"`
	Seed   string `json:"seed,omitempty"`
}

// within reports whether l has every label that only has.
func (l Labels) within(only Labels) bool {
	return (only.App == "" || only.App == l.App) && (only.Load == "" || only.Load == l.Load) &&
		(only.Policy == "" || only.Policy == l.Policy) && (only.Seed == "" || only.Seed == l.Seed)
}

// invocation is one of a trace. Times are in seconds, arrival since an epoch that is 0 or the first arrival of its run.
type invocation struct {
	arrival, wait, init, duration float64 // NaN: not known. duration is from arrival to end
	mark, parent                  int32
	cold, late                    bool // late: cold, and its container was on its way already
}

// start returns when its run started: at its arrival, for all that is known, if its wait is not known.
func (v *invocation) start() float64 {
	return v.arrival + known(v.wait) + known(v.init)
}

// latency returns how long it took from its arrival until its run started.
func (v *invocation) latency() float64 { return v.wait + known(v.init) }

// known returns v, or 0 if it is not known.
func known(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// trace is where the invocations of a trace are.
type trace struct {
	first, end int32
	parents    bool
}

// run has the traces of one recording, which share a time.
type run struct {
	labels      Labels
	traces      []trace
	invocations int // all, also those beyond the bound
	epoch       float64
	begun       bool
}

// Builder takes in traces, and makes a report of them.
type Builder struct {
	options Options
	names   []string
	all     []invocation
	runs    []run
	index   map[Labels]int

	// What was added, whether or not it is kept: traces, and those of them that have something.
	traces, invocations, empty, leftOut, implausible, kept  int
	withWait, withInit, withCold, withParents, withDuration int
	cold, late, coldTraces                                  int     // late: of cold, those that waited for a container on its way
	first, last                                             float64 // arrivals, in ms
	counts, colds                                           []int   // by mark
	firstLeftOut                                            Labels
	notes                                                   []string

	known                 *application // nil: not known
	inferred, unexplained int          // traces whose parents were found by its calls, or were not
}

// NewBuilder returns a builder that has no traces.
func NewBuilder(o Options) *Builder {
	if o.MemoryMB == 0 {
		o.MemoryMB = 256
	}
	if o.Lambda == 0 {
		o.Lambda = 2560
	}
	if o.Keep == nil {
		o.Keep = []float64{0, 60, 300, 600, 1200, 3600, math.Inf(1)}
	}
	if o.MaxInvocations == 0 {
		o.MaxInvocations = 1 << 20
	}
	return &Builder{options: o, index: map[Labels]int{}}
}

// Add takes in a sequence, which must be valid, and whose marks have the names.
func (b *Builder) Add(s *tpp.Sequence, names []string, l Labels) {
	if !l.within(b.options.Only) {
		if b.leftOut++; b.leftOut == 1 {
			b.firstLeftOut = l
		}
		return
	}
	b.names = names
	b.traces++
	if b.options.OnProgress != nil {
		b.options.OnProgress(b.traces)
	}
	n := s.Len()
	b.invocations += n
	if n == 0 {
		b.empty++
		return
	}
	if b.invocations == n {
		b.first, b.last = s.ArrivalTimes[0], s.ArrivalTimes[0]
	}
	b.first, b.last = min(b.first, s.ArrivalTimes[0]), max(b.last, s.ArrivalTimes[n-1])
	coldness := s.Covariates["faas.coldstart"]
	durations := s.Covariates[dataset.DurationCovariate]
	b.count(&b.withWait, s.WaitTimes != nil)
	b.count(&b.withInit, s.InitTimes != nil)
	b.count(&b.withCold, s.InitTimes != nil || coldness != nil)
	b.count(&b.withParents, s.Parents != nil)
	b.count(&b.withDuration, durations != nil)
	late := s.Covariates["late"]
	cold := func(i int) bool {
		return s.ColdStart(i) || s.InitTimes == nil && coldness != nil && coldness[i] > 0 || late != nil && late[i] > 0
	}
	any := false
	for i := range n {
		for mark := s.Mark(i); mark >= len(b.counts); {
			b.counts, b.colds = append(b.counts, 0), append(b.colds, 0)
		}
		b.counts[s.Mark(i)]++
		if cold(i) {
			b.colds[s.Mark(i)]++
			b.cold++
			any = true
			b.count(&b.late, late != nil && late[i] > 0)
		}
	}
	b.count(&b.coldTraces, any)
	r := b.runOf(l)
	if !b.plausible(s, r, durations) {
		b.implausible++
		return
	}
	r.invocations += n
	if len(b.all)+n > b.options.MaxInvocations {
		b.options.MaxInvocations = len(b.all) // and no shorter one after it: what is analysed has no holes
		return
	}
	b.kept++
	if !r.begun {
		r.begun, r.epoch = true, s.ArrivalTimes[0]
	}
	at := func(values []float64, i int) float64 {
		if values == nil {
			return math.NaN()
		}
		return values[i] / 1000
	}
	t := trace{first: int32(len(b.all)), end: int32(len(b.all) + n), parents: s.Parents != nil}
	for i := range n {
		v := invocation{
			arrival: (s.ArrivalTimes[i] - r.epoch) / 1000, wait: at(s.WaitTimes, i), init: at(s.InitTimes, i), duration: at(durations, i),
			mark: int32(s.Mark(i)), parent: -1, cold: cold(i), late: late != nil && late[i] > 0,
		}
		if s.Parents != nil {
			v.parent = int32(s.Parents[i])
		}
		b.all = append(b.all, v)
	}
	r.traces = append(r.traces, t)
}

// plausible reports whether the times of a sequence are such as can be: sums of others could be endless.
func (b *Builder) plausible(s *tpp.Sequence, r *run, durations []float64) bool {
	epoch := s.ArrivalTimes[0]
	if r.begun {
		epoch = r.epoch
	}
	for _, t := range []float64{s.ArrivalTimes[0], s.ArrivalTimes[s.Len()-1]} {
		if !(math.Abs(t-epoch) < 1000*tooFar) {
			return false
		}
	}
	for _, values := range [][]float64{s.WaitTimes, s.InitTimes, durations} {
		for _, v := range values {
			if !(v >= 0 && v < 1000*tooFar) {
				return false
			}
		}
	}
	return true
}

func (b *Builder) count(n *int, has bool) {
	if has {
		*n++
	}
}

// runOf returns the run with the labels.
func (b *Builder) runOf(l Labels) *run {
	i, ok := b.index[l]
	if !ok {
		i = len(b.runs)
		b.index[l] = i
		b.runs = append(b.runs, run{labels: l})
	}
	return &b.runs[i]
}

// of returns the invocations of a trace.
func (b *Builder) of(t trace) []invocation { return b.all[t.first:t.end] }

// name returns the name of a mark.
func (b *Builder) name(mark int) string {
	if mark < len(b.names) {
		return b.names[mark]
	}
	return "all"
}
