package race

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
)

// waiting is the scratch memory of Lateness: the distributions of all that is due, from the moment on at which it became due.
type waiting struct {
	owner      *state // the state that they were computed for; nil if they are out of date
	prediction prediction
	shares     []float64 // of each row: the probability that its slot is filled by it, over the survival at no delay
	whole      []float64 // of each row: the probability that its slot is filled by it
	anchors    []float64 // of each row: when its delay began
}

// Lateness returns, by mark, the probability that an event with the mark that is due would have come by time now: see tpp.LatenessState. It
// is that of the whole wait since the event became due, in the light of all that has come since. Of the alternatives of a slot the
// likeliest stands for all of them, since while they are waited for it is not known which one is late; what is left to 1 of any other is that
// nothing comes or another alternative. Of several slots with a mark the lateness is the largest.
func (s *state) Lateness(now float64, dst []float64) []float64 {
	dst = nn.Resize(dst, s.m.numMarks)
	clear(dst)
	now = max(now, s.last)
	w := &s.work.waiting
	if w.owner != s {
		w.compute(s)
		w.owner = s
	}
	marks, rows := w.prediction.marks, w.prediction.rows
	for r := 0; r < len(rows); {
		likeliest, all := r, 0.0
		for first := r; r == first || r < len(rows) && !rows[r].first; r++ {
			came := w.came(r, now)
			dst[marks[r]] = max(dst[marks[r]], came)
			all += came
			if w.whole[r] > w.whole[likeliest] {
				likeliest = r
			}
		}
		dst[marks[likeliest]] = max(dst[marks[likeliest]], min(all, 1))
	}
	return dst
}

// came returns the probability that the slot of a row would have been filled by it by now.
func (w *waiting) came(r int, now float64) float64 {
	if math.IsInf(now, 1) {
		return w.whole[r]
	}
	return max(w.whole[r]-w.shares[r]*w.prediction.rowSurvival(r, now-w.anchors[r]), 0)
}

// compute computes the distributions for a state.
func (w *waiting) compute(s *state) {
	p := &w.prediction
	p.mixtures(s)
	net, k := s.m.net, s.m.net.components
	w.shares, w.whole, w.anchors = w.shares[:0], w.whole[:0], w.anchors[:0]
	r := 0
	for i := range s.due {
		alternatives := onesCount(s.due[i].alive)
		p.loss.setShares(p.work.outs[r*net.size:], net.size, k, alternatives, p.rows[r].skipped)
		open := p.loss.shares[alternatives]
		for j := range alternatives {
			share := p.loss.shares[j]
			whole := share * p.rowSurvival(r+j, 0)
			w.shares, w.whole, w.anchors = append(w.shares, share), append(w.whole, whole), append(w.anchors, s.due[i].anchor)
			open += whole
		}
		open = max(open, tiny)
		for j := r; j < r+alternatives; j++ {
			w.shares[j] /= open
			w.whole[j] /= open
		}
		r += alternatives
	}
}
