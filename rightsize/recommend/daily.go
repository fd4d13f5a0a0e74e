package recommend

import (
	"math"
	"slices"
)

// daily forecasts the largest of the next samples by what it was at the same time of the last three days, plus a quantile of how far that was off.
// It is a forecast.Forecaster.
type daily struct {
	perDay int       // samples
	values []float64 // ring of four days
	seen   int

	horizons []*dailyHorizon
}

const (
	dailyDays    = 3
	dailyLeast   = 0.25 // of a day of residuals: fewer say nothing
	dailyMissing = 20   // samples since the last known one, on which a forecast stands
)

type dailyHorizon struct {
	steps     int
	largest   []float64 // ring of four days: of the steps samples after each; NaN where they are not known
	seen      int
	residuals []float64 // ring of three days, NaN where not known
	next      int
	sorted    []float64
}

func newDaily(perDay int) *daily {
	return &daily{perDay: perDay, values: make([]float64, (dailyDays+1)*perDay)}
}

// Observe takes the next sample.
func (d *daily) Observe(value float64) {
	d.values[d.seen%len(d.values)] = value
	d.seen++
	for _, h := range d.horizons {
		d.advance(h)
	}
}

// advance adds the largest value after the sample that lies steps before the last one, and how far the days before were off.
func (d *daily) advance(h *dailyHorizon) {
	origin := d.seen - 1 - h.steps
	if origin < 0 {
		return
	}
	largest, known := math.Inf(-1), 0
	for i := origin + 1; i < d.seen; i++ {
		if v := d.values[i%len(d.values)]; !math.IsNaN(v) {
			largest, known = max(largest, v), known+1
		}
	}
	if 10*known < 9*h.steps {
		largest = math.NaN()
	}
	residual := largest - d.base(h, origin)
	h.largest[origin%len(h.largest)] = largest
	h.seen = origin + 1
	if len(h.residuals) < dailyDays*d.perDay {
		h.residuals = append(h.residuals, residual)
	} else {
		if old := h.residuals[h.next]; !math.IsNaN(old) {
			at, _ := slices.BinarySearch(h.sorted, old)
			h.sorted = slices.Delete(h.sorted, at, at+1)
		}
		h.residuals[h.next] = residual
		h.next = (h.next + 1) % len(h.residuals)
	}
	if !math.IsNaN(residual) {
		at, _ := slices.BinarySearch(h.sorted, residual)
		h.sorted = slices.Insert(h.sorted, at, residual)
	}
}

// base is the mean of what followed the same time of the days before a sample, NaN where none is known.
func (d *daily) base(h *dailyHorizon, sample int) float64 {
	sum, n := 0.0, 0
	for back := 1; back <= dailyDays; back++ {
		i := sample - back*d.perDay
		if i < 0 || i >= h.seen || i < h.seen-len(h.largest) {
			continue
		}
		if v := h.largest[i%len(h.largest)]; !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// Quantiles writes the quantiles of the largest of the next steps samples, at most a day of them.
func (d *daily) Quantiles(steps int, levels, out []float64) {
	for i := range out {
		out[i] = math.NaN()
	}
	if steps < 1 || steps > d.perDay {
		return
	}
	i := slices.IndexFunc(d.horizons, func(h *dailyHorizon) bool { return h.steps == steps })
	if i < 0 {
		i = len(d.horizons)
		h := &dailyHorizon{steps: steps, largest: make([]float64, (dailyDays+1)*d.perDay)}
		d.horizons = append(d.horizons, h)
		// The samples so far are replayed, as far as they are kept.
		seen := d.seen
		first := max(seen-len(d.values), 0)
		for j := range h.largest {
			h.largest[j] = math.NaN()
		}
		for d.seen = first + steps + 1; d.seen <= seen; d.seen++ {
			d.advance(h)
		}
		d.seen = seen
	}
	h := d.horizons[i]
	current := math.NaN()
	for j := d.seen - 1; j >= max(d.seen-dailyMissing, 0) && math.IsNaN(current); j-- {
		current = d.values[j%len(d.values)]
	}
	base := d.base(h, d.seen-1)
	if math.IsNaN(base) || math.IsNaN(current) || float64(len(h.sorted)) < dailyLeast*float64(d.perDay) {
		return
	}
	for j, level := range levels {
		out[j] = max(base+h.sorted[min(int(math.Ceil(level*float64(len(h.sorted)))), len(h.sorted))-1], 0)
	}
}
