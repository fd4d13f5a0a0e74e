package num

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mathext"
)

// Uniform draws from the open interval (0, 1), so that every quantile it asks for is finite.
func Uniform(src rand.Source) float64 { return (float64(src.Uint64()>>12) + 0.5) / (1 << 52) }

// DrawIndex takes a uniform number in (0, 1) to an index drawn with the given weights, which add up to total, and to what
// is then left of the number: another one, independent of the index.
func DrawIndex[F float32 | float64](weights []F, total, u float64) (index int, rest float64) {
	left := u * total
	for i, w := range weights {
		if w <= 0 {
			continue
		}
		index = i // the last one present, should rounding leave something over
		if left < float64(w) {
			return index, left / float64(w)
		}
		left -= float64(w)
	}
	return index, 0.5
}

// MinUniform keeps what is left of a uniform number inside the open interval.
const MinUniform = 1.0 / (1 << 53)

// DrawLogNormal returns the quantile of a log-normal distribution at v.
func DrawLogNormal(mu, sigma, v float64) float64 {
	v = min(max(v, MinUniform), 1-MinUniform)
	return math.Min(math.Exp(mu+sigma*mathext.NormalQuantile(v)), math.MaxFloat64)
}
