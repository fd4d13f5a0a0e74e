package num

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// TestDrawGamma checks that draws are those of gonum from the same random numbers, for shapes in each branch and at their borders: datasets
// keep their bytes.
func TestDrawGamma(t *testing.T) {
	for _, shape := range []float64{1e-4, 0.01, 0.1, math.Nextafter(0.2, 0), 0.2, 0.5, math.Nextafter(1, 0), 1, math.Nextafter(1, 2), 1.5, 3, 20, 1000, 1e6} {
		const rate = 0.1
		r := rand.New(rand.NewPCG(7, 11))
		reference := distuv.Gamma{Alpha: shape, Beta: rate, Src: rand.NewPCG(7, 11)}
		for i := range 10000 {
			if got, want := DrawGamma(shape, rate, r), reference.Rand(); got != want {
				t.Fatalf("shape %v, draw %d: got %v, want %v", shape, i, got, want)
			}
		}
	}
}

// TestDrawGammaDistribution checks draws against the distribution: the largest distance of the empirical distribution function from it is
// below the bound of Kolmogorov and Smirnov, whose chance to fail is 1e-6.
func TestDrawGammaDistribution(t *testing.T) {
	const n = 20000
	bound := math.Sqrt(math.Log(2/1e-6)/2) / math.Sqrt(n)
	for _, shape := range []float64{0.05, 0.19, 0.7, 1, 2, 30} {
		r := rand.New(rand.NewPCG(1, 2))
		draws := make([]float64, n)
		for i := range draws {
			draws[i] = DrawGamma(shape, 2, r)
		}
		reference := distuv.Gamma{Alpha: shape, Beta: 2}
		slices.Sort(draws)
		for i, d := range draws {
			if distance := math.Abs(reference.CDF(d) - (float64(i)+0.5)/n); distance > bound {
				t.Fatalf("shape %v: %d of %d draws are below %v, where the distribution function is %v", shape, i, n, d, reference.CDF(d))
			}
		}
		if mean := stat.Mean(draws, nil); math.Abs(mean/(shape/2)-1) > 6/math.Sqrt(n*shape) {
			t.Errorf("shape %v: mean %v, want %v", shape, mean, shape/2)
		}
	}
}
