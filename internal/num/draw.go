package num

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mathext"
)

// Uniform draws from the open interval (0, 1), so that quantiles at it are finite.
func Uniform(src rand.Source) float64 { return (float64(src.Uint64()>>12) + 0.5) / (1 << 52) }

// DrawIndex returns an index drawn with the given weights, whose sum is total, for a uniform number u in (0, 1). rest
// is another uniform number, independent of the index.
func DrawIndex[F float32 | float64](weights []F, total, u float64) (index int, rest float64) {
	left := u * total
	for i, w := range weights {
		if w <= 0 {
			continue
		}
		index = i // the last positive weight, if rounding leaves a remainder
		if left < float64(w) {
			return index, left / float64(w)
		}
		left -= float64(w)
	}
	return index, 0.5
}

// MinUniform and 1 − MinUniform are the bounds to which a uniform number is clamped to keep it inside (0, 1).
const MinUniform = 1.0 / (1 << 53)

// DrawLogNormal returns the quantile at v of a log-normal distribution; the quantile is finite.
func DrawLogNormal(mu, sigma, v float64) float64 {
	v = min(max(v, MinUniform), 1-MinUniform)
	return math.Min(math.Exp(mu+sigma*mathext.NormalQuantile(v)), math.MaxFloat64)
}
