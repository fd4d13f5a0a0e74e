package neural

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// TestGradientIsSet checks that a gradient that is set is the one that is added to zeros, whatever was there before: no layer may leave anything.
func TestGradientIsSet(t *testing.T) {
	for i, v := range variants() {
		rng := rand.New(rand.NewPCG(uint64(i), 9))
		d := tpptest.RandomDataset(rng, 30, 3)
		n, params := randomNetwork[float64](t, rng, v, d)
		examples, err := n.newExamples(d)
		if err != nil {
			t.Fatal(err)
		}
		var batch []*example[float64]
		for i := range examples {
			batch = append(batch, &examples[i])
		}
		var ws workspace[float64]
		want, got := make([]float64, len(params)), make([]float64, len(params))
		n.run(params, want, batch, 1, &ws)
		for i := range got {
			got[i] = 1e6
		}
		n.runTo(params, got, batch, 1, &ws, nn.SetParams)
		for _, tensor := range n.layout.Tensors() {
			for j := range nn.Of(tensor.Span, got) {
				if a, b := nn.Of(tensor.Span, got)[j], nn.Of(tensor.Span, want)[j]; math.Abs(a-b) > 1e-9*(1+math.Abs(b)) {
					t.Fatalf("%s: %s[%d] is set to %v, want %v", v, tensor.Name, j, a, b)
				}
			}
		}
	}
}
