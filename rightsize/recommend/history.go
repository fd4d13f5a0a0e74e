package recommend

import (
	"math"
	"slices"
)

// maximum is the largest value of a trailing time, to the hour.
type maximum struct {
	hours  int64 // how long
	values []hourly
}

type hourly struct {
	hour  int64 // since 1970
	value float64
}

func (m *maximum) add(time int64, value float64) {
	if math.IsNaN(value) {
		return
	}
	now := time / hour
	for len(m.values) > 0 && m.values[len(m.values)-1].value <= value {
		m.values = m.values[:len(m.values)-1]
	}
	// Of an hour the first stands for all: later ones are smaller.
	if len(m.values) == 0 || m.values[len(m.values)-1].hour != now {
		m.values = append(m.values, hourly{now, value})
	}
	for m.values[0].hour <= now-m.hours {
		m.values = m.values[1:]
	}
}

// of returns the maximum, 0 where there is none.
func (m *maximum) of() float64 {
	if len(m.values) == 0 {
		return 0
	}
	return m.values[0].value
}

// Of KRR: how long it looks back, and the step at which it queries the past.
const (
	krrHistory = 14 * day
	krrStep    = 75_000 // ms
)

// history is what KRR knows of a function: the maxima of up to 14 days, and the CPU usage at each step of them.
type history struct {
	first, last int64 // times of samples; 0: none yet
	memory, cpu maximum
	steps       []step // ring
	next        int
}

type step struct {
	number int64 // since 1970
	cpu    float64
}

func newHistory() *history {
	return &history{memory: maximum{hours: krrHistory / hour}, cpu: maximum{hours: krrHistory / hour}}
}

func (h *history) add(s Sample) {
	if h.last == 0 {
		h.first = s.Time
	}
	h.last = s.Time
	h.memory.add(s.Time, s.Memory)
	h.cpu.add(s.Time, s.CPU)
	if math.IsNaN(s.CPU) {
		return
	}
	now := step{s.Time / krrStep, s.CPU}
	if len(h.steps) > 0 {
		newest := (h.next + len(h.steps) - 1) % len(h.steps)
		if h.steps[newest].number == now.number {
			h.steps[newest] = now // a query sees the latest value before its time
			return
		}
	}
	if int64(len(h.steps)) < krrHistory/krrStep {
		h.steps = append(h.steps, now)
		return
	}
	h.steps[h.next] = now
	h.next = (h.next + 1) % len(h.steps)
}

// cpuPercentile returns a quantile of the CPU usage, as Prometheus does: linear between neighbours. 0 where there is none.
func (h *history) cpuPercentile(p float64) float64 {
	var values []float64
	for _, s := range h.steps {
		if s.number > (h.last-krrHistory)/krrStep {
			values = append(values, s.cpu)
		}
	}
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	rank := p * float64(len(values)-1)
	low := int(rank)
	high := min(low+1, len(values)-1)
	return values[low] + (rank-float64(low))*(values[high]-values[low])
}
