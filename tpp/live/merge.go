package live

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// unit is the fixed point of sums over traces: sums of whole numbers do not depend on the order, and so not on the workers.
const unit = 1 << 32

func toUnits(v float64) int64 { return int64(math.Round(v * unit)) }

// surely bounds the log probability that nothing comes, so that sums of it remain numbers.
const surely = -30

// Times are counted in bins of equal ratio, which are 1.1 % wide: octaves of 64 bins. The first one begins at 0.
const (
	firstOctave   = -32
	octaves       = 128
	binsPerOctave = 64
)

// timeline is the log probability that nothing has come yet of several traces, by what it falls in each bin of time.
type timeline [octaves]*[binsPerOctave]int64

// bin returns the place of a time.
func bin(t float64) (octave, at int) {
	x := 0.0
	if t > 0 {
		x = min(max((math.Log2(t)-firstOctave)*binsPerOctave, 0), octaves*binsPerOctave-1)
	}
	return int(x) / binsPerOctave, int(x) % binsPerOctave
}

// edge returns the time at which a bin, counted from the first one, begins.
func edge(i int) float64 {
	if i == 0 {
		return 0
	}
	return math.Exp2(float64(i)/binsPerOctave + firstOctave)
}

func (l *timeline) add(t float64, fall int64) {
	octave, at := bin(t)
	if l[octave] == nil {
		l[octave] = &[binsPerOctave]int64{}
	}
	l[octave][at] += fall
}

// total returns the probability that something comes.
func (l *timeline) total() float64 {
	sum := int64(0)
	for _, own := range l {
		if own != nil {
			for _, v := range own {
				sum += v
			}
		}
	}
	return -math.Expm1(float64(sum) / unit)
}

// quantile returns the time within which something comes with a probability, which must not be above total.
func (l *timeline) quantile(p, horizon float64) float64 {
	sum, before, last := int64(0), 0.0, 0.0
	for octave, own := range l {
		if own == nil {
			continue
		}
		for at, v := range own {
			if v == 0 {
				continue
			}
			i := octave*binsPerOctave + at
			sum += v
			within := -math.Expm1(float64(sum) / unit)
			lo, hi := edge(i), edge(i+1)
			if within >= p {
				return min(lo+(hi-lo)*(p-before)/(within-before), horizon)
			}
			before, last = within, hi
		}
	}
	return min(last, horizon)
}

// outlook is what is to come of several traces together.
type outlook struct {
	expectation
	timelines []*timeline // until the first event, by mark, and at the end of any mark; nil where nothing came
	counts    []int64     // by mark
	over      int64
	points    []float64
	horizon   float64
}

func newOutlook(marks int, horizon float64) *outlook {
	return &outlook{timelines: make([]*timeline, marks+1), counts: make([]int64, marks), horizon: horizon}
}

// add adds a trace whose last event was at last.
func (o *outlook) add(state tpp.ForecastingState, last, now float64) {
	from := max(last, now)
	shift := from - now
	ahead := o.horizon - shift
	marks := len(o.counts)
	o.reset(state.Arrivals(from), marks)
	var over float64
	over, o.memory = tpp.ArrivalsOver(o.arrivals, ahead, o.memory)
	o.over += toUnits(over)
	if ahead < 0 {
		return
	}
	for mark := range marks {
		if o.first[mark] < 0 {
			continue
		}
		o.counts[mark] += toUnits(o.count(mark, ahead))
		o.setPoints(ahead, func(a *tpp.ExpectedArrival) bool { return a.Mark == mark })
		o.fall(mark, shift, func(t float64) float64 { return o.within(mark, t) })
	}
	o.setPoints(ahead, func(a *tpp.ExpectedArrival) bool { return a.Parent < 0 })
	next := state.Next(from)
	o.fall(marks, shift, func(t float64) float64 { return within(next, t) })
}

// maxPoints is the number of times of a trace at which a distribution is looked at, about.
const maxPoints = 64

// setPoints sets the times, ascending and up to the horizon, between which the distribution of the first of some events is taken for even.
func (o *outlook) setPoints(ahead float64, of func(*tpp.ExpectedArrival) bool) {
	points := o.points[:0]
	tail := 0.0
	for i := range o.arrivals {
		if a := &o.arrivals[i]; of(a) {
			points = append(points, a.Times...)
			tail = max(tail, a.Times[len(a.Times)-1]-a.Times[max(len(a.Times)-2, 0)])
		}
	}
	slices.Sort(points)
	points = thinned(points, maxPoints)
	if n := len(points); n > 0 {
		for _, widths := range [...]float64{0.5, 1, 2, 4, 8} {
			points = append(points, points[n-1]+widths*tail)
		}
	}
	n, _ := slices.BinarySearch(points, ahead)
	points = points[:n]
	if !math.IsInf(ahead, 1) {
		points = append(points, ahead)
	}
	o.points = points
}

// thinned keeps at most n of sorted numbers, the first and the last among them.
func thinned(sorted []float64, n int) []float64 {
	if len(sorted) <= n {
		return sorted
	}
	for i := range n {
		sorted[i] = sorted[i*(len(sorted)-1)/(n-1)]
	}
	return sorted[:n]
}

// fall adds what the log probability that nothing has come falls between the points, by the probability that something has.
func (o *outlook) fall(of int, shift float64, within func(t float64) float64) {
	l := o.timelines[of]
	if l == nil {
		l = &timeline{}
	}
	parts := max(maxPoints/(len(o.points)+1), 1)
	from, before, all := 0.0, 0.0, int64(0)
	put := func(at, t float64) {
		none := max(math.Log1p(-min(within(t), 1)), surely)
		if fall := toUnits(none - before); fall < 0 {
			l.add(shift+at, fall)
			all += fall
			before = none
		}
	}
	for _, to := range o.points {
		for j := range parts {
			lo, hi := from+(to-from)*float64(j)/float64(parts), from+(to-from)*float64(j+1)/float64(parts)
			put(lo+(hi-lo)/2, hi)
		}
		from = to
	}
	if math.IsInf(o.horizon, 1) {
		put(from, math.Inf(1)) // what is left beyond
	}
	if all < 0 {
		o.timelines[of] = l
	}
}

// merge adds what another worker has added up.
func (o *outlook) merge(other *outlook) {
	o.over += other.over
	for mark, n := range other.counts {
		o.counts[mark] += n
	}
	for i, l := range other.timelines {
		switch {
		case l == nil:
		case o.timelines[i] == nil:
			o.timelines[i] = l
		default:
			for octave, own := range l {
				switch to := o.timelines[i][octave]; {
				case own == nil:
				case to == nil:
					o.timelines[i][octave] = own
				default:
					for at, v := range own {
						to[at] += v
					}
				}
			}
		}
	}
}

// forecast returns the forecast of all traces that were added.
func (o *outlook) forecast(sequences int, levels []float64) *Forecast {
	out := &Forecast{Horizon: o.horizon, Sequences: sequences, Over: float64(o.over) / unit, Marks: make([]MarkForecast, len(o.counts))}
	for i, l := range o.timelines {
		to := &out.Any
		if i < len(o.counts) {
			to = &out.Marks[i]
			to.Count = float64(o.counts[i]) / unit
		}
		if l != nil {
			to.Probability = l.total()
			to.When = make([]float64, len(levels))
			for j, q := range levels {
				to.When[j] = l.quantile(q*to.Probability, o.horizon)
			}
		}
		if i < len(o.counts) {
			to.Count = max(to.Count, to.Probability) // but for rounding
			out.Any.Count += to.Count
		}
	}
	out.Any.Count = max(out.Any.Count, out.Any.Probability)
	return out
}
