package race

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// follow calls visit before each step of a sequence, with the state after the steps until then, and after the last one with no step.
func follow(t *testing.T, m *Race, s *tpp.Sequence, visit func(*state, *step)) {
	t.Helper()
	state := m.NewState(s.Start()).(*state)
	for _, step := range stepsOf(s, m.cfg.Regime, nil) {
		visit(state, &step)
		var err error
		if step.started {
			err = state.ObserveStart(step.time, step.event, s.WaitTimes[step.event], s.InitTimes[step.event])
		} else {
			err = state.Observe(s.Event(step.event, m.CovariateNames(), nil))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	visit(state, nil)
}

// stepTerms returns the log likelihood of what followed each step of a sequence, as training has it.
func stepTerms(m *Race, s *tpp.Sequence) (terms []float64, targets []target, total float64) {
	x, err := newExample[float32](m.encoder, m.background, s)
	if err != nil {
		panic(err)
	}
	var w pass[float32]
	total, _ = m.net.run(m.params, nil, []*example[float32]{x}, 0, 0, nil, &w)
	n := m.net
	for i := range x.targets {
		w.clear()
		w.add(x, i, n.features)
		w.loss.sum = newLogSum(false)
		n.chunk(m.params, nil, i, 0, 0, nil, &w)
		terms = append(terms, w.loss.sum.result())
	}
	return terms, x.targets, total
}

// term returns the log likelihood of what followed a step by the formulas that training promises: of an event the chance that its slot is
// filled in its tick while all others are not filled until the middle of the tick, of an event of the background that of the background
// while nothing is filled; of silence that nothing is filled; and of the end that what may never come never does.
func (f *reference) term(t target, gap, tick, prior float64, mark int) float64 {
	sum := 0.0
	row := 0
	for i, slot := range f.slots {
		all, _ := f.later(i, gap)
		own := math.Log(all)
		if t.outcome == over {
			own = 0
			if slot.never > 0 {
				own = math.Log(slot.never)
			}
		}
		for j := range slot.rows {
			if t.outcome == event && row == int(t.winner) {
				_, from := f.later(i, max(gap-tick/2, 0))
				_, to := f.later(i, gap+tick/2)
				own = math.Log(from[j] - to[j])
			}
			row++
		}
		sum += own
	}
	switch t.outcome {
	case event:
		sum += math.Log(1 - prior)
	case unexplained:
		sum += math.Log(prior * (f.gap(max(gap-tick/2, 0)) - f.gap(gap+tick/2)) * f.marks[mark])
	}
	return sum
}

// TestLikelihood compares, step by step, the log likelihood of training with plain formulas, and with what the predictions of a state
// said about the step. Training differs from the predictions on purpose: it takes the slots that an event leaves open as open until the
// middle of its tick; an event counts as that of the slot that it is taken to fill, though another one with the same mark could have
// been filled too, or the background; silence and the end count as those of the race alone; and what the background explains costs
// what was due besides, since it had not come.
func TestLikelihood(t *testing.T) {
	var n [over + 1]int
	var difference, worst [over + 1]float64
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 8))
		regime := []Regime{Arrivals, Starts}[seed%2]
		w := worldOf(rng, Config{Regime: regime, Ancestors: int(seed / 2 % 3)}, 4, allBegun+int(seed/2%2))
		m := w.model
		for i := range w.data.Sequences {
			s := &w.data.Sequences[i]
			terms, targets, total := stepTerms(m, s)
			sum := 0.0
			for _, v := range terms {
				sum += v
			}
			if !near(sum, total, 1e-5, 1e-5) {
				t.Fatalf("the steps add up to %v, not %v", sum, total)
			}
			at := 0
			follow(t, m, s, func(st *state, step *step) {
				if st.events == 0 && s.TStart == nil {
					return
				}
				term, target := terms[at], targets[at]
				at++
				gap, mark := 0.0, 0
				switch {
				case step != nil:
					gap, mark = step.time-st.last, s.Mark(step.event)
				case s.TEnd != nil:
					gap = *s.TEnd - st.last
				}
				f, prior := newReference(st, st.last), m.background.share(&st.tracker)
				want := f.term(target, gap, m.encoder.tick, prior, mark)
				// Below tiny logarithms are cut off, and float32 has next to no digits.
				if want > -25 && !near(term, want, 2e-3, 2e-3) {
					t.Fatalf("seed %d, sequence %d, step %d, outcome %d: log likelihood %v, want %v", seed, i, at, target.outcome, term, want)
				}
				next := st.Next(st.last)
				predicted := 0.0
				own := want
				race := 0.0 // the log survival of all that is due
				for i := range f.slots {
					all, _ := f.later(i, gap)
					race += math.Log(all)
				}
				switch target.outcome {
				case event:
					predicted = math.Log1p(-next.End) + next.LogResolution(gap, m.encoder.tick, mark)
					rows := 0 // that could be filled by the mark
					for i := range f.slots {
						for _, r := range f.slots[i].rows {
							if r.mark == mark {
								rows++
							}
						}
					}
					background := prior * (f.gap(max(gap-0.5, 0)) - f.gap(gap+0.5)) * f.marks[mark]
					if own > predicted+0.5 {
						t.Errorf("seed %d, sequence %d, step %d: training has %v, the prediction %v", seed, i, at, own, predicted)
					}
					if rows > 1 || own < -15 {
						return
					}
					own = math.Log(math.Exp(own) + background)
				case unexplained:
					predicted = math.Log1p(-next.End) + next.LogResolution(gap, m.encoder.tick, mark)
					own -= race
					marks, _ := f.joint(max(gap-0.5, 0), gap+0.5, 4)
					if marks[mark] > 1.5*math.Exp(own) {
						return // also something that is due has the mark: it was not chosen since it is excluded or too early
					}
				case survived:
					predicted = next.LogSurvival(gap)
					own = math.Log((1-prior)*math.Exp(race) + prior*f.gap(gap))
				case over:
					predicted = math.Log(next.End)
					own += math.Log(1 - prior)
					for _, slot := range f.slots {
						if slot.never == 0 {
							own = math.Inf(-1) // training leaves out what cannot be
						}
					}
				}
				if math.IsInf(own, -1) && math.IsInf(predicted, -1) {
					n[target.outcome]++
					return
				}
				d := math.Abs(predicted - own)
				n[target.outcome]++
				difference[target.outcome] += d
				worst[target.outcome] = max(worst[target.outcome], d)
			})
			if at != len(terms) {
				t.Fatalf("%d steps, training has %d", at, len(terms))
			}
		}
	}
	for o := event; o <= over; o++ {
		if n[o] < 20 {
			t.Errorf("only %d of outcome %d", n[o], o)
		}
		mean, most := difference[o]/float64(n[o]), 1e-3
		if o == event {
			most = 0.05 // within a tick a mixture may be far from flat
		}
		if mean > most/10 || worst[o] > most {
			t.Errorf("outcome %d: training and predictions differ by %v on average, by %v at most", o, mean, worst[o])
		}
	}
}
