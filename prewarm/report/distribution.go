package report

import (
	"math"
	"slices"
)

// Distribution describes numbers: how many, their mean, and quantiles (the smallest that such a share of them does not exceed), in seconds.
type Distribution struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	P5   float64 `json:"p5"`
	P25  float64 `json:"p25"`
	P50  float64 `json:"p50"`
	P75  float64 `json:"p75"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// distributionOf sorts the values and describes them; nil if there are none.
func distributionOf(values []float64) *Distribution {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	d := &Distribution{N: len(values)}
	for _, v := range values {
		d.Mean += v / float64(len(values))
	}
	d.P5, d.P25, d.P50, d.P75 = quantile(values, 0.05), quantile(values, 0.25), quantile(values, 0.5), quantile(values, 0.75)
	d.P95, d.P99, d.Max = quantile(values, 0.95), quantile(values, 0.99), values[len(values)-1]
	return d
}

// quantile returns the q-quantile of ascending numbers.
func quantile(sorted []float64, q float64) float64 {
	return sorted[min(max(int(math.Ceil(q*float64(len(sorted))))-1, 0), len(sorted)-1)]
}

// share returns part/of, 0 of nothing.
func share(part, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}
