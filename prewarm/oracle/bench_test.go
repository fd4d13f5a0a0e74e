package oracle_test

import (
	"testing"

	"github.com/tppfaas/tppfaas/prewarm/oracle"
)

// BenchmarkBounds computes O3 with hindsight, the costliest bound, on a load of 20,000 requests of ten functions in a row, an invocation an operation.
func BenchmarkBounds(b *testing.B) {
	w := oracle.Workload{}
	durations := make([]float64, 10)
	for i := range durations {
		durations[i] = 0.3
		w.Functions = append(w.Functions, oracle.Function{Name: string(rune('a' + i)), MemoryMB: 256, Start: 2.3, FirstCall: 0.165})
	}
	for i := range 20000 {
		w.Requests = append(w.Requests, sequence(float64(i*37%977)+float64(i)*5, durations...))
	}
	n := float64(20000 * len(durations))
	for b.Loop() {
		bounds, err := oracle.New(w)
		if err != nil {
			b.Fatal(err)
		}
		bounds.Chain(oracle.ChainOptions{Hindsight: true}, 2560)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n/float64(b.N), "ns/invocation")
}
