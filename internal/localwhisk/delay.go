package localwhisk

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Delay is the distribution of a duration: a shifted log-normal distribution and, for a share of the draws, the tail, another one. The load is the
// number of containers that are being created at that moment beyond [Config.ParallelCreations]. Under the load n the duration is
//
//	Min + X, or with probability min(TailShare + n·TailSharePerLoad, 1), Min + Y
//	X ~ LogNormal(ln(Median + n·MedianPerLoad), Sigma)
//	Y ~ LogNormal(ln(TailMedian + n·TailMedianPerLoad), TailSigma)
//
// where X and Y are rounded up to a multiple of Step, unless that is 0. If Median is 0, so is X: Delay{Min: d} is the constant d, and the zero value
// is no delay. If TailMedian is 0, there is no tail.
type Delay struct {
	// Min is the minimum.
	Min time.Duration
	// Median is the median of X without load.
	Median time.Duration
	// MedianPerLoad is what each container of the load adds to Median.
	MedianPerLoad time.Duration
	// Sigma is the standard deviation of ln X.
	Sigma float64
	// Step is the interval at which the platform checks whether X or Y has passed; 0 means that it notices at once.
	Step time.Duration

	// TailShare is the probability of the tail without load.
	TailShare float64
	// TailSharePerLoad is what each container of the load adds to TailShare.
	TailSharePerLoad float64
	// TailMedian is the median of Y without load.
	TailMedian time.Duration
	// TailMedianPerLoad is what each container of the load adds to TailMedian.
	TailMedianPerLoad time.Duration
	// TailSigma is the standard deviation of ln Y.
	TailSigma float64
}

// Validate returns an error that names the first field out of range: times and spreads must not be negative, and shares must be between 0 and 1.
func (d Delay) Validate() error {
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"Min", d.Min}, {"Median", d.Median}, {"MedianPerLoad", d.MedianPerLoad}, {"Step", d.Step},
		{"TailMedian", d.TailMedian}, {"TailMedianPerLoad", d.TailMedianPerLoad},
	} {
		if f.value < 0 {
			return fmt.Errorf("%s is %v, must not be negative", f.name, f.value)
		}
	}
	for _, f := range []struct {
		name  string
		value float64
		limit float64
	}{
		{"Sigma", d.Sigma, maxSigma}, {"TailSigma", d.TailSigma, maxSigma},
		{"TailShare", d.TailShare, 1}, {"TailSharePerLoad", d.TailSharePerLoad, 1},
	} {
		if !(f.value >= 0 && f.value <= f.limit) {
			return fmt.Errorf("%s is %v, must be from 0 to %v", f.name, f.value, f.limit)
		}
	}
	return nil
}

// maxSigma is the maximum spread of a delay: with a larger one, one draw in a thousand is 22,000 times the median, which is no real delay.
const maxSigma = 3

// longestDelay is the maximum of what is drawn, so that sums of delays do not overflow a time.Duration.
const longestDelay = 24 * time.Hour

// draw returns a random duration under the given load.
func (d Delay) draw(rng *rand.Rand, load int) time.Duration {
	return d.Min + d.inSteps(d.work(rng, load))
}

// work returns X or Y before it is rounded.
func (d Delay) work(rng *rand.Rand, load int) time.Duration {
	x := 0.0
	if share := d.tailShare(load); share > 0 && rng.Float64() < share {
		x = d.tailMedian(load) * math.Exp(d.TailSigma*rng.NormFloat64())
	} else if median := d.median(load); median > 0 {
		x = median * math.Exp(d.Sigma*rng.NormFloat64())
	}
	return time.Duration(min(x, float64(longestDelay)))
}

// inSteps rounds x up to a multiple of Step.
func (d Delay) inSteps(x time.Duration) time.Duration {
	if d.Step == 0 {
		return x
	}
	return (x + d.Step - 1) / d.Step * d.Step
}

// CDF returns the probability that the duration is at most t under the given load.
func (d Delay) CDF(t time.Duration, load int) float64 {
	x := float64(t - d.Min)
	if x < 0 {
		return 0
	}
	if step := float64(d.Step); step > 0 {
		x = math.Floor(x/step) * step
	}
	share := d.tailShare(load)
	p := (1 - share) * logNormalCDF(x, d.median(load), d.Sigma)
	if share > 0 {
		p += share * logNormalCDF(x, d.tailMedian(load), d.TailSigma)
	}
	return p
}

func (d Delay) median(load int) float64 {
	return float64(d.Median) + float64(load)*float64(d.MedianPerLoad)
}

func (d Delay) tailMedian(load int) float64 {
	return float64(d.TailMedian) + float64(load)*float64(d.TailMedianPerLoad)
}

func (d Delay) tailShare(load int) float64 {
	if d.TailMedian == 0 {
		return 0
	}
	return min(d.TailShare+float64(load)*d.TailSharePerLoad, 1)
}

// logNormalCDF returns the cumulative distribution function of a log-normal at x, and its limits for a median or a sigma of 0.
func logNormalCDF(x, median, sigma float64) float64 {
	switch {
	case median == 0 || sigma == 0:
		if x >= median {
			return 1
		}
		return 0
	case x <= 0:
		return 0
	}
	return 0.5 * math.Erfc((math.Log(median)-math.Log(x))/(math.Sqrt2*sigma))
}
