package dist

import "math"

// solve finds the root of an increasing function between lo and hi by Newton's method, with bisection where Newton
// leaves the bracket or does not halve its steps. eval returns the function and its derivative at x. The root is found
// to about 1e-15 (1 + |x|), from x if that lies between.
func solve(lo, hi, x float64, eval func(x float64) (y, dy float64)) float64 {
	if !(x > lo && x < hi) {
		x = lo + (hi-lo)/2
	}
	before, last := hi-lo, hi-lo // the last two steps
	newton := false              // whether the last step was one of Newton's
	for range 200 {
		y, dy := eval(x)
		switch {
		case y < 0:
			lo = x
		case y > 0:
			hi = x
		default:
			return x
		}
		tol := 1e-15 * (1 + math.Abs(x))
		step := -y / dy
		if math.IsInf(dy, 1) {
			step = math.NaN() // too steep for a step
		}
		next := x + step
		if next > lo && next < hi && math.Abs(step) < 0.5*math.Abs(before) {
			// Where steps shrink quadratically the next one will be about step³/last²: not worth an evaluation.
			size, previous := math.Abs(step), math.Abs(last)
			if size <= tol || newton && size < 0.1*previous && 10*size*size*size < tol*previous*previous {
				return next
			}
			newton = true
		} else {
			if math.Abs(step) <= tol {
				return math.Min(math.Max(next, lo), hi)
			}
			next = lo + (hi-lo)/2
			step = next - x
			newton = false
			if hi-lo <= tol || next == lo || next == hi {
				return next
			}
		}
		before, last = last, step
		x = next
	}
	return x
}

// bisect returns the smallest float64 t ≥ 0 for which reached is true, or +Inf if there is none. reached must be
// monotonic. Bisecting the bit patterns of the floats takes at most 63 calls at any scale.
func bisect(reached func(t float64) bool) float64 {
	lo, hi := uint64(0), math.Float64bits(math.Inf(1))
	for lo < hi {
		middle := lo + (hi-lo)/2
		if reached(math.Float64frombits(middle)) {
			hi = middle
		} else {
			lo = middle + 1
		}
	}
	return math.Float64frombits(lo)
}
