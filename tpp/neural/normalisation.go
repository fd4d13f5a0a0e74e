package neural

import (
	"maps"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp"
)

// normalisation holds the scale of the training data.
type normalisation struct {
	// Mean and Std are of the logarithms of the positive gaps, MAE the mean absolute deviation of the gaps from their median.
	Mean, Std, MAE float64
}

// normalise returns the scale of the scored gaps of a dataset; without data the mean is 0 and the others are 1. It also
// sets the mean and standard deviation of the real covariates of cfg that have none.
func normalise(d *tpp.Dataset, cfg *Config) normalisation {
	scale := newScaling(cfg)
	for i := range d.Sequences {
		scale.add(&d.Sequences[i])
	}
	return scale.finish(cfg)
}

// scaling finds the scale of a dataset from its sequences, one at a time.
type scaling struct {
	logs       num.Moments
	gaps       gapCounts
	covariates []int         // indices in Config.Covariates of those whose scale is not given
	names      []string      // of these
	values     []num.Moments // of these
}

func newScaling(cfg *Config) *scaling {
	s := &scaling{gaps: gapCounts{count: map[float64]int{}}}
	for k, c := range cfg.Covariates {
		if c.Levels == 0 && c.Std == 0 {
			s.covariates, s.names = append(s.covariates, k), append(s.names, c.Name)
		}
	}
	s.values = make([]num.Moments, len(s.covariates))
	return s
}

// add adds a sequence.
func (n *scaling) add(s *tpp.Sequence) {
	for j := range s.Len() {
		if gap, ok := s.GapBefore(j); ok {
			n.gaps.add(gap)
			if gap > 0 {
				n.logs.Add(math.Log(gap))
			}
		}
		for k, name := range n.names {
			n.values[k].Add(s.Covariate(name, j))
		}
	}
}

// finish returns the scale, and sets that of the covariates of cfg.
func (n *scaling) finish(cfg *Config) normalisation {
	for i, k := range n.covariates {
		cfg.Covariates[k].Mean, cfg.Covariates[k].Std = n.values[i].Mean, n.values[i].Std()
	}
	return normalisation{Mean: n.logs.Mean, Std: n.logs.Std(), MAE: n.gaps.deviation()}
}

// gapCounts counts how often each gap occurs. In whole ticks there are far fewer values than gaps; where there are many all the same, they are rounded
// to a few digits.
type gapCounts struct {
	count map[float64]int
	total int
	mask  uint64 // clears the digits that are rounded off
}

const (
	// mostGaps is the number of different gaps from which on they are rounded.
	mostGaps = 1 << 21
	// keptBits is the number of bits of the mantissa that are left: gaps are then known to 6 parts in a hundred thousand.
	keptBits = 14
)

// add adds a gap.
func (g *gapCounts) add(gap float64) {
	g.total++
	if g.mask != 0 {
		gap = g.rounded(gap)
	}
	g.count[gap]++
	if len(g.count) > mostGaps && g.mask == 0 {
		g.mask = ^uint64(1<<(52-keptBits) - 1)
		fewer := map[float64]int{}
		for gap, n := range g.count {
			fewer[g.rounded(gap)] += n
		}
		g.count = fewer
	}
}

func (g *gapCounts) rounded(gap float64) float64 {
	return math.Float64frombits(math.Float64bits(gap) & g.mask)
}

// deviation returns the mean absolute deviation of the gaps from the median. Where it is 0, it returns max(median, 1), which can be
// divided by.
func (g *gapCounts) deviation() float64 {
	if g.total == 0 {
		return 1
	}
	gaps := slices.Sorted(maps.Keys(g.count))
	median, before := 0.0, 0
	for _, gap := range gaps {
		if before += g.count[gap]; before > g.total/2 {
			median = gap
			break
		}
	}
	sum := 0.0
	for _, gap := range gaps {
		for range g.count[gap] { // one by one: the sum is that of the sorted gaps to the last bit
			sum += math.Abs(gap - median)
		}
	}
	if mad := sum / float64(g.total); mad > 0 {
		return mad
	}
	return max(median, 1)
}
