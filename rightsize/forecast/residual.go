package forecast

import (
	"math"
	"math/bits"
	"slices"
)

const (
	minResiduals = 20 // fewer say nothing of quantiles
	maxMissing   = 20 // samples that may be missing since the last known value, on which a forecast then stands
	maxHorizons  = 16 // horizons that are followed at a time
	maxBins      = 10 // of the conditional forecaster

	// shrinkage is the number of residuals in a bin at which its quantiles weigh as much as those of all.
	shrinkage = 30
)

// Residual forecasts the last value plus a quantile of the residual: of what the largest of the next samples was above (or below) the value that
// stood before them, over a trailing window. Quantiles below 0 become 0.
//
// Nothing is made up for missing samples: a residual is counted where its value and at least nine tenths of the samples after it are known. While
// up to 20 samples are missing a forecast stands on the last known value.
//
// It follows a horizon from the first time it is asked for, replaying the window then, and forgets the one not asked for longest beyond 16.
type Residual struct {
	window      int
	conditional bool

	values []float64 // ring of the last 2·window values
	bins   []uint8   // of these
	seen   int       // values so far

	last        float64 // known value, NaN before the first
	missing     int     // samples since
	sinceChange int     // samples since the known value last differed from the one before

	horizons []*horizon // the one asked for last at the end
}

// NewPersistence returns a forecaster by the last value and the residuals of the last window samples, whatever came before them: what every
// other forecaster must beat. It forecasts up to window samples.
func NewPersistence(window int) *Residual { return newResidual(window, false) }

// NewConditional returns a forecaster by the last value and the residuals of the last window samples, those before all which the value had
// stood for about as long as it stands now: 0, 1, 2–3, 4–7, … samples since it last changed. Quantiles of few such residuals are drawn to those of all.
// Where every sample differs from the one before it is NewPersistence. It forecasts up to window samples.
func NewConditional(window int) *Residual { return newResidual(window, true) }

func newResidual(window int, conditional bool) *Residual {
	return &Residual{window: max(window, 1), conditional: conditional, last: math.NaN()}
}

// Observe takes the next sample; NaN where it is missing.
func (f *Residual) Observe(value float64) {
	f.sinceChange++
	switch {
	case math.IsNaN(value):
		f.missing++
	default:
		if value != f.last {
			f.sinceChange = 0
		}
		f.last, f.missing = value, 0
	}
	if len(f.values) < 2*f.window {
		f.values, f.bins = append(f.values, value), append(f.bins, f.bin())
	} else {
		f.values[f.seen%len(f.values)], f.bins[f.seen%len(f.values)] = value, f.bin()
	}
	f.seen++
	for _, h := range f.horizons {
		h.observe(f, f.seen-1)
	}
}

// bin returns the bin of the residuals of the last sample.
func (f *Residual) bin() uint8 {
	if !f.conditional {
		return 0
	}
	return uint8(min(bits.Len(uint(f.sinceChange)), maxBins-1))
}

// at returns sample i, counted from the first, and its bin; it must be among the last 2·window.
func (f *Residual) at(i int) (float64, uint8) {
	return f.values[i%len(f.values)], f.bins[i%len(f.values)]
}

// Quantiles writes the quantiles of the largest of the next steps samples, as Forecaster says.
func (f *Residual) Quantiles(steps int, levels, out []float64) {
	var h *horizon
	if steps > 0 && steps <= f.window {
		h = f.horizon(steps)
	}
	if h == nil || h.all.Len() < minResiduals || math.IsNaN(f.last) || f.missing > maxMissing {
		for i := range out {
			out[i] = math.NaN()
		}
		return
	}
	among := &h.bins[f.bin()]
	weight := float64(among.Len()) / float64(among.Len()+shrinkage)
	for i, level := range levels {
		q := h.all.Quantile(level)
		if f.conditional && among.Len() > 0 {
			q += weight * (among.Quantile(level) - q)
		}
		out[i] = max(f.last+q, 0)
	}
}

// horizon returns what is followed of the next steps samples.
func (f *Residual) horizon(steps int) *horizon {
	if i := slices.IndexFunc(f.horizons, func(h *horizon) bool { return h.steps == steps }); i >= 0 {
		h := f.horizons[i]
		f.horizons = append(slices.Delete(f.horizons, i, i+1), h)
		return h
	}
	h := &horizon{steps: steps}
	for i := f.seen - len(f.values); i < f.seen; i++ {
		h.observe(f, i)
	}
	if len(f.horizons) == maxHorizons {
		f.horizons = slices.Delete(f.horizons, 0, 1)
	}
	f.horizons = append(f.horizons, h)
	return h
}

// horizon holds the residuals of the largest of the next steps samples.
type horizon struct {
	steps int

	first, seen int     // the first sample observed, and those since
	largest     []place // of the last steps samples: those that no later one exceeds
	known       int     // of the last steps samples

	residuals []residual // ring of the last window
	next      int
	all       sorted
	bins      [maxBins]sorted
}

type place struct {
	at    int
	value float64
}

type residual struct {
	value float64 // NaN where it is not known
	bin   uint8
}

// observe takes sample i of f, which has no later one.
func (h *horizon) observe(f *Residual, i int) {
	if h.seen == 0 {
		h.first = i
	}
	h.seen++
	value, _ := f.at(i)
	if !math.IsNaN(value) {
		h.known++
		for len(h.largest) > 0 && h.largest[len(h.largest)-1].value <= value {
			h.largest = h.largest[:len(h.largest)-1]
		}
		h.largest = append(h.largest, place{i, value})
	}
	origin := i - h.steps
	if origin < h.first {
		return
	}
	before, bin := f.at(origin)
	r := residual{math.NaN(), bin}
	if !math.IsNaN(before) {
		h.known-- // it has left the samples after the origin
	}
	if len(h.largest) > 0 && h.largest[0].at <= origin {
		h.largest = h.largest[1:]
	}
	if !math.IsNaN(before) && 10*h.known >= 9*h.steps {
		r.value = h.largest[0].value - before
		h.all.Add(r.value)
		h.bins[bin].Add(r.value)
	}
	if len(h.residuals) < f.window {
		h.residuals = append(h.residuals, r)
		return
	}
	old := h.residuals[h.next]
	if !math.IsNaN(old.value) {
		h.all.Remove(old.value)
		h.bins[old.bin].Remove(old.value)
	}
	h.residuals[h.next] = r
	h.next = (h.next + 1) % f.window
}
