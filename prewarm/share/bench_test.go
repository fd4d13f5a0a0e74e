package share

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
)

// BenchmarkMessage measures what it takes to write and to read a message with two demands.
func BenchmarkMessage(b *testing.B) {
	v := newsvendor.Demand{Probability: 0.7, Notice: math.Inf(1), Busy: 0.3, Spread: 0.1}
	for i := range v.Times {
		v.Times[i] = 1000 + float64(i)*math.Pi/10
	}
	m := &Message{At: 1772345248273262627, Key: "tree_small-dev-f26", Told: &Told{Trace: "0000000000000000000000000000000b", Until: 62376133, Demands: []Demand{newDemand(&v, 1000), newDemand(&v, 1000)}}}
	text := encode(m)
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			encode(m)
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			_, err := Parse(text)
			require.NoError(b, err)
		}
	})
}
