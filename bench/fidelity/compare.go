package main

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/mathext"

	"github.com/tppfaas/tppfaas/tpp"
)

// pair is two marks that follow each other.
type pair struct{ from, to int }

// gaps returns the inter times of each pair, in milliseconds, ascending.
func gaps(sequences []*tpp.Sequence) map[pair][]float64 {
	all := map[pair][]float64{}
	for _, s := range sequences {
		for i := 1; i < s.Len(); i++ {
			p := pair{s.Mark(i - 1), s.Mark(i)}
			all[p] = append(all[p], s.ArrivalTimes[i]-s.ArrivalTimes[i-1])
		}
	}
	for _, g := range all {
		slices.Sort(g)
	}
	return all
}

// medianGap compares the median inter time of a pair with the recorded one.
type medianGap struct {
	pair
	recorded, simulated int     // observations
	real, ours          float64 // medians in ms; ours is NaN if the pair never comes
	// alone is the bootstrap interval of real in which the true median is with a confidence of 95 %, together that in which with
	// this confidence those of all pairs of the recording are.
	alone, together interval
}

type interval struct{ lower, upper float64 }

func (i interval) has(x float64) bool { return i.lower <= x && x <= i.upper }

// near reports whether ours is within 15 % or within 5 ms.
func (m medianGap) near() bool {
	far := math.Abs(m.ours - m.real)
	return far <= 0.15*m.real || far <= 5
}

// ok reports whether ours can be the true median, or is near it. That every pair of a recording should be ok asks for the interval
// of all together: of those of each alone one in twenty misses what is exactly right.
func (m medianGap) ok() bool { return m.near() || m.together.has(m.ours) }

// okAlone reports the same of the pair alone.
func (m medianGap) okAlone() bool { return m.near() || m.alone.has(m.ours) }

// enough is how many observations of a pair make it worth comparing.
const enough = 100

// compareGaps compares the pairs that were recorded often enough, the commonest first.
func compareGaps(real, ours []*tpp.Sequence) []medianGap {
	recorded, simulated := gaps(real), gaps(ours)
	var all []medianGap
	for p, g := range recorded {
		if len(g) < enough {
			continue
		}
		m := medianGap{pair: p, recorded: len(g), simulated: len(simulated[p]), real: quantile(g, 0.5), ours: quantile(simulated[p], 0.5)}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b medianGap) int {
		return cmp.Or(b.recorded-a.recorded, a.from-b.from, a.to-b.to)
	})
	const missing = 0.05
	for i := range all {
		g := recorded[all[i].pair]
		all[i].alone = bootstrap(g, missing)
		all[i].together = bootstrap(g, missing/float64(len(all))) // Bonferroni's inequality
	}
	return all
}

// bootstrap returns the interval of the median of ascending numbers between the quantiles of the medians of resamples that leave a
// share missing, half of it on either side. There is no need to draw them: the median of a resample is at most the k-th of
// n numbers if more than half of n draws are among the first k, which is a matter of the binomial distribution.
func bootstrap(sorted []float64, missing float64) interval {
	n := len(sorted)
	at := func(p float64) float64 {
		k := sort.Search(n-1, func(k int) bool {
			return mathext.RegIncBeta(float64(n/2+1), float64(n-n/2), float64(k+1)/float64(n)) >= p
		})
		return sorted[k]
	}
	return interval{at(missing / 2), at(1 - missing/2)}
}

// quantile returns the p-quantile of ascending numbers, NaN if there are none.
func quantile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}

// delays are the waits and inits of invocations, in ms, ascending.
type delays struct {
	wait, coldWait, warmWait, init []float64
}

func delaysOf(sequences []*tpp.Sequence) delays {
	var d delays
	for _, s := range sequences {
		for i := range s.Len() {
			d.wait = append(d.wait, s.WaitTimes[i])
			if s.ColdStart(i) {
				d.coldWait = append(d.coldWait, s.WaitTimes[i])
				d.init = append(d.init, s.InitTimes[i])
			} else {
				d.warmWait = append(d.warmWait, s.WaitTimes[i])
			}
		}
	}
	for _, x := range [][]float64{d.wait, d.coldWait, d.warmWait, d.init} {
		slices.Sort(x)
	}
	return d
}

// coldShare returns the share of cold starts, in percent.
func (d delays) coldShare() float64 { return 100 * float64(len(d.coldWait)) / float64(len(d.wait)) }

// statistic is a number of both worlds, and whether ours is near enough.
type statistic struct {
	name       string
	real, ours float64
	ok         bool
}

// statistics returns the statistics of a load. Those with a bound in points or a share are checked, the others only shown.
func statistics(real, ours delays) []statistic {
	var all []statistic
	show := func(name string, real, ours, share, points float64) {
		far := math.Abs(real - ours)
		ok := share == 0 && points == 0 || far <= points || far <= share*real
		all = append(all, statistic{name, real, ours, ok})
	}
	show("cold starts %", real.coldShare(), ours.coldShare(), 0, 10)
	show("wait median", quantile(real.wait, 0.5), quantile(ours.wait, 0.5), 0.3, 5)
	show("wait 75 %", quantile(real.wait, 0.75), quantile(ours.wait, 0.75), 0.3, 5)
	show("cold wait 10 %", quantile(real.coldWait, 0.1), quantile(ours.coldWait, 0.1), 0, 0)
	show("cold wait 50 %", quantile(real.coldWait, 0.5), quantile(ours.coldWait, 0.5), 0, 0)
	show("cold wait 90 %", quantile(real.coldWait, 0.9), quantile(ours.coldWait, 0.9), 0, 0)
	show("warm wait 50 %", quantile(real.warmWait, 0.5), quantile(ours.warmWait, 0.5), 0, 0)
	show("warm wait 90 %", quantile(real.warmWait, 0.9), quantile(ours.warmWait, 0.9), 0, 0)
	show("init 50 %", quantile(real.init, 0.5), quantile(ours.init, 0.5), 0, 0)
	show("init 90 %", quantile(real.init, 0.9), quantile(ours.init, 0.9), 0, 0)
	return all
}
