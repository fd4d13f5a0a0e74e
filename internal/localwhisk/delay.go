package localwhisk

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// Delay is the distribution of a time that something takes: a shifted log-normal, a share of whose draws has a second
// log-normal, the tail, on top. With n containers being created at that moment (itself excluded, if it is one), it is
//
//	Min + X [+ Y with probability TailShare + n·TailSharePerCreating, at most 1]
//	X ~ LogNormal(ln(Median + n·MedianPerCreating), Sigma), rounded up to a multiple of Step if that is > 0
//	Y ~ LogNormal(ln(TailMedian), TailSigma)
//
// A Median of 0 leaves X out, so Delay{Min: d} is the constant d, and the zero value takes no time.
type Delay struct {
	// Min is the shortest time possible.
	Min time.Duration
	// Median is the median of X.
	Median time.Duration
	// MedianPerCreating is what each container that is being created at that moment adds to Median.
	MedianPerCreating time.Duration
	// Sigma is the standard deviation of ln X.
	Sigma float64
	// Step is the interval at which somebody looks whether X has passed.
	Step time.Duration

	// TailShare is the probability of the tail when no container is being created.
	TailShare float64
	// TailSharePerCreating is what each container that is being created at that moment adds to TailShare.
	TailSharePerCreating float64
	// TailMedian is the median of Y.
	TailMedian time.Duration
	// TailSigma is the standard deviation of ln Y.
	TailSigma float64
}

// Validate returns an error that names the first field that is out of its range: times and spreads must not be negative,
// a share must lie between 0 and 1.
func (d Delay) Validate() error {
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"Min", d.Min}, {"Median", d.Median}, {"MedianPerCreating", d.MedianPerCreating}, {"Step", d.Step}, {"TailMedian", d.TailMedian},
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
		{"Sigma", d.Sigma, maxSigma}, {"TailSigma", d.TailSigma, maxSigma}, {"TailShare", d.TailShare, 1}, {"TailSharePerCreating", d.TailSharePerCreating, 1},
	} {
		if !(f.value >= 0 && f.value <= f.limit) {
			return fmt.Errorf("%s is %v, must be from 0 to %v", f.name, f.value, f.limit)
		}
	}
	return nil
}

// maxSigma bounds the spread of a delay: with more, one draw in a thousand is 22,000 times the median, which no
// container does.
const maxSigma = 3

// longestDelay caps a draw, so that sums of delays stay far from the end of time.Duration.
const longestDelay = 24 * time.Hour

// draw returns a time from d while creating other containers are being created.
func (d Delay) draw(src rand.Source, creating int) time.Duration {
	n := float64(creating)
	t := float64(d.Min)
	if median := float64(d.Median) + n*float64(d.MedianPerCreating); median > 0 {
		x := distuv.LogNormal{Mu: math.Log(median), Sigma: d.Sigma, Src: src}.Rand()
		if step := float64(d.Step); step > 0 {
			x = math.Ceil(x/step) * step
		}
		t += x
	}
	if d.TailMedian > 0 {
		if (distuv.Uniform{Max: 1, Src: src}).Rand() < d.TailShare+n*d.TailSharePerCreating {
			t += distuv.LogNormal{Mu: math.Log(float64(d.TailMedian)), Sigma: d.TailSigma, Src: src}.Rand()
		}
	}
	return time.Duration(min(t, float64(longestDelay)))
}
