package experiment

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// Run is what has happened under a policy. Times are since the beginning of the load.
type Run struct {
	Experiment *Experiment
	// Policy is the spec.
	Policy string
	Seed   uint64
	// Changes are the changes of the number of replicas.
	Changes []Change
	// Failed is the number of requests, or messages, that were given up.
	Failed int
	// End is when the run has ended.
	End time.Duration

	load, wanted, ready, present, inFlight steps
	answers                                []answer
	refused, offered                       []time.Duration
	open                                   int // requests and messages under way at the end
}

// Change is a change of the number of replicas that a policy has asked for.
type Change struct {
	At       time.Duration
	From, To int
	// Rule is the reason.
	Rule string
}

// answer is that a request was answered with 200, and how long that took from when it was tried first.
type answer struct{ at, took time.Duration }

// Seconds is a time in seconds, NaN where there is none: null in JSON.
type Seconds float64

var unknown = Seconds(math.NaN())

// Known reports whether there is one.
func (s Seconds) Known() bool { return !math.IsNaN(float64(s)) }

// MarshalJSON returns the number, or null.
func (s Seconds) MarshalJSON() ([]byte, error) {
	if !s.Known() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(s))
}

// steps is a quantity that changes in steps.
type steps []step

type step struct {
	at    time.Duration
	value float64
}

// set notes a value from a time on.
func (s *steps) set(at time.Duration, value float64) {
	n := len(*s)
	switch {
	case n > 0 && (*s)[n-1].value == value:
	case n > 0 && (*s)[n-1].at == at:
		(*s)[n-1].value = value
	default:
		*s = append(*s, step{at, value})
	}
}

// integral returns the integral from one time to another, in units · seconds. The value is 0 before the first step.
func (s steps) integral(from, to time.Duration) float64 {
	sum := 0.0
	i, _ := slices.BinarySearchFunc(s, from, func(s step, at time.Duration) int { return int(s.at - at) })
	for i = max(i-1, 0); i < len(s) && s[i].at < to; i++ {
		until := to
		if i+1 < len(s) {
			until = min(until, s[i+1].at)
		}
		if begin := max(s[i].at, from); until > begin {
			sum += s[i].value * (until - begin).Seconds()
		}
	}
	return sum
}

// mean returns the mean value from one time to another.
func (s steps) mean(from, to time.Duration) float64 {
	return s.integral(from, to) / (to - from).Seconds()
}

// most returns the largest value.
func (s steps) most() float64 {
	most := 0.0
	for _, one := range s {
		most = max(most, one.value)
	}
	return most
}

// Row is what was so in an interval.
type Row struct {
	// From and To are its ends in seconds.
	From float64 `json:"from"`
	To   float64 `json:"to"`
	// Load is the mean number of users, of requests that arrived a second, or of messages that waited.
	Load float64 `json:"load"`
	// Wanted and Ready are the mean numbers of replicas that the policy wanted, and that took requests.
	Wanted float64 `json:"wanted"`
	Ready  float64 `json:"ready"`
	// InFlight is the mean number of requests that were waiting or being worked on.
	InFlight float64 `json:"in_flight"`
	// Done is the number of requests that were answered a second, and Mean and P95 how long they took in seconds, NaN without any.
	Done float64 `json:"done"`
	Mean Seconds `json:"mean"`
	P95  Seconds `json:"p95"`
	// Refused is the number of answers 429 (or 503) a second.
	Refused float64 `json:"refused"`
}

// Rows returns the course of the run in intervals of a width, the last of which may be shorter.
func (r *Run) Rows(width time.Duration) []Row {
	var rows []Row
	var took []float64
	answers, refused, offered := r.answers, r.refused, r.offered
	for from := time.Duration(0); from < r.End; from += width {
		to := min(from+width, r.End)
		seconds := (to - from).Seconds()
		took = took[:0]
		for len(answers) > 0 && answers[0].at < to {
			took = append(took, answers[0].took.Seconds())
			answers = answers[1:]
		}
		count := func(times *[]time.Duration) float64 {
			n := 0
			for n < len(*times) && (*times)[n] < to {
				n++
			}
			*times = (*times)[n:]
			return float64(n) / seconds
		}
		row := Row{
			From: from.Seconds(), To: to.Seconds(), Load: r.load.mean(from, to), Wanted: r.wanted.mean(from, to), Ready: r.ready.mean(from, to),
			InFlight: r.inFlight.mean(from, to), Done: float64(len(took)) / seconds, Refused: count(&refused),
		}
		if n := count(&offered); r.Experiment.Load.Kind == Rate {
			row.Load = n
		}
		row.Mean, row.P95 = mean(took), quantile(took, 0.95)
		rows = append(rows, row)
	}
	return rows
}

// Summary is a run in a few numbers.
type Summary struct {
	// Policy is the spec.
	Policy string `json:"policy"`
	// Done, Refused and Failed are numbers of requests: answered with 200, answers 429 or 503, and given up. Open were still under way.
	Done    int `json:"done"`
	Refused int `json:"refused"`
	Failed  int `json:"failed"`
	Open    int `json:"open"`
	// Mean, P50, P95 and P99 are latencies in seconds, from the first try.
	Mean Seconds `json:"mean"`
	P50  Seconds `json:"p50"`
	P95  Seconds `json:"p95"`
	P99  Seconds `json:"p99"`
	// Replicas is the largest number that was wanted, and ReplicaSeconds the time for which they were there, all together.
	Replicas       int     `json:"replicas"`
	ReplicaSeconds float64 `json:"replica_seconds"`
	// Last is when the last request was answered.
	Last float64 `json:"last"`
}

// Summary returns the run in a few numbers.
func (r *Run) Summary() Summary {
	took := make([]float64, 0, len(r.answers))
	s := Summary{Policy: r.Policy, Done: len(r.answers), Refused: len(r.refused), Failed: r.Failed, Open: r.open, Replicas: int(r.wanted.most())}
	for _, a := range r.answers {
		took = append(took, a.took.Seconds())
		s.Last = a.at.Seconds()
	}
	s.Mean, s.P50, s.P95, s.P99 = mean(took), quantile(took, 0.5), quantile(took, 0.95), quantile(took, 0.99)
	s.ReplicaSeconds = r.present.integral(0, r.End)
	return s
}

// Around is what a change of the number of replicas has brought.
type Around struct {
	Change
	// Ready is when as many replicas as wanted were ready, the time of the change for fewer; negative if there was another change before.
	Ready time.Duration
	// Before is the mean latency in seconds of what was answered in the 15 s before the change, and After of what was in the 15 s after Ready,
	// or until the next change; NaN without any.
	Before, After Seconds
}

// aroundFor is how long before and after a change latencies are taken.
const aroundFor = 15 * time.Second

// Around returns the changes during the run, with the latency before and after each.
func (r *Run) Around() []Around {
	var all []Around
	for i, c := range r.Changes {
		if c.At < 0 {
			continue // the first replicas
		}
		next := r.End
		if i+1 < len(r.Changes) {
			next = r.Changes[i+1].At
		}
		a := Around{Change: c, Ready: c.At, Before: r.latency(c.At-aroundFor, c.At), After: unknown}
		if c.To > c.From {
			a.Ready = -1
			for _, s := range r.ready {
				if s.at >= c.At && s.at < next && s.value >= float64(c.To) {
					a.Ready = s.at
					break
				}
			}
		}
		if a.Ready >= 0 {
			a.After = r.latency(a.Ready, min(a.Ready+aroundFor, next))
		}
		all = append(all, a)
	}
	return all
}

// latency returns the mean latency in seconds of what was answered from a time to another.
func (r *Run) latency(from, to time.Duration) Seconds {
	var took []float64
	for _, a := range r.answers {
		if a.at >= from && a.at < to {
			took = append(took, a.took.Seconds())
		}
	}
	return mean(took)
}

// mean returns the mean of the values, NaN without any.
func mean(values []float64) Seconds {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return Seconds(sum / float64(len(values)))
}

// quantile returns a quantile of the values, which it sorts; NaN without any.
func quantile(values []float64, q float64) Seconds {
	if len(values) == 0 {
		return unknown
	}
	slices.Sort(values)
	return Seconds(values[min(int(q*float64(len(values))), len(values)-1)])
}
