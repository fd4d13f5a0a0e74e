package race

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/simd"
)

// reference is the distribution of the next event of a state, written down as plainly as possible in float64 from the network's
// outputs: for comparison with prediction and with the loss.
type reference struct {
	scale  float64
	slots  []referenceSlot
	share  float64                 // of the background, given that nothing has come until now
	gap    func(t float64) float64 // survival of the background's gap, in all
	marks  []float64
	waited float64
}

type referenceSlot struct {
	never float64 // given that the slot is not filled until now
	rows  []referenceRow
}

type referenceRow struct {
	mark, winner               int
	share                      float64 // given that the slot is not filled until now, times the survival at the delay
	delay                      float64 // until now
	locations, scales, weights []float64
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// survival returns the probability that a delay is longer than d.
func (r *referenceRow) survival(scale, d float64) float64 {
	s := 0.0
	for i, w := range r.weights {
		s += w * logistic((r.locations[i]-math.Asinh(d/scale))/r.scales[i])
	}
	return s
}

// newReference returns the distribution after the last step of a state. Nothing is computed by prediction but the network's outputs.
func newReference(s *state, now float64) *reference {
	m := s.m
	s.Next(s.last) // computes the outputs
	net, k := m.net, m.net.components
	f := &reference{scale: m.encoder.scale, marks: m.background.marks, waited: now - s.last}
	b := m.background
	f.gap = func(t float64) float64 {
		k, whole, sum := len(b.mixture)/3, 0.0, 0.0
		for i := range k {
			location, scale, weight := b.mixture[i], math.Exp(b.mixture[k+i]), b.mixture[2*k+i]
			whole += weight * logistic(location/scale)
			sum += weight * logistic((location-math.Asinh(t/f.scale))/scale)
		}
		return sum / whole
	}
	race, row := 1.0, 0
	for i := range s.due {
		p := &s.due[i]
		var own referenceSlot
		sum := 0.0
		if m.encoder.skipped[p.parent][p.slot] {
			own.never, sum = 1, 1
		}
		for alternative, mark := range m.encoder.graph.Slots[p.parent][p.slot].Marks {
			if p.alive>>alternative&1 == 0 {
				continue
			}
			out := s.work.forecast.work.outs[row*net.size : (row+1)*net.size]
			r := referenceRow{mark: mark, winner: row, delay: now - p.anchor, share: math.Exp(float64(out[3*k]))}
			sum += r.share
			total := 0.0
			for j := range k {
				r.locations = append(r.locations, float64(out[j]))
				r.scales = append(r.scales, math.Exp(min(max(float64(out[k+j]), simd.MinLogScale), simd.MaxLogScale)))
				r.weights = append(r.weights, math.Exp(float64(out[2*k+j])))
				total += r.weights[j]
			}
			for j := range k {
				r.weights[j] /= total
			}
			own.rows = append(own.rows, r)
			row++
		}
		own.never /= sum
		atLast, atNow := own.never, own.never
		for j := range own.rows {
			r := &own.rows[j]
			r.share /= sum
			atLast += r.share * r.survival(f.scale, s.last-p.anchor)
			atNow += r.share * r.survival(f.scale, now-p.anchor)
		}
		for j := range own.rows {
			own.rows[j].share /= atNow
		}
		own.never /= atNow
		race *= atNow / atLast
		f.slots = append(f.slots, own)
	}
	f.share = b.share(&s.tracker)
	background := f.share * f.gap(f.waited)
	f.share = background / (background + (1-f.share)*race)
	return f
}

// later returns, for a slot, the probability that it is not filled within t, and for each of its rows that it is filled by it later.
func (f *reference) later(i int, t float64) (all float64, rows []float64) {
	all = f.slots[i].never
	for j := range f.slots[i].rows {
		r := &f.slots[i].rows[j]
		v := r.share * r.survival(f.scale, r.delay+t)
		rows = append(rows, v)
		all += v
	}
	return all, rows
}

// end returns the probability that nothing ever comes.
func (f *reference) end() float64 {
	v := 1 - f.share
	for i := range f.slots {
		v *= f.slots[i].never
	}
	return v
}

// survival returns the probability that nothing comes within t, with that of the end.
func (f *reference) survival(t float64) float64 {
	v := 1.0
	for i := range f.slots {
		all, _ := f.later(i, t)
		v *= all
	}
	return (1-f.share)*v + f.share*f.gap(f.waited+t)/f.gap(f.waited)
}

// joint returns the probabilities that the next event comes in (a, b] and has each of the marks, by quadrature with n intervals, and the
// same by row.
func (f *reference) joint(a, b float64, n int) (marks, rows []float64) {
	marks = make([]float64, len(f.marks))
	from, to := math.Asinh(a), math.Asinh(b)
	at := func(i int) ([]float64, [][]float64) {
		t := math.Sinh(from + (to-from)*float64(i)/float64(n))
		if i == 0 {
			t = a // to the last digit
		}
		var all []float64
		var later [][]float64
		for i := range f.slots {
			v, rows := f.later(i, t)
			all, later = append(all, v), append(later, rows)
		}
		return all, later
	}
	all, later := at(0)
	for _, slot := range f.slots {
		rows = append(rows, make([]float64, len(slot.rows))...)
	}
	for i := 1; i <= n; i++ {
		nextAll, nextLater := at(i)
		row := 0
		for j := range f.slots {
			others, nextOthers := 1-f.share, 1-f.share
			for l := range f.slots {
				if l != j {
					others, nextOthers = others*all[l], nextOthers*nextAll[l]
				}
			}
			for r := range f.slots[j].rows {
				v := (later[j][r] - nextLater[j][r]) * (others + nextOthers) / 2
				rows[row] += v
				marks[f.slots[j].rows[r].mark] += v
				row++
			}
		}
		all, later = nextAll, nextLater
	}
	background := f.share * (f.gap(f.waited+a) - f.gap(f.waited+b)) / f.gap(f.waited)
	for m, share := range f.marks {
		marks[m] += background * share
	}
	return marks, rows
}
