package tpp

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// liveModel is the paper's shape (GRU 64, 64 components, 22 marks) with random parameters, and with the end so unlikely
// that paths go on.
func liveModel(t testing.TB) *Recurrent {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	d := randomDataset(rng, 50, 22)
	var cfg Config
	m, err := newRecurrent(cfg, d.MarkNames, 22, normalise(d, &cfg), "")
	if err != nil {
		t.Fatal(err)
	}
	copy(m.params, m.net.initialise(rng))
	for _, tensor := range m.net.layout.Tensors() {
		if tensor.Name == "mark_linear.bias" {
			m.params[tensor.Span.Offset+22] = -8
		}
	}
	m.net.prepare(m.params)
	return m
}

func BenchmarkState(b *testing.B) {
	s := liveModel(b).newState(0)
	if err := s.Observe(Event{Time: 1, Mark: 3}); err != nil {
		b.Fatal(err)
	}
	b.Run("Observe", func(b *testing.B) {
		b.ReportAllocs()
		at := s.last
		for b.Loop() {
			at += 5
			if err := s.Observe(Event{Time: at, Mark: 5}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Next", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.work.owner = nil
			s.Next(s.last)
		}
	})
	b.Run("Next and median", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.work.owner = nil
			s.Next(s.last).Time.Median()
		}
	})
	b.Run("Next after a wait", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.work.owner = nil
			s.Next(s.last + 100)
		}
	})
}

// BenchmarkForecast rolls 64 paths on for some 20 events, on one core.
func BenchmarkForecast(b *testing.B) {
	m := liveModel(b)
	for _, elapsed := range []float64{0, 100} {
		b.Run(fmt.Sprintf("elapsed=%v", elapsed), func(b *testing.B) {
			state := m.NewState(0)
			if err := state.Observe(Event{Time: 1, Mark: 3}); err != nil {
				b.Fatal(err)
			}
			events := 0.0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				o, err := Forecast(b.Context(), state, 1+elapsed, 4000, ForecastOptions{Seed: uint64(i), Workers: 1})
				if err != nil {
					b.Fatal(err)
				}
				events += o.Any.Count
			}
			b.ReportMetric(events/float64(b.N), "events/path")
		})
	}
}
