package race

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// recalibration corrects the distributions of a forecast. What is due is trained to be right until the next event, and beyond that only by
// what it has in common with others; so on sequences with a known end the levels at which events came are collected, and the quantile that
// is forecast at a level is the one below which that share of them came (after Kuleshov, Fenner and Ermon 2018, section 3). Levels are kept
// by how far ahead an event is, and by marks that came often enough.
type recalibration struct {
	// levels are those of all marks by group, ascending, and behind them by mark and group those of marks that have their own; nil elsewhere.
	levels []*levels
}

// levels are the quantiles, at the middles of equal shares, of the levels at which events came.
type levels [samples]float32

// recalibrated is the number of groups of expected events, see group.
const recalibrated = 6

// recalibrationForecasts is the number of forecasts, about, from which a recalibration is learned: forecasts are made after every so
// many events, so that they are spread over all sequences, as those of one sequence tell much the same.
const recalibrationForecasts = 10000

// group returns the group of an event that is so many steps ahead, before which so many of the slots that are due are expected to be
// filled: training sees most of what it can of an event that comes next, and little of one that others come before.
func group(steps, rank int) int {
	switch steps {
	case 1:
		return min(rank, 2)
	case 2:
		return 3 + min(rank, 1)
	}
	return recalibrated - 1
}

// of returns the levels of a mark and group.
func (c *recalibration) of(mark, group int) *levels {
	if own := c.levels[recalibrated*(mark+1)+group]; own != nil {
		return own
	}
	return c.levels[group]
}

// apply replaces sorted samples of an event by those at the levels of its mark and group. Memory is scratch memory of as many numbers.
func (c *recalibration) apply(times []float64, mark, group int, memory []float64) {
	if c == nil {
		return
	}
	copy(memory, times)
	for i, level := range c.of(mark, group) {
		times[i] = levelTime(memory[:samples], float64(level))
	}
}

// levelTime returns the time of a level by samples: the inverse of tpp.ExpectedArrival.Within.
func levelTime(sorted []float64, level float64) float64 {
	x := level*samples - 0.5
	switch {
	case x < 0:
		return sorted[0] * max(2*x+1, 0)
	case x < samples-1:
		j := int(x)
		return sorted[j] + (x-float64(j))*(sorted[j+1]-sorted[j])
	}
	last := sorted[samples-1]
	return last - math.Log(min(max(2*samples*(1-level), tailShare), 1))*(last-sorted[samples-2])
}

// tailShare is the part of the last half of a share of samples beyond which levels are taken for the one at its begin.
const tailShare = 0.05

// recalibrate learns the recalibration of a model's forecasts from the sequences of some parts.
func (m *Race) recalibrate(parts ...*tpp.Dataset) {
	m.recalibration = nil
	came := make([][]float64, m.numMarks*recalibrated)
	events := 0
	for _, d := range parts {
		for i := range d.Sequences {
			events += d.Sequences[i].Len()
		}
	}
	every := max((events+recalibrationForecasts/2)/recalibrationForecasts, 1)
	seen := 0
	for _, d := range parts {
		for i := range d.Sequences {
			if s := &d.Sequences[i]; s.TEnd == nil {
				m.collectLevels(s, every, seen%every, came)
				seen += s.Len()
			}
		}
	}
	m.recalibration = newRecalibration(came)
}

// minLevels is how many levels a group of events must have for a recalibration of its own. Each event that came has two.
const minLevels = 2 * minOffsets

// newRecalibration returns the recalibration by levels at which events came, by mark and group; it sorts them. The fewer a mark has, the
// more its own are drawn to those of all marks.
func newRecalibration(came [][]float64) *recalibration {
	c := &recalibration{levels: make([]*levels, recalibrated+len(came))}
	for g := range recalibrated {
		var all []float64
		for i := g; i < len(came); i += recalibrated {
			all = append(all, came[i]...)
		}
		if len(all) < minLevels {
			all = []float64{0, 1} // as it is
		}
		c.levels[g] = quantiles(all)
		for i := g; i < len(came); i += recalibrated {
			if len(came[i]) < minLevels {
				continue
			}
			own := quantiles(came[i])
			weight := float32(len(came[i])) / float32(len(came[i])+minLevels)
			for j, pooled := range c.levels[g] {
				own[j] = pooled + weight*(own[j]-pooled)
			}
			c.levels[recalibrated+i] = own
		}
	}
	return c
}

// quantiles sorts two or more values from 0 to 1 and returns their quantiles.
func quantiles(values []float64) *levels {
	slices.Sort(values)
	out := &levels{}
	for i := range out {
		x := (float64(i) + 0.5) / samples * float64(len(values)-1)
		j := min(int(x), len(values)-2)
		out[i] = float32(min(max(values[j]+(x-float64(j))*(values[j+1]-values[j]), 0), 1))
	}
	return out
}

// opening is a slot of an event, and filler the event that filled it.
type opening struct {
	event int
	slot  int32
}

type filler struct {
	event       int
	alternative int32
}

// collectLevels appends, by mark and group, the levels at which the events of a sequence came in the forecasts that are made after every so
// many events.
func (m *Race) collectLevels(s *tpp.Sequence, every, phase int, came [][]float64) {
	steps := stepsOf(s, m.cfg.Regime, nil)
	fillers := make(map[opening]filler)
	t := &tracker{structure: m.encoder.structure}
	m.encoder.walk(s, t, steps, func(step *step, a arrival) {
		if step != nil && !step.started && a.slot >= 0 {
			p := &t.due[a.slot]
			fillers[opening{p.event, p.slot}] = filler{step.event, int32(a.alternative)}
		}
	})
	st := m.NewState(s.Start()).(*state)
	var event tpp.Event
	for i := range steps {
		if step := &steps[i]; step.started {
			if st.ObserveStart(step.time, step.event, s.WaitTimes[step.event], m.encoder.initialisation(s, step.event)) != nil {
				return
			}
			continue
		}
		event = s.Event(steps[i].event, m.cfg.Covariates, event.Covariates)
		if st.Observe(event) != nil {
			return
		}
		if (steps[i].event+phase)%every == 0 {
			m.levelsOf(s, st, event.Time, fillers, came)
		}
	}
}

// levelsOf appends the levels of the events that a state expects.
func (m *Race) levelsOf(s *tpp.Sequence, st *state, now float64, fillers map[opening]filler, levels [][]float64) {
	arrivals := st.Arrivals(now)
	came := make([]int, len(arrivals)) // the event of each that came, −1 for others
	var due *due
	root := -1
	for i := range arrivals {
		a := &arrivals[i]
		came[i] = -1
		key, alternative := opening{}, int32(0)
		if a.Parent < 0 {
			if root = i; a.Slot < len(st.due) {
				due = &st.due[a.Slot]
			}
			key = opening{due.event, due.slot}
		} else {
			if came[a.Parent] < 0 {
				continue
			}
			d := &m.offsets.descendants[arrivals[root].Mark][i-root-1]
			key, alternative = opening{came[a.Parent], d.slot}, d.alternative
		}
		f, ok := fillers[key]
		if !ok || a.Parent < 0 && s.Mark(f.event) != a.Mark || a.Parent >= 0 && f.alternative != alternative {
			continue
		}
		came[i] = f.event
		gap, half := s.ArrivalTimes[f.event]-now, m.encoder.tick/2
		lower, upper := a.Within(gap-half), a.Within(gap+half)
		at := a.Mark*recalibrated + int(st.work.arrivals.groups[i])
		levels[at] = append(levels[at], lower+(upper-lower)/4, upper-(upper-lower)/4) // it may have been anywhere in between
	}
}
