package dataset

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// summarySample is how many gaps a summary keeps for its quantiles.
const summarySample = 1 << 20

// Summary is what is in a dataset: counts, and the distribution of the gaps. The zero value is that of an empty one;
// Add adds to it, in memory that does not grow with the number of sequences.
type Summary struct {
	Sequences int
	Events    int
	// ShortestSequence and LongestSequence are numbers of events.
	ShortestSequence, LongestSequence int
	// MarkCounts are the events by their marks, as far as the highest mark met.
	MarkCounts []int
	// First and Last are the earliest and the latest arrival time.
	First, Last float64
	// Gaps are the inter times between events of one sequence: how many, how many of them are exactly 0, and the
	// smallest, the mean and the largest, in the unit of the times.
	Gaps, ZeroGaps            int
	MinGap, MeanGap, MaxGap   float64
	FractionalTimes           int // arrival times that are not whole numbers
	WithWaitTimes             int // sequences that have wait times
	WithInitTimes             int // sequences that have init times
	ColdStarts, ColdStartable int // events with an init time above 0, and with any
	WithParents               int // sequences that have parents
	WithTStart, WithTEnd      int // sequences that have a window
	Covariates                []CovariateSummary

	sample []float64
	sorted bool
	rng    *rand.Rand
}

// CovariateSummary is what is in a covariate: of how many sequences and events, and its range.
type CovariateSummary struct {
	Name              string
	Sequences, Events int
	Min, Mean, Max    float64
}

// Add adds a sequence, which must be valid; nil adds nothing.
func (m *Summary) Add(s *tpp.Sequence) {
	if s == nil {
		return
	}
	n := s.Len()
	if m.Sequences == 0 {
		m.ShortestSequence = n
	}
	if n > 0 {
		first, last := s.ArrivalTimes[0], s.ArrivalTimes[n-1]
		if m.Events == 0 {
			m.First, m.Last = first, last
		}
		m.First, m.Last = min(m.First, first), max(m.Last, last)
	}
	m.Sequences++
	m.Events += n
	m.ShortestSequence, m.LongestSequence = min(m.ShortestSequence, n), max(m.LongestSequence, n)
	for i := range n {
		mark := s.Mark(i)
		for mark >= len(m.MarkCounts) {
			m.MarkCounts = append(m.MarkCounts, 0)
		}
		m.MarkCounts[mark]++
		if t := s.ArrivalTimes[i]; t != math.Trunc(t) {
			m.FractionalTimes++
		}
		if i > 0 {
			m.addGap(s.ArrivalTimes[i] - s.ArrivalTimes[i-1])
		}
		if s.ColdStart(i) {
			m.ColdStarts++
		}
	}
	count := func(n *int, has bool) {
		if has {
			*n++
		}
	}
	count(&m.WithWaitTimes, s.WaitTimes != nil)
	count(&m.WithInitTimes, s.InitTimes != nil)
	count(&m.WithParents, s.Parents != nil)
	count(&m.WithTStart, s.TStart != nil)
	count(&m.WithTEnd, s.TEnd != nil)
	m.ColdStartable += len(s.InitTimes)
	for _, name := range slices.Sorted(maps.Keys(s.Covariates)) {
		m.covariate(name).add(s.Covariates[name])
	}
}

func (m *Summary) addGap(gap float64) {
	if m.Gaps == 0 {
		m.MinGap, m.MaxGap = gap, gap
	}
	m.Gaps++
	m.MinGap, m.MaxGap = min(m.MinGap, gap), max(m.MaxGap, gap)
	m.MeanGap += (gap - m.MeanGap) / float64(m.Gaps)
	if gap == 0 {
		m.ZeroGaps++
	}
	m.sorted = false
	if len(m.sample) < summarySample {
		m.sample = append(m.sample, gap)
		return
	}
	// Algorithm R (Vitter 1985): every gap so far is in the sample with the same probability.
	if m.rng == nil {
		m.rng = rand.New(rand.NewPCG(1, summarySample))
	}
	if i := m.rng.IntN(m.Gaps); i < len(m.sample) {
		m.sample[i] = gap
	}
}

func (m *Summary) covariate(name string) *CovariateSummary {
	i, ok := slices.BinarySearchFunc(m.Covariates, name, func(c CovariateSummary, name string) int {
		switch {
		case c.Name < name:
			return -1
		case c.Name > name:
			return 1
		}
		return 0
	})
	if !ok {
		m.Covariates = slices.Insert(m.Covariates, i, CovariateSummary{Name: name, Min: math.Inf(1), Max: math.Inf(-1)})
	}
	return &m.Covariates[i]
}

func (c *CovariateSummary) add(values []float64) {
	c.Sequences++
	for _, v := range values {
		c.Events++
		c.Min, c.Max = min(c.Min, v), max(c.Max, v)
		c.Mean += v/float64(c.Events) - c.Mean/float64(c.Events) // the difference could overflow
	}
}

// GapQuantile returns the p-quantile of the gaps, 0 ≤ p ≤ 1: the smallest gap that at least a fraction p of the gaps do
// not exceed. It returns NaN without gaps. It is exact for up to 2^20 gaps; beyond, it is the quantile of a uniform sample.
func (m *Summary) GapQuantile(p float64) float64 {
	if len(m.sample) == 0 || !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	switch p {
	case 0:
		return m.MinGap
	case 1:
		return m.MaxGap
	}
	if !m.sorted {
		slices.Sort(m.sample)
		m.sorted = true
	}
	return m.sample[max(int(math.Ceil(p*float64(len(m.sample))))-1, 0)]
}

// GapSample returns the number of gaps that the quantiles are computed from: all of them, or a sample of 2^20.
func (m *Summary) GapSample() int { return len(m.sample) }
