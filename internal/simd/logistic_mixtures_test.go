package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// logisticCase is a batch of mixtures, with ticks of every third row and slopes for all rows.
type logisticCase[T Float] struct {
	k, size            int
	outs, at           []T
	ticks, others      []int32
	widths             []T
	tickSlopes, slopes []LogisticSlopes[T]
}

func newLogisticCase(r *rand.Rand, rows, k, more int) logisticCase[float32] {
	c := logisticCase[float32]{k: k, size: 3*k + more}
	c.outs, c.at = newGuarded[float32](rows*c.size).data, newGuarded[float32](2*rows).data
	for i := range rows {
		row := c.outs[i*c.size:][:c.size]
		for j := range row {
			row[j] = float32(r.NormFloat64())
		}
		for j := range k {
			row[j] = float32(6 * r.Float64())
			row[k+j] = float32(-5 * r.Float64())
			if r.IntN(5) == 0 {
				row[k+j] = float32(40 * r.NormFloat64()) // beyond the bounds
			}
		}
		c.at[2*i], c.at[2*i+1] = float32(6*r.Float64()), float32(6*r.Float64())
		slopes := LogisticSlopes[float32]{float32(r.NormFloat64()), float32(r.NormFloat64()), r.Float32(), r.Float32()}
		if i%3 == 1 {
			c.ticks, c.widths, c.tickSlopes = append(c.ticks, int32(i)), append(c.widths, r.Float32()), append(c.tickSlopes, slopes)
		} else if i%3 == 0 { // others are left alone
			c.others, c.slopes = append(c.others, int32(i)), append(c.slopes, slopes)
		}
	}
	return c
}

// evaluate returns the survivals and masses, and outs as the gradients leave it.
func (c *logisticCase[T]) evaluate(m *LogisticMixtures[T]) (survivals, masses, outs []T) {
	survivals, masses, outs = make([]T, len(c.at)), make([]T, len(c.ticks)), slices.Clone(c.outs)
	m.Survivals(survivals, outs, c.size, c.k, c.at)
	m.Ticks(masses, c.ticks, c.widths)
	m.TicksGrad(outs, c.ticks, c.tickSlopes)
	m.Grad(outs, c.others, c.slopes)
	return survivals, masses, outs
}

func (c *logisticCase[T]) in64() logisticCase[float64] {
	wide := func(x []T) []float64 {
		out := make([]float64, len(x))
		for i, v := range x {
			out[i] = float64(v)
		}
		return out
	}
	wideSlopes := func(x []LogisticSlopes[T]) []LogisticSlopes[float64] {
		out := make([]LogisticSlopes[float64], len(x))
		for i, v := range x {
			out[i] = LogisticSlopes[float64]{float64(v.Slope1), float64(v.Slope2), float64(v.Probability1), float64(v.Probability2)}
		}
		return out
	}
	return logisticCase[float64]{c.k, c.size, wide(c.outs), wide(c.at), c.ticks, c.others, wide(c.widths), wideSlopes(c.tickSlopes), wideSlopes(c.slopes)}
}

// TestLogisticMixtures compares mixtures of all sizes in float32 with those in float64, and with each row evaluated alone.
func TestLogisticMixtures(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := newRand(3)
		var m LogisticMixtures[float32]
		for _, k := range []int{1, 3, 8, 11, 16, 21, 24, 40, 64, 75} {
			for _, more := range []int{0, 1, 5} {
				c := newLogisticCase(r, 1+r.IntN(40), k, more)
				survivals, masses, outs := c.evaluate(&m)
				wide := c.in64()
				wantSurvivals, wantMasses, wantOuts := wide.evaluate(new(LogisticMixtures[float64]))
				near := func(name string, got []float32, want []float64, tolerance func(i int) float64) {
					t.Helper()
					for i, v := range got {
						if !(math.Abs(float64(v)-want[i]) <= tolerance(i)) {
							t.Fatalf("k %d: %s %d is %v, want %v", k, name, i, v, want[i])
						}
					}
				}
				near("survival", survivals, wantSurvivals, func(int) float64 { return 2e-5 })
				near("mass", masses, wantMasses, func(i int) float64 { return 2e-5*wantMasses[i] + 1e-6 })
				near("gradient", outs, wantOuts, func(i int) float64 {
					return 1e-3 * (1 + math.Abs(wantOuts[i])) // a location counts times a precision of up to e¹¹, as do its rounding errors
				})
				for i := range len(survivals) / 2 {
					alone := make([]float32, 2)
					m.Survivals(alone, c.outs[i*c.size:(i+1)*c.size], c.size, k, c.at[2*i:2*i+2])
					if !slices.Equal(alone, survivals[2*i:2*i+2]) {
						t.Fatalf("k %d: survivals %v of row %d alone, %v in the batch", k, alone, i, survivals[2*i:2*i+2])
					}
				}
			}
		}
	})
}

// TestLogisticMixturesGrad compares the gradients with finite differences, in float64.
func TestLogisticMixturesGrad(t *testing.T) {
	c32 := newLogisticCase(newRand(4), 9, 5, 1)
	c := c32.in64()
	var m LogisticMixtures[float64]
	survivals, masses, _ := c.evaluate(&m)
	// The probabilities of the slopes are those of the mixtures, so that the gradients of the logits are those of a softmax.
	for i, row := range c.others {
		c.slopes[i].Probability1, c.slopes[i].Probability2 = survivals[2*row], survivals[2*row+1]
	}
	for i, row := range c.ticks {
		c.tickSlopes[i].Probability1, c.tickSlopes[i].Probability2 = survivals[2*row], masses[i]
	}
	_, _, outs := c.evaluate(&m)
	value := func() float64 {
		survivals, masses, _ := c.evaluate(new(LogisticMixtures[float64]))
		sum := 0.0
		for i, row := range c.others {
			sum += c.slopes[i].Slope1*survivals[2*row] + c.slopes[i].Slope2*survivals[2*row+1]
		}
		for i, row := range c.ticks {
			sum += c.tickSlopes[i].Slope1*survivals[2*row] + c.tickSlopes[i].Slope2*masses[i]
		}
		return sum
	}
	for _, row := range append(slices.Clone(c.others), c.ticks...) {
		for j := range 3 * c.k {
			at := int(row)*c.size + j
			was := c.outs[at]
			const h = 1e-6
			c.outs[at] = was + h
			up := value()
			c.outs[at] = was - h
			slope := (up - value()) / (2 * h)
			c.outs[at] = was
			if math.Abs(slope-outs[at]) > 1e-5*(1+math.Abs(slope)) {
				t.Errorf("row %d: gradient %d is %v, slope %v", row, j, outs[at], slope)
			}
		}
	}
}

// TestLogisticMixturesBounds checks that no kernel writes outside of what it is given.
func TestLogisticMixturesBounds(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, k := range []int{1, 7, 16, 21, 33} {
			c := newLogisticCase(newRand(5), 11, k, 0)
			outs, survivals, masses := newGuarded[float32](len(c.outs)), newGuarded[float32](len(c.at)), newGuarded[float32](len(c.ticks))
			copy(outs.data, c.outs)
			var m LogisticMixtures[float32]
			m.Survivals(survivals.data, outs.data, c.size, k, c.at)
			m.Ticks(masses.data, c.ticks, c.widths)
			m.TicksGrad(outs.data, c.ticks, c.tickSlopes)
			m.Grad(outs.data, c.others, c.slopes)
			for i, g := range []guarded[float32]{outs, survivals, masses} {
				g.check(t, fmt.Sprintf("LogisticMixtures, result %d", i))
			}
		}
	})
}

// BenchmarkLogisticMixtures measures what a row of a race costs: survivals and gradient, every third with a tick.
func BenchmarkLogisticMixtures(b *testing.B) {
	for _, set := range Sets() {
		b.Run(set, func(b *testing.B) {
			use(b, set)
			const rows = 96
			c := newLogisticCase(newRand(6), rows, 21, 1)
			c.others = c.others[:0]
			for i := range int32(rows) {
				if i%3 != 1 {
					c.others, c.slopes = append(c.others, i), append(c.slopes, LogisticSlopes[float32]{1, 1, 0.5, 0.5})
				}
			}
			var m LogisticMixtures[float32]
			outs, survivals, masses := make([]float32, len(c.outs)), make([]float32, len(c.at)), make([]float32, len(c.ticks))
			for b.Loop() {
				copy(outs, c.outs)
				m.Survivals(survivals, outs, c.size, c.k, c.at)
				m.Ticks(masses, c.ticks, c.widths)
				m.TicksGrad(outs, c.ticks, c.tickSlopes)
				m.Grad(outs, c.others, c.slopes)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
