package race

import (
	"context"
	"fmt"
	"testing"

	"github.com/tppfaas/tppfaas/internal/floor"
)

// BenchmarkFloor compares an epoch of training with its floor, with the default options, on a composition of 21 functions.
func BenchmarkFloor(b *testing.B) {
	d := readDataset(b, "../../data/low_parallel_large_rand.json.gz")
	training, validation, _ := d.Split(1)
	for _, regime := range []Regime{Arrivals, Starts} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", regime, workers), func(b *testing.B) {
				p, err := prepare(Config{Regime: regime}, training, validation, TrainOptions{Workers: workers, Epochs: 100000})
				if err != nil {
					b.Fatal(err)
				}
				defer p.trainer.pool.Close()
				b.Logf("%d units, %d components, %d parameters, batches of %d", p.model.net.context, p.model.net.components, len(p.trainer.params), p.trainer.opts.BatchSize)
				epoch := 0
				floor.Benchmark(b, workers, func() {
					epoch++
					if _, err := p.trainer.epoch(context.Background(), epoch); err != nil {
						b.Fatal(err)
					}
				})
			})
		}
	}
}
