package neural

import (
	"math/rand/v2"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// liveModel returns the paper's shape (GRU 64, 64 components, 22 marks) with random parameters, and with the end so unlikely
// that paths go on.
func liveModel(t testing.TB) *Recurrent {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	d := tpptest.RandomDataset(rng, 50, 22)
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
	if err := s.Observe(tpp.Event{Time: 1, Mark: 3}); err != nil {
		b.Fatal(err)
	}
	b.Run("Observe", func(b *testing.B) {
		b.ReportAllocs()
		at := s.last
		for b.Loop() {
			at += 5
			if err := s.Observe(tpp.Event{Time: at, Mark: 5}); err != nil {
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
			s.Next(s.last).Median()
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

// TestFingerprintsDiffer checks that the fingerprint changes with everything that a prediction depends on.
func TestFingerprintsDiffer(t *testing.T) {
	seen := map[uint64]string{}
	check := func(name string, change func(m *Recurrent)) {
		m := randomRecurrent(t, variants()[1], 1)
		change(m)
		if other, ok := seen[m.Fingerprint()]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		seen[m.Fingerprint()] = name
	}
	check("the model", func(m *Recurrent) {})
	check("another parameter", func(m *Recurrent) { m.params[len(m.params)-1]++ })
	check("another scale", func(m *Recurrent) { m.norm.Mean++ })
	check("another mark", func(m *Recurrent) { m.markNames[2] = "g" })
	check("another floor", func(m *Recurrent) { m.cfg.GapFloor *= 2 })
	if m := randomRecurrent(t, variants()[1], 1); seen[m.Fingerprint()] != "the model" {
		t.Error("the same model has another fingerprint the second time")
	}
}
