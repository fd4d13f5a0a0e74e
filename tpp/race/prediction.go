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

	context []float32 // its part in the hidden vectors of rows

	work  rowsWork[float32]
	loss  lossWork[float32]
	u, s  []float32
	later []float64 // of each row: the probability that its slot is filled by it later than some time
	tail  []float64 // of each slot: that it is not filled until then

	grid   grid
	median float64
}

// predict computes the prediction of a state, but for what finish does.
func (p *prediction) predict(s *state, now float64) {
	p.mixtures(s)
	m := s.m
	net, k := m.net, m.net.components
	n := len(p.rows)
	p.delays, p.slots, p.never = p.delays[:0], p.slots[:0], p.never[:0]
	p.later = nn.Resize(p.later, n)
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

// mixtures sets the rows, their marks and the components of the mixtures of their delays since they became due, given the context of the
// state and nothing of how long they have been due.
func (p *prediction) mixtures(s *state) {
	m := s.m
	net, k := m.net, m.net.components
	p.rows, p.feats, p.memory = appendRows(m.encoder, &s.tracker, p.rows[:0], p.feats[:0], p.memory)
	n := len(p.rows)
	p.start = [2]int32{0, int32(n)}
	p.context = nn.Resize(p.context, net.hidden)
	net.fromContext.Forward(p.context, m.params, s.hidden, 1)
	net.forward(m.params, p.context, p.start[:], p.rows, p.feats, 0, nil, &p.work)
	for _, b := range []*[]float32{&p.weights, &p.precisions, &p.products, &p.u, &p.s} {
		*b = nn.Resize(*b, n*k)
	}
	p.marks = p.marks[:0]
	for i := range p.rows {
		out := p.work.outs[i*net.size : (i+1)*net.size]
		weights, precisions := p.weights[i*k:(i+1)*k], p.precisions[i*k:(i+1)*k]
		simd.Softmax(weights, out[2*k:3*k])
		simd.LogisticPrecisions(precisions, out[k:2*k])
		for j, v := range out[:k] {
			p.products[i*k+j] = v * precisions[j]
		}
		p.marks = append(p.marks, int(m.encoder.classes[p.rows[i].class].mark))
	}
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
