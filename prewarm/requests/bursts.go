package requests

import (
	"errors"
	"math"
	"slices"
)

// bursts is a process of two kinds of gaps: short ones within bursts of requests, and long ones between. The time between the first requests
// of two bursts, or else that from the last of one to the first of the next, is independent of what was before. Beside the scale of all gaps,
// which is fixed, that of the long ones follows them by exponential smoothing.
type bursts struct {
	*burstsModel
	all   float64 // scale of all gaps
	long  scaling // of the long ones, beside the other
	rate  float64 // of smoothing
	place int     // of the last request in its burst, 0 before the first request
	age   float64 // from the first request of the burst to the last
}

func (b *bursts) begin(float64) { b.place, b.age = 0, 0 }

func (b *bursts) observe(_, gap float64) {
	switch {
	case b.place == 0:
		b.place = 1
	case gap <= b.threshold*b.all:
		b.place++
		b.age += gap
	default:
		if b.rate > 0 {
			b.long.follow(gap/b.all, b.meanLogLong, b.rate)
		}
		b.place, b.age = 1, 0
	}
}

// end returns the probability that the last request was the last of its burst.
func (b *bursts) end() float64 { return b.places.ends[min(b.place, len(b.places.ends)-1)] }

// longLaw returns the law of the time until the next burst, the unit in which it counts, and how much of that has passed at the last request.
func (b *bursts) longLaw() (l *law, scale, passed float64) {
	if b.cycles || b.place == 0 { // a process begins as a burst does
		return b.cycle, b.all * b.long.scale, b.age
	}
	return b.between, b.all * b.long.scale, 0
}

func (b *bursts) logDensity(gap float64) float64 {
	end := b.end()
	l, scale, passed := b.longLaw()
	short := (1 - end) * math.Exp(b.within.logDensity(gap/b.all)) / b.all
	long := end * math.Exp(l.logDensity((passed+gap)/scale)-l.logSurvival(passed/scale)) / scale
	return math.Log(max(short+long, 1e-300))
}

func (b *bursts) logSurvival(elapsed float64) float64 {
	short, long := b.survivals(elapsed)
	return math.Log(max(short+long, 1e-300))
}

// survivals returns the probabilities that no request comes in the time and the next is in the same burst, or in another.
func (b *bursts) survivals(elapsed float64) (short, long float64) {
	end := b.end()
	l, scale, passed := b.longLaw()
	return (1 - end) * b.within.survival(elapsed/b.all), end * math.Exp(l.logSurvival((passed+elapsed)/scale)-l.logSurvival(passed/scale))
}

func (b *bursts) like(other expert) bool {
	o, ok := other.(*bursts)
	l, _, _ := b.longLaw()
	return ok && o.all == b.all && b.long.near(&o.long, l)
}

func (b *bursts) forecast(elapsed, weight float64, f *Forecast) {
	short, long := b.survivals(elapsed)
	l, scale, passed := b.longLaw()
	after := rest{gaps: b.sums, scale: b.all * b.long.scale, short: b.sumsWithin, shortScale: b.all, places: b.places}
	share := long / (short + long)
	switch {
	case !((1-share)*weight > negligible): // also where both have underflown
		share = 1
	case share*weight < negligible:
		share = 0
	}
	if share < 1 {
		if next := f.add(renewalBranch, weight*(1-share)); next != nil {
			next.rest = after
			next.rest.place = b.place + 1
			next.first.set(b.within, b.all, elapsed)
		}
	}
	if share > 0 {
		if next := f.add(renewalBranch, weight*share); next != nil {
			next.rest = after
			next.rest.place = 1
			next.first.set(l, scale, passed+elapsed)
		}
	}
}

// burstsModel is a model of bursts.
type burstsModel struct {
	threshold        float64 // the longest short gap, in seconds
	within, between  *law    // of the short and the long gaps
	cycle            *law    // of the time from the first request of a burst to the first of the next
	cycles           bool    // that is independent of what was before, rather than the time between
	sumsWithin, sums *sums
	places           *places
	meanLogLong      float64
}

const (
	// leastShort and leastLong are how many gaps of each kind there must be for a model of bursts, and leastRatio that of their geometric means.
	leastShort, leastLong, leastRatio = 10, 3, 5
	// longestBurst is the number of requests up to which the end of a burst depends on their number.
	longestBurst = 128
)

var errNoBursts = errors.New("requests do not come in bursts")

// fitBursts returns the fits of models of bursts: of the time from the last request of a burst to the next burst, and of that from its first. They
// remember what they have in common, by the number of gaps.
func fitBursts() (between, cycles func(gaps []float64) (candidate, error)) {
	known := map[int]*burstsModel{} // nil where there are no bursts
	fit := func(cycles bool) func(gaps []float64) (candidate, error) {
		return func(gaps []float64) (candidate, error) {
			m, ok := known[len(gaps)]
			if !ok {
				var err error
				if m, err = newBursts(gaps); err != nil && !errors.Is(err, errNoBursts) {
					return nil, err
				}
				known[len(gaps)] = m
			}
			if m == nil {
				return nil, errNoBursts
			}
			c := *m
			c.cycles = cycles
			return &c, nil
		}
	}
	return fit(false), fit(true)
}

// newBursts returns a model of bursts.
func newBursts(gaps []float64) (*burstsModel, error) {
	m := &burstsModel{threshold: splitGaps(gaps)}
	var short, long, cycle []float64
	var sizes []int        // of the bursts whose first and last request are known
	size, length := 0, 0.0 // of the burst until now, 0 before the first that was seen to begin
	for _, g := range gaps {
		if g <= m.threshold {
			short = append(short, g)
			if size > 0 {
				size++
				length += g
			}
			continue
		}
		long = append(long, g)
		if size > 0 {
			sizes = append(sizes, size)
			cycle = append(cycle, length+g)
		}
		size, length = 1, 0
	}
	if len(short) < leastShort || len(long) < leastLong || meanLog(long)-meanLog(short) < math.Log(leastRatio) {
		return nil, errNoBursts
	}
	m.meanLogLong = meanLog(long)
	m.places = newPlaces(endsOf(sizes))
	for _, l := range []struct {
		law  **law
		gaps []float64
	}{{&m.within, short}, {&m.between, long}, {&m.cycle, cycle}} {
		var err error
		if *l.law, err = lawOf(l.gaps); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// endsOf returns the probabilities that a burst ends at each place, the last of which holds for all beyond: the sizes of the bursts are
// smoothed by a normal kernel, whose width maximises the likelihood of each size given the others, and mixed with a geometric distribution that
// counts as one size more.
func endsOf(sizes []int) []float64 {
	sum, largest := 0.0, 1
	for _, s := range sizes {
		sum += float64(s)
		largest = max(largest, s)
	}
	n := float64(len(sizes))
	end := (n + 1) / (sum + 2) // of the geometric distribution
	longest := min(largest+largest/4+2, longestBurst)
	best, chosen := math.Inf(-1), make([]float64, longest+1)
	for _, width := range []float64{0.1, 0.5, 1, 2, 4, 8, 16} {
		// kernel[s][i] is what a size s contributes to size i.
		kernel := make([][]float64, longest+1)
		share := make([]float64, longest+1) // of each size, in all n + 1
		alive := 1.0
		for i := 1; i <= longest; i++ {
			share[i] = alive * end
			alive *= 1 - end
		}
		for _, s := range sizes {
			s = min(s, longest)
			if kernel[s] == nil {
				kernel[s] = make([]float64, longest+1)
				all := 0.0
				for i := 1; i <= longest; i++ {
					d := float64(i-s) / width
					kernel[s][i] = math.Exp(-d * d / 2)
					all += kernel[s][i]
				}
				for i := range kernel[s] {
					kernel[s][i] /= all
				}
			}
			for i, k := range kernel[s] {
				share[i] += k
			}
		}
		likelihood := 0.0
		for _, s := range sizes {
			s = min(s, longest)
			likelihood += math.Log(max(share[s]-kernel[s][s], 1e-300))
		}
		if likelihood > best {
			best, chosen = likelihood, share
		}
	}
	ends, left := []float64{1}, n+1
	for _, share := range chosen[1:] {
		ends = append(ends, share/max(left, share, math.SmallestNonzeroFloat64))
		left -= share
	}
	return append(ends, end)
}

// splitGaps returns the threshold between short and long gaps that makes the variance of the logarithms between the two classes largest (Otsu,
// "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and Cybernetics 9, 1979).
func splitGaps(gaps []float64) float64 {
	logs := make([]float64, len(gaps))
	for i, g := range gaps {
		logs[i] = math.Log(g)
	}
	slices.Sort(logs)
	all, n := total(logs), float64(len(logs))
	best, threshold, below := -1.0, math.Inf(-1), 0.0
	for i := 1; i < len(logs); i++ {
		below += logs[i-1]
		if logs[i] == logs[i-1] {
			continue
		}
		k := float64(i)
		if d := below/k - (all-below)/(n-k); k*(n-k)*d*d > best {
			best, threshold = k*(n-k)*d*d, (logs[i-1]+logs[i])/2
		}
	}
	return math.Exp(threshold)
}

// lawOf fits the simplest law that describes the gaps.
func lawOf(gaps []float64) (*law, error) {
	kinds := []fitGaps{fitGamma, fitLogNormal(1), fitKernel}
	fit := kinds[0]
	if len(gaps) >= fewGaps {
		var scores [][]float64
		for _, k := range kinds {
			scores = append(scores, heldOutGaps(gaps, k))
		}
		fit = kinds[simplest(scores)]
	}
	d, err := fit(gaps)
	if err != nil {
		return nil, err
	}
	return newLaw(d), nil
}

func (m *burstsModel) prepare() { m.sumsWithin, m.sums = newSums(m.within), newSums(m.between) }

func (m *burstsModel) fitted() expert { return m.process(1, 1, 0) }

func (m *burstsModel) process(all, long, rate float64) *bursts {
	return &bursts{burstsModel: m, all: all, long: scaled(long), rate: rate}
}

func (m *burstsModel) others() (prior []float64, experts []expert) {
	prior, experts = []float64{0.06}, []expert{m.process(1, 1, 4./rememberScaled)}
	for _, long := range []float64{0.1, 10} {
		prior, experts = append(prior, 0.01), append(experts, m.process(1, long, 0))
	}
	return prior, experts
}
