package forecast

import (
	"math"
	"slices"
)

const (
	// upper is the level from which on quantiles allow for how few windows they are taken from. At 0.95 it would cost more than it covers where windows are few.
	upper = 0.99

	// spare is how much farther from the median a quantile is moved that lies beyond the largest value seen, in distances from the median.
	spare = 0.25

	// rarely is how many times its quantile 0.9 the largest change of a week is where usage jumps now and then, and headroom how far above all that was
	// seen in the week it may come then: as much as the usual margin of a limit.
	rarely, headroom = 2, 0.15
)

// Conservative forecasts as another forecaster does, except that quantiles from 0.99 on allow for how few windows as long as the horizon were seen. Of n values the one at
// the level p·(n+1)/n is above a further one with probability p (conformal prediction); residuals of windows that overlap are many, but tell no more than the n windows that do
// not. The other forecaster is asked for that level.
//
// Where that exceeds 1, as for the quantile 0.99 of fewer than 99 windows (of 240 minutes a week has 42), the largest value seen is too small, and by how much the
// values cannot tell. Where the largest rise or fall of a window is more than twice the quantile 0.9 of them, so that usage jumps now and then, the
// quantile is then at least 15 % above the highest usage of the week; elsewhere it is moved from the median by a quarter of its distance.
type Conservative struct {
	of      Forecaster
	window  int
	values  []float64 // ring of the last window samples
	seen    int
	courses map[int]*course // by steps of the horizon
}

// course is what the windows of a horizon tell, up to steps samples ago.
type course struct {
	at      int     // samples seen when it was looked at
	highest float64 // usage since the beginning of the week; NaN where none is known
	jumps   bool
}

// NewConservative returns a forecaster that forecasts as another one on the last window samples.
func NewConservative(of Forecaster, window int) *Conservative {
	return &Conservative{of: of, window: max(window, 1), courses: map[int]*course{}}
}

// Observe takes the next sample; NaN where it is missing.
func (c *Conservative) Observe(value float64) {
	c.of.Observe(value)
	if len(c.values) < c.window {
		c.values = append(c.values, value)
	} else {
		c.values[c.seen%c.window] = value
	}
	c.seen++
	for _, k := range c.courses {
		k.highest = larger(k.highest, value)
	}
}

// Quantiles writes the quantiles of the largest of the next steps samples, as Forecaster says.
func (c *Conservative) Quantiles(steps int, levels, out []float64) {
	asked := c.levels(steps, levels)
	c.of.Quantiles(steps, asked, out)
	for i := range out {
		if asked[i] < 1 || math.IsNaN(out[i]) {
			continue
		}
		if k := c.course(steps); k.jumps {
			out[i] = max(out[i], (1+headroom)*k.highest)
		} else {
			var median [1]float64
			c.of.Quantiles(steps, Levels[:1], median[:])
			out[i] += spare * max(out[i]-median[0], 0)
		}
	}
}

// levels returns the levels at which the other forecaster is asked for quantiles of the largest of the next steps samples; 1 is the largest that was seen.
func (c *Conservative) levels(steps int, levels []float64) []float64 {
	windows := float64(min(c.seen, c.window)) / float64(steps)
	asked := slices.Clone(levels)
	for i, level := range levels {
		if level >= upper && (steps > 1 || level*(windows+1) > windows) { // by ranks, quantiles of one sample allow for it themselves
			asked[i] = min(level*(windows+1)/windows, 1)
		}
	}
	return asked
}

// course returns what the windows of a horizon tell. It looks at them anew after as many samples as the horizon has, when there is one more.
func (c *Conservative) course(steps int) *course {
	k := c.courses[steps]
	if k != nil && c.seen-k.at < steps {
		return k
	}
	if k == nil && len(c.courses) == maxHorizons {
		clear(c.courses)
	}
	k = &course{at: c.seen, highest: math.NaN()}
	c.courses[steps] = k
	for _, v := range c.values {
		k.highest = larger(k.highest, v)
	}
	var rises, falls []float64
	for begin := c.seen - 1 - steps; begin >= c.seen-len(c.values); begin -= steps {
		from := c.values[begin%c.window]
		high, low, known := math.NaN(), math.NaN(), 0
		for i := begin + 1; i <= begin+steps; i++ {
			if v := c.values[i%c.window]; !math.IsNaN(v) {
				high, low = larger(high, v), -larger(-low, -v)
				known++
			}
		}
		if !math.IsNaN(from) && enough(known, steps) {
			rises, falls = append(rises, high-from), append(falls, from-low)
		}
	}
	k.jumps = rare(rises) || rare(falls)
	return k
}

// rare reports whether the largest changes are few and far above the others. It sorts them.
func rare(changes []float64) bool {
	if len(changes) == 0 {
		return false
	}
	slices.Sort(changes)
	largest := changes[len(changes)-1]
	return largest > 0 && largest > rarely*rankOf(changes, 0.9)
}
