package lab

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/num"
)

// A load says when requests arrive.
type load struct {
	// mean is the mean time between requests in seconds.
	mean float64
	// times returns a function that returns the arrival times of successive requests in seconds, in ascending order; +Inf after the last.
	times func(r *rand.Rand) func() float64
}

// loadKind is a kind of load as it is written on a line: its name and its numbers, with : between them.
type loadKind struct {
	name string
	// numbers are their names; those behind required may be left out.
	numbers  []string
	required int
	help     string
	make     func(v []float64) (load, error)
}

// loadKinds are all kinds of load but those from files.
var loadKinds = []loadKind{
	{"poisson", []string{"S"}, 1, "a Poisson process with a mean gap of S seconds", func(v []float64) (load, error) {
		return renewal(v[0], func(r *rand.Rand) float64 { return v[0] * r.ExpFloat64() }), nil
	}},
	{"uniform", []string{"A", "B"}, 2, "gaps drawn from U(A, B) seconds", func(v []float64) (load, error) {
		if v[1] < v[0] {
			return load{}, errors.New("the longest gap, B, must not be below the shortest, A")
		}
		return renewal((v[0]+v[1])/2, func(r *rand.Rand) float64 { return v[0] + (v[1]-v[0])*r.Float64() }), nil
	}},
	{"gamma", []string{"S", "SHAPE"}, 2, "gaps from a gamma distribution of mean S seconds; below shape 1 they come in clusters", func(v []float64) (load, error) {
		if !(v[1] >= 0.01 && v[1] <= 1e6) {
			return load{}, errors.New("SHAPE must be from 0.01 to 1e6")
		}
		return renewal(v[0], func(r *rand.Rand) float64 { return num.DrawGamma(v[1], v[1]/v[0], r) }), nil
	}},
	{"periodic", []string{"S", "JITTER"}, 1, "every S seconds, each up to JITTER seconds earlier or later (0)", periodic},
	{"diurnal", []string{"S", "RATIO", "PERIOD"}, 2, "a Poisson process with a mean gap of S seconds, whose rate is RATIO times as high at its peak as at its trough, PERIOD seconds (86400) from peak to peak", diurnal},
	{"bursts", []string{"N", "GAP", "EVERY", "RANDOM"}, 3, "N requests GAP seconds apart, every EVERY seconds; if RANDOM is 1, EVERY is the mean", bursts},
}

// mostSeconds is the longest time that a load may name: a year.
const mostSeconds = 366 * 86400

// parseLoad reads a load such as poisson:1200.
func parseLoad(spec string) (load, error) {
	name, rest, _ := strings.Cut(spec, ":")
	if open, ok := traceLoads[name]; ok {
		l, err := open(rest)
		if err != nil {
			return load{}, fmt.Errorf("load %s: %w", spec, err)
		}
		return l, nil
	}
	i := slices.IndexFunc(loadKinds, func(k loadKind) bool { return k.name == name })
	if i < 0 {
		var forms []string
		for _, l := range Loads() {
			forms = append(forms, l[0])
		}
		return load{}, fmt.Errorf("load %q: there is no such kind; there are %s", spec, strings.Join(forms, ", "))
	}
	k := &loadKinds[i]
	var words []string
	if rest != "" {
		words = strings.Split(rest, ":")
	}
	if len(words) < k.required || len(words) > len(k.numbers) {
		return load{}, fmt.Errorf("load %s: it is written %s", spec, k.form())
	}
	values := make([]float64, len(words))
	for i, word := range words {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil || !(v >= 0 && v <= mostSeconds) {
			return load{}, fmt.Errorf("load %s: %s must be a number from 0 to %d, not %q", spec, k.numbers[i], mostSeconds, word)
		}
		values[i] = v
	}
	l, err := k.make(values)
	if err == nil && !(l.mean >= leastGap) {
		err = fmt.Errorf("the mean gap is %v s, must be at least %v s", l.mean, leastGap)
	}
	if err != nil {
		return load{}, fmt.Errorf("load %s: %w", spec, err)
	}
	return l, nil
}

// leastGap is the least mean time between requests in seconds: 1000 requests a second.
const leastGap = 0.001

// form returns how a kind is written, such as periodic:S[:JITTER].
func (k *loadKind) form() string {
	var b strings.Builder
	b.WriteString(k.name)
	for i, n := range k.numbers {
		if i < k.required {
			fmt.Fprintf(&b, ":%s", n)
		} else {
			fmt.Fprintf(&b, "[:%s", n)
		}
	}
	b.WriteString(strings.Repeat("]", len(k.numbers)-k.required))
	return b.String()
}

// Loads returns the forms of all loads, such as poisson:S, with what they mean.
func Loads() [][2]string {
	var loads [][2]string
	for i := range loadKinds {
		loads = append(loads, [2]string{loadKinds[i].form(), loadKinds[i].help})
	}
	return append(loads,
		[2]string{"azure:FILE[:ROW[:DISTRIBUTION]]", "counts per minute of a function, in the format of Azure Functions 2019, with exponential gaps in a minute (else equidistant, uniform, exponential_shift or uniform_shift)"},
		[2]string{"azure2021:FILE[:ROW]", "invocations of a function, in the format of Azure Functions 2021"})
}

// renewal returns a load with independent gaps. The first request arrives after a gap.
func renewal(mean float64, gap func(r *rand.Rand) float64) load {
	return load{mean: mean, times: func(r *rand.Rand) func() float64 {
		at := 0.0
		return func() float64 {
			at += gap(r)
			return at
		}
	}}
}

func periodic(v []float64) (load, error) {
	period, jitter := v[0], 0.0
	if len(v) > 1 {
		jitter = v[1]
	}
	if jitter > period/2 {
		return load{}, errors.New("JITTER must be at most half of S: requests would change their order")
	}
	return load{mean: period, times: func(r *rand.Rand) func() float64 {
		k := 0.0
		return func() float64 {
			k++
			return k*period + jitter*(2*r.Float64()-1)
		}
	}}, nil
}

func diurnal(v []float64) (load, error) {
	mean, ratio, period := v[0], v[1], 86400.0
	if len(v) > 2 {
		period = v[2]
	}
	switch {
	case !(ratio >= 1):
		return load{}, errors.New("RATIO must be at least 1")
	case !(period > 0):
		return load{}, errors.New("PERIOD must be positive")
	}
	swing := (ratio - 1) / (ratio + 1)
	return load{mean: mean, times: func(r *rand.Rand) func() float64 {
		at := 0.0
		return func() float64 {
			// Thinning of a process at the peak rate.
			for {
				at += mean / (1 + swing) * r.ExpFloat64()
				if r.Float64()*(1+swing) < 1-swing*math.Cos(2*math.Pi*at/period) {
					return at
				}
			}
		}
	}}, nil
}

func bursts(v []float64) (load, error) {
	n, gap, every, random := v[0], v[1], v[2], len(v) > 3 && v[3] != 0
	switch {
	case n != math.Trunc(n) || n < 1:
		return load{}, errors.New("the number of requests, N, must be whole and at least 1")
	case len(v) > 3 && v[3] != 0 && v[3] != 1:
		return load{}, errors.New("RANDOM must be 0 or 1")
	case !(every > (n-1)*gap):
		return load{}, errors.New("EVERY must be longer than a burst")
	}
	length := (n - 1) * gap
	return load{mean: every / n, times: func(r *rand.Rand) func() float64 {
		begin, next := 0.0, n
		return func() float64 {
			if next == n {
				next = 0
				if random {
					begin += length + (every-length)*r.ExpFloat64()
				} else {
					begin += every
				}
			}
			next++
			return begin + (next-1)*gap
		}
	}}, nil
}

// arrivals returns the times of the first n requests, fewer if there are not so many.
func (l *load) arrivals(n int, r *rand.Rand) []time.Duration {
	next := l.times(r)
	var out []time.Duration // a file may have fewer
	for len(out) < n {
		at := next()
		if !(at < mostVirtual) {
			break
		}
		out = append(out, time.Duration(at*float64(time.Second)))
	}
	return out
}

// mostVirtual bounds the virtual time of a run, in seconds, so that times fit into a time.Duration: 100 years.
const mostVirtual = 100 * 366 * 86400

// gaps returns the times between the first n+1 requests, in seconds.
func (l *load) gaps(n int, r *rand.Rand) []float64 {
	times := l.arrivals(n+1, r)
	out := make([]float64, 0, len(times))
	for i := 1; i < len(times); i++ {
		out = append(out, (times[i] - times[i-1]).Seconds())
	}
	return out
}
