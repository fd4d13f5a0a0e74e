package policy

import (
	"math"
	"slices"
	"time"
)

// delay is a question to the search for a delay: a node's offsets as they are, and a start time.
type delay struct {
	offsets *window
	start   time.Duration
}

// found is the answer of a search, for the values that the window had then.
type found struct {
	delay time.Duration
	added uint64
}

// searched returns the delay that the search finds for a node, whose invocation comes after offsets. A search is repeated when a quarter of
// the window has changed.
func (c *chain) searched(v *node, offsets *window, start time.Duration) time.Duration {
	start = start.Round(100 * time.Millisecond)
	key := delay{offsets, start}
	if f, ok := c.delays[key]; ok && offsets.added-f.added < windowSize/4 {
		return f.delay
	}
	run := 0.0
	if len(v.run.sorted) > 0 {
		run = v.run.quantile(0.5).Seconds()
	}
	first := make([]float64, len(offsets.recent))
	for i, o := range offsets.recent {
		first[i] = max(o.Seconds(), 0)
	}
	d := bestDelay(first, start.Seconds(), []float64{run})
	c.delays[key] = found{d, offsets.added}
	return d
}

// bestDelay is the optimiser of ORION for two stages, as its authors published it (icanforce/Orion-OSDI22): of the delays d of 0, 0.1, … 14.9 s after
// the start of the first stage it takes the one that maximises the 95th percentile of utilisation over end-to-end time, where
//
//	ready = min(d, first) + start
//	time = second + max(first, ready)
//	idle = max(0, first − ready)
//	utilisation = 1/(1 + idle/(first + start + second))
//
// first and second are durations of the stages that were measured, in seconds; each of the first is combined with each of the second. start is the
// start time of the second. Of delays that are equally good it takes the first. The percentile of a quantity that is to be large is optimistic, as in
// the original.
func bestDelay(first []float64, start float64, second []float64) time.Duration {
	best, bestValue := 0, math.Inf(-1)
	values := make([]float64, 0, len(first)*len(second))
	for i := range 150 {
		d := float64(i) / 10
		values = values[:0]
		for _, f1 := range first {
			for _, f2 := range second {
				total, _, utilisation := twoStages(d, f1, start, f2)
				values = append(values, utilisation/total)
			}
		}
		slices.Sort(values)
		if v := values[min(len(values)*95/100, len(values)-1)]; v > bestValue+1e-12 {
			best, bestValue = i, v
		}
	}
	return time.Duration(best) * 100 * time.Millisecond
}

// twoStages returns what a delay makes of two stages: the end-to-end time, for how long the container of the second is idle, and the utilisation.
func twoStages(d, first, start, second float64) (total, idle, utilisation float64) {
	ready := min(d, first) + start
	idle = max(0, first-ready)
	return second + max(first, ready), idle, 1 / (1 + idle/(first+start+second))
}
