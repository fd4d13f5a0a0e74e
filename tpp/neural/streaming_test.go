package neural

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/live"
)

// streamed returns the score of a sequence through a State, under the loss of the model. It replaces the state by at(state)
// after each event.
func streamed(t *rapid.T, m *Recurrent, s *tpp.Sequence, at func(tpp.State) tpp.State) (sum lossSum) {
	last := s.Start()
	var state tpp.State = m.NewState(last)
	logGoesOn := func(n *tpp.Next) float64 { return math.Log1p(-n.End) }
	for i := range s.Len() {
		next := state.Next(last)
		if gap, ok := s.GapBefore(i); ok {
			sum.events++
			sum.mark += next.LogMark(gap, s.Mark(i)) + logGoesOn(next)
			switch {
			case m.cfg.Kind == TruncNorm && m.cfg.TimeHead == SoftplusHead:
				sum.time -= math.Abs(dist.Median(next.Time) - max(gap, m.cfg.GapFloor))
			case m.cfg.Kind == TruncNorm:
				sum.time -= math.Abs(dist.Median(next.Time)-max(gap, m.cfg.GapFloor)) / m.norm.MAE
			case m.net.head.density():
				sum.time += next.LogProb(gap)
			default:
				sum.time += next.LogResolution(gap, m.cfg.Resolution, s.Mark(i)) - next.LogMark(gap, s.Mark(i))
			}
		}
		if err := state.Observe(s.Event(i, m.CovariateNames(), nil)); err != nil {
			t.Fatal(err)
		}
		state, last = at(state), s.ArrivalTimes[i]
	}
	switch next := state.Next(last); {
	case s.TEnd != nil && m.cfg.Kind != TruncNorm:
		sum.survival += next.LogSurvival(*s.TEnd - last)
	case s.TEnd == nil && !m.cfg.WithoutEnd:
		sum.mark += math.Log(next.End)
	}
	return sum
}

// TestScoresAgree checks that a sequence has the same score alone, in a batch, streamed through a State, and through a State
// that is marshalled or copied at any event.
func TestScoresAgree(t *testing.T) {
	var models []*Recurrent
	for i, v := range variants() {
		models = append(models, randomRecurrent(t, v, uint64(i)))
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := models[rapid.IntRange(0, len(models)-1).Draw(rt, "model")]
		d := tpptest.DrawDataset(rt, rapid.IntRange(1, 6).Draw(rt, "sequences"))
		examples, err := m.net.newExamples(d)
		if err != nil {
			rt.Fatal(err)
		}
		var ws workspace[float32]
		var batch []*example[float32]
		var alone, sum lossSum
		for i := range examples {
			batch = append(batch, &examples[i])
			own := m.net.run(m.params, nil, batch[i:], 0, &ws)
			alone.add(own)
			s := &d.Sequences[i]
			once := streamed(rt, m, s, func(s tpp.State) tpp.State { return s })
			sum.add(once)
			moved := streamed(rt, m, s, func(s tpp.State) tpp.State {
				switch rapid.IntRange(0, 3).Draw(rt, "move") {
				case 0:
					data, err := live.MarshalState(m, s)
					if err != nil {
						rt.Fatal(err)
					}
					again, err := live.UnmarshalState(m, data)
					if err != nil {
						rt.Fatal(err)
					}
					return again
				case 1:
					return s.Clone()
				case 2:
					into := m.NewState(0)
					if !into.(tpp.StateCopier).CopyFrom(s) {
						rt.Fatal("a state does not copy another one of its model")
					}
					return into
				}
				return s
			})
			if moved != once {
				rt.Fatalf("%s: moved about a sequence scores %+v, otherwise %+v", m.Kind(), moved, once)
			}
			// Float32 arithmetic there, logarithms in float64 here.
			tolerance := 2e-4 * float64(1+s.Len())
			parts := [][2]float64{{own.time, once.time}, {own.mark, once.mark}, {own.survival, once.survival}}
			if m.cfg.MarkTimeSize > 0 { // the mark and the time given it there, the time and the mark given it here
				parts = [][2]float64{{own.time + own.mark, once.time + once.mark}, {own.survival, once.survival}}
			}
			for _, c := range parts {
				if math.Abs(c[0]-c[1]) > tolerance*(1+math.Abs(c[1])) || own.events != once.events {
					rt.Fatalf("%s: sequence %d scores %+v alone, %+v streamed", m.Kind(), i, own, once)
				}
			}
		}
		together := m.net.run(m.params, nil, batch, 0, &ws)
		for _, c := range [][2]float64{{together.time, alone.time}, {together.mark, alone.mark}, {together.survival, alone.survival}} {
			if math.Abs(c[0]-c[1]) > 1e-4*(1+math.Abs(c[1])) || together.events != alone.events {
				rt.Fatalf("%s: %+v in a batch, %+v one by one", m.Kind(), together, alone)
			}
		}
	})
}
