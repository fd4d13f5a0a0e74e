package localwhisk

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// leastToFit is the minimum number of times to fit: fewer have no meaningful quantiles.
const leastToFit = 10

// FitDelay fits a shifted log-normal delay, without load and tail, to times that are rounded to the resolution. For each shift, Median and Sigma
// follow from quantiles, so that a few outliers do not matter; the result has the shift with the highest likelihood.
//
// Fewer than 10 times, a negative one, and a resolution that is not positive, are errors.
func FitDelay(times []time.Duration, resolution time.Duration) (Delay, error) {
	if len(times) < leastToFit {
		return Delay{}, fmt.Errorf("localwhisk: fit a delay: %d times are too few, at least %d are needed", len(times), leastToFit)
	}
	if resolution <= 0 {
		return Delay{}, fmt.Errorf("localwhisk: fit a delay: the resolution is %v, must be positive", resolution)
	}
	sorted := slices.Sorted(slices.Values(times))
	if sorted[0] < 0 {
		return Delay{}, fmt.Errorf("localwhisk: fit a delay: a time is negative, %v", sorted[0])
	}
	// The quantiles are interpolated, as if equal times were spread evenly over the resolution.
	quantile := func(p float64) float64 {
		at := sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
		first, _ := slices.BinarySearch(sorted, at)
		last, _ := slices.BinarySearch(sorted, at+1)
		within := (p*float64(len(sorted)) - float64(first)) / float64(last-first)
		return max(float64(at)+(within-0.5)*float64(resolution), 0)
	}
	median, lower, upper := quantile(0.5), quantile(0.16), quantile(0.84)
	likelihood := func(d Delay) float64 {
		sum := 0.0
		for i := 0; i < len(sorted); {
			j := i
			for j < len(sorted) && sorted[j] == sorted[i] {
				j++
			}
			p := d.CDF(sorted[i]+resolution/2, 0) - d.CDF(sorted[i]-resolution/2, 0)
			sum += float64(j-i) * math.Log(max(p, 1e-4))
			i = j
		}
		return sum
	}
	const shifts = 50
	best, most := Delay{Min: time.Duration(median)}, math.Inf(-1)
	for i := range shifts {
		shift := min(lower, float64(sorted[0])) * float64(i) / shifts
		d := Delay{Min: time.Duration(shift), Median: time.Duration(median - shift)}
		if upper > lower && lower > shift {
			// The quantiles of 16 and 84 % are two standard deviations apart.
			d.Sigma = min(math.Log((upper-shift)/(lower-shift))/2, maxSigma)
		}
		if l := likelihood(d); l > most {
			best, most = d, l
		}
	}
	return best, nil
}

// Timing has the overheads of an activation, from its record.
type Timing struct {
	// Wait is the waitTime, Init the initTime, which is 0 for a warm start.
	Wait, Init time.Duration
}

// Fit returns c with Dispatch, Creation and Init fitted to the timings of a platform without load, in whole milliseconds: Dispatch to the waits of
// warm starts, Creation to the additional waits of cold starts, and Init to their initTimes. A delay with fewer than 10 timings is not
// changed; if there are no more of any, that is an error. The timings must not include waits for a paused container or in a queue.
func (c Config) Fit(timings []Timing) (Config, error) {
	var warm, cold, inits []time.Duration
	for _, t := range timings {
		if t.Init > 0 {
			cold, inits = append(cold, t.Wait), append(inits, t.Init)
		} else {
			warm = append(warm, t.Wait)
		}
	}
	if len(warm) < leastToFit && len(cold) < leastToFit {
		return Config{}, fmt.Errorf("localwhisk: fit a platform: %d warm and %d cold starts are too few, at least %d of one are needed", len(warm), len(cold), leastToFit)
	}
	var err error
	if len(warm) >= leastToFit {
		if c.Dispatch, err = FitDelay(warm, time.Millisecond); err != nil {
			return Config{}, err
		}
	}
	if len(cold) >= leastToFit {
		dispatch := c.Dispatch.Min + c.Dispatch.Median
		for i := range cold {
			cold[i] = max(cold[i]-dispatch.Round(time.Millisecond), 0)
		}
		if c.Creation, err = FitDelay(cold, time.Millisecond); err != nil {
			return Config{}, err
		}
		if c.Init, err = FitDelay(inits, time.Millisecond); err != nil {
			return Config{}, err
		}
		// An initTime of 0 says that the start was warm.
		if c.Init.Min < time.Millisecond {
			c.Init.Median = max(c.Init.Median-(time.Millisecond-c.Init.Min), 0)
			c.Init.Min = time.Millisecond
		}
	}
	return c, nil
}
