package live

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
)

// BenchmarkForecast rolls 64 paths on for some 20 events, on one core.
func BenchmarkForecast(b *testing.B) {
	m := modeltest.Paper(b)
	for _, elapsed := range []float64{0, 100} {
		b.Run(fmt.Sprintf("elapsed=%v", elapsed), func(b *testing.B) {
			state := m.NewState(0)
			if err := state.Observe(tpp.Event{Time: 1, Mark: 3}); err != nil {
				b.Fatal(err)
			}
			events := 0.0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				o, err := NewForecast(b.Context(), state, 1+elapsed, 4000, ForecastOptions{Seed: uint64(i), Workers: 1})
				if err != nil {
					b.Fatal(err)
				}
				events += o.Any.Count
			}
			b.ReportMetric(events/float64(b.N), "events/path")
		})
	}
}

// TestLiveDoesNotAllocate checks that neither an event nor a prediction, at the last event or later, allocates.
func TestLiveDoesNotAllocate(t *testing.T) {
	var models []tpp.Model
	for i, v := range modeltest.Variants {
		models = append(models, modeltest.Random(t, v, uint64(i)))
	}
	for _, m := range modeltest.Races(t) {
		models = append(models, m)
	}
	for i, m := range models {
		f := newForecaster(t, m, ForecasterOptions{})
		s := m.NewState(0)
		e := tpp.Event{Covariates: s.(tpp.TypicalState).TypicalCovariates(nil)}
		step := func() {
			e.Time += 500
			e.Mark = (e.Mark + 1) % 3
			if err := s.Observe(e); err != nil {
				t.Fatal(err)
			}
			s.Next(e.Time).LikeliestMark()
			dist.Median(s.Next(e.Time + 2).Time)
			if err := f.Observe("x", e); err != nil {
				t.Fatal(err)
			}
		}
		for range 30 { // what is due at once grows, until what never comes is forgotten
			step()
		}
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("model %d, %s: %v allocations an event", i, m.Kind(), n)
		}
	}
}

// BenchmarkForecaster has 100000 traces in flight, which come round in turn.
func BenchmarkForecaster(b *testing.B) {
	const traces = 100_000
	m := modeltest.Paper(b)
	keys := make([]string, traces)
	for i := range keys {
		keys[i] = fmt.Sprintf("%032x", i)
	}
	f := newForecaster(b, m, ForecasterOptions{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, key := range keys {
		if err := f.Observe(key, tpp.Event{}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	perTrace := float64(after.HeapAlloc-before.HeapAlloc) / traces
	b.Run("Observe", func(b *testing.B) {
		b.ReportAllocs()
		var turn atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				n := turn.Add(1)
				// The traces' times do not matter to the cost, and one time for all keeps any order of the goroutines valid.
				if err := f.Observe(keys[n*7919%traces], tpp.Event{Time: 1, Mark: int(n % 22)}); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(perTrace, "B/trace")
		b.ReportMetric(float64(f.Stats().BytesPerTrace), "B/trace-said")
	})
}

// TestForecasterSaysItsMemory compares the memory of a trace by ForecasterStats with the growth of the heap.
func TestForecasterSaysItsMemory(t *testing.T) {
	const traces = 20_000
	f := newForecaster(t, modeltest.Paper(t), ForecasterOptions{MaxTraces: 1 << 16})
	keys := make([]string, traces)
	for i := range keys {
		keys[i] = fmt.Sprintf("%032x", i)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, key := range keys {
		if err := f.Observe(key, tpp.Event{}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	measured := float64(after.HeapAlloc-before.HeapAlloc) / traces
	said := f.Stats().BytesPerTrace
	if measured > 1024 || math.Abs(measured-float64(said)) > 0.25*measured {
		t.Errorf("a trace takes %.0f bytes of the heap, the forecaster says %d", measured, said)
	}
	runtime.KeepAlive(f)
	runtime.KeepAlive(keys)
}
