package requests

import (
	"errors"
	"math"
)

// timetable is a process with one request in each period, which comes a random time early or late, whatever the one before did. With each
// request the table moves towards the mean of how late requests were, with more weight on the last ones, so that an error of the period does not
// add up.
type timetable struct {
	*timetableModel
	due  float64 // when the last request was due, in seconds after the epoch
	last float64 // request
	n    float64 // requests
}

func (t *timetable) begin(at float64) { t.due, t.last, t.n = at, at, 0 }

func (t *timetable) observe(at, gap float64) {
	t.last = at
	t.n++
	if gap == 0 {
		t.due = at
		return
	}
	t.due += t.period * max(math.Floor((at-t.due)/t.period+1-tooLate), 1)
	t.due += max(1/t.n, followTable) * (at - t.due)
}

const (
	// followTable is the least share of its lateness by which a request moves the table.
	followTable = 0.02
	// tooLate is how late, in periods, a request is taken not to come at all.
	tooLate = 0.75
	// missed is the probability that the request of a period does not come.
	missed = 1e-3
)

// since returns the time since the request before the next one was due, when the last has come a time ago, and how many have not come meanwhile.
func (t *timetable) since(elapsed float64) (passed, missing float64) {
	passed = t.last + elapsed - t.due
	missing = math.Floor(max(passed/t.period-tooLate, 1)) - 1
	return passed - missing*t.period, missing
}

func (t *timetable) logDensity(gap float64) float64 {
	passed, missing := t.since(gap)
	at, _ := t.since(0)
	return missing*math.Log(missed) + t.law.logDensity(passed) - t.law.logSurvival(max(at, 0))
}

func (t *timetable) logSurvival(elapsed float64) float64 {
	passed, missing := t.since(elapsed)
	at, _ := t.since(0)
	return min(missing*math.Log(missed)+t.law.logSurvival(passed)-t.law.logSurvival(max(at, 0)), 0)
}

func (t *timetable) forecast(elapsed, weight float64, f *Forecast) {
	if b := f.add(timetableBranch, weight); b != nil {
		passed, _ := t.since(elapsed)
		b.law, b.a, b.b = t.law, passed, t.period
		b.first.set(t.law, 1, passed)
	}
}

// timetableModel is the model of a timetable.
type timetableModel struct {
	period float64
	law    *law // of the time from when a request is due until the next one comes
}

var errNoTimetable = errors.New("requests do not come at regular times")

// fitTimetable finds the period by least squares.
func fitTimetable(gaps []float64) (candidate, error) {
	n := float64(len(gaps))
	at, period := 0.0, 0.0
	for i, g := range gaps {
		at += g
		period += at * (float64(i+1) - n/2)
	}
	period *= 12 / (n * (n + 1) * (n + 2))
	if !(period > 0) {
		return nil, errNoTimetable
	}
	m := &timetableModel{period: period}
	t := &timetable{timetableModel: m}
	times := make([]float64, 0, len(gaps))
	t.begin(0)
	t.observe(0, 0)
	at = 0
	for i, g := range gaps {
		if passed, missing := t.since(g); missing == 0 && passed > 0 && i >= len(gaps)/10 { // once the phase is known
			times = append(times, max(passed, minGap))
		}
		at += g
		t.observe(at, g)
	}
	if float64(len(times)) < 0.8*n {
		return nil, errNoTimetable
	}
	var err error
	m.law, err = lawOf(times)
	return m, err
}

func (m *timetableModel) prepare() {}

func (m *timetableModel) fitted() expert { return &timetable{timetableModel: m} }

func (m *timetableModel) others() (prior []float64, experts []expert) { return nil, nil }
