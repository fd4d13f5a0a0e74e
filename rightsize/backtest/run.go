// Package backtest says what recommenders of limits would have done: each sees recorded or made usage sample by sample, and sets limits from then on.
//
//	cells, err := backtest.Run(ctx, backtest.Matrix{Series: series, Recommenders: []string{"krr", "forecast"}})
//	if err != nil {
//		return err
//	}
//	for _, t := range backtest.Compare(cells, "krr") {
//		fmt.Println(t.Markdown())
//	}
//
// Nothing in a series changes by what happens: after a kill, or a change of limits, which restarts the container, the next sample is what it
// would have been.
package backtest

import (
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// Floors that all recommenders have in a backtest.
const (
	MemoryFloor = 10 << 20 // bytes
	CPUFloor    = 0.01     // cores
)

// Options are those of a run.
type Options struct {
	// Warmup is how long a recommender watches before limits are set and scored; 0 is a day.
	Warmup time.Duration
	// MaxChanges is passed on to recommenders; 0 is recommend.RestartChanges.
	MaxChanges int
}

// DefaultWarmup is the warm-up of a run.
const DefaultWarmup = 24 * time.Hour

// Measures are what a recommender did on a series.
type Measures struct {
	Days      float64 `json:"days"`      // scored
	Reserved  float64 `json:"reserved"`  // memory limit over time, mean GiB; the request where there is no limit
	Requested float64 `json:"requested"` // memory request over time, mean GiB
	Kills     float64 `json:"kills"`     // maximal runs of samples above the memory limit
	Over      float64 `json:"over"`      // minutes in these runs
	Changes   float64 `json:"changes"`   // a day
	CPU       float64 `json:"cpu"`       // CPU request over time, mean cores
	Throttled float64 `json:"throttled"` // share of the time in which CPU usage is above the CPU limit
}

// run has a recommender set limits for a series. At first they are 1.2 times the maximum of the warm-up.
func run(u *rightsize.Usage, r recommend.Recommender, o Options) Measures {
	var m Measures
	if o.Warmup == 0 {
		o.Warmup = DefaultWarmup
	}
	usual := usualStep(u.Times)
	var highest recommend.Limits
	var set recommend.Limits
	begun, over := false, false
	var reserved, requested, cpu, throttled, total float64 // times ms
	for i, now := range u.Times {
		s := recommend.Sample{Time: now, Memory: u.Memory[i], CPU: u.CPU[i]}
		step := usual
		if i > 0 {
			step = min(now-u.Times[i-1], usual)
		}
		if begun {
			above := set.MemoryLimit > 0 && s.Memory > set.MemoryLimit // NaN is not
			if above {
				m.Over += float64(step) / 60_000
				s.Killed = !over
			}
			over = above
			if s.Killed {
				m.Kills++
			}
			if set.CPULimit > 0 && s.CPU > set.CPULimit {
				throttled += float64(step)
			}
		}
		r.Observe(s)
		if !begun {
			highest.MemoryLimit, highest.CPULimit = larger(highest.MemoryLimit, s.Memory), larger(highest.CPULimit, s.CPU)
			if now-u.Times[0] < o.Warmup.Milliseconds() {
				continue
			}
			begun = true
			memory, cores := 1.2*highest.MemoryLimit, 1.2*highest.CPULimit
			set = r.Recommend(recommend.Limits{MemoryRequest: memory, MemoryLimit: memory, CPURequest: cores, CPULimit: cores})
		} else if next := r.Recommend(set); next != set {
			m.Changes++
			set = next
		}
		length := float64(usual)
		if i+1 < len(u.Times) {
			length = float64(u.Times[i+1] - now)
		}
		total += length
		requested += length * set.MemoryRequest
		cpu += length * set.CPURequest
		if set.MemoryLimit > 0 {
			reserved += length * set.MemoryLimit
		} else {
			reserved += length * set.MemoryRequest
		}
	}
	if total == 0 {
		return m
	}
	const gib = 1 << 30
	m.Days = total / float64(24*time.Hour/time.Millisecond)
	m.Changes /= m.Days
	m.Reserved, m.Requested, m.CPU, m.Throttled = reserved/total/gib, requested/total/gib, cpu/total, throttled/total
	return m
}

// larger returns the larger of two values, of which the second may be NaN.
func larger(a, b float64) float64 {
	if b > a {
		return b
	}
	return a
}

// usualStep returns the median of the steps between times.
func usualStep(times []int64) int64 {
	if len(times) < 2 {
		return 60_000
	}
	steps := make([]int64, len(times)-1)
	for i := range steps {
		steps[i] = times[i+1] - times[i]
	}
	slices.Sort(steps)
	return steps[len(steps)/2]
}
