package race

import "math"

// This file has the distribution of the next event that a prediction is: its methods are those of dist.Distribution and tpp.MarkJoint.

// CDF returns the probability that the next event comes within t, given that there is one.
func (p *prediction) CDF(t float64) float64 {
	switch {
	case math.IsNaN(t):
		return t
	case t <= 0:
		return 0
	case math.IsInf(t, 1):
		return 1
	}
	if p.comes <= 0 {
		return 0
	}
	return min(max(1-p.after(t)/p.comes, 0), 1)
}

// LogSurvival returns the log probability that the next event comes after t, given that there is one.
func (p *prediction) LogSurvival(t float64) float64 {
	switch {
	case math.IsNaN(t):
		return t
	case t <= 0:
		return 0
	case math.IsInf(t, 1):
		return math.Inf(-1)
	}
	if p.comes <= 0 {
		return 0
	}
	return min(math.Log(p.after(t)/p.comes), 0)
}

// LogProb returns the log density of the time to the next event, given that there is one.
func (p *prediction) LogProb(t float64) float64 {
	if math.IsNaN(t) {
		return t
	}
	if t < 0 || math.IsInf(t, 1) {
		return math.Inf(-1)
	}
	sum := 0.0
	p.densities(t, func(_ int, v float64) { sum += v })
	return p.logGiven(sum)
}

// logGiven returns the logarithm of a probability or density, given that there is a next event. After a silence in which even the longest
// tails have nothing left there is none, and its time has no distribution: then everything finite is as if it came infinitely late.
func (p *prediction) logGiven(v float64) float64 {
	if p.comes <= 0 {
		return math.Inf(-1)
	}
	return math.Log(v / p.comes)
}

// densities calls add with marks and the densities of an event with the mark at t; several rows may have the same mark. The densities
// add up to that of the next event, without being divided by the probability that there is one.
func (p *prediction) densities(t float64, add func(mark int, density float64)) {
	p.survive(t)
	product := 1 - p.background
	for _, v := range p.tail {
		product *= v
	}
	k := p.m.net.components
	for i := range p.never {
		for r := p.slots[i]; r < p.slots[i+1]; r++ {
			density := 0.0
			for j, s := range p.s[r*k : (r+1)*k] {
				density += float64(p.weights[r*k+j] * p.precisions[r*k+j] * s * (1 - s))
			}
			density /= math.Hypot(p.delays[r]+t, p.m.encoder.scale)
			add(p.marks[r], product*density/max(p.tail[i], tiny))
		}
	}
	if p.background > 0 {
		_, density := p.m.background.survival(p.waited + t)
		if p.waited > 0 {
			until, _ := p.m.background.survival(p.waited)
			density /= max(until, tiny)
		}
		for m, share := range p.m.background.marks {
			add(m, p.background*density*share)
		}
	}
}

// LogProbMark returns the log density of an event with the mark at tau, given that there is a next event.
func (p *prediction) LogProbMark(tau float64, mark int) float64 {
	sum := 0.0
	p.densities(tau, func(m int, v float64) {
		if m == mark {
			sum += v
		}
	})
	return p.logGiven(sum)
}

// MarksAt sets dst to the probabilities of the marks of an event at tau.
func (p *prediction) MarksAt(tau float64, dst []float64) []float64 {
	if math.IsInf(tau, 1) {
		tau = math.MaxFloat32
	}
	clear(dst)
	sum := 0.0
	p.densities(tau, func(m int, v float64) {
		dst[m] += v
		sum += v
	})
	for i := range dst {
		if sum > 0 {
			dst[i] /= sum
		} else {
			dst[i] = p.m.background.marks[i]
		}
	}
	return dst
}

// cell calls add with marks and the probabilities that the next event has the mark and comes in (a, b], without being divided by the
// probability that there is one. The shares of what is due are those of the hazards over the interval, so it should be short.
func (p *prediction) cell(a, b float64, add func(mark int, mass float64)) {
	p.survive(a)
	k := p.m.net.components
	survival, hazard := 1-p.background, 0.0
	for i := range p.never {
		survival *= p.tail[i]
	}
	// First the masses of the rows, in later, then the hazards of the slots, in tail.
	for i := range p.never {
		own := 0.0
		for r := p.slots[i]; r < p.slots[i+1]; r++ {
			from := p.m.encoder.log(p.delays[r] + a)
			width := float32(p.m.encoder.log(p.delays[r]+b) - from)
			mass := 0.0
			for j, s := range p.s[r*k : (r+1)*k] {
				wide := float64(width * p.precisions[r*k+j])
				toCDF := 1 / (1 + math.Exp(float64(p.u[r*k+j])-wide)) // 1 − the survival at b
				mass -= float64(p.weights[r*k+j]*s) * toCDF * math.Expm1(-wide)
			}
			p.later[r] = mass
			own += mass
		}
		h := -math.Log1p(-min(own/max(p.tail[i], tiny), 1-1e-12))
		for r := p.slots[i]; r < p.slots[i+1] && own > 0; r++ {
			p.later[r] *= h / own
		}
		hazard += h
	}
	if hazard > 0 {
		whole := survival * -math.Expm1(-hazard)
		for r, h := range p.later {
			add(p.marks[r], whole*h/hazard)
		}
	}
	if p.background > 0 {
		tick := p.m.encoder.tick
		mass := p.backgroundAfter(a) - p.backgroundAfter(b)
		if b-a <= tick {
			_, density := p.m.background.survival(p.waited + (a+b)/2)
			until, _ := p.m.background.survival(p.waited)
			mass = max(mass, density*(b-a)/2/max(until, tiny), 1e-12*(b-a)/tick)
		}
		for m, share := range p.m.background.marks {
			add(m, p.background*mass*share)
		}
	}
}

// LogInterval returns the log probability that the next event comes in (a, b], given that there is one.
func (p *prediction) LogInterval(a, b float64) float64 {
	if p.wide(a, b) {
		return p.logGiven(max(p.after(a)-p.afterOrNever(b), 0))
	}
	sum := 0.0
	p.cell(a, b, func(_ int, v float64) { sum += v })
	return p.logGiven(sum)
}

func (p *prediction) afterOrNever(t float64) float64 {
	if math.IsInf(t, 1) {
		return 0
	}
	return p.after(t)
}

// wide reports whether an interval is too wide for the mass of its cell to be computed as that of a tick.
func (p *prediction) wide(a, b float64) bool { return b-a > 4*p.m.encoder.tick }

// LogIntervalMark returns the log probability that the next event has the mark and comes in (a, b], given that there is one.
func (p *prediction) LogIntervalMark(a, b float64, mark int) float64 {
	sum := 0.0
	add := func(m int, v float64) {
		if m == mark {
			sum += v
		}
	}
	if !p.wide(a, b) {
		p.cell(a, b, add)
		return p.logGiven(sum)
	}
	atA := p.after(a)
	if math.IsInf(b, 1) {
		b = p.beyond(a, atA)
	}
	p.divide(a, b, atA, p.after(b), maxDivisions, add)
	return p.logGiven(sum)
}

const (
	maxDivisions = 14   // of an interval, each in two
	divided      = 5e-3 // the largest part of the mass in an interval that is not divided any further
)

// divide calls add as cell does, for an interval of any length: it is divided until little comes within each part. atA and atB are the
// values of after at its ends.
func (p *prediction) divide(a, b, atA, atB float64, divisions int, add func(mark int, mass float64)) {
	if divisions == 0 || atA-atB < divided*p.comes && divisions < maxDivisions-5 || !p.wide(a, b) {
		p.cell(a, b, add)
		return
	}
	tick := p.m.encoder.tick
	mid := tick * math.Sinh((math.Asinh(a/tick)+math.Asinh(b/tick))/2)
	at := p.after(mid)
	p.divide(a, mid, atA, at, divisions-1, add)
	p.divide(mid, b, at, atB, divisions-1, add)
}

// beyond returns a time after a, where after is atA, from which on next to nothing comes.
func (p *prediction) beyond(a, atA float64) float64 {
	t := 2*a + p.m.encoder.tick
	for range 200 {
		if p.after(t) <= 1e-9*atA {
			break
		}
		t *= 2
	}
	return t
}

// Quantile returns the smallest t with F(t) ≥ q.
func (p *prediction) Quantile(q float64) float64 {
	switch {
	case math.IsNaN(q) || q < 0 || q > 1:
		return math.NaN()
	case q == 0:
		return 0
	case q == 1 || p.comes == 0:
		return math.Inf(1)
	}
	target := (1 - q) * p.comes
	hi := p.m.encoder.tick
	for range 1000 {
		if p.after(hi) <= target {
			break
		}
		hi *= 2
	}
	lo := hi / 2
	if hi == p.m.encoder.tick {
		lo = 0
	}
	return p.root(lo, hi, target, 60)
}

// root returns the time between lo and hi at which after is target, by the ITP-like mixture of bisection and regula falsi.
func (p *prediction) root(lo, hi, target float64, steps int) float64 {
	low, high := p.after(lo)-target, p.after(hi)-target
	for i := range steps {
		if hi-lo <= 1e-9*(hi+p.m.encoder.tick) {
			break
		}
		mid := (lo + hi) / 2
		if i%2 == 0 && low > high {
			mid = lo + (hi-lo)*low/(low-high)
			mid = min(max(mid, lo+(hi-lo)/64), hi-(hi-lo)/64)
		}
		v := p.after(mid) - target
		if v > 0 {
			lo, low = mid, v
		} else {
			hi, high = mid, v
		}
	}
	return (lo + hi) / 2
}

// Median returns the median, computed with the marks.
func (p *prediction) Median() float64 { return p.median }
