package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// Report is what was found. What cannot be told from the traces is empty, and Missing says why.
type Report struct {
	Source      string `json:"source,omitempty"`
	Traces      int    `json:"traces"`
	Invocations int    `json:"invocations"`
	// Analysed is the number of traces that all below is about; other than Traces where the recording is larger than Options.MaxInvocations.
	Analysed int `json:"analysed"`
	// From and To are the first and the last arrival, empty where times are not since 1970; Seconds is the time between them.
	From    string  `json:"from,omitempty"`
	To      string  `json:"to,omitempty"`
	Seconds float64 `json:"seconds"`
	// ColdStarts are cold invocations, ColdTraces traces with at least one of them. Of traces of which it is not known they count none.
	ColdStarts int `json:"cold_starts"`
	ColdTraces int `json:"cold_traces"`
	// KnowsCold says that it is known of any trace which invocations were cold.
	KnowsCold bool     `json:"knows_cold"`
	Missing   []string `json:"missing,omitempty"`
	Notes     []string `json:"notes,omitempty"`
	MemoryMB  float64  `json:"memory_mb"`
	Lambda    float64  `json:"lambda"`
	// Runs are the recordings, where there are several.
	Runs      []Run      `json:"runs,omitempty"`
	Functions []Function `json:"functions"`
	// Loads are by how many others were starting when an invocation arrived.
	Loads    []Load    `json:"loads,omitempty"`
	Depths   []Depth   `json:"depths,omitempty"`
	EndToEnd *EndToEnd `json:"end_to_end,omitempty"`
	// OverTime has a timeline for each run, the longest first, up to maxTimelines.
	OverTime []Timeline `json:"over_time,omitempty"`
	// KeepAlives and Prices are what another keep-alive, or another rule at a price, would have changed.
	KeepAlives []Change `json:"keep_alives,omitempty"`
	Prices     []Change `json:"prices,omitempty"`
	// Replayed says what the changes are computed from.
	Replayed *Replayed `json:"replayed,omitempty"`
}

// Run is a recording.
type Run struct {
	Labels
	Traces      int           `json:"traces"`
	Invocations int           `json:"invocations"`
	ColdStarts  int           `json:"cold_starts"`
	Latency     *Distribution `json:"latency,omitempty"` // of requests
	Added       *Distribution `json:"added,omitempty"`   // by cold starts
}

// Function is what was found of a function.
type Function struct {
	Name        string `json:"name"`
	Invocations int    `json:"invocations"`
	ColdStarts  int    `json:"cold_starts"`
	// Cold and Warm are from arrival to the start of the run.
	Cold *Distribution `json:"cold,omitempty"`
	Warm *Distribution `json:"warm,omitempty"`
	// ColdSeconds is what its cold starts waited and initialised, and ReachSeconds what of it reached the ends of requests. Critical counts cold
	// starts on critical paths, those that lead to what ends last.
	ColdSeconds  float64 `json:"cold_seconds"`
	ReachSeconds float64 `json:"reach_seconds"`
	Critical     int     `json:"critical"`
	// Start is the start time that the replay takes: the median of its cold starts that are not late, or those of all functions, or 2 s.
	Start float64 `json:"start"`
	// Gaps are how long containers were idle between two uses; see Histogram for how many of them lie where.
	Gaps      *Distribution `json:"gaps,omitempty"`
	Histogram []int         `json:"gap_histogram,omitempty"`
	// Containers is how many containers its invocations would need at once if all were warm.
	Containers int `json:"containers"`
	// Ski is the keep-alive of ski rental; Best the best one in hindsight, −1 for ever; PrewarmAfter and PrewarmUntil the rule that is best
	// for the distribution of its gaps: kept until (PrewarmAfter 0), or removed at once and there again from the one to the other. All at
	// Report.Lambda; of several runs, the median.
	Ski          float64 `json:"ski"`
	Best         float64 `json:"best"`
	PrewarmAfter float64 `json:"prewarm_after"`
	PrewarmUntil float64 `json:"prewarm_until"`
}

// Load is what invocations waited that arrived while so many others were starting.
type Load struct {
	Least int           `json:"least"`
	Most  int           `json:"most"` // −1: any number
	Cold  *Distribution `json:"cold,omitempty"`
	Warm  *Distribution `json:"warm,omitempty"`
}

// Depth is what was found at a distance from the root.
type Depth struct {
	Depth        int     `json:"depth"`
	Invocations  int     `json:"invocations"`
	ColdStarts   int     `json:"cold_starts"`
	ColdSeconds  float64 `json:"cold_seconds"`
	ReachSeconds float64 `json:"reach_seconds"`
}

// EndToEnd is what cold starts cost requests.
type EndToEnd struct {
	// Traces are those that could be followed. ToStart says that ends are not known, so that a request ends with its last start.
	Traces  int  `json:"traces"`
	ToStart bool `json:"to_start"`
	// Latency is from the first arrival to the end, WarmLatency the same without cold starts, and Added the difference.
	Latency     *Distribution `json:"latency"`
	WarmLatency *Distribution `json:"warm_latency"`
	Added       *Distribution `json:"added"`
	// ColdStarts is the number of cold starts of these traces. Critical, ColdSeconds and ReachSeconds are sums, see Function.
	ColdStarts   int     `json:"cold_starts"`
	Critical     int     `json:"critical"`
	ColdSeconds  float64 `json:"cold_seconds"`
	ReachSeconds float64 `json:"reach_seconds"`
}

// loadEdges are the least loads of the ranges.
var loadEdges = []int{0, 1, 4, 8, 16, 24, 48, 96}

// tooFar is how far apart times can be, in seconds: more than 3000 years.
const tooFar = 1e11

// Report analyses what was added.
func (b *Builder) Report(ctx context.Context) (*Report, error) {
	o := &b.options
	r := &Report{
		Source: o.Source, Traces: b.traces, Invocations: b.invocations, Analysed: b.kept + b.empty, Seconds: b.last/1000 - b.first/1000,
		ColdStarts: b.cold, ColdTraces: b.coldTraces, KnowsCold: b.withCold > 0, MemoryMB: o.MemoryMB, Lambda: o.Lambda,
	}
	if b.first > 1e11 && b.last < 1e14 {
		stamp := func(ms float64) string { return time.UnixMilli(int64(ms)).UTC().Format("2006-01-02 15:04:05 UTC") }
		r.From, r.To = stamp(b.first), stamp(b.last)
	}
	b.findParents()
	a := &analysis{Builder: b, report: r, functions: make([]Function, len(b.counts))}
	for i := range a.functions {
		a.functions[i] = Function{Name: b.name(i), Invocations: b.counts[i], ColdStarts: b.colds[i]}
	}
	for _, step := range []func(){a.latencies, a.byLoad, a.endToEnd, a.overTime, a.changes, a.say} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		step()
	}
	for _, f := range a.functions {
		if f.Invocations > 0 {
			r.Functions = append(r.Functions, f)
		}
	}
	slices.SortStableFunc(r.Functions, func(f, g Function) int {
		return cmp.Or(-cmp.Compare(f.ColdSeconds, g.ColdSeconds), -cmp.Compare(f.ColdStarts, g.ColdStarts), -cmp.Compare(f.Invocations, g.Invocations), cmp.Compare(f.Name, g.Name))
	})
	return r, nil
}

// analysis is a report in the making.
type analysis struct {
	*Builder
	report    *Report
	functions []Function // by mark
	latency   []float64  // of the requests, by trace in the order of runs; NaN: not known
}

// knows reports whether it is known of a trace what its invocations waited, and which were cold.
func (a *analysis) knows(t trace) bool {
	v := &a.all[t.first]
	return !math.IsNaN(v.wait) && !math.IsNaN(v.init)
}

// latencies finds what functions wait for cold and for warm containers, and how long starts take: what cold invocations wait that are not late.
func (a *analysis) latencies() {
	cold, warm, starts := make([][]float64, len(a.functions)), make([][]float64, len(a.functions)), make([][]float64, len(a.functions))
	var all []float64
	for _, r := range a.runs {
		for _, t := range r.traces {
			for _, v := range a.of(t) {
				if math.IsNaN(v.wait) || math.IsNaN(v.init) && v.cold {
					continue
				}
				if !v.cold {
					warm[v.mark] = append(warm[v.mark], v.latency())
					continue
				}
				cold[v.mark] = append(cold[v.mark], v.latency())
				a.functions[v.mark].ColdSeconds += v.latency()
				if !v.late {
					starts[v.mark], all = append(starts[v.mark], v.latency()), append(all, v.latency())
				}
			}
		}
	}
	otherwise := 2.0
	if d := distributionOf(all); d != nil {
		otherwise = d.P50
	}
	for i := range a.functions {
		f := &a.functions[i]
		f.Cold, f.Warm, f.Start = distributionOf(cold[i]), distributionOf(warm[i]), otherwise
		if d := distributionOf(starts[i]); d != nil {
			f.Start = d.P50
		}
	}
}

// byLoad finds what invocations wait while others start.
func (a *analysis) byLoad() {
	cold, warm := make([][]float64, len(loadEdges)), make([][]float64, len(loadEdges))
	for _, r := range a.runs {
		var begins, ends []float64
		for _, t := range r.traces {
			if !a.knows(t) {
				continue
			}
			for _, v := range a.of(t) {
				if v.cold {
					begins, ends = append(begins, v.arrival), append(ends, v.start())
				}
			}
		}
		slices.Sort(begins)
		slices.Sort(ends)
		for _, t := range r.traces {
			if !a.knows(t) {
				continue
			}
			for _, v := range a.of(t) {
				starting := upTo(begins, v.arrival) - upTo(ends, v.arrival)
				if v.cold {
					starting-- // itself
				}
				k := len(loadEdges) - 1
				for loadEdges[k] > max(starting, 0) {
					k--
				}
				if v.cold {
					cold[k] = append(cold[k], v.latency())
				} else {
					warm[k] = append(warm[k], v.latency())
				}
			}
		}
	}
	for k, least := range loadEdges {
		l := Load{Least: least, Most: -1, Cold: distributionOf(cold[k]), Warm: distributionOf(warm[k])}
		if k+1 < len(loadEdges) {
			l.Most = loadEdges[k+1] - 1
		}
		if l.Cold != nil || l.Warm != nil {
			a.report.Loads = append(a.report.Loads, l)
		}
	}
}

// upTo returns how many of the ascending values are at most limit.
func upTo(values []float64, limit float64) int {
	n, _ := slices.BinarySearchFunc(values, limit, func(v, limit float64) int {
		if v <= limit {
			return -1
		}
		return 1
	})
	return n
}

// endToEnd finds where in compositions cold starts are, and what they cost requests.
func (a *analysis) endToEnd() {
	var p paths
	var latencies, warmLatencies, addeds []float64
	depths := map[int]*Depth{}
	e := &EndToEnd{}
	several := len(a.runs) > 1
	for _, r := range a.runs {
		found := Run{Labels: r.labels, Traces: len(r.traces), Invocations: r.invocations}
		var ofRun, addedOfRun []float64
		for _, t := range r.traces {
			trace := a.of(t)
			for _, v := range trace {
				if v.cold {
					found.ColdStarts++
				}
			}
			latency := math.NaN()
			if t.parents {
				p.follow(trace)
				follows := a.knows(t)
				for i, v := range trace {
					d := depths[p.depth[i]]
					if d == nil {
						d = &Depth{Depth: p.depth[i]}
						depths[p.depth[i]] = d
					}
					d.Invocations++
					if !v.cold {
						continue
					}
					d.ColdStarts++
					if follows {
						f := &a.functions[v.mark]
						d.ColdSeconds += v.latency()
						d.ReachSeconds += p.reach[i]
						f.ReachSeconds += p.reach[i]
						e.ColdStarts++
						e.ColdSeconds += v.latency()
						e.ReachSeconds += p.reach[i]
						if p.onPath[i] {
							f.Critical++
							e.Critical++
						}
					}
				}
				if follows {
					e.Traces++
					e.ToStart = e.ToStart || math.IsNaN(trace[0].duration)
					latency = p.end - trace[0].arrival
					latencies, warmLatencies = append(latencies, latency), append(warmLatencies, p.warmEnd-trace[0].arrival)
					addeds = append(addeds, p.end-p.warmEnd)
					if several {
						ofRun, addedOfRun = append(ofRun, latency), append(addedOfRun, p.end-p.warmEnd)
					}
				}
			}
			a.latency = append(a.latency, latency)
		}
		if several {
			found.Latency, found.Added = distributionOf(ofRun), distributionOf(addedOfRun)
			a.report.Runs = append(a.report.Runs, found)
		}
	}
	for _, d := range depths {
		a.report.Depths = append(a.report.Depths, *d)
	}
	slices.SortFunc(a.report.Depths, func(c, d Depth) int { return c.Depth - d.Depth })
	if e.Traces > 0 {
		e.Latency, e.WarmLatency, e.Added = distributionOf(latencies), distributionOf(warmLatencies), distributionOf(addeds)
		a.report.EndToEnd = e
	}
}

// say says what is missing.
func (a *analysis) say() {
	r, full := a.report, a.traces-a.empty
	missing := func(with int, what, so string) {
		switch {
		case full == 0 || with >= full:
		case with == 0:
			r.Missing = append(r.Missing, fmt.Sprintf("The traces have no %s: %s.", what, so))
		default:
			r.Missing = append(r.Missing, fmt.Sprintf("%d of %d traces %s no %s: of these, %s.", full-with, full, verb(full-with, "has", "have"), what, so))
		}
	}
	if a.traces == 0 {
		text := "There are no traces."
		if a.leftOut > 0 {
			text = fmt.Sprintf("None of the %d traces has the labels asked for; the first has %s.", a.leftOut, cmp.Or(a.firstLeftOut.String(), "none"))
			if a.leftOut == 1 {
				text = fmt.Sprintf("The only trace does not have the labels asked for; it has %s.", cmp.Or(a.firstLeftOut.String(), "none"))
			}
		}
		r.Missing = append(r.Missing, text)
	} else if full == 0 {
		r.Missing = append(r.Missing, "All traces are empty.")
	}
	missing(a.withWait, "wait times", "how long cold starts take, and what they cost, is not known")
	if a.withCold == a.withInit {
		missing(a.withInit, "init times", "which invocations were cold is not known")
	} else {
		missing(a.withInit, "init times", "how long initialising takes is not known; which were cold is, for "+count(a.withCold, "trace"))
	}
	if a.unexplained > 0 {
		r.Missing = append(r.Missing, fmt.Sprintf("%s %s not say which invocation called which: depths and end-to-end costs are of the others.", count(a.unexplained, "trace"), verb(a.unexplained, "does", "do")))
	}
	lasts := "a run with its last call"
	if a.known != nil {
		lasts = "a run, for the replay, after the duration that its application has for it"
	}
	missing(a.withDuration, "ends of runs (the covariate duration, or spans)", "a request is taken to end with the start of its last run, and "+lasts)
	if a.inferred > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s %s not say which invocation called which; the functions are those of an application of this project, whose calls were taken.", count(a.inferred, "trace"), verb(a.inferred, "does", "do")))
	}
	if a.late > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d of the cold starts %s late: the invocation waited for a container that was being started already.", a.late, verb(a.late, "is", "are")))
	}
	if a.empty > 0 && full > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s %s empty.", count(a.empty, "trace"), verb(a.empty, "is", "are")))
	}
	if a.implausible > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s %s times that cannot be, such as arrivals millennia apart: counted, and not analysed.", count(a.implausible, "trace"), verb(a.implausible, "has", "have")))
	}
	if r.Analysed+a.implausible < r.Traces {
		r.Notes = append(r.Notes, fmt.Sprintf("The recording is large: of its %d traces the first %d %s analysed, all are counted.", r.Traces, r.Analysed, verb(r.Analysed, "is", "are")))
	}
	r.Notes = append(r.Notes, a.notes...)
}
