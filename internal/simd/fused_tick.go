package simd

import "math"

// NormalMixtureTick sets logProb[i] to the log probability that a mixture of k normal distributions gives an interval, one
// for each element of middle and width: what a clock that ticks in such intervals tells. With a width of +Inf the interval
// is all that lies below middle[i]. Row i of head (len(middle)×3k) holds the mixture as for NormalMixtureLogProb:
//
//	logProb = log Σ exp(w)·(Φ(u + h) − Φ(u − h)) − log Σ exp(w),    u = (middle − μ)/e^s, h = ½·width/e^s
//
// The width may be too small for the ends to differ in T; one below 2⁻¹²⁶ counts as that. Scales below 1e-18 count as
// 1e-18, and |u ± h| beyond 1e18 as 1e18, so that finite arguments give finite results.
func NormalMixtureTick[T Float](logProb, head, middle, width []T, k int) {
	normalMixtureTick(logProb, nil, head, middle, width, k, 0)
}

// NormalMixtureTickGrad computes NormalMixtureTick and also sets grad (len(middle)×3k), which may be head, to the gradient of
// −scale·Σ logProb with respect to head. With the shares ρ of the components in the probability of the interval, the weights
// π = softmax(w), and Δf(z) = f(u + h) − f(u − h), its parts are ρ/e^s·Δφ(z)/ΔΦ(z), ρ·Δ(z·φ(z))/ΔΦ(z) and π − ρ, times
// scale.
func NormalMixtureTickGrad[T Float](logProb, grad, head, middle, width []T, k int, scale T) {
	grad = first(grad, len(middle)*3*k)
	normalMixtureTick(logProb, grad, head, middle, width, k, scale)
}

// minWidth is the least width of an interval, the smallest float32 that is not denormal.
const minWidth = 0x1p-126

func normalMixtureTick[T Float](logProb, grad, head, middle, width []T, k int, scale T) {
	logProb, width, head = first(logProb, len(middle)), first(width, len(middle)), first(head, len(middle)*3*k)
	if k == 0 {
		for i := range logProb {
			logProb[i] = T(math.Inf(-1))
		}
		return
	}
	if !fast[T]() || k > mixtureRoom {
		for i := range middle {
			t := newTick(float64(middle[i]), float64(width[i]))
			var to []T
			if grad != nil {
				to = grad[i*3*k:][:3*k]
			}
			logProb[i] = T(normalMixtureTickRow(to, head[i*3*k:][:3*k], t, float64(scale)))
		}
		return
	}
	var widthRoom, room [ratioRoom]float32
	for i := 0; i < len(middle); i += ratioRoom {
		rows := min(ratioRoom, len(middle)-i)
		part, widths, ratio := f32(logProb[i:i+rows]), widthRoom[:rows], room[:rows]
		for j := range widths {
			widths[j] = max(float32(width[i+j]), minWidth)
		}
		Log(ratio, widths)
		for a := 0; a < rows; a += mixtureRowsAtOnce(k) {
			b, at := min(a+mixtureRowsAtOnce(k), rows), (i+a)*3*k
			if grad == nil {
				mixtureTickFast(k, f32(head[at:]), f32(middle[i+a:]), widths[a:b], part[a:b], ratio[a:b])
			} else {
				mixtureTickGradFast(k, f32(head[at:]), f32(middle[i+a:]), widths[a:b], part[a:b], ratio[a:b], f32(grad[at:]), float32(scale))
			}
		}
		Log(ratio, ratio)
		for j, r := range ratio {
			part[j] += r - halfLog2Pi
		}
	}
}

// tick is an interval, or with an infinite width all below its middle.
type tick struct{ middle, width, logWidth float64 }

func newTick(middle, width float64) tick {
	width = max(width, minWidth)
	return tick{middle, width, math.Log(width)}
}

// tickRoom is the number of components of a row whose values portable Go keeps for the gradient; it recomputes the others.
const tickRoom = 128

// normalMixtureTickRow computes NormalMixtureTickGrad for one row and returns its logProb; no gradient is computed if grad is nil.
func normalMixtureTickRow[T Float](grad, head []T, t tick, scale float64) float64 {
	k := len(head) / 3
	locations, logScales, logits := head[:k], head[k:][:k], head[2*k:][:k]
	weightPeak := float64(finiteMax(logits))
	peak, total, weightTotal := -math.MaxFloat32, 0.0, 0.0
	var room [tickRoom]tickComponent
	for i := range k {
		c := t.component(float64(locations[i]), float64(logScales[i]))
		if i < len(room) {
			room[i] = c
		}
		a := float64(logits[i]) + c.exponent
		if a > peak {
			total *= math.Exp(peak - a)
			peak = a
		}
		total += c.factor * math.Exp(a-peak)
		weightTotal += math.Exp(float64(logits[i]) - weightPeak)
	}
	if grad != nil {
		for i := range k {
			var c tickComponent
			if i < len(room) {
				c = room[i]
			} else {
				c = t.component(float64(locations[i]), float64(logScales[i]))
			}
			logit := float64(logits[i])
			rho := scale / total * c.factor * math.Exp(logit+c.exponent-peak)
			pi := scale / weightTotal * math.Exp(logit-weightPeak)
			grad[i], grad[k+i], grad[2*k+i] = T(-rho*c.dLocation), T(-rho*c.dLogScale), T(pi-rho)
		}
	}
	return peak - weightPeak + math.Log(total/weightTotal) - halfLog2Pi
}

// tickComponent is the probability e^exponent·factor/√2π that a normal distribution gives an interval, and the
// derivatives of its logarithm.
type tickComponent struct{ exponent, factor, dLocation, dLogScale float64 }

// narrowTick is how small w²(1 + u²) must be, with u the middle and w the width in standard units, for the expansion about
// the middle: its error is of the order of the square, divided by 1920.
const narrowTick = 0.02

// component returns the probability that a normal distribution gives the tick. Where the interval is narrow the difference of the ends would lose
// its digits; there it is the density in the middle times the width, corrected to second order: φ(u)·w·(1 + (u² − 1)w²/24).
//
// Elsewhere, by symmetry, the interval is taken to lie above the location, between b = |u| − ½w and d = |u| + ½w. With
// Mills' ratio M(x) = (1 − Φ(x))/φ(x) its probability is φ(b)·M(b) − φ(d)·M(d) for b ≥ 0, of which φ(b) is left to the
// exponent however far the tail, and 1 − φ(b)·M(−b) − φ(d)·M(d) for b < 0.
func (t tick) component(location, logScale float64) tickComponent {
	logPrecision := min(-logScale, logMixtureLimit)
	precision := math.Exp(logPrecision)
	difference := max(min(t.middle-location, math.MaxFloat64), -math.MaxFloat64)
	if math.IsInf(t.width, 1) {
		b := max(min(-difference*precision, mixtureLimit), -mixtureLimit)
		exponent, f, g := lowerPart(b)
		return tickComponent{exponent, g, -f / g * precision, f / g * b}
	}
	distance := math.Abs(difference)
	y, w := distance*precision, t.width*precision
	signed := math.Copysign(precision, difference)
	if w*w+y*w*(y*w) < narrowTick {
		y = min(y, mixtureLimit)
		c := (y*w*(y*w) - w*w) / 24
		g := 1 + c
		o := 1 - w*w/12/g
		return tickComponent{logPrecision + t.logWidth - y*y/2, g, signed * y * o, y*y*o - 1 - 2*c/g}
	}
	b := max(min((distance-t.width/2)*precision, mixtureLimit), -mixtureLimit)
	d := min((distance+t.width/2)*precision, mixtureLimit)
	exponent, f, g := lowerPart(b)
	h := math.Exp(-y * w) // ½d² − ½b² = y·w
	if b < 0 {
		h = math.Exp(-d * d / 2)
	}
	g -= h * mills(d)
	f, h = f/g, h/g
	return tickComponent{exponent, g, (f - h) * signed, f*b - h*d}
}

// lowerPart returns exponent, f and g with √2π·Φ(−b) = e^exponent·g and √2π·φ(b) = e^exponent·f.
func lowerPart(b float64) (exponent, f, g float64) {
	if b < 0 {
		f = math.Exp(-b * b / 2)
		return 0, f, math.Sqrt(2*math.Pi) - f*mills(-b)
	}
	return -b * b / 2, 1, mills(b)
}

// mills returns Mills' ratio M(x) = (1 − Φ(x))/φ(x) for x ≥ 0.
func mills(x float64) float64 {
	if x > -asymptotic {
		return millsSeries(x) / x
	}
	return math.Exp(x*x/2+halfLog2Pi) * math.Erfc(x/math.Sqrt2) / 2
}
