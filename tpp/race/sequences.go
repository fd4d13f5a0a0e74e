package race

import (
	"cmp"
	"slices"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp"
)

// example is a sequence in the form that training needs: steps (the start of the sequence if it is known, its events and, in regime
// Starts, their starts), what was due after each, and what followed.
type example[F nn.Float] struct {
	values  []F     // steps × columns
	start   []int32 // the first row of each step, and the number of rows
	rows    []row[F]
	feats   []F // rows × columns
	targets []target
	events  int // that are scored
}

func (x *example[F]) steps() int { return len(x.targets) }

// longerFirst compares examples by the number of their steps, in descending order.
func longerFirst[F nn.Float](a, b *example[F]) int { return cmp.Compare(b.steps(), a.steps()) }

// step is something that happens in a sequence: event i arrives or, if started, starts.
type step struct {
	time    float64
	event   int
	started bool
}

// stepsOf returns what happens in a sequence in the order of time; an arrival is before a start at the same time, but for an earlier
// event's start.
func stepsOf(s *tpp.Sequence, regime Regime, dst []step) []step {
	dst = dst[:0]
	for i, t := range s.ArrivalTimes {
		dst = append(dst, step{t, i, false})
		if regime == Starts && s.WaitTimes != nil {
			if started := t + s.WaitTimes[i]; s.TEnd == nil || started <= *s.TEnd {
				dst = append(dst, step{started, i, true})
			}
		}
	}
	slices.SortStableFunc(dst, func(a, b step) int { return cmp.Compare(a.time, b.time) })
	return dst
}

// walk follows a sequence with the tracker and calls visit before each step is taken, with what the tracker found out about it if it is
// an arrival, and after the last one with no step.
func (e *encoder) walk(s *tpp.Sequence, t *tracker, steps []step, visit func(*step, arrival)) {
	t.reset(s.Start())
	t.width = len(e.covariates)
	row := make([]float64, 0, t.width)
	if s.TStart != nil {
		t.begin(e.standardise(row[:0], make([]float64, t.width)))
	}
	for i := range steps {
		step := &steps[i]
		if step.started {
			if t.events-step.event > maxRecent {
				continue
			}
			visit(step, arrival{slot: -1})
			t.started(step.time, step.event, s.WaitTimes[step.event], e.initialisation(s, step.event))
			continue
		}
		a := t.find(step.time, s.Mark(step.event))
		visit(step, a)
		row = e.row(s, step.event, row)
		t.arrive(step.time, s.Mark(step.event), a, row)
	}
	visit(nil, arrival{slot: -1})
}

// row sets dst to the standardised covariates of an event.
func (e *encoder) row(s *tpp.Sequence, i int, dst []float64) []float64 {
	dst = dst[:0]
	for j, name := range e.covariates {
		dst = append(dst, num.Standardised(s.Covariate(name, i), e.mean[j], e.std[j]))
	}
	return dst
}

func (e *encoder) initialisation(s *tpp.Sequence, i int) float64 {
	if s.InitTimes == nil {
		return 0
	}
	return s.InitTimes[i]
}

// newExample returns the example of a sequence.
func newExample[F nn.Float](e *encoder, b *background, s *tpp.Sequence) (*example[F], error) {
	for _, name := range e.covariates {
		if err := s.CheckCovariate(name); err != nil {
			return nil, err
		}
	}
	x := &example[F]{}
	t := &tracker{structure: e.structure}
	var memory, covariates []float64
	taken := func() { // a step has been taken: what is due now
		x.start = append(x.start, int32(len(x.rows)))
		x.rows, x.feats, memory = appendRows(e, t, x.rows, x.feats, memory)
		x.targets = append(x.targets, target{winner: -1})
	}
	add := func(values []float64) {
		for _, v := range values {
			x.values = append(x.values, F(v))
		}
	}
	begun := s.TStart != nil
	if begun {
		add(e.appendBegin(nil))
	}
	e.walk(s, t, stepsOf(s, e.regime, nil), func(step *step, a arrival) {
		if begun || t.events > 0 {
			taken()
			x.follow(e, b, s, t, step, a)
		}
		switch {
		case step == nil:
		case step.started:
			memory = e.appendStarted(memory[:0], t, step.time, s.Mark(step.event), s.WaitTimes[step.event], e.initialisation(s, step.event))
			add(memory)
		default:
			covariates = e.row(s, step.event, covariates)
			memory = e.appendArrival(memory[:0], t, step.time, s.Mark(step.event), a, covariates)
			add(memory)
		}
	})
	x.start = append(x.start, int32(len(x.rows)))
	return x, nil
}

// follow sets the target of the last step to what came next: step, or nothing if it is nil.
func (x *example[F]) follow(e *encoder, b *background, s *tpp.Sequence, t *tracker, step *step, a arrival) {
	target := &x.targets[len(x.targets)-1]
	rows := x.rows[x.start[len(x.start)-1]:]
	gap := 0.0
	switch {
	case step == nil && s.TEnd == nil:
		target.outcome = over
	case step == nil:
		target.outcome, gap = survived, *s.TEnd-t.last
	case step.started:
		target.outcome, gap = survived, step.time-t.last
	default:
		gap = step.time - t.last
		share := b.share(t)
		target.outcome, target.explained = unexplained, 1-share
		target.background = share * b.cell(gap, s.Mark(step.event))
		x.events++
		if a.slot >= 0 {
			target.outcome, target.winner = event, int32(t.rowOf(a.slot, a.alternative))
		}
	}
	i := 0
	for j := range t.due {
		for range onesCount(t.due[j].alive) {
			r := &rows[i]
			delay := t.last - t.due[j].anchor
			if target.outcome == event && i == int(target.winner) {
				lower, upper := e.log(delay+max(gap-e.tick/2, 0)), e.log(delay+gap+e.tick/2)
				r.y, r.width = F(lower), F(upper-lower)
			} else {
				r.y = F(e.log(delay + gap))
			}
			i++
		}
	}
}
