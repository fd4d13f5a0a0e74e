package forecast

import (
	"math"
	"slices"
)

const (
	minResiduals = 20 // fewer say nothing of quantiles
	maxMissing   = 20 // samples that may be missing since the last known value, on which a forecast then stands
	maxHorizons  = 16 // horizons that are followed at a time

	// shrinkage is the number of residuals of a condition at which their quantiles weigh as much as those of all.
	shrinkage = 10
)

// condition says which residuals stand for the one to come.
type condition int

const (
	always     condition = iota // all of the window
	byChange                    // those before which the value had stood as long: 0, 1, … 14 samples, or longer
	byPosition                  // those before which the value lay as far above or below the mean of the samples before, by rank in the window
	byLevel                     // those before which the value was as high, by rank in the window
	byTime                      // those of about the same time of day
)

// bins are how many of each condition are told apart.
var bins = [...]int{always: 1, byChange: 16, byPosition: 10, byLevel: 10, byTime: 24}

// Residual forecasts the last value plus a quantile of the residual: of what the largest of the next samples was above (or below) the value
// that stood before them, over a trailing window. Quantiles below 0 become 0.
//
// Nothing is made up for missing samples: a residual is counted where its value and at least nine tenths of the samples after it are known. While
// up to 20 samples are missing a forecast stands on the last known value. It takes twenty residuals, and as many as the forecast reaches samples ahead, to
// say something.
//
// It follows a horizon from the first time it is asked for, replaying the window then, and forgets the one not asked for longest beyond 16.
type Residual struct {
	residualOptions

	past []origin // ring of the last 2·window samples
	seen int      // samples so far

	now         origin  // the base and the bin of a forecast from the last sample
	last        float64 // known value, NaN before the first
	missing     int     // samples since
	sinceChange int     // samples since the known value last differed from the one before
	smoothed    smoothed

	mean  smoothed  // of the samples before, for byPosition
	ranks sorted    // the last window values by which byPosition and byLevel rank
	order []float64 // ring of these
	next  int

	horizons []*horizon // the one asked for last at the end
}

// residualOptions say what a Residual forecasts by.
type residualOptions struct {
	window    int // samples
	by        condition
	smoothing float64 // weight of the past in the exponentially weighted mean that stands for the last value; 0 is the last value
	day       int     // samples of a day, for byTime
	relative  bool    // residuals are ratios, not differences
}

// origin is a sample that residuals start from.
type origin struct {
	value float64 // NaN where it is missing
	base  float64 // which residuals are counted from
	bin   uint8
}

// NewPersistence returns a forecaster by the last value and the residuals of the last window samples, whatever came before them: what every
// other forecaster must beat. It forecasts up to window samples.
func NewPersistence(window int) *Residual { return newResidual(residualOptions{window: window}) }

// NewConditional returns a forecaster by the last value and the residuals of the last window samples, those before which the value had stood
// as long as it stands now: 0, 1, … 14 samples since it last changed, or longer. Values that are renewed less often than they are sampled stand for a few samples
// and then leap. Quantiles of few such residuals are drawn to those of all; where every sample differs from the one before it is NewPersistence. It forecasts up to window samples.
func NewConditional(window int) *Residual {
	return newResidual(residualOptions{window: window, by: byChange})
}

func newResidual(o residualOptions) *Residual {
	o.window = max(o.window, 1)
	return &Residual{residualOptions: o, last: math.NaN()}
}

// Observe takes the next sample; NaN where it is missing.
func (f *Residual) Observe(value float64) {
	f.sinceChange++
	f.missing++
	if !math.IsNaN(value) {
		if value != f.last {
			f.sinceChange = 0
		}
		f.last, f.missing = value, 0
		f.now.base = f.smoothed.add(value, f.smoothing)
	}
	f.now.value, f.now.bin = value, f.bin(value)
	if len(f.past) < 2*f.window {
		f.past = append(f.past, f.now)
	} else {
		f.past[f.seen%len(f.past)] = f.now
	}
	f.seen++
	for _, h := range f.horizons {
		h.observe(f, f.seen-1)
	}
}

// bin returns the bin of a value that has just come.
func (f *Residual) bin(value float64) uint8 {
	switch f.by {
	case byChange:
		return uint8(min(f.sinceChange, bins[byChange]-1))
	case byTime:
		return uint8(f.seen % f.day * bins[byTime] / f.day)
	case byPosition, byLevel:
		if math.IsNaN(value) {
			return f.now.bin
		}
		if f.by == byPosition {
			mean := f.mean.value
			f.mean.add(value, 0.8)
			value -= mean
		}
		f.ranks.Add(value)
		if len(f.order) < f.window {
			f.order = append(f.order, value)
		} else {
			f.ranks.Remove(f.order[f.next])
			f.order[f.next] = value
			f.next = (f.next + 1) % f.window
		}
		return uint8(f.ranks.Below(value) * bins[f.by] / f.ranks.Len())
	}
	return 0
}

// at returns sample i, counted from the first; it must be among the last 2·window.
func (f *Residual) at(i int) origin { return f.past[i%len(f.past)] }

// Quantiles writes the quantiles of the largest of the next steps samples, as Forecaster says.
func (f *Residual) Quantiles(steps int, levels, out []float64) {
	var h *horizon
	if steps > 0 && steps <= f.window {
		h = f.horizon(steps)
	}
	if h == nil || h.all.Len() < max(minResiduals, steps) || math.IsNaN(f.last) || f.missing > maxMissing {
		unknown(out)
		return
	}
	among := &h.bins[f.now.bin]
	weight := float64(among.Len()) / float64(among.Len()+shrinkage)
	for i, level := range levels {
		q := h.all.Quantile(level)
		if among.Len() > 0 {
			q += weight * (among.Quantile(level) - q)
		}
		if f.relative {
			q = f.now.base * q
		} else {
			q += f.now.base
		}
		out[i] = max(q, 0)
	}
}

// unknown says that nothing can be said.
func unknown(out []float64) {
	for i := range out {
		out[i] = math.NaN()
	}
}

// horizon returns what is followed of the next steps samples.
func (f *Residual) horizon(steps int) *horizon {
	if i := slices.IndexFunc(f.horizons, func(h *horizon) bool { return h.steps == steps }); i >= 0 {
		h := f.horizons[i]
		if i < len(f.horizons)-1 {
			f.horizons = append(slices.Delete(f.horizons, i, i+1), h)
		}
		return h
	}
	h := &horizon{steps: steps, bins: make([]sorted, bins[f.by])}
	for i := f.seen - len(f.past); i < f.seen; i++ {
		h.observe(f, i)
	}
	if len(f.horizons) == maxHorizons {
		f.horizons = slices.Delete(f.horizons, 0, 1)
	}
	f.horizons = append(f.horizons, h)
	return h
}

// smoothed is an exponentially weighted mean of the values so far.
type smoothed struct {
	value float64
	begun bool
}

// add adds a value, where keep is the weight of the past, and returns the mean.
func (s *smoothed) add(v, keep float64) float64 {
	if !s.begun {
		s.value, s.begun = v, true
	}
	s.value = v + keep*(s.value-v)
	return s.value
}
