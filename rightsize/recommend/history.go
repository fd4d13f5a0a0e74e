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

// known reports whether there is one: it may be 0.
func (m *maximum) known() bool { return len(m.values) > 0 }

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

// history is what KRR knows of a function: the maxima of up to 14 days, and the CPU usage at each step of them, in the first hour at each sample.
type history struct {
	first, last int64 // times of samples; 0: none yet
	memory, cpu maximum
	steps       []step // ring
	next        int
	begin       []float64 // CPU usage at each sample of the first hour, nil afterwards: its steps are few
}

// mostBegin bounds the samples of the first hour.
const mostBegin = 3600

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
	if s.Time-h.first >= hour || len(h.begin) == mostBegin {
		h.begin = nil
	}
	if math.IsNaN(s.CPU) {
		return
	}
	if s.Time-h.first < hour && (len(h.begin) > 0 || len(h.steps) == 0) {
		h.begin = append(h.begin, s.CPU)
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

// reach returns of how long it knows the maxima, at most 14 days.
func (h *history) reach() int64 { return min(h.last-h.first, krrHistory) }

// knowsCPU reports whether there was a sample of CPU.
func (h *history) knowsCPU() bool { return len(h.steps) > 0 }

// cpuPercentile returns a quantile of the CPU usage, as Prometheus does: linear between neighbours. 0 where there is none.
func (h *history) cpuPercentile(p float64) float64 {
	values := slices.Clone(h.begin)
	for _, s := range h.steps {
		if h.begin == nil && s.number > (h.last-krrHistory)/krrStep {
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
