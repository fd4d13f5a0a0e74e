package race

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/simd"
)

// coverage counts what the examples of a test contain, so that the test fails when it no longer tests what it should.
type coverage map[string]int

func (c coverage) add(w *world) {
	e := w.model.encoder
	for i := range w.data.Sequences {
		s := &w.data.Sequences[i]
		t := &tracker{structure: e.structure}
		e.walk(s, t, stepsOf(s, e.regime, nil), func(step *step, a arrival) {
			marks := map[int]int{}
			for j := range t.due {
				p := &t.due[j]
				all := len(e.graph.Slots[p.parent][p.slot].Marks)
				c[fmt.Sprint("kind ", p.kind)]++
				if all > 1 {
					c["slot with alternatives"]++
				}
				if onesCount(p.alive) < all {
					c["alternative that is excluded"]++
				}
				if e.mayNotCome(p) {
					c["slot that may never be filled"]++
				} else {
					c["slot that is always filled"]++
				}
				for k := range all {
					if p.alive>>k&1 == 1 {
						marks[e.mark(p, k)]++
					}
				}
			}
			switch {
			case len(t.due) == 0 && step != nil && !step.started:
				c["event when nothing is due"]++
			case step != nil && !step.started && marks[s.Mark(step.event)] > 1:
				c["mark that is due several times"]++
			}
		})
		x, err := newExample[float64](e, w.model.background, s)
		if err != nil {
			panic(err)
		}
		for _, t := range x.targets {
			c[fmt.Sprint("outcome ", t.outcome)]++
		}
	}
}

// check reports everything that was wanted and did not occur.
func (c coverage) check(t *testing.T, kinds ...kind) {
	t.Helper()
	wanted := []string{
		"slot with alternatives", "alternative that is excluded", "slot that may never be filled", "slot that is always filled",
		"event when nothing is due", "mark that is due several times",
	}
	for _, o := range []outcome{event, unexplained, survived, over} {
		wanted = append(wanted, fmt.Sprint("outcome ", o))
	}
	for _, k := range kinds {
		wanted = append(wanted, fmt.Sprint("kind ", k))
	}
	for _, name := range wanted {
		if c[name] == 0 {
			t.Errorf("no %s in what was tested: %v", name, c)
		}
	}
}

// differs reports whether a gradient is not the slope of f, by central differences whose step shrinks where f has a kink.
func differs(gradient, scale float64, x *float64, f func() float64) (slope float64, wrong bool) {
	was := *x
	defer func() { *x = was }()
	for _, step := range []float64{1e-5, 1e-6, 1e-7} {
		*x = was + step
		up := f()
		*x = was - step
		slope = (up - f()) / (2 * step)
		if math.Abs(slope-gradient) <= 1e-6*scale+1e-5*math.Abs(slope) {
			return slope, false
		}
	}
	return slope, true
}

// TestGradients compares the gradient of every parameter of the network with finite differences of the loss, in float64.
func TestGradients(t *testing.T) {
	if testing.Short() {
		t.Skip("much work in one goroutine")
	}
	for _, regime := range []Regime{Arrivals, Starts} {
		t.Run(string(regime), func(t *testing.T) {
			seen := coverage{}
			for seed := range uint64(3) {
				rng := rand.New(rand.NewPCG(seed, 1))
				w := worldOf(rng, Config{Regime: regime, Ancestors: int(seed)}, 6, someBegun)
				seen.add(w)
				n, params := w.network64()
				batch := examplesOf[float64](w)
				const scale = 0.3
				var work pass[float64]
				grad, ignored := make([]float64, len(params)), make([]float64, len(params))
				loss := func(grad []float64) float64 {
					n.prepare(params)
					total, events := n.run(params, grad, batch, scale, 0.4, rand.New(rand.NewPCG(seed, 2)), &work)
					if want := w.data.NumEvents(); events > want || events == 0 {
						t.Fatalf("%d of %d events scored", events, want)
					}
					return -scale * total
				}
				loss(grad)
				largest := 0.0
				for _, v := range grad {
					largest = max(largest, math.Abs(v))
				}
				for _, tensor := range n.layout.Tensors() {
					touched := false
					for i := tensor.Span.Offset; i < tensor.Span.Offset+tensor.Span.Len; i++ {
						touched = touched || grad[i] != 0
						slope, wrong := differs(grad[i], largest, &params[i], func() float64 { return loss(ignored) })
						if wrong {
							t.Fatalf("seed %d: %s[%d]: gradient %v, slope %v", seed, tensor.Name, i-tensor.Span.Offset, grad[i], slope)
						}
					}
					if !touched {
						t.Errorf("seed %d: %s has no gradient at all", seed, tensor.Name)
					}
				}
			}
			kinds := []kind{kindFirst, kindNext, kindLater, kindOver}
			if regime == Starts {
				kinds = append(kinds, kindStarted)
			}
			seen.check(t, kinds...)
		})
	}
}

// TestFloat32LikeFloat64 compares loss and gradients of the network in both precisions.
func TestFloat32LikeFloat64(t *testing.T) {
	for _, regime := range []Regime{Arrivals, Starts} {
		for seed := range uint64(20) {
			w := randomWorld(rand.New(rand.NewPCG(seed, 3)), regime, 8, someBegun)
			n, params := w.network64()
			var work64 pass[float64]
			var work32 pass[float32]
			grad64, grad32 := make([]float64, len(params)), make([]float32, len(params))
			want, _ := n.run(params, grad64, examplesOf[float64](w), 1, 0.3, rand.New(rand.NewPCG(seed, 4)), &work64)
			got, _ := w.model.net.run(w.model.params, grad32, examplesOf[float32](w), 1, 0.3, rand.New(rand.NewPCG(seed, 4)), &work32)
			if math.Abs(got-want) > 1e-4*math.Abs(want) {
				t.Errorf("seed %d: log likelihood %v, in float64 %v", seed, got, want)
			}
			largest := 0.0
			for _, v := range grad64 {
				largest = max(largest, math.Abs(v))
			}
			for i, v := range grad64 {
				if math.Abs(float64(grad32[i])-v) > 2e-3*largest {
					t.Fatalf("seed %d: gradient %d is %v, in float64 %v", seed, i, grad32[i], v)
				}
			}
		}
	}
}

// randomRows returns the rows of some slots, and outputs for them.
func randomRows(rng *rand.Rand, k int) (rows []row[float64], outs []float64) {
	for range 1 + rng.IntN(3) {
		first, skipped, elapsed := true, rng.IntN(2) == 0, 4*rng.Float64()
		for range 1 + rng.IntN(3) {
			rows = append(rows, row[float64]{first: first, skipped: skipped, elapsed: elapsed, y: elapsed + rng.Float64(), width: 0.3 * rng.Float64()})
			first = false
			for range k {
				outs = append(outs, 6*rng.Float64())
			}
			for range k {
				outs = append(outs, -4*rng.Float64()) // some are beyond the bound
			}
			for range k + 1 {
				outs = append(outs, rng.NormFloat64())
			}
		}
	}
	return rows, outs
}

// stepLoss returns the log likelihood of what followed one step, and replaces the outputs by the gradient of −scale times it, unless scale is 0.
func stepLoss(outs []float64, size, k int, rows []row[float64], t target, scale float64) float64 {
	var w lossWork[float64]
	w.sum = newLogSum(scale != 0)
	stepsLoss(outs, size, k, []int32{0, int32(len(rows))}, rows, []target{t}, scale, &w)
	return w.sum.result()
}

// TestStepLossGradient compares the gradient of what followed one step with finite differences, whatever that was.
func TestStepLossGradient(t *testing.T) {
	const k, size, scale = 4, 13, 0.7
	rng := rand.New(rand.NewPCG(1, 5))
	for i := range 400 {
		rows, outs := randomRows(rng, k)
		target := target{
			outcome: outcome(i%4) + event, winner: -1, background: 0.1 * rng.Float64(), explained: 1 - 0.1*rng.Float64(),
		}
		if target.outcome == event {
			target.winner = int32(rng.IntN(len(rows)))
		}
		grad := slices.Clone(outs)
		value := stepLoss(grad, size, k, rows, target, scale)
		if alone := stepLoss(slices.Clone(outs), size, k, rows, target, 0); math.Abs(alone-value) > 1e-14*max(math.Abs(value), 1) {
			t.Fatalf("log likelihood %v with gradient, %v without", value, alone)
		}
		for j := range outs {
			slope, wrong := differs(grad[j], 1, &outs[j], func() float64 {
				return -scale * stepLoss(outs, size, k, rows, target, 0)
			})
			if wrong {
				t.Fatalf("outcome %d, rows %+v: output %d has gradient %v, slope %v", target.outcome, rows, j, grad[j], slope)
			}
		}
		if target.outcome != over || rows[0].skipped {
			if slices.Max(grad) == 0 && slices.Min(grad) == 0 {
				t.Errorf("outcome %d teaches nothing", target.outcome)
			}
		}
	}
}

// manyBits is the precision of what is computed exactly: e^−300 is taken from 1.
const manyBits = 1000

// bigExp returns e^x to far more digits than float64 has, by the series of x/2¹⁶ and 16 squarings.
func bigExp(x float64) *big.Float {
	number := func(v float64) *big.Float { return new(big.Float).SetPrec(manyBits).SetFloat64(v) }
	term, sum := number(1), number(1)
	small := number(math.Ldexp(x, -16))
	for i := 1; i < 80; i++ {
		term.Mul(term, small).Quo(term, number(float64(i)))
		sum.Add(sum, term)
	}
	for range 16 {
		sum.Mul(sum, sum)
	}
	return sum
}

// bigSigmoid returns the sigmoid 1/(1 + e^(v − u)) of u − v.
func bigSigmoid(u, v float64) *big.Float {
	one := new(big.Float).SetPrec(manyBits).SetInt64(1)
	return one.Quo(one, new(big.Float).Add(one, new(big.Float).Mul(bigExp(-u), bigExp(v))))
}

// checkTick compares the mass of a tick of one component with the difference of two survivals in 1000 bits, from the one end of what
// numbers hold to the other, and the gradients with respect to location and log scale with its derivatives.
func checkTick[F nn.Float](t *testing.T, furthest, tolerance float64) {
	for _, logScale := range []F{-1, -2, -6} {
		for u := -furthest; u <= furthest; u += furthest / 64 {
			for _, width := range []F{1e-4, 0.02, 1} {
				precision := 1 / math.Exp(float64(logScale))
				out := []F{F(3 + u/precision), logScale, 0.5, 0} // y is 3, so that u is the argument
				var m simd.LogisticMixtures[F]
				survivals, masses, precisions := make([]F, 2), make([]F, 1), make([]F, 1)
				m.Survivals(survivals, out, 4, 1, []F{0, 3})
				m.Ticks(masses, []int32{0}, []F{width})
				// What the row was really given, after rounding.
				simd.LogisticPrecisions(precisions, out[1:2])
				a, ticked := float64((out[0]-3)*precisions[0]), float64(width*precisions[0])
				b := a - ticked
				from, to := bigSigmoid(a, 0), bigSigmoid(a, ticked)
				mass := new(big.Float).Sub(from, to)
				want, _ := mass.Float64()
				if got := float64(masses[0]); math.Abs(got-want) > tolerance*want {
					t.Fatalf("u %v, log scale %v, width %v: mass %v, want %v", a, logScale, width, got, want)
				}
				slope := func(s *big.Float) *big.Float { // s(1 − s)
					return new(big.Float).Sub(s, new(big.Float).Mul(s, s))
				}
				number := func(v float64) *big.Float { return new(big.Float).SetPrec(manyBits).SetFloat64(v) }
				location := new(big.Float).Sub(slope(from), slope(to))
				location.Mul(location, number(float64(precisions[0])))
				scale := new(big.Float).Sub(new(big.Float).Mul(slope(to), number(b)), new(big.Float).Mul(slope(from), number(a)))
				grad := slices.Clone(out)
				m.TicksGrad(grad, []int32{0}, []simd.LogisticSlopes[F]{{Slope2: 1 / masses[0], Probability1: 1, Probability2: masses[0]}})
				for i, exact := range []*big.Float{location, scale} {
					want, _ := exact.Quo(exact, mass).Float64()
					// The slope of log mass is of the order of the precision or of u, and may cancel.
					size := max(float64(precisions[0]), math.Abs(a), 1)
					if got := float64(grad[i]); math.Abs(got-want) > 20*tolerance*size {
						t.Fatalf("u %v, log scale %v, width %v: slope %d of the log mass is %v, want %v", a, logScale, width, i, got, want)
					}
				}
			}
		}
	}
}

// TestTickInTheTails checks that the mass of a tick and its gradient keep their relative accuracy where both survivals are next to 0
// and where both are next to 1.
func TestTickInTheTails(t *testing.T) {
	t.Run("float64", func(t *testing.T) { checkTick[float64](t, 300, 1e-13) })
	t.Run("float32", func(t *testing.T) { checkTick[float32](t, 60, 3e-6) })
}
