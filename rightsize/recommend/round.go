package recommend

import "math"

// Steps in which people write limits: of values up to ten times as large.
const (
	memoryStep = 1 << 20 // bytes
	cpuStep    = 0.001   // cores
	// roundShare is how far rounding up may lead, as a share of the value.
	roundShare = 0.04
)

// Round rounds limits up to values as people write them: memory to whole Mi, from 50Mi on to 2, 4, 8, … of them; CPU to whole m, from 50m on to 2, 5, 10, 20, 50, …
// of them. Nothing grows by more than 4 %, or a Mi or an m. What is no number stays.
func Round(l Limits) Limits {
	return Limits{
		MemoryRequest: roundUp(l.MemoryRequest, memoryStep, []float64{2}), MemoryLimit: roundUp(l.MemoryLimit, memoryStep, []float64{2}),
		CPURequest: roundUp(l.CPURequest, cpuStep, []float64{2, 2.5, 2}), CPULimit: roundUp(l.CPULimit, cpuStep, []float64{2, 2.5, 2}),
	}
}

// roundUp rounds to the largest step that makes a value grow little; steps grow by the factors, over and over. What is rounded stays.
func roundUp(value, step float64, factors []float64) float64 {
	switch {
	case value <= 0:
		return 0
	case math.IsNaN(value) || math.IsInf(value, 1):
		return value
	}
	n := math.Ceil(value/step - 1e-9)
	unit, next := 1.0, factors[0]
	for i := 1; next <= roundShare*n; i++ {
		unit, next = next, next*factors[i%len(factors)]
	}
	n = min(math.Ceil(n/unit-1e-9)*unit, next/roundShare) // from where on the next step counts, of which it is a multiple
	if step < 1 {
		return n / math.Round(1/step) // 0.3, not 0.30000000000000004
	}
	return n * step
}
