package neural

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// randomNetwork returns a small network of the configuration with random parameters, also for the initial context.
func randomNetwork[F nn.Float](t testing.TB, rng *rand.Rand, v variant, d *tpp.Dataset) (*network[F], []F) {
	t.Helper()
	cfg := v.cfg
	cfg.Covariates = slices.Clone(cfg.Covariates)
	norm := normalise(d, &cfg)
	n, err := newNetwork[F](cfg.withDefaults(), d.NumMarks(), norm, v.loss)
	if err != nil {
		t.Fatal(err)
	}
	params := n.initialise(rng)
	for i := range params {
		params[i] += F(0.2 * rng.NormFloat64())
	}
	n.prepare(params)
	return n, params
}

// randomRecurrent returns a model of the variant with random parameters, of three marks.
func randomRecurrent(t testing.TB, v variant, seed uint64) *Recurrent {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 12))
	d := tpptest.RandomDataset(rng, 30, 3)
	cfg := v.cfg
	cfg.Covariates = append([]Covariate(nil), cfg.Covariates...)
	norm := normalise(d, &cfg)
	m, err := newRecurrent(cfg, d.MarkNames, 3, norm, v.loss)
	if err != nil {
		t.Fatal(err)
	}
	net, params := randomNetwork[float32](t, rng, v, d)
	if len(params) != len(m.params) || net.cfg.Kind != m.cfg.Kind {
		t.Fatal("the network has another shape than the model")
	}
	copy(m.params, params)
	m.net.prepare(m.params)
	return m
}

// variant is a kind of model with a loss.
type variant struct {
	cfg  Config
	loss Loss
}

func (v variant) String() string {
	return fmt.Sprint(v.cfg.Kind, v.cfg.Encoder, v.cfg.TimeHead, v.loss, len(v.cfg.Covariates), !v.cfg.WithoutEnd, v.cfg.MarkTimeSize, v.cfg.MarkTable)
}

// variants returns small models of every kind, with every encoder, head, loss and feature among them. The file is shared
// with package modeltest, which the tests here cannot import: it imports neural. It is read on first use, because the
// benchmarks run from other folders too.
var variants = sync.OnceValue(func() []variant {
	const name = "../internal/modeltest/variants.json"
	f, err := os.Open(name)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	var entries []struct {
		Config
		Loss Loss
	}
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(&entries); err != nil {
		panic(name + ": " + err.Error())
	}
	var all []variant
	for _, e := range entries {
		all = append(all, variant{e.Config, e.Loss})
	}
	return all
})

// TestVariantsCoverEveryKind checks that no registered kind, encoder, head or loss is missing from the variants.
func TestVariantsCoverEveryKind(t *testing.T) {
	covered := map[any]bool{}
	for _, v := range variants() {
		covered[v.cfg.Kind], covered[v.cfg.Encoder], covered[v.cfg.TimeHead], covered[v.loss] = true, true, true, true
	}
	want := []any{RNN, GRU, LSTM, LogHead, SoftplusHead, LossDensity, LossResolution}
	for _, kind := range Kinds() {
		want = append(want, kind)
	}
	for _, w := range want {
		if !covered[w] {
			t.Errorf("tpp/internal/modeltest/variants.json has no variant with %T %q", w, w)
		}
	}
}

// TestGradientsAreDifferenceQuotients checks every derivative against a central difference, for windows of every kind.
func TestGradientsAreDifferenceQuotients(t *testing.T) {
	for i, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			d := tpptest.RandomDataset(rng, 7, 3)
			d.Sequences = append(d.Sequences, tpp.Sequence{TStart: new(0.0), TEnd: new(50.0)})
			n, params := randomNetwork[float64](t, rng, v, d)
			grad, _ := fullBatchGradient(t, n, params, d)
			for _, tensor := range n.layout.Tensors() {
				for j := range tensor.Span.Len {
					k := tensor.Span.Offset + j
					const h = 1e-5
					loss := func(at float64) float64 {
						saved := params[k]
						defer func() { params[k] = saved }()
						params[k] = at
						_, sum := fullBatchGradient(t, n, params, d)
						return sum.perEvent()
					}
					quotient := (loss(params[k]+h) - loss(params[k]-h)) / (2 * h)
					if diff := math.Abs(grad[k] - quotient); diff > 1e-6*(1+math.Abs(quotient)) {
						t.Errorf("%s[%d]: the gradient is %.9g, the difference quotient %.9g", tensor.Name, j, grad[k], quotient)
					}
				}
			}
		})
	}
}

// TestEveryTensorHasAGradient checks that the gradient of no tensor is zero, so that the test above cannot pass trivially.
func TestEveryTensorHasAGradient(t *testing.T) {
	for i, v := range variants() {
		rng := rand.New(rand.NewPCG(uint64(i), 2))
		d := tpptest.RandomDataset(rng, 40, 3)
		n, params := randomNetwork[float64](t, rng, v, d)
		grad, _ := fullBatchGradient(t, n, params, d)
		for _, tensor := range n.layout.Tensors() {
			norm := 0.0
			for _, g := range nn.Of(tensor.Span, grad) {
				norm += g * g
			}
			if norm == 0 {
				t.Errorf("%s: the gradient of %s is zero", v, tensor.Name)
			}
		}
	}
}

// TestBatchIsTheSumOfItsSequences checks that the scores and gradients of a batch are the sums of those of its sequences.
func TestBatchIsTheSumOfItsSequences(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 3))
		v := rapid.SampledFrom(variants()).Draw(rt, "variant")
		d := tpptest.RandomDataset(rng, 1+rng.IntN(8), 1+rng.IntN(3))
		n, params := randomNetwork[float64](t, rng, v, d)
		examples, err := n.newExamples(d)
		if err != nil {
			rt.Fatal(err)
		}
		var ws workspace[float64]
		var batch []*example[float64]
		alone := make([]float64, len(params))
		var sum lossSum
		for i := range examples {
			batch = append(batch, &examples[i])
			sum.add(n.run(params, alone, batch[i:i+1], 1, &ws))
		}
		together := make([]float64, len(params))
		got := n.run(params, together, batch, 1, &ws)
		if got.events != sum.events || !tpptest.Near(got.time, sum.time, 1e-12) || !tpptest.Near(got.mark, sum.mark, 1e-12) || !tpptest.Near(got.survival, sum.survival, 1e-12) {
			rt.Fatalf("together %+v, one by one %+v", got, sum)
		}
		for i := range alone {
			if math.Abs(alone[i]-together[i]) > 1e-9*(1+math.Abs(alone[i])) {
				rt.Fatalf("gradient %d is %v together, %v one by one", i, together[i], alone[i])
			}
		}
	})
}

// BenchmarkTrainingStep measures one update from a batch of the paper's model: 64 sequences of 21 events with 22 marks.
func BenchmarkTrainingStep(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 4))
	d := &tpp.Dataset{}
	for m := range 22 {
		d.MarkNames = append(d.MarkNames, fmt.Sprintf("f%d", m))
	}
	for range 64 {
		var s tpp.Sequence
		at := 0.0
		for range 21 {
			at += math.Round(math.Exp(4 + rng.NormFloat64()))
			s.ArrivalTimes = append(s.ArrivalTimes, at)
			s.Marks = append(s.Marks, rng.IntN(22))
		}
		d.Sequences = append(d.Sequences, s)
	}
	for _, loss := range []Loss{LossDensity, LossResolution} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", loss, workers), func(b *testing.B) {
				cfg := PaperConfig(LogNormMix)
				m, err := newRecurrent(cfg, d.MarkNames, 22, normalise(d, &cfg), loss)
				if err != nil {
					b.Fatal(err)
				}
				tr, err := newTrainer(m, d, nil, TrainOptions{Seed: 1, Workers: workers, Loss: loss}.withDefaults())
				if err != nil {
					b.Fatal(err)
				}
				defer tr.close()
				all := tr.training.(inMemory).all
				batch := make([]*example[float32], len(all))
				for i := range batch {
					batch[i] = &all[i]
				}
				b.ReportAllocs()
				for b.Loop() {
					tr.step(batch)
				}
			})
		}
	}
}

// TestStepDoesNotAllocate checks that training allocates nothing after its first step.
func TestStepDoesNotAllocate(t *testing.T) {
	d := tpptest.RandomDataset(rand.New(rand.NewPCG(1, 5)), 50, 3)
	for _, v := range variants() {
		cfg := v.cfg
		cfg.Covariates = slices.Clone(cfg.Covariates)
		m, err := newRecurrent(cfg, d.MarkNames, d.NumMarks(), normalise(d, &cfg), v.loss)
		if err != nil {
			t.Fatal(err)
		}
		opts := TrainOptions{Workers: 2, Loss: v.loss}
		if v.loss == "" {
			opts.Loss = LossResolution
		}
		tr, err := newTrainer(m, d, nil, opts.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		defer tr.close()
		tr.shuffle(opts.random(1), tr.training.(inMemory).all)
		step := func() { tr.step(tr.order) }
		step()
		// Each worker's memory grows until it has had the largest shard: let each have all.
		for worker := range tr.work {
			for shard := range (len(tr.order) + shardSize - 1) / shardSize {
				tr.stepShard(worker, shard)
			}
		}
		if n := testing.AllocsPerRun(20, step); n > 0.5 {
			t.Errorf("%s: %v allocations a step", v, n)
		}
	}
}
