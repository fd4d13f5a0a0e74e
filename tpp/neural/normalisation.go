package neural

import (
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
	var logs num.Moments
	var gaps []float64
	for i := range d.Sequences {
		s := &d.Sequences[i]
		for j := range s.Len() {
			if gap, ok := s.GapBefore(j); ok {
				gaps = append(gaps, gap)
				if gap > 0 {
					logs.Add(math.Log(gap))
				}
			}
		}
	}
	for k := range cfg.Covariates {
		c := &cfg.Covariates[k]
		if c.Levels > 0 || c.Std != 0 {
			continue
		}
		var values num.Moments
		for i := range d.Sequences {
			for j := range d.Sequences[i].Len() {
				values.Add(d.Sequences[i].Covariate(c.Name, j))
			}
		}
		c.Mean, c.Std = values.Mean, values.Std()
	}
	return normalisation{Mean: logs.Mean, Std: logs.Std(), MAE: deviation(gaps)}
}

// deviation returns the mean absolute deviation from the median. Where it is 0, it returns max(median, 1), which can be
// divided by.
func deviation(values []float64) float64 {
	if len(values) == 0 {
		return 1
	}
	slices.Sort(values)
	median, sum := values[len(values)/2], 0.0
	for _, v := range values {
		sum += math.Abs(v - median)
	}
	if mad := sum / float64(len(values)); mad > 0 {
		return mad
	}
	return max(median, 1)
}
