package forecast

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/rightsize"
)

// Bounds of what Regular makes: maxGrid samples, six years at 15 s, and where they are more than minGrid, half a year at 15 s, no more than mostMissing times as
// many as there are. What is missing costs time as what is there does, and tells nothing.
const (
	maxGrid     = 1 << 24
	minGrid     = 1 << 20
	mostMissing = 8
)

// Regular returns usage with one sample a step, and the step: the median distance of the samples of u. Where samples are missing it has NaN at
// times between the neighbours' that are evenly spaced; nothing else is made up. Of samples less than half a step apart the largest values stand at the time
// of the first. Steps are counted from each sample to the next, so a clock that is a little off, or jitter of less than half a step, moves nothing.
func Regular(u *rightsize.Usage) (*rightsize.Usage, time.Duration, error) {
	if u.Len() < 2 {
		return nil, 0, fmt.Errorf("usage of %s: %d samples, a step is found in 2 or more", u.Function, u.Len())
	}
	between := make([]int64, u.Len()-1)
	for i := range between {
		between[i] = u.Times[i+1] - u.Times[i]
	}
	slices.Sort(between)
	step := between[(len(between)-1)/2]
	most := int64(mostOf(u.Len()))
	g := &rightsize.Usage{Function: u.Function}
	add := func(t int64, memory, cpu float64) {
		g.Times, g.Memory, g.CPU = append(g.Times, t), append(g.Memory, memory), append(g.CPU, cpu)
	}
	add(u.Times[0], u.Memory[0], u.CPU[0])
	for i := 1; i < u.Len(); i++ {
		last := g.Len() - 1
		before := g.Times[last]
		steps := int64(math.Round(float64(u.Times[i]-before) / float64(step)))
		if steps == 0 {
			g.Memory[last], g.CPU[last] = larger(g.Memory[last], u.Memory[i]), larger(g.CPU[last], u.CPU[i])
			continue
		}
		if int64(g.Len())+steps > most {
			return nil, 0, fmt.Errorf("usage of %s: nothing for %s from %s until %s, and samples every %s: with the missing ones these are more than %d. Leave out what is before the gap, or take samples less often", u.Function,
				time.Duration(u.Times[i]-before)*time.Millisecond, time.UnixMilli(before).UTC().Format(time.RFC3339), u.Time(i).Format(time.RFC3339),
				time.Duration(step)*time.Millisecond, most)
		}
		for k := int64(1); k < steps; k++ {
			add(before+int64(float64(u.Times[i]-before)*float64(k)/float64(steps)), math.NaN(), math.NaN())
		}
		add(u.Times[i], u.Memory[i], u.CPU[i])
	}
	return g, time.Duration(step) * time.Millisecond, nil
}

// mostOf returns how many samples Regular makes of so many at most.
func mostOf(samples int) int { return min(max(minGrid, mostMissing*samples), maxGrid) }

// larger returns the larger of two values of which either may be NaN.
func larger(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

// Horizon is how far a forecast reaches: the largest of the next Steps samples.
type Horizon struct {
	Steps int
	Span  time.Duration // 0 for the next sample
}

// String returns the name of the horizon: "next", "5m".
func (h Horizon) String() string {
	if h.Span == 0 {
		return "next"
	}
	return fmt.Sprintf("%dm", h.Span/time.Minute)
}

// Spans are how far ahead usage is forecast, beside the next sample.
var Spans = []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour}

// Levels are the quantiles that are forecast.
var Levels = []float64{0.5, 0.9, 0.95, 0.99}

// Horizons returns the next sample and those of Spans that are more than one sample long.
func Horizons(step time.Duration) []Horizon {
	hs := []Horizon{{Steps: 1}}
	for _, span := range Spans {
		if steps := int(math.Round(float64(span) / float64(step))); steps > 1 {
			hs = append(hs, Horizon{steps, span})
		}
	}
	return hs
}
