package race

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
)

// outcome is what followed a step.
type outcome uint8

const (
	nothing     outcome = iota // nothing, as far as is known
	event                      // an event that fills a slot
	unexplained                // an event that fills none
	survived                   // nothing came until a time: the next step is a start, or observation stopped
	over                       // the sequence was over
)

// target is what followed a step, for the loss.
type target struct {
	outcome    outcome
	winner     int32   // the row of the slot that was filled, among those of the step
	background float64 // the probability of the event by the background, times the share of that
	explained  float64 // the share of the race: 1 minus that of the background
}

// row is an alternative of a slot that is due after a step.
type row[F nn.Float] struct {
	class   int32
	first   bool // of a slot
	skipped bool // the slot may never be filled
	elapsed F    // the log of the delay so far
	y       F    // of the delay when the next step came; of the lower end of its tick for the winner
	width   F    // of the winner's tick, on the scale of y
}

// lossWork is the scratch memory of stepLoss.
type lossWork[F nn.Float] struct {
	rows   []rowWork[F]
	shares []float64 // of the alternatives of a slot; the last one is the share of none
	slopes []float64
}

// stepLoss returns the log likelihood of what followed a step, given the outputs of its rows, and adds to grad the gradient of −scale
// times it, unless scale is 0. outs and grad have size numbers a row.
//
// It is that of the predictions but for what keeps it simple: the slots that an event leaves open count as open until the middle of its
// tick; an event counts as that of the slot that the tracker chose alone, where another one with the same mark or the background
// could have had it too; silence and the end count as those of the race alone, without the background's share; an event of the background
// also counts the survival of all that is due, which teaches that it had not come; and an end in spite of a slot that must come is free.
func stepLoss[F nn.Float](outs, grad []F, size, k int, rows []row[F], t target, scale float64, w *lossWork[F]) float64 {
	if t.outcome == nothing {
		return 0
	}
	for len(w.rows) < len(rows) {
		w.rows = append(w.rows, rowWork[F]{})
	}
	for i := range rows {
		r, out, own := &rows[i], outs[i*size:(i+1)*size], &w.rows[i]
		own.prepare(out, k)
		if t.outcome == event && i == int(t.winner) {
			own.tick(out, k, r.elapsed, r.y, r.width)
		} else {
			own.at(out, k, r.elapsed, r.y)
		}
	}
	total := 0.0
	for i := 0; i < len(rows); {
		n := slotRows(rows[i:])
		w.setShares(outs[i*size:], size, k, n, rows[i].skipped)
		total += w.slot(rows, i, n, t)
		if scale != 0 {
			w.slotBackward(outs[i*size:], grad[i*size:], size, k, rows, i, n, t, scale)
		}
		i += n
	}
	switch t.outcome {
	case event:
		return total + math.Log(t.explained)
	case unexplained:
		return total + math.Log(t.background)
	}
	return total
}

// slotRows returns the number of rows of the slot that begins with the first one.
func slotRows[F nn.Float](rows []row[F]) int {
	n := 1
	for n < len(rows) && !rows[n].first {
		n++
	}
	return n
}

// setShares sets w.shares to the probabilities that a slot is filled by each of its n alternatives and, last, by none.
func (w *lossWork[F]) setShares(outs []F, size, k, n int, skipped bool) {
	w.shares = append(w.shares[:0], make([]float64, n+1)...)
	top := math.Inf(-1)
	if skipped {
		top = 0
	}
	for i := range n {
		top = max(top, float64(outs[i*size+3*k]))
	}
	sum := 0.0
	if skipped {
		w.shares[n] = math.Exp(-top)
		sum = w.shares[n]
	}
	for i := range n {
		w.shares[i] = math.Exp(float64(outs[i*size+3*k]) - top)
		sum += w.shares[i]
	}
	for i := range w.shares {
		w.shares[i] /= sum
	}
}

// survivals returns the probabilities that a slot was not filled at the elapsed delay and at the later one.
func (w *lossWork[F]) survivals(i, n int) (elapsed, later float64) {
	elapsed, later = w.shares[n], w.shares[n]
	for j := range n {
		elapsed += w.shares[j] * w.rows[i+j].survivalElapsed
		later += w.shares[j] * w.rows[i+j].survival
	}
	return max(elapsed, tiny), max(later, tiny)
}

// slot returns the log likelihood of what happened to the slot whose rows are i to i+n−1 and whose shares are set.
func (w *lossWork[F]) slot(rows []row[F], i, n int, t target) float64 {
	elapsed, later := w.survivals(i, n)
	switch j := int(t.winner) - i; {
	case t.outcome == event && j >= 0 && j < n:
		return logOf(w.shares[j]*w.rows[i+j].mass) - math.Log(elapsed)
	case t.outcome != over:
		return math.Log(later) - math.Log(elapsed)
	case rows[i].skipped:
		return logOf(w.shares[n]) - math.Log(elapsed)
	}
	return 0 // training saw no such slot remain: nothing is to be learned from it
}

// slotBackward adds the gradients of −scale times the result of slot.
func (w *lossWork[F]) slotBackward(outs, grad []F, size, k int, rows []row[F], i, n int, t target, scale float64) {
	if t.outcome == over && !rows[i].skipped {
		return
	}
	elapsed, later := w.survivals(i, n)
	winner := -1
	if t.outcome == event {
		if j := int(t.winner) - i; j >= 0 && j < n {
			winner = j
		}
	}
	w.slopes = append(w.slopes[:0], make([]float64, n+1)...) // of the shares
	for j := range n {
		own, share := &w.rows[i+j], w.shares[j]
		w.slopes[j] = scale * own.survivalElapsed / elapsed
		atElapsed := scale * share / elapsed
		switch {
		case winner == j:
			own.backwardTick(grad[j*size:], outs[j*size:], k, atElapsed, -scale/max(own.mass, tiny))
			w.slopes[j] -= scale / max(share, tiny)
		case winner >= 0 || t.outcome == over:
			own.backward(grad[j*size:], outs[j*size:], k, atElapsed, 0)
		default:
			own.backward(grad[j*size:], outs[j*size:], k, atElapsed, -scale*share/later)
			w.slopes[j] -= scale * own.survival / later
		}
	}
	w.slopes[n] = scale / elapsed
	switch {
	case t.outcome == over:
		w.slopes[n] -= scale / max(w.shares[n], tiny)
	case winner < 0:
		w.slopes[n] -= scale / later
	}
	mean := 0.0
	for j, s := range w.slopes {
		mean += w.shares[j] * s
	}
	for j := range n {
		grad[j*size+3*k] += F(w.shares[j] * (w.slopes[j] - mean))
	}
}
