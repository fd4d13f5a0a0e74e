package newsvendor

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Sample are requests by which applications are compared. They are the same for all of them: without the delays by cold containers, as they
// were removed once.
type Sample struct {
	functions []int // by mark
	traces    []past
}

// NewSample returns the warm requests of a recording as a sample, from the number first on; the ones before tell of the delays too.
func NewSample(recording *prewarm.Recording, first, functions int) (*Sample, error) {
	h, err := newHistory(recording, functions)
	if err != nil {
		return nil, err
	}
	return &Sample{functions: recording.Functions, traces: h.traces[first:len(recording.Warm)]}, nil
}

// What a forecast is granted where the sample contradicts it: the probability that something comes which it does not expect, in how many seconds,
// about, and that something does not come which must.
const (
	unexpected      = 0.002
	unexpectedAfter = 10.0
	impossible      = 0.002
)

// Score returns the log likelihood of each request of a sample, given when its root came: of each invocation when and whose it is, given those before it
// and that until then nothing else has come, and last that nothing more comes. It is computed from what the policy decides by: the probability and the
// quantiles of all that is due.
func (a *Application) Score(s *Sample) []float64 {
	f := a.forecaster().newFollower()
	scores := make([]float64, len(s.traces))
	var list []expected
	for i := range s.traces {
		scores[i], list = a.score(f, s, &s.traces[i], list)
	}
	return scores
}

func (a *Application) score(f follower, s *Sample, t *past, list []expected) (float64, []expected) {
	// Of the trace as the application knows it: functions that it does not know are left out.
	known := make([]int, len(t.marks)) // the index of each among those that were observed, −1 if it is not
	var times []float64
	sum := 0.0
	f.reset()
	for k, m := range t.marks {
		known[k] = -1
		mark := a.history.mark(s.functions[m])
		caller := -1
		if p := t.parents[k]; p >= 0 {
			caller = known[p]
		}
		if len(times) > 0 {
			list = f.expect(list[:0])
			sum += next(list, times, mark, caller, t.times[k])
		} else if k > 0 { // it does not know where the request begins
			sum += math.Log(unexpected / unexpectedAfter)
		}
		if mark < 0 || len(times) == 0 && k > 0 || f.observe(mark, caller, t.times[k]) != nil {
			continue
		}
		known[k] = len(times)
		times = append(times, t.times[k])
	}
	if len(times) > 0 {
		list = f.expect(list[:0])
		sum += next(list, times, -1, -1, math.Inf(1))
	}
	return sum, list
}

// next returns the log likelihood that of what is expected one with a mark and a caller comes at a time, and nothing before it; or if the time is
// +Inf, that nothing comes at all. Times are when those came that are known.
func next(list []expected, times []float64, mark, caller int, at float64) float64 {
	now := times[len(times)-1]
	density := unexpected / unexpectedAfter * math.Exp(-(min(at, now+100*unexpectedAfter)-now)/unexpectedAfter) / float64(len(list)+1)
	sum := 0.0
	for i := range list {
		e := &list[i]
		if e.parent >= 0 {
			continue
		}
		first := true
		for j := range i {
			first = first && !(list[j].parent < 0 && list[j].alternative(e))
		}
		if !first {
			continue
		}
		// The group of alternatives: what is left of it now, and then.
		left, later, came := 1.0, 1.0, 0.0
		for j := i; j < len(list); j++ {
			o := &list[j]
			if o.parent >= 0 || !o.alternative(e) {
				continue
			}
			from := now
			if o.cause >= 0 {
				from = times[o.cause]
			}
			left -= o.probability * o.gap.Within(now-from)
			later -= o.probability * o.gap.Within(at-from)
			if int(o.mark) == mark && (int(o.cause) == caller || o.cause < 0 || caller < 0) {
				came += o.probability * o.gap.density(at-from)
			}
		}
		left = max(left, impossible)
		if came > 0 {
			density += came / left
			continue
		}
		sum += math.Log(max(later/left, impossible))
	}
	if math.IsInf(at, 1) {
		return sum
	}
	return sum + math.Log(density)
}

// elsewhere is the share of a distribution that is granted to times beyond those that were seen, which may be few.
const elsewhere = 0.1

// density returns the probability density at x, smoothed over a tenth of the spread of the middle half; a part of it is that of a logistic distribution
// around the median.
func (t *Times) density(x float64) float64 {
	spread := t[3*Quantiles/4] - t[Quantiles/4]
	width := max(spread/5, 0.005)
	median := t.Quantile(0.5)
	scale := max(spread, 0.1*median, 0.02)
	e := math.Exp(-math.Abs(x-median) / scale)
	return (1-elsewhere)*(t.Within(x+width)-t.Within(x-width))/(2*width) + elsewhere*e/(scale*(1+e)*(1+e))
}

// ClearlyBetter reports whether the scores of one are higher than those of another on the same sample by more than two standard errors of the mean
// difference, on a sample of at least enough.
func ClearlyBetter(a, b []float64, enough int) bool {
	n := float64(len(a))
	if len(a) < max(enough, 2) {
		return false
	}
	mean, squares := 0.0, 0.0
	for i := range a {
		mean += (a[i] - b[i]) / n
	}
	for i := range a {
		d := a[i] - b[i] - mean
		squares += d * d
	}
	return mean > 2*math.Sqrt(squares/(n-1)/n)
}

// Better reports whether the scores of one are higher than those of another on the same sample.
func Better(a, b []float64) bool {
	sum := 0.0
	for i := range a {
		sum += a[i] - b[i]
	}
	return sum > 0
}
