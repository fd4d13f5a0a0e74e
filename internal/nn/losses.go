package nn

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/simd"
)

// The loss functions return the sum of the log likelihoods of rows of a head's outputs (absolute errors, for those of one
// value) and replace the outputs by the gradient of scale times the loss, the negative log likelihood or the error. With
// scale 0 they compute no gradient, and the content of the outputs is undefined afterwards.

// MixtureNLL returns the sum of the log densities of x, one number per row, under mixtures of normals whose parameters are
// the rows of out (rows × 3K: locations, log scales, logits). logProb is scratch memory for one number per row.
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

// MixtureSurvival returns the log probability of exceeding x under one mixture, out (3K), as for MixtureNLL. It is
// accurate far in the tail, as it sums over the components in the log domain. memory is scratch memory for len(out)
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

// SoftmaxNLL returns the sum of the log probabilities of the target class of each row of logits (rows × classes). logProb is
// scratch memory for one number per row.
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

// EndOrSurvival returns the log probability log(e + (1 − e)·S) that no event came: the sequence has ended, where e is the
// probability of class end under the logits, or the event comes later, with log probability logS = log S. time holds the
// gradient of −scale·logS and is replaced by that of −scale times the result; so are the logits.
func EndOrSurvival[F Float](time, logits []F, end int, logS float64, scale F) float64 {
	// In float64, so that 1 − e does not vanish for an e near 1.
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
	later := F(math.Exp(logLater - logBoth)) // share of survival in the probability
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

// AbsoluteErrorSoftplus returns the sum of the absolute errors of the predictions softplus(out), one output per row, against
// gaps, as in the paper's TruncNorm.
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

// AbsoluteErrorLog returns the sum of the absolute errors of the predictions exp(mean + std·out), with both errors and
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

// Softplus returns log(1 + e^v), without overflow.
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
