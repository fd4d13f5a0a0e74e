// Package synthetic makes series of usage whose course is known, to compare recommenders on. The same kind and seed give the same bytes.
//
//	usage, err := synthetic.New("daily", 1, synthetic.Options{})
//
// Samples come once a minute, for ten days, from Monday 2026-01-05T00:00Z on. The level M of memory is log-uniform in 64 to 512 MiB, the level C of
// CPU log-uniform in 0.02 to 0.5 cores, drawn by the seed. z is standard normal noise, drawn anew for each sample, of each resource by itself.
//
//	kind     memory                                  CPU                            and
//	daily    M·(1 + 0.5·sin(2π(t+φ)/24 h))·(1 + 0.05·z)   C·(the same)·(1 + 0.05·z)  φ uniform in 24 h
//	leak     M·(1 + 0.01·minutes since the start)·(1 + 0.01·z)   C·(1 + 0.05·z)      a restart after uniformly 6 to 12 h, over and over
//	bursts   M·(3 in a burst, else 1)·(1 + 0.05·z)   C·(the same)·(1 + 0.05·z)      a burst of 10 minutes at a uniform time of each quarter of a day
//	deploy   M·d·(1 + 0.02·z)                        C·e·(1 + 0.02·z)               a deploy after uniformly 12 to 48 h, over and over; d and e log-uniform in 0.6 to 1.6, drawn anew at each; 1 at first
//	idle     M·(1 + 0.02·z)                          C·(1 + 0.02·z)
//
// The leak grows by 1 % of M a minute, so 12 h reach 8.2·M. A value never falls below 0.
package synthetic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/seed"
	"github.com/tppfaas/tppfaas/rightsize"
)

// Options say how long a series is and how often it is sampled. The zero value is ten days at one sample a minute.
type Options struct {
	Length, Step time.Duration
}

// Begin is when all series begin: a Monday, 0:00 UTC.
var Begin = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// kind is what the level of a series is multiplied by over time, and how noisy it is.
type kind struct {
	name                  string
	help                  string
	memoryNoise, cpuNoise float64
	// factors returns a function of the time since the begin, which is called with increasing ones.
	factors func(r *rand.Rand) func(t time.Duration) (memory, cpu float64)
}

var kinds = []kind{
	{"daily", "a sine of 24 h, ± 50 %, noise 5 %", 0.05, 0.05, daily},
	{"leak", "memory grows by 1 % a minute until a restart after 6 to 12 h", 0.01, 0.05, leak},
	{"bursts", "4 a day at random times, × 3, 10 minutes, noise 5 %", 0.05, 0.05, bursts},
	{"deploy", "another level, × 0.6 to 1.6, every 12 to 48 h, noise 2 %", 0.02, 0.02, deploy},
	{"idle", "a level, noise 2 %", 0.02, 0.02, idle},
}

// Kinds returns the names of the kinds and what each is, in the order of tables.
func Kinds() [][2]string {
	var out [][2]string
	for _, k := range kinds {
		out = append(out, [2]string{k.name, k.help})
	}
	return out
}

// New returns a series of a kind, whose function is called as the kind.
func New(name string, from uint64, o Options) (*rightsize.Usage, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return nil, fmt.Errorf("no kind of series is called %q", name)
	}
	k := kinds[i]
	if o.Length == 0 {
		o.Length = 10 * 24 * time.Hour
	}
	if o.Step == 0 {
		o.Step = time.Minute
	}
	if o.Step < time.Second || o.Length < o.Step || o.Length/o.Step > 10_000_000 {
		return nil, fmt.Errorf("series %s: %v at a sample every %v: want from one to ten million samples, at least 1s apart", name, o.Length, o.Step)
	}
	stream := func(purpose string) *rand.Rand { return rand.New(seed.Stream(from, "rightsize "+name+" "+purpose)) }
	levels := stream("levels")
	memory, cpu := logUniform(levels, 64<<20, 512<<20), logUniform(levels, 0.02, 0.5)
	factors := k.factors(stream("course"))
	memoryNoise, cpuNoise := stream("noise of memory"), stream("noise of CPU")
	n := int(o.Length / o.Step)
	times, memories, cpus := make([]int64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		t := time.Duration(i) * o.Step
		m, c := factors(t)
		times[i] = Begin.Add(t).UnixMilli()
		memories[i] = math.Floor(max(memory*m*(1+k.memoryNoise*memoryNoise.NormFloat64()), 0)) // whole bytes
		cpus[i] = max(cpu*c*(1+k.cpuNoise*cpuNoise.NormFloat64()), 0)
	}
	return rightsize.NewUsage(name, times, memories, cpus)
}

func logUniform(r *rand.Rand, from, to float64) float64 { return from * math.Pow(to/from, r.Float64()) }

// uniform draws a time between two.
func uniform(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Float64()*float64(to-from))
}

const day = 24 * time.Hour

func daily(r *rand.Rand) func(time.Duration) (float64, float64) {
	phase := uniform(r, 0, day)
	return func(t time.Duration) (float64, float64) {
		f := 1 + 0.5*math.Sin(2*math.Pi*(t+phase).Hours()/24)
		return f, f
	}
}

func leak(r *rand.Rand) func(time.Duration) (float64, float64) {
	var start time.Duration
	end := uniform(r, 6*time.Hour, 12*time.Hour)
	return func(t time.Duration) (float64, float64) {
		for t >= end {
			start, end = end, end+uniform(r, 6*time.Hour, 12*time.Hour)
		}
		return 1 + 0.01*(t-start).Minutes(), 1
	}
}

func bursts(r *rand.Rand) func(time.Duration) (float64, float64) {
	const quarter, length = day / 4, 10 * time.Minute
	var quarters time.Duration // until when bursts are drawn
	var begin time.Duration
	return func(t time.Duration) (float64, float64) {
		for t >= quarters {
			begin = quarters + uniform(r, 0, quarter-length)
			quarters += quarter
		}
		if t >= begin && t < begin+length {
			return 3, 3
		}
		return 1, 1
	}
}

func deploy(r *rand.Rand) func(time.Duration) (float64, float64) {
	memory, cpu := 1.0, 1.0
	next := uniform(r, 12*time.Hour, 48*time.Hour)
	return func(t time.Duration) (float64, float64) {
		for t >= next {
			memory, cpu = logUniform(r, 0.6, 1.6), logUniform(r, 0.6, 1.6)
			next += uniform(r, 12*time.Hour, 48*time.Hour)
		}
		return memory, cpu
	}
}

func idle(*rand.Rand) func(time.Duration) (float64, float64) {
	return func(time.Duration) (float64, float64) { return 1, 1 }
}
