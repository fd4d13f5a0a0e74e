package race

import (
	"math"
	"slices"
)

// delays estimates the density of the delays of one slot from its values, in units of the resolution of times, by the distance to the
// nearest of them.
type delays struct {
	values []float64 // sorted by prepare
	// near is how many values are near enough to count.
	near int
	// use is the probability that a parent has a child.
	use float64
}

// prepare makes the estimate from the values, which come from the given number of parents.
func (d *delays) prepare(parents int) {
	slices.Sort(d.values)
	n := len(d.values)
	d.near = max(3, int(math.Sqrt(float64(n))/2))
	d.use = (float64(min(n, parents)) + 1) / (float64(parents) + 2)
}

// surprise returns −log of the density at delay x, at least that of a delay which is certain at the resolution.
func (d *delays) surprise(x float64) float64 {
	n := len(d.values)
	if n == 0 {
		return math.Inf(1)
	}
	if x < d.values[0] || x > d.values[n-1] {
		return math.Log(2*(max(d.values[min(n, d.near)-1]-x, x-d.values[max(0, n-d.near)]))+1) + math.Log(float64(n)+1)
	}
	// The nearest values are those from lo on: the first window of which the value before all is not nearer than the last.
	near := min(d.near, n)
	lo, end := 0, n-near
	for lo < end {
		if mid := (lo + end) / 2; x-d.values[mid] > d.values[mid+near]-x {
			lo = mid + 1
		} else {
			end = mid
		}
	}
	hi := lo + near
	radius := max(x-d.values[lo], d.values[hi-1]-x, 0)
	// All others at that distance or nearer, since many may be the same.
	from, _ := slices.BinarySearch(d.values, x-radius)
	to, _ := slices.BinarySearchFunc(d.values, x+radius, func(v, limit float64) int {
		if v <= limit {
			return -1
		}
		return 1
	})
	return math.Log(2*radius+1) - math.Log((float64(to-from)-0.5)/float64(n))
}

// cost returns the length of the code for which of the parents have children, when these come, and the slot itself, in nats.
func (d *delays) cost(parents int) float64 {
	n := float64(len(d.values))
	cost := 10 + 3*math.Log(n+1)
	near := d.near
	d.near = max(3, int(math.Pow(n, 2./3)))
	defer func() { d.near = near }()
	for _, x := range d.values {
		cost += d.surprise(x)
	}
	cost -= n * math.Log(d.use)
	return cost - max(0, float64(parents)-n)*math.Log(1-d.use)
}
