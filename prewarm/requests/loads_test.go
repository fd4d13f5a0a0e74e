package requests

import (
	"math"
	"math/rand/v2"

	"github.com/tppfaas/tppfaas/internal/num"
)

// load draws n gaps in seconds.
type load func(r *rand.Rand, n int) []float64

func independent(draw func(r *rand.Rand) float64) load {
	return func(r *rand.Rand, n int) []float64 {
		gaps := make([]float64, n)
		for i := range gaps {
			gaps[i] = draw(r)
		}
		return gaps
	}
}

func poissonLoad(mean float64) load {
	return independent(func(r *rand.Rand) float64 { return mean * r.ExpFloat64() })
}

func uniformLoad(mean float64) load {
	return independent(func(r *rand.Rand) float64 { return 2 * mean * r.Float64() })
}

func gammaLoad(mean, shape float64) load {
	return independent(func(r *rand.Rand) float64 { return num.DrawGamma(shape, shape/mean, r) })
}

func periodicLoad(mean, spread float64) load {
	return independent(func(r *rand.Rand) float64 { return mean * math.Exp(spread*r.NormFloat64()) })
}

// twoSpeedLoad has gaps of two very different lengths.
func twoSpeedLoad(mean float64) load {
	return independent(func(r *rand.Rand) float64 {
		if r.Float64() < 0.5 {
			return mean / 50 * r.ExpFloat64()
		}
		return 2 * mean * r.ExpFloat64()
	})
}

// knownLoad is a load and what should become of it.
type knownLoad struct {
	name      string
	load      load
	mean      float64
	kinds     []string // names of models that describe it
	dependent bool     // gaps depend on those before
}

func allLoads() []knownLoad {
	return []knownLoad{
		{"poisson", poissonLoad(1200), 1200, []string{"Poisson"}, false},
		{"poisson fast", poissonLoad(0.1), 0.1, []string{"Poisson"}, false},
		{"uniform", uniformLoad(60), 60, []string{"gamma renewal", "smoothed renewal", "mixture of 4 log-normals renewal", "mixture of 2 log-normals renewal"}, false},
		{"gamma", gammaLoad(300, 4), 300, []string{"gamma renewal"}, false},
		{"periodic", periodicLoad(120, 0.01), 120, []string{"gamma renewal", "log-normal renewal"}, false},
		{"constant", periodicLoad(120, 0), 120, []string{"gamma renewal", "log-normal renewal"}, false},
		{"two speeds", twoSpeedLoad(100), 101, []string{"mixture of 2 log-normals renewal", "mixture of 4 log-normals renewal"}, false},
	}
}
