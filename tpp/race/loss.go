package race

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/simd"
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

// lossWork is the scratch memory of stepsLoss.
type lossWork[F nn.Float] struct {
	mixtures      simd.LogisticMixtures[F]
	at, survivals []F     // of each row: at the elapsed delay, and at the later one
	winners       []int32 // the rows of the slots that were filled
	widths        []F     // of their ticks
	masses        []F     // the probabilities of these
	next          int     // of the winners, by step
	others        []int32 // all rows but the winners that something is learned from
	slopes        []float64
	shares        []float64 // of the alternatives of a slot; the last one is the share of none
	winnerSlopes  []simd.LogisticSlopes[F]
	otherSlopes   []simd.LogisticSlopes[F]
	sum           logSum
}

// stepsLoss adds to w.sum the log likelihoods of what followed some steps, one target each, given the outputs of their rows: those of step i are from
// start[i] to start[i+1], counted from start[0]. outs has size numbers a row; unless scale is 0 they are replaced by the gradient of −scale times the sum.
//
// A likelihood is that of the predictions but for what keeps it simple: the slots that an event leaves open count as open until the middle of its
// tick; an event counts as that of the slot that the tracker chose alone, where another one with the same mark or the background
// could have had it too; silence and the end count as those of the race alone, without the background's share; an event of the background
// also counts the survival of all that is due, which teaches that it had not come; and an end in spite of a slot that must come is free.
func stepsLoss[F nn.Float](outs []F, size, k int, start []int32, rows []row[F], targets []target, scale float64, w *lossWork[F]) {
	w.at, w.survivals = nn.Resize(w.at, 2*len(rows)), nn.Resize(w.survivals, 2*len(rows))
	for i := range rows {
		w.at[2*i], w.at[2*i+1] = rows[i].elapsed, rows[i].y
	}
	w.winners, w.widths = w.winners[:0], w.widths[:0]
	for step := range targets {
		if t := &targets[step]; t.outcome == event {
			i := start[step] - start[0] + t.winner
			w.winners, w.widths = append(w.winners, i), append(w.widths, rows[i].width)
		}
	}
	w.masses = nn.Resize(w.masses, len(w.winners))
	w.mixtures.Survivals(w.survivals, outs, size, k, w.at)
	w.mixtures.Ticks(w.masses, w.winners, w.widths)
	w.next, w.others, w.otherSlopes, w.winnerSlopes = 0, w.others[:0], w.otherSlopes[:0], w.winnerSlopes[:0]
	for step := range targets {
		w.step(outs, size, k, int(start[step]-start[0]), int(start[step+1]-start[0]), rows, &targets[step], scale)
	}
	if scale != 0 {
		w.mixtures.TicksGrad(outs, w.winners, w.winnerSlopes)
		w.mixtures.Grad(outs, w.others, w.otherSlopes)
	}
}

// step adds the log likelihood of what followed a step, whose rows are those from i to end. Unless scale is 0 it notes the slopes for the gradients of
// the mixtures, and sets the logits of the alternatives to their gradient.
func (w *lossWork[F]) step(outs []F, size, k, i, end int, rows []row[F], t *target, scale float64) {
	winner := -1
	switch t.outcome {
	case nothing:
		if scale != 0 {
			clear(outs[i*size : end*size])
		}
		return
	case event:
		winner = i + int(t.winner)
	}
	mass := 0.0
	if winner >= 0 {
		mass = float64(w.masses[w.next])
		w.next++
	}
	w.sum.begin()
	for i < end {
		n := slotRows(rows[i:end])
		if n == 1 && !rows[i].skipped {
			w.certain(outs[i*size:(i+1)*size], i, winner == i, mass, t.outcome == over, scale)
			i++
			continue
		}
		s := slot{first: i, n: n, winner: -1, skipped: rows[i].skipped, over: t.outcome == over}
		if j := winner - i; j >= 0 && j < n {
			s.winner, s.mass = j, mass
		}
		w.setShares(outs[i*size:], size, k, n, s.skipped)
		w.slot(outs[i*size:], size, k, &s, scale)
		i += n
	}
	switch t.outcome {
	case event:
		w.sum.add(t.explained)
	case unexplained:
		w.sum.add(t.background)
	}
	w.sum.end()
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
	w.shares = nn.Resize(w.shares, n+1)
	w.shares[n] = 0
	top := math.Inf(-1)
	if skipped {
		top = 0
	}
	for i := range n {
		top = max(top, float64(outs[i*size+3*k]))
	}
	sum := 0.0
	if skipped {
		w.shares[n] = expOf(-top)
		sum = w.shares[n]
	}
	for i := range n {
		w.shares[i] = expOf(float64(outs[i*size+3*k]) - top)
		sum += w.shares[i]
	}
	for i := range w.shares {
		w.shares[i] /= sum
	}
}

// expOf returns e^v, which is often e^0.
func expOf(v float64) float64 {
	if v == 0 {
		return 1
	}
	return math.Exp(v)
}

// slot is what became of a slot.
type slot struct {
	first, n      int // its rows
	winner        int // of them, −1 if it was not filled
	mass          float64
	skipped, over bool
}

// certain is slot for row i where that is the only alternative and must come: its share is 1, and the gradient of its logit 0.
func (w *lossWork[F]) certain(out []F, i int, won bool, mass float64, isOver bool, scale float64) {
	if isOver {
		if scale != 0 {
			clear(out)
		}
		return
	}
	at := w.survivals[2*i:][:2]
	elapsed, came := max(float64(at[0]), tiny), max(mass, tiny)
	if !won {
		came = max(float64(at[1]), tiny)
	}
	w.sum.addRatio(came, elapsed)
	if scale == 0 {
		return
	}
	out[len(out)-1] = 0
	own := simd.LogisticSlopes[F]{Slope1: F(scale / elapsed), Slope2: F(-scale / came), Probability1: at[0], Probability2: at[1]}
	if won {
		own.Probability2 = F(mass)
		w.winnerSlopes = append(w.winnerSlopes, own)
	} else {
		w.others, w.otherSlopes = append(w.others, int32(i)), append(w.otherSlopes, own)
	}
}

// slot adds the log likelihood of what happened to a slot whose shares are set, and unless scale is 0 does with its gradients as step says.
func (w *lossWork[F]) slot(outs []F, size, k int, s *slot, scale float64) {
	n := s.n
	if s.over && !s.skipped { // training saw no such slot remain: nothing is to be learned from it
		if scale != 0 {
			clear(outs[:n*size])
		}
		return
	}
	elapsed, later := w.shares[n], w.shares[n]
	for j := range n {
		at := w.survivals[2*(s.first+j):][:2]
		elapsed += w.shares[j] * float64(at[0])
		later += w.shares[j] * float64(at[1])
	}
	elapsed, later = max(elapsed, tiny), max(later, tiny)
	switch {
	case s.winner >= 0:
		w.sum.addRatio(max(w.shares[s.winner]*s.mass, tiny), elapsed)
	case s.over:
		w.sum.addRatio(max(w.shares[n], tiny), elapsed)
	default:
		w.sum.addRatio(later, elapsed)
	}
	if scale == 0 {
		return
	}
	w.slopes = nn.Resize(w.slopes, n+1) // of the shares
	for j := range n {
		share, at := w.shares[j], w.survivals[2*(s.first+j):][:2]
		slope := scale * float64(at[0]) / elapsed
		own := simd.LogisticSlopes[F]{Slope1: F(scale * share / elapsed), Probability1: at[0], Probability2: at[1]}
		if s.winner == j {
			own.Slope2, own.Probability2 = F(-scale/max(s.mass, tiny)), F(s.mass)
			slope -= scale / max(share, tiny)
			w.winnerSlopes = append(w.winnerSlopes, own)
		} else {
			if s.winner < 0 && !s.over {
				own.Slope2 = F(-scale * share / later)
				slope -= scale * float64(at[1]) / later
			}
			w.others, w.otherSlopes = append(w.others, int32(s.first+j)), append(w.otherSlopes, own)
		}
		w.slopes[j] = slope
	}
	w.slopes[n] = scale / elapsed
	switch {
	case s.over:
		w.slopes[n] -= scale / max(w.shares[n], tiny)
	case s.winner < 0:
		w.slopes[n] -= scale / later
	}
	mean := 0.0
	for j, slope := range w.slopes {
		mean += w.shares[j] * slope
	}
	for j := range n {
		outs[j*size+3*k] = F(w.shares[j] * (w.slopes[j] - mean))
	}
}

// tiny keeps logarithms and quotients finite.
const tiny = 1e-30
