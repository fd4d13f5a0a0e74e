// Package floor compares the time of a training epoch with its floor: the operations of its matrix products divided by what all processors together
// reach in the product 64×192×64, measured in turn with the epochs. It is for benchmarks:
//
//	floor.Benchmark(b, 2, func() { trainer.epoch(…) })
package floor

import (
	"slices"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/meter"
	"github.com/tppfaas/tppfaas/internal/simd"
	"github.com/tppfaas/tppfaas/internal/workers"
)

// The product by whose speed the floor is computed, and how often it is repeated for a measurement: about a millisecond.
const m, n, k, products = 64, 192, 64, 64

// Benchmark runs an epoch again and again, and reports as metrics the medians of its time (ms/epoch), of the speed of the products (GFLOP/s of all
// workers together), and of their ratio, times-floor. Then it counts phases over as many epochs, and logs them.
func Benchmark(b *testing.B, size int, epoch func()) {
	b.Helper()
	pool := workers.New(size)
	defer pool.Close()
	kernels := make([]kernel, size)
	for i := range kernels {
		kernels[i] = newKernel()
	}
	epoch() // memory grows to the largest batch
	stop := meter.Start()
	epoch()
	counts := stop()
	operations := float64(counts.Operations)
	var speeds, times, ratios []float64
	for b.Loop() {
		pool.Run(size, func(_, i int) { kernels[i].run() })
		speed := 0.0
		for i := range kernels {
			speed += kernels[i].speed
		}
		begin := time.Now()
		epoch()
		took := time.Since(begin).Seconds()
		speeds, times, ratios = append(speeds, speed), append(times, took), append(ratios, took/(operations/speed))
	}
	b.ReportMetric(median(times)*1e3, "ms/epoch")
	b.ReportMetric(median(speeds)/1e9, "GFLOP/s")
	b.ReportMetric(operations/1e9, "GFLOP/epoch")
	b.ReportMetric(median(ratios), "times-floor")
	b.ReportMetric(0, "ns/op")
	stop = meter.Start()
	begin := time.Now()
	for range min(b.N, 100) {
		epoch()
	}
	elapsed := time.Since(begin)
	counts = stop()
	b.Logf("%d epochs, of %d × %v: %s", min(b.N, 100), size, elapsed.Round(time.Microsecond)/time.Duration(min(b.N, 100)), counts.Report(elapsed, size))
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// kernel is one worker's measurement of the product.
type kernel struct {
	a, b, c []float32
	speed   float64 // operations a second
}

func newKernel() kernel {
	x := kernel{a: make([]float32, m*k), b: make([]float32, k*n), c: make([]float32, m*n)}
	for _, v := range [][]float32{x.a, x.b} {
		for i := range v {
			v[i] = float32(i%7) - 3
		}
	}
	return x
}

func (x *kernel) run() {
	begin := time.Now()
	for range products {
		simd.Gemm(m, n, k, x.a, k, 1, x.b, n, x.c, n, false)
	}
	x.speed = 2 * m * n * k * products / time.Since(begin).Seconds()
}
