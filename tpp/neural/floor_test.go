package neural

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tppfaas/tppfaas/internal/floor"
)

// BenchmarkFloor compares an epoch of training with its floor, on the case of bench/peers: the paper's model, 600 sequences of 21 events with 22 marks,
// batches of 64.
func BenchmarkFloor(b *testing.B) {
	d := peersData(rand.New(rand.NewPCG(1, 1)), 600)
	for _, loss := range []Loss{LossDensity, LossResolution} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", loss, workers), func(b *testing.B) {
				cfg, opts := PaperConfig(LogNormMix), PaperTraining(LogNormMix)
				opts.Workers, opts.Seed, opts.Loss = workers, 1, loss
				m, err := newRecurrent(cfg, d.MarkNames, d.NumMarks(), normalise(d, &cfg), loss)
				if err != nil {
					b.Fatal(err)
				}
				t, err := newTrainer(m, d, nil, opts.withDefaults())
				if err != nil {
					b.Fatal(err)
				}
				defer t.close()
				epoch := 0
				floor.Benchmark(b, workers, func() {
					epoch++
					if _, err := t.epoch(context.Background(), epoch); err != nil {
						b.Fatal(err)
					}
				})
			})
		}
	}
}
