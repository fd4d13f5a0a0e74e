package prometheus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// mostValue is more than anything here is, and little enough for the sum of many series to be a number of 64 bits.
const mostValue = 1e13

// forgetAfter is after what time a series, or a function, is forgotten that Prometheus has no value of.
const forgetAfter = time.Hour

// meter makes loads of answers: it adds up the series of a function, and the growth of counters that begin anew.
type meter struct {
	options *Options
	series  [quantities]map[model.Fingerprint]*series // of counters
	totals  map[string]*total
}

// series is a counter that Prometheus knows.
type series struct {
	last float64
	seen time.Time
}

// total is a function's.
type total struct {
	value [firstGauge]float64 // of counters
	known [firstGauge]bool
	seen  time.Time
}

func newMeter(o *Options) *meter { return &meter{options: o, totals: map[string]*total{}} }

// invalid counts the series that cannot be used.
type invalid struct {
	n     int
	first error
}

func (i *invalid) add(err error) {
	if i.n++; i.n == 1 {
		i.first = err
	}
}

// poll asks all queries once. The error is that of queries that failed; the loads have what the others say.
func (m *meter) poll(ctx context.Context, c *client, now time.Time) (loads []source.Load, wrong invalid, err error) {
	m.forget(now)
	found := map[string]*source.Load{}
	var answered [quantities]bool
	var failures []error
	for q, text := range m.options.Queries.texts() {
		if text == "" {
			continue
		}
		q := quantity(q)
		vector, lost, err := c.query(ctx, m.options.Timeout, text)
		if err == nil && len(vector) > m.options.MaxSeries {
			err = fmt.Errorf("it results in %d series, more than %d", len(vector), m.options.MaxSeries)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: the query for %s: %w", c.name, q, err))
			if lost {
				break
			}
			continue
		}
		answered[q] = true
		if q < firstGauge {
			m.grow(q, vector, now, &wrong, found)
			continue
		}
		for _, s := range vector {
			if l := m.load(q, s, now, &wrong, found); l != nil {
				v := field(l, q)
				*v = max(*v, 0) + float64(s.Value)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		l, t := found[name], m.totals[name]
		for q := range firstGauge { // also of a function whose series are gone for now
			switch {
			case !answered[q] || !t.known[q]:
			case q == cpu:
				l.CPU = time.Duration(min(t.value[q]*1e9, 1<<62))
			default:
				*field(l, q) = t.value[q]
			}
		}
		loads = append(loads, *l)
	}
	return loads, wrong, errors.Join(failures...)
}

// grow adds the growth of counters to the totals of their functions.
func (m *meter) grow(q quantity, vector model.Vector, now time.Time, wrong *invalid, found map[string]*source.Load) {
	if m.series[q] == nil {
		m.series[q] = map[model.Fingerprint]*series{}
	}
	for _, s := range vector {
		l := m.load(q, s, now, wrong, found)
		if l == nil {
			continue
		}
		t := m.totals[l.Function]
		value := float64(s.Value)
		id := s.Metric.Fingerprint()
		known := m.series[q][id]
		switch {
		case known == nil && len(m.series[q]) >= 2*m.options.MaxSeries:
			wrong.add(fmt.Errorf("the query for %s: more than %d series within %v", q, 2*m.options.MaxSeries, forgetAfter))
			continue
		case known == nil: // a series that was not there before began at 0
			known = &series{}
			m.series[q][id] = known
			t.value[q] += value
		case value < known.last: // it began anew
			t.value[q] += value
		default:
			t.value[q] += value - known.last
		}
		known.last, known.seen, t.known[q] = value, now, true
	}
}

// load returns the load of the function that a series is of, nil if the series cannot be used.
func (m *meter) load(q quantity, s *model.Sample, now time.Time, wrong *invalid, found map[string]*source.Load) *source.Load {
	value := string(s.Metric[model.LabelName(m.options.Queries.Label)])
	name := m.options.Queries.name(value)
	var reason string
	switch v := float64(s.Value); {
	case name == "":
		reason = "it has no label " + m.options.Queries.Label
	case len(name) > source.MaxText:
		reason = "its function's name is too long"
	case s.Histogram != nil:
		reason = "it is a histogram"
	case !(v >= 0 && v <= mostValue):
		reason = fmt.Sprintf("its value is %g", v)
	case m.totals[name] == nil && len(m.totals) >= 2*m.options.MaxSeries:
		reason = fmt.Sprintf("there are more than %d functions within %v", 2*m.options.MaxSeries, forgetAfter)
	}
	if reason != "" {
		wrong.add(fmt.Errorf("the query for %s: the series %.200s: %s", q, s.Metric, reason))
		return nil
	}
	l := found[name]
	if l == nil {
		l = &source.Load{
			Function: name, Time: now, Arrived: -1, Ended: -1, Failed: -1, Refused: -1, InFlight: -1, CPU: -1, Queued: -1, Replicas: -1, Ready: -1,
		}
		found[name] = l
	}
	t := m.totals[name]
	if t == nil {
		t = &total{}
		m.totals[name] = t
	}
	t.seen = now
	return l
}

// field returns where a load has a quantity other than cpu.
func field(l *source.Load, q quantity) *float64 {
	return map[quantity]*float64{
		arrived: &l.Arrived, ended: &l.Ended, failed: &l.Failed, refused: &l.Refused, inFlight: &l.InFlight, queued: &l.Queued, replicas: &l.Replicas, ready: &l.Ready,
	}[q]
}

// forget drops series and functions that were not seen for long.
func (m *meter) forget(now time.Time) {
	for _, all := range m.series {
		maps.DeleteFunc(all, func(_ model.Fingerprint, s *series) bool { return now.Sub(s.seen) > forgetAfter })
	}
	maps.DeleteFunc(m.totals, func(_ string, t *total) bool { return now.Sub(t.seen) > forgetAfter })
}
