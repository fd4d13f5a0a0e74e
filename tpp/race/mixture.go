package race

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/simd"
)

// A delay d has the distribution of a mixture of K logistics over y = asinh(d/scale), truncated to what is possible: d > elapsed. A row
// of the network's output holds its parameters: K locations, K log scales, K logits, and the logit of the alternative.

// rowWork holds what was computed of the mixture of one row: blocks of K numbers.
type rowWork[F nn.Float] struct {
	weights, precisions []F
	elapsedU, elapsed   []F // (y − location)·precision and its survival at the elapsed delay
	fromU, from         []F // the same at the delay itself, or at the lower end of its tick
	toCDF, width, share []F // 1 − survival at the upper end, the width of the tick in units of the scale, and its mass

	survivalElapsed, survival, mass float64
}

func (w *rowWork[F]) resize(k int) {
	if len(w.weights) == k {
		return
	}
	for _, b := range []*[]F{&w.weights, &w.precisions, &w.elapsedU, &w.elapsed, &w.fromU, &w.from, &w.toCDF, &w.width, &w.share} {
		*b = nn.Resize(*b, k)
	}
}

// prepare computes the weights and precisions of a row of outputs.
func (w *rowWork[F]) prepare(out []F, k int) {
	w.resize(k)
	simd.Softmax(w.weights, out[2*k:3*k])
	simd.LogisticPrecisions(w.precisions, out[k:2*k])
}

// survivalAt sets u and s to the arguments and the survivals of the components at y, and returns the survival of the mixture.
func (w *rowWork[F]) survivalAt(u, s, out []F, y F) float64 {
	return float64(simd.LogisticSurvival(u, s, w.weights, out, w.precisions, y))
}

// at computes the survival at the elapsed delay and at a later one.
func (w *rowWork[F]) at(out []F, k int, elapsed, y F) {
	w.survivalElapsed = w.survivalAt(w.elapsedU, w.elapsed, out, elapsed)
	w.survival = w.survivalAt(w.fromU, w.from, out, y)
}

// tick computes the survival at the elapsed delay and the mass of the tick that begins at y. With s the survival of a component,
// s(a) − s(b) = s(a)·(1 − s(b))·(1 − exp(−(b − a))), which does not cancel; nor does 1 − s, which is the survival at minus the argument.
func (w *rowWork[F]) tick(out []F, k int, elapsed, y, width F) {
	w.survivalElapsed = w.survivalAt(w.elapsedU, w.elapsed, out, elapsed)
	w.survivalAt(w.fromU, w.from, out, y)
	for i, p := range w.precisions {
		w.width[i] = width * p
		w.toCDF[i] = w.width[i] - w.fromU[i]
		w.share[i] = w.width[i] / 2
	}
	simd.Sigmoid(w.toCDF, w.toCDF)
	simd.Tanh(w.share, w.share)
	for i, t := range w.share {
		w.share[i] = w.from[i] * w.toCDF[i] * 2 * t / (1 + t)
	}
	w.mass = float64(simd.Dot(w.weights, w.share))
}

// backward adds to grad, the gradient of the row's outputs out, given the gradients of the survival at the elapsed delay and of the later
// one.
func (w *rowWork[F]) backward(grad, out []F, k int, gradElapsed, gradSurvival float64) {
	l := simd.Logistics[F]{
		Weights: w.weights, Precisions: w.precisions, LogScales: out[k : 2*k],
		U1: w.elapsedU, S1: w.elapsed, U2: w.fromU, S2: w.from, Survival1: F(w.survivalElapsed), Survival2: F(w.survival),
	}
	l.AddGrad(grad, F(gradElapsed), F(gradSurvival))
}

// backwardTick is backward for a tick, given the gradient of its mass.
func (w *rowWork[F]) backwardTick(grad, out []F, k int, gradElapsed, gradMass float64) {
	ge, gm := F(gradElapsed), F(gradMass)
	me, mm := F(w.survivalElapsed), F(w.mass)
	loc, scale, logit := grad[:k], grad[k:2*k], grad[2*k:3*k]
	for i, weight := range w.weights {
		de := w.elapsed[i] * (1 - w.elapsed[i]) * ge
		a, b, m := w.from[i], w.toCDF[i], w.share[i]
		slope := m * (b - a)
		loc[i] += weight * w.precisions[i] * (de + slope*gm)
		if v := out[k+i]; v > simd.MinLogScale && v < simd.MaxLogScale { // a − m is the survival at the upper end
			scale[i] += weight * (-de*w.elapsedU[i] + gm*(-slope*w.fromU[i]-b*(a-m)*w.width[i]))
		}
		logit[i] += weight * ((w.elapsed[i]-me)*ge + (m-mm)*gm)
	}
}

// tiny keeps logarithms and quotients finite.
const tiny = 1e-30

func logOf(v float64) float64 { return math.Log(max(v, tiny)) }
