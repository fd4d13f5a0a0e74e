package newsvendor

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Quantiles is how many values describe a distribution.
const Quantiles = 32

// Times are equally likely values in ascending order, in seconds: the quantiles at the middles of equal shares of a distribution.
type Times [Quantiles]float64

// Within returns the distribution function at x. It is linear between the values.
func (t *Times) Within(x float64) float64 {
	if x < t[0] {
		width := t[1] - t[0]
		if width <= 0 {
			return 0
		}
		return max(0.5-(t[0]-x)/width, 0) / Quantiles
	}
	i, _ := slices.BinarySearch(t[:], x) // the first that is not below x
	for i < Quantiles && t[i] == x {
		i++
	}
	if i == Quantiles {
		width := t[Quantiles-1] - t[Quantiles-2]
		if width <= 0 {
			return 1
		}
		return min(Quantiles-0.5+(x-t[Quantiles-1])/width, Quantiles) / Quantiles
	}
	return (float64(i) - 0.5 + (x-t[i-1])/(t[i]-t[i-1])) / Quantiles
}

// Quantile returns the value up to which the share p lies.
func (t *Times) Quantile(p float64) float64 {
	x := min(max(p*Quantiles-0.5, -0.5), Quantiles-0.5)
	i := min(max(int(math.Floor(x)), 0), Quantiles-2)
	return t[i] + (x-float64(i))*(t[i+1]-t[i])
}

// Mean returns the mean.
func (t *Times) Mean() float64 {
	sum := 0.0
	for _, x := range t {
		sum += x
	}
	return sum / Quantiles
}

// Deviation returns the standard deviation.
func (t *Times) Deviation() float64 {
	mean, sum := t.Mean(), 0.0
	for _, x := range t {
		sum += (x - mean) * (x - mean)
	}
	return math.Sqrt(sum / Quantiles)
}

// point sets t to the distribution of a constant.
func (t *Times) point(x float64) {
	for i := range t {
		t[i] = x
	}
}

// shift adds a constant.
func (t *Times) shift(by float64) {
	for i := range t {
		t[i] += by
	}
}

// after conditions t on being above x, and returns the probability of that. If it is 0, all values become x plus a hundredth of a second.
func (t *Times) after(x float64) float64 {
	passed := t.Within(x)
	if passed <= 0 {
		return 1
	}
	if passed >= 1-1e-9 {
		t.point(x + 0.01)
		return 0
	}
	old := *t
	for i := range t {
		t[i] = max(old.Quantile(passed+(1-passed)*(float64(i)+0.5)/Quantiles), x)
	}
	return 1 - passed
}

// sum sets t to the distribution of the sum of two independent values.
func (t *Times) sum(a, b *Times) {
	for i := range t {
		t[i] = a[i] + b[reversed[i]]
	}
	slices.Sort(t[:])
}

// later sets t to the distribution of the larger of two independent values.
func (t *Times) later(a, b *Times) {
	for i := range t {
		t[i] = max(a[i], b[scattered[i]])
	}
	slices.Sort(t[:])
}

// reversed pairs two distributions so that each part of one meets all of the other evenly: by the reversed bits of the index.
// Scattered does so in another order.
var reversed, scattered = func() (a, b [Quantiles]int) {
	for i := range a {
		a[i] = int(bits.Reverse8(uint8(i)) >> 3)
	}
	for i := range b {
		b[i] = (a[i]*5 + 7) % Quantiles
	}
	return a, b
}()

// timesOf returns the quantiles of values, which it sorts; there must be one at least.
func timesOf(values []float64) (t Times) {
	slices.Sort(values)
	for i := range t {
		x := (float64(i)+0.5)/Quantiles*float64(len(values)) - 0.5
		j := min(max(int(math.Floor(x)), 0), len(values)-1)
		k := min(j+1, len(values)-1)
		t[i] = values[j] + min(max(x-float64(j), 0), 1)*(values[k]-values[j])
	}
	return t
}

// seconds converts a moment, or a duration, to seconds.
func seconds(t prewarm.Time) float64 { return float64(t) / float64(time.Second) }

// moment converts seconds to a moment, and rounds up.
func moment(s float64) prewarm.Time {
	if !(s < 9e9) {
		return prewarm.Never
	}
	return prewarm.Time(math.Ceil(s * float64(time.Second)))
}
