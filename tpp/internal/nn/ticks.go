package nn

import (
	"math"

	"github.com/tppfaas/tppfaas/tpp/internal/simd"
)

// MixtureTickNLL scores intervals, one a row, under mixtures of normals as MixtureNLL scores points: by the log
// probability of lying in the interval, which is what a clock of finite resolution tells. An interval is given by its
// middle and its width, which may be too small for the ends to differ in F; with a width of +Inf it is all that lies below
// the middle. It returns the sum of the log probabilities. Memory is room for 4K numbers.
//
// With ends a < b of an interval in a component's standard units, the component's part is log(Φ(b) − Φ(a)). Where the
// interval is narrow the difference would lose its digits; there it is the density in the middle times the width,
// corrected to second order: φ(m)·w·(1 + (m² − 1)w²/24).
func MixtureTickNLL[F Float](out, middle, width, memory []F, scale F) float64 {
	if len(middle) == 0 {
		return 0
	}
	k := len(out) / len(middle) / 3
	total := 0.0
	for i := range middle {
		total += mixtureTickRow(out[i*3*k:(i+1)*3*k], newTick(float64(middle[i]), float64(width[i])), memory, scale)
	}
	return total
}

// tick is an interval.
type tick struct {
	lo, middle, hi, width float64
	tailed                bool // it has no lower end
}

func newTick(middle, width float64) tick {
	if math.IsInf(width, 1) {
		return tick{math.Inf(-1), math.Inf(-1), middle, width, true}
	}
	return tick{middle - width/2, middle, middle + width/2, width, false}
}

// narrowTick is how small w²(1 + m²) must be for the expansion in the middle: its error is of the order of the square.
const narrowTick = 0.02

func mixtureTickRow[F Float](out []F, t tick, memory []F, scale F) float64 {
	k := len(out) / 3
	loc, logScale, logit := out[:k], out[k:2*k], out[2*k:]
	precision, la, mass, joint := memory[:k], memory[k:2*k], memory[2*k:3*k], memory[3*k:4*k]
	for i, s := range logScale {
		precision[i] = -s
	}
	simd.Exp(precision, precision)
	for i := range k {
		p, m := float64(precision[i]), float64(loc[i])
		a, b := (t.lo-m)*p, (t.hi-m)*p
		// By symmetry the difference is taken in the lower tail, where logarithms resolve it.
		if !t.tailed && a+b > 0 {
			a, b = -b, -a
		}
		la[i], mass[i] = F(a), F(b)
	}
	simd.LogNormalCDF(mass, mass)
	if !t.tailed {
		simd.LogNormalCDF(la, la)
		logWidth := math.Log(t.width)
		for i := range k {
			p := float64(precision[i])
			u, w := (t.middle-float64(loc[i]))*p, t.width*p
			if w*w*(1+u*u) < narrowTick {
				c := (u*u - 1) * w * w / 24 // below 1e-3: three terms of its log1p will do
				mass[i] = F(-u*u/2 - halfLog2Pi + logWidth - float64(logScale[i]) + c*(1-c*(0.5-c/3)))
			} else if x := float64(la[i]) - float64(mass[i]); x > -37 {
				mass[i] += F(logOneMinusExp(x))
			}
		}
	}
	simd.AddScaled(joint, mass, 1, logit)
	total, norm := float64(simd.LogSumExp(joint)), float64(simd.LogSumExp(logit))
	if scale == 0 {
		return total - norm
	}
	if math.IsInf(total, -1) {
		// No component reaches the interval in this precision: there is nothing to follow.
		clear(out)
		return total - norm
	}
	share, weight := joint, la
	simd.Softmax(share, joint)
	simd.Softmax(weight, logit)
	for i := range k {
		logit[i] = -scale * (share[i] - weight[i])
		if share[i] < negligibleShare {
			loc[i], logScale[i] = 0, 0
			continue
		}
		dLoc, dLogScale := t.slopes(float64(loc[i]), float64(precision[i]), float64(mass[i]))
		loc[i] = F(-float64(scale) * float64(share[i]) * dLoc)
		logScale[i] = F(-float64(scale) * float64(share[i]) * dLogScale)
	}
	return total - norm
}

// negligibleShare is the share of an interval's probability below which a component's slopes do not show in a sum.
const negligibleShare = 1e-12

// slopes are the derivatives of the log mass that a component has in the interval by its location and its log scale,
// from its location m, precision p and log mass.
func (t tick) slopes(m, p, mass float64) (dLoc, dLogScale float64) {
	b := (t.hi - m) * p
	if t.tailed {
		fb := math.Exp(-b*b/2 - halfLog2Pi - mass)
		return -fb * p, -fb * b
	}
	u, w := (t.middle-m)*p, t.width*p
	if w*w*(1+u*u) < narrowTick {
		c := 1 + (u*u-1)*w*w/24
		du := -u + u*w*w/12/c
		dLogW := 1 + (u*u-1)*w*w/12/c
		return -du * p, -du*u - dLogW
	}
	a := (t.lo - m) * p
	fa, fb := math.Exp(-a*a/2-halfLog2Pi-mass), math.Exp(-b*b/2-halfLog2Pi-mass)
	return (fa - fb) * p, fa*a - fb*b
}

var halfLog2Pi = 0.5 * math.Log(2*math.Pi)

// logOneMinusExp is log(1 − e^x) for x ≤ 0.
func logOneMinusExp(x float64) float64 {
	if x > -math.Ln2 {
		return math.Log(-math.Expm1(x))
	}
	return math.Log1p(-math.Exp(x))
}
