package nn

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/simd"
)

// The losses take rows of a head's outputs and replace them by the gradient of scale times the sum of the negative log
// likelihoods. With a scale of 0 only the log likelihood is wanted, and what is left in the outputs is undefined.

// MixtureNLL scores x, one number a row, under mixtures of normals whose parameters are the rows of out (locations, log
// scales, logits: 3K values). It returns the sum of the log densities. LogProb is memory for one number a row.
func MixtureNLL[F Float](out, x, logProb []F, scale F) float64 {
	if len(x) == 0 {
		return 0
	}
	k := len(out) / len(x) / 3
	if scale == 0 {
		simd.NormalMixtureLogProb(logProb[:len(x)], out, x, k)
	} else {
		simd.NormalMixtureGrad(logProb[:len(x)], out, out, x, k, scale)
	}
	return sum(logProb[:len(x)])
}

// MixtureSurvival scores one x, as MixtureNLL does, by the log probability of lying beyond it. It stays accurate far in
// the tail, where the sum over the components is taken of the logarithms of their own tails. Memory is room for len(out)
// numbers.
func MixtureSurvival[F Float](out []F, x F, memory []F, scale F) float64 {
	k := len(out) / 3
	loc, logScale, logit := out[:k], out[k:2*k], out[2*k:]
	u, logPhi, mills := memory[:k], memory[k:2*k], memory[2*k:3*k]
	for i := range k {
		u[i] = F((float64(loc[i]) - float64(x)) * math.Exp(-float64(logScale[i])))
	}
	simd.LogNormalCDFGrad(logPhi, mills, u)
	for i := range k {
		logPhi[i] += logit[i]
	}
	tail, total := float64(simd.LogSumExp(logPhi)), float64(simd.LogSumExp(logit))
	if scale == 0 {
		return tail - total
	}
	for i := range k {
		share := math.Exp(float64(logPhi[i]) - tail)
		weight := math.Exp(float64(logit[i]) - total)
		slope := -float64(scale) * share * float64(mills[i])
		loc[i] = F(slope * math.Exp(-float64(logScale[i])))
		logScale[i] = F(-slope * float64(u[i]))
		logit[i] = F(-float64(scale) * (share - weight))
	}
	return tail - total
}

// SoftmaxNLL scores a target class for each row of logits. It returns the sum of the log probabilities. LogProb is
// memory for one number a row.
func SoftmaxNLL[F Float](logits []F, targets []int, logProb []F, scale F) float64 {
	if len(targets) == 0 {
		return 0
	}
	logProb = logProb[:len(targets)]
	if scale == 0 {
		simd.LogSoftmaxAt(logProb, logits, targets, len(logits)/len(targets))
		return sum(logProb)
	}
	simd.SoftmaxCrossEntropy(logProb, logits, targets, len(logits)/len(targets), scale)
	return -sum(logProb)
}

// OverOrLater scores that nothing came where either the class called end, with probability e under the logits, says why,
// or the event comes later, with log probability logS: log(e + (1 − e)S). Time holds the gradient of scale times −logS and
// is scaled to its part in that; the logits are replaced by theirs.
func OverOrLater[F Float](time, logits []F, end int, logS float64, scale F) float64 {
	// In float64: of an e near 1 the rest still counts.
	top, total := math.Inf(-1), 0.0
	for _, v := range logits {
		top = max(top, float64(v))
	}
	for _, v := range logits {
		total += math.Exp(float64(v) - top)
	}
	logEnd := float64(logits[end]) - top - math.Log(total)
	logLater := math.Log1p(-math.Exp(logEnd)) + logS
	logBoth := simd.LogSumExp([]float64{logEnd, logLater})
	later := F(math.Exp(logLater - logBoth)) // the gap's part
	for i := range time {
		time[i] *= later
	}
	slope := float64(scale) * -math.Expm1(logS) * math.Exp(logEnd-logBoth)
	for i, v := range logits {
		p := math.Exp(float64(v)-top) / total
		if i == end {
			p--
		}
		logits[i] = F(slope * p)
	}
	return logBoth
}

func sum[F Float](values []F) float64 {
	total := 0.0
	for _, v := range values {
		total += float64(v)
	}
	return total
}

// AbsoluteErrorSoftplus scores predictions of one value, one output a row, by their absolute error against gaps, and returns the
// sum of the errors. The prediction is softplus(out), the paper's TruncNorm.
func AbsoluteErrorSoftplus[F Float](out, gaps []F, scale F) float64 {
	total := 0.0
	for i, gap := range gaps {
		v := float64(out[i])
		diff := Softplus(v) - float64(gap)
		out[i] = F(float64(scale) * sign(diff) * sigmoid(v))
		total += math.Abs(diff)
	}
	return total
}

// AbsoluteErrorLog is like AbsoluteErrorSoftplus for predictions exp(mean + std·out) of gaps, with both errors and
// gradients divided by unit.
func AbsoluteErrorLog[F Float](out, gaps []F, mean, std, unit float64, scale F) float64 {
	total := 0.0
	for i, gap := range gaps {
		prediction := math.Exp(mean + std*float64(out[i]))
		diff := (prediction - float64(gap)) / unit
		out[i] = F(float64(scale) * sign(diff) * std * prediction / unit)
		total += math.Abs(diff)
	}
	return total
}

// Softplus is log(1 + e^v), without overflow.
func Softplus(v float64) float64 { return max(v, 0) + math.Log1p(math.Exp(-math.Abs(v))) }

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}
