package race

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/simd"
	"github.com/tppfaas/tppfaas/tpp"
)

// prediction is the distribution of the next event: of its time, given that there is one, and jointly of time and mark. All times count
// from now.
type prediction struct {
	m *Race

	// What is due. Rows are alternatives of slots; blocks of K numbers a row.
	rows       []row[float32]
	delays     []float64 // of each row until now
	marks      []int     // of each row
	slots      []int     // the first row of each slot, and the number of rows
	weights    []float32 // of the components, times the share of the row, given that its slot is not filled yet
	precisions []float32
	products   []float32 // locations × precisions
	never      []float64 // of each slot: the probability that it is never filled

	background float64 // the probability that the next event is of the background
	waited     float64 // the gap until now
	over       float64 // the product of never: that nothing of what is due ever comes
	comes      float64 // the probability that there is a next event

	memory []float64
	feats  []float32
	start  [2]int32
	work   rowsWork[float32]
	loss   lossWork[float32]
	u, s   []float32
	later  []float64 // of each row: the probability that its slot is filled by it later than some time
	tail   []float64 // of each slot: that it is not filled until then

	grid   grid
	median float64
}

// predict computes the prediction of a state, but for what finish does.
func (p *prediction) predict(s *state, now float64) {
	m := s.m
	net, k := m.net, m.net.components
	p.rows, p.feats, p.memory = appendRows(m.encoder, &s.tracker, p.rows[:0], p.feats[:0], p.memory)
	n := len(p.rows)
	p.start = [2]int32{0, int32(n)}
	net.forward(m.params, s.hidden, p.start[:], p.rows, p.feats, 0, nil, &p.work)
	for _, b := range []*[]float32{&p.weights, &p.precisions, &p.products, &p.u, &p.s} {
		*b = nn.Resize(*b, n*k)
	}
	p.delays, p.marks, p.slots, p.never = p.delays[:0], p.marks[:0], p.slots[:0], p.never[:0]
	p.later = nn.Resize(p.later, n)
	for i := range p.rows {
		out := p.work.outs[i*net.size : (i+1)*net.size]
		weights, precisions := p.weights[i*k:(i+1)*k], p.precisions[i*k:(i+1)*k]
		simd.Softmax(weights, out[2*k:3*k])
		for j, v := range out[k : 2*k] {
			precisions[j] = logPrecision(v)
		}
		simd.Exp(precisions, precisions)
		for j, v := range out[:k] {
			p.products[i*k+j] = v * precisions[j]
		}
		p.marks = append(p.marks, int(m.encoder.classes[p.rows[i].class].mark))
	}
	share := m.background.share(&s.tracker)
	race := 1 - share
	i := 0
	for j := range s.due {
		alternatives := onesCount(s.due[j].alive)
		p.loss.setShares(p.work.outs[i*net.size:], net.size, k, alternatives, p.rows[i].skipped)
		anchor, last := s.due[j].anchor, s.last
		atLast, atNow := p.loss.shares[alternatives], p.loss.shares[alternatives]
		for r := i; r < i+alternatives; r++ {
			p.delays = append(p.delays, now-anchor)
			atLast += p.loss.shares[r-i] * p.rowSurvival(r, last-anchor)
			atNow += p.loss.shares[r-i] * p.rowSurvival(r, now-anchor)
		}
		// What is so late that its distribution has nothing left is taken never to come, as training takes it: nothing would be left of
		// the race either.
		given, never := 0.0, 1.0
		if atNow > tiny {
			given, never = 1/atNow, p.loss.shares[alternatives]/atNow
		}
		atLast, atNow = max(atLast, tiny), max(atNow, tiny)
		for r := i; r < i+alternatives; r++ {
			own := p.weights[r*k : (r+1)*k]
			factor := float32(p.loss.shares[r-i] * given)
			for j := range own {
				own[j] *= factor
			}
		}
		p.never = append(p.never, never)
		p.slots = append(p.slots, i)
		race *= atNow / atLast
		i += alternatives
	}
	p.slots = append(p.slots, n)
	p.tail = nn.Resize(p.tail, len(p.never))
	p.waited = now - s.last
	if p.waited > 0 {
		survival, _ := m.background.survival(p.waited)
		share *= survival
	}
	p.background = 1
	if sum := race + share; sum > 0 {
		p.background = share / sum
	}
	p.over = 1
	for _, v := range p.never {
		p.over *= v
	}
}

// finish computes of a prediction what the next event alone needs, and sets next but for its pointers to p.
func (p *prediction) finish(next *tpp.Next) {
	p.comes = p.after(0)
	next.End = max(0, (1-p.background)*p.over)
	next.GapFloor = 0
	p.solve(next.Marks)
}

// rowSurvival returns the survival of a row at a delay, before its weights are scaled.
func (p *prediction) rowSurvival(r int, delay float64) float64 {
	k := p.m.net.components
	y := float32(p.m.encoder.log(delay))
	u, s := p.u[r*k:(r+1)*k], p.s[r*k:(r+1)*k]
	simd.AddScaled(u, p.products[r*k:(r+1)*k], -y, p.precisions[r*k:(r+1)*k])
	simd.Sigmoid(s, u)
	return float64(simd.Dot(p.weights[r*k:(r+1)*k], s))
}

// survive sets p.later and p.tail to the probabilities at t from now.
func (p *prediction) survive(t float64) {
	k := p.m.net.components
	last, y := math.NaN(), float32(0)
	for r, d := range p.delays {
		if d != last {
			last, y = d, float32(p.m.encoder.log(d+t))
		}
		simd.AddScaled(p.u[r*k:(r+1)*k], p.products[r*k:(r+1)*k], -y, p.precisions[r*k:(r+1)*k])
	}
	if len(p.u) > 0 {
		simd.Sigmoid(p.s, p.u)
	}
	for i, never := range p.never {
		tail := never
		for r := p.slots[i]; r < p.slots[i+1]; r++ {
			p.later[r] = float64(simd.Dot(p.weights[r*k:(r+1)*k], p.s[r*k:(r+1)*k]))
			tail += p.later[r]
		}
		p.tail[i] = tail
	}
}

// racing returns the probability that the first of all that is due comes after the time of the last call of survive: the product of the
// tails without that of never, added up without cancellation.
func (p *prediction) racing() float64 {
	if p.over == 0 {
		product := 1.0
		for _, v := range p.tail {
			product *= v
		}
		if len(p.tail) == 0 {
			return 0
		}
		return product
	}
	sum, never := 0.0, 1.0 // Σᵢ (tailᵢ − neverᵢ) Π_{j<i} neverⱼ Π_{j>i} tailⱼ, by Horner's rule
	for i, v := range p.tail {
		sum = sum*v + never*(v-p.never[i])
		never *= p.never[i]
	}
	return sum
}

// after returns the probability that there is a next event, and that it comes after t from now.
func (p *prediction) after(t float64) float64 {
	p.survive(t)
	return p.afterSurvive(t)
}

// afterSurvive is after, once survive has been called for t.
func (p *prediction) afterSurvive(t float64) float64 {
	v := (1 - p.background) * p.racing()
	if p.background > 0 {
		v += p.background * p.backgroundAfter(t)
	}
	return v
}

// backgroundAfter returns the probability that an event of the background comes after t from now.
func (p *prediction) backgroundAfter(t float64) float64 {
	survival, _ := p.m.background.survival(p.waited + t)
	if p.waited == 0 {
		return survival
	}
	until, _ := p.m.background.survival(p.waited)
	if until <= 0 {
		return 0
	}
	return survival / until
}

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
