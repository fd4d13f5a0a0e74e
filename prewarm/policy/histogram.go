package policy

import (
	"math"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

func init() {
	for name, help := range map[string]string{
		"histogram":     "hybrid histogram of the idle times of each function; options head, tail, margin (percent), oob, min",
		"histogram-app": "hybrid histogram of the idle times of each application, whose functions are loaded together; the same options",
	} {
		Register(Kind{
			Name: name, Form: name + "[:range=MINUTES][:cv=C][:OPTION=VALUE]...", Help: help,
			New: func(a *Args, o Options) (prewarm.Policy, error) { return newHybrid(a, o, name == "histogram-app"), nil },
		})
	}
}

// hybrid is the hybrid histogram policy of Shahrad et al., "Serverless in the Wild" (USENIX ATC 2020, §4.2). Its unit is the application, all
// functions of which are loaded at once and share one histogram; or, as others use it, the function. At the end e of a unit's execution
// it decides on two times, the one after which the unit is loaded (PW) and the one until which it stays so (END), both from e on:
//
//	fewer than min idle times known            PW = 0,            END = range
//	more than oob of them are out of range     PW = p − error,    END = p + error
//	the coefficient of variation of the        PW = 0.9·head,     END = 1.1·tail
//	bins is at least cv
//	otherwise                                  PW = 0,            END = range
//
// With PW = 0 the unit stays loaded until e + END; otherwise it is unloaded, loaded at e + PW, and unloaded at e + END. An invocation that comes
// before cancels the load. An idle time is that from the end of an execution, after which nothing of the unit runs, to the next invocation. Those
// below range are counted in bins of a minute. END counts from the end of the execution; some re-implementations count the tail from the load.
//
// The paper forecasts what is out of range by ARIMA. Here the mean of all idle times stands for that: p is the mean gap, and error its standard error,
// but at least 15 % of it, which are the paper's margin.
//
// Parameters: range (240 minutes), head and tail (5 and 99 percent; the head is rounded down and the tail up to whole minutes), margin (10 percent of
// each), cv (2), oob (0.5), min (10). The paper says nothing of the last two; these are those of re-implementations.
//
// A unit is loaded by starting one container of each of its functions that has none. For the application that is also done when its first invocation
// arrives, because all its functions are one image there.
type hybrid struct {
	bins         int
	head, tail   float64 // shares
	margin       float64
	cv2          uint64 // (100·cv)²
	outOfRange   float64
	fewest       int
	whole        bool // a unit's functions are loaded together
	units        []*unit
	of           []*unit          // by function
	applications map[string]*unit // by name
}

// unit is an application or a function.
type unit struct {
	key       uint64
	functions []int
	running   int
	ended     bool // an execution has ended before
	end       prewarm.Time
	load      time.Duration // PW, after end
	until     time.Duration // END, after end
	idle      idleTimes
}

// idleTimes are the idle times of a unit.
type idleTimes struct {
	bins         []uint64
	sum, squares uint64 // of the bins
	outOfRange   uint64
	mean, m2     float64 // of all, in seconds, and the sum of their squared deviations
}

// arimaMargin is the share of a forecast that it may be wrong by.
const arimaMargin = 0.15

func newHybrid(a *Args, o Options, whole bool) *hybrid {
	h := &hybrid{
		bins: int(a.Option("range", 240, 1, 100000)),
		head: a.Option("head", 5, 0, 100) / 100, tail: a.Option("tail", 99, 0, 100) / 100, margin: a.Option("margin", 10, 0, 100) / 100,
		outOfRange: a.Option("oob", 0.5, 0, 1), fewest: int(a.Option("min", 10, 0, 1e6)),
		whole: whole, applications: map[string]*unit{},
	}
	cv := uint64(math.Round(100 * a.Option("cv", 2, 0, 100)))
	h.cv2 = cv * cv
	h.add(o.Functions)
	return h
}

// add adds the functions that there are not yet.
func (h *hybrid) add(functions []prewarm.Function) {
	for i := len(h.of); i < len(functions); i++ {
		f := &functions[i]
		h.of = append(h.of, nil)
		if f.StemCell {
			continue
		}
		u := h.applications[f.Application]
		if u == nil || !h.whole || f.Application == "" {
			u = &unit{key: uint64(len(h.units)) + 1, idle: idleTimes{bins: make([]uint64, h.bins)}}
			h.units = append(h.units, u)
			h.applications[f.Application] = u
		}
		u.functions = append(u.functions, i)
		h.of[i] = u
	}
}

// Grown implements prewarm.Grower.
func (h *hybrid) Grown(fleet *prewarm.Fleet, _ *prewarm.Decisions) { h.add(fleet.Functions) }

// Handle implements prewarm.Policy.
func (h *hybrid) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if e.Kind == prewarm.Woken {
		if e.Key > 0 && e.Key <= uint64(len(h.units)) {
			h.start(h.units[e.Key-1], -1, "the next use is expected", fleet, d)
		}
		return
	}
	u := h.of[min(max(e.Function, 0), len(h.of)-1)]
	if e.Kind == prewarm.Pressure || u == nil {
		return
	}
	switch e.Kind {
	case prewarm.Arrived:
		h.begin(u, e, fleet, d)
	case prewarm.Started:
		if !fleet.Platform.Arrivals {
			h.begin(u, e, fleet, d)
		}
	case prewarm.Ended, prewarm.Refused:
		if u.running = max(u.running-1, 0); u.running == 0 {
			h.decide(u, e.At, fleet, d)
		}
	case prewarm.Idle:
		h.keep(u, fleet.Container(e.Container), e.At, d)
	}
}

// begin is told of an invocation.
func (h *hybrid) begin(u *unit, e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	first := u.running == 0
	u.running++
	if !first {
		return
	}
	if u.ended {
		u.idle.add(e.At - e.Wait - u.end)
		if u.load > 0 {
			d.Wake(prewarm.Never, u.key)
		}
	}
	if h.whole {
		h.start(u, e.Function, "the application is loaded", fleet, d)
	}
}

// start starts a container of each function of a unit that has none, but for one of them.
func (h *hybrid) start(u *unit, but int, rule string, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for _, i := range u.functions {
		if i != but && fleet.Count(i) == 0 {
			d.Start(i, 1, prewarm.Why{Rule: rule, Demand: u.end + u.until})
		}
	}
}

// decide decides at the end of an execution when the unit is loaded.
func (h *hybrid) decide(u *unit, now prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	u.end, u.ended = now, true
	u.load, u.until = h.windows(&u.idle)
	if u.load > 0 {
		d.Wake(now+u.load, u.key)
	}
	for _, i := range u.functions {
		for _, c := range fleet.Containers(i, prewarm.StateIdle) {
			h.keep(u, c, now, d)
		}
	}
}

// keep decides on an idle container.
func (h *hybrid) keep(u *unit, c *prewarm.Container, now prewarm.Time, d *prewarm.Decisions) {
	switch {
	case u.running > 0 || !u.ended:
		d.Hold(c, now+time.Duration(h.bins)*time.Minute, prewarm.Why{Rule: "its unit is running"})
	case u.load > 0 && now < u.end+u.load:
		d.GiveBack(c, prewarm.Why{Rule: "unloaded until the next use is expected", Demand: u.end + u.load})
	default:
		d.Hold(c, u.end+u.until, prewarm.Why{Rule: "the next use is expected until then"})
	}
}

// windows returns PW and END.
func (h *hybrid) windows(t *idleTimes) (load, until time.Duration) {
	all := t.sum + t.outOfRange
	switch {
	case all < uint64(h.fewest) || all == 0:
	case float64(t.outOfRange) > h.outOfRange*float64(all):
		margin := max(arimaMargin*t.mean, t.standardError())
		return max(seconds(t.mean-margin), 0), seconds(t.mean + margin)
	case t.representative(h.cv2):
		load = scaled(t.quantile(h.head), 1-h.margin)
		return load, scaled(t.quantile(h.tail)+1, 1+h.margin)
	}
	return 0, time.Duration(h.bins) * time.Minute
}

// scaled returns a number of minutes times a factor.
func scaled(minutes int, factor float64) time.Duration {
	return seconds(60 * float64(minutes) * factor)
}

// add counts an idle time.
func (t *idleTimes) add(d time.Duration) {
	d = max(d, 0)
	if i := int(d / time.Minute); i < len(t.bins) {
		t.squares += 2*t.bins[i] + 1
		t.sum++
		t.bins[i]++
	} else {
		t.outOfRange++
	}
	before := d.Seconds() - t.mean
	t.mean += before / float64(t.sum+t.outOfRange)
	t.m2 += before * (d.Seconds() - t.mean)
}

// standardError returns that of the mean.
func (t *idleTimes) standardError() float64 {
	n := float64(t.sum + t.outOfRange)
	return math.Sqrt(t.m2 / (n * max(n-1, 1)))
}

// representative reports whether the coefficient of variation of the bins is at least cv, of which cv2 is (100·cv)²: with n bins that is
//
//	n·Σb² ≥ (1 + cv²)·(Σb)²
//
// in whole numbers, since 48 equal bins of 240 have just 2 and floating point numbers say 1.9999999999999964.
func (t *idleTimes) representative(cv2 uint64) bool {
	return t.sum > 0 && 10000*uint64(len(t.bins))*t.squares >= (10000+cv2)*t.sum*t.sum
}

// quantile returns the bin in which a share of the idle times in range is reached.
func (t *idleTimes) quantile(q float64) int {
	need := q*float64(t.sum) - 1e-9
	var sum uint64
	last := 0
	for i, b := range t.bins {
		if b == 0 {
			continue
		}
		last = i
		if sum += b; float64(sum) >= need {
			break
		}
	}
	return last
}
