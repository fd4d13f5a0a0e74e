package simd

import "math"

// NormalMixtureLogProb sets logProb[i] to the log density at x[i] of a mixture of k normal distributions, one for each
// element of x. Row i of head (len(x)×3k) holds the mixture: k locations μ, k log scales s, and k logits w of the weights:
//
//	logProb = log Σ softmax(w)·N(x; μ, e^s) = log Σ exp(w − s − ½u²) − log Σ exp(w) − ½·log 2π,    u = (x − μ)/e^s
//
// Scales below 1e-18 count as 1e-18, and |u| beyond 1e18 as 1e18, so that finite arguments give finite results.
func NormalMixtureLogProb[T Float](logProb, head, x []T, k int) {
	normalMixture(logProb, nil, head, x, k, 0)
}

// NormalMixtureGrad computes NormalMixtureLogProb and also sets grad (len(x)×3k), which may be head, to the gradient of
// −scale·Σ logProb with respect to head. With the responsibilities ρ, the posterior weights of the components, and the
// weights π = softmax(w), its parts are −ρ·u/e^s, ρ·(1 − u²) and π − ρ, times scale.
func NormalMixtureGrad[T Float](logProb, grad, head, x []T, k int, scale T) {
	grad = first(grad, len(x)*3*k)
	normalMixture(logProb, grad, head, x, k, scale)
}

// mixtureRoom is how many components the assembly has room for on its stack; mixtures of more take portable Go.
const mixtureRoom = 1024

// mixtureRowsAtOnce returns for how many rows the assembly has room.
func mixtureRowsAtOnce(k int) int { return mixtureRoom / min((k+15)&^15, mixtureRoom) }

// ratioRoom is how many rows are done between two uses of the vectorised logarithm.
const ratioRoom = 128

func normalMixture[T Float](logProb, grad, head, x []T, k int, scale T) {
	logProb, head = first(logProb, len(x)), first(head, len(x)*3*k)
	if k == 0 {
		for i := range logProb {
			logProb[i] = T(math.Inf(-1))
		}
		return
	}
	if !fast[T]() || k > mixtureRoom {
		for i := range x {
			row := head[i*3*k:][:3*k]
			if grad == nil {
				logProb[i] = normalMixtureRow(nil, row, x[i], scale)
			} else {
				logProb[i] = normalMixtureRow(grad[i*3*k:][:3*k], row, x[i], scale)
			}
		}
		return
	}
	var room [ratioRoom]float32
	for i := 0; i < len(x); i += ratioRoom {
		rows := min(ratioRoom, len(x)-i)
		part, ratio := f32(logProb[i:i+rows]), room[:rows]
		for a := 0; a < rows; a += mixtureRowsAtOnce(k) {
			b, at := min(a+mixtureRowsAtOnce(k), rows), (i+a)*3*k
			if grad == nil {
				mixtureFast(k, f32(head[at:]), f32(x[i+a:]), part[a:b], ratio[a:b])
			} else {
				mixtureGradFast(k, f32(head[at:]), f32(x[i+a:]), part[a:b], ratio[a:b], f32(grad[at:]), float32(scale))
			}
		}
		Log(ratio, ratio)
		for j, r := range ratio {
			part[j] += r - halfLog2Pi
		}
	}
}

// normalMixtureRow returns NormalMixtureGrad of one row; no gradient is computed if grad is nil.
func normalMixtureRow[T Float](grad, head []T, x, scale T) T {
	k := len(head) / 3
	locations, logScales, logits := head[:k], head[k:][:k], head[2*k:][:k]
	component := func(i int) (u, precision, a T) {
		logPrecision := min(-logScales[i], logMixtureLimit)
		precision = exp(logPrecision)
		u = max(min((x-locations[i])*precision, mixtureLimit), -mixtureLimit)
		return u, precision, logits[i] + logPrecision - u*u/2
	}
	peak, weightPeak := T(-math.MaxFloat32), finiteMax(logits)
	for i := range k {
		_, _, a := component(i)
		peak = max(peak, a)
	}
	var total, weightTotal T
	for i := range k {
		_, _, a := component(i)
		total += exp(a - peak)
		weightTotal += exp(logits[i] - weightPeak)
	}
	if grad != nil {
		for i := range k {
			u, precision, a := component(i)
			rho := scale / total * exp(a-peak)
			pi := scale / weightTotal * exp(logits[i]-weightPeak)
			grad[i], grad[k+i], grad[2*k+i] = -rho*u*precision, rho*(1-u*u), pi-rho
		}
	}
	return peak - weightPeak + log(total/weightTotal) - halfLog2Pi
}

// mixtureLimit bounds |u| and the inverse scales of mixtures: its square is finite, and so zero times it is zero.
const (
	mixtureLimit    = 1e18
	logMixtureLimit = 41.44653167389282 // its logarithm
)
