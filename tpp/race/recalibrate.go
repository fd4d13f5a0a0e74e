package race

import (
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// recalibration corrects the distributions of a forecast. What is due is trained to be right until the next event, and beyond that only by
// what it has in common with others; so on sequences with a known end the levels at which events came are collected, and the quantile that
// is forecast at a level is the one below which that share of them came (after Kuleshov, Fenner and Ermon 2018, section 3). Levels are
// kept by how many steps ahead an event is.
type recalibration struct {
	levels [recalibrated][samples]float64
}

// recalibrated is the number of groups of expected events: those that are due and come first of their siblings, other siblings, and those
// two, three, and four or more steps ahead.
const recalibrated = 5

// recalibrationEvents bounds the number of events from which a recalibration is learned.
const recalibrationEvents = 4000

// group returns the group of an expected event.
func group(steps int, follows bool) int {
	switch {
	case steps == 1 && follows:
		return 1
	case steps == 1:
		return 0
	}
	return min(steps, recalibrated-1)
}

// apply replaces sorted samples by those at the group's levels. Memory is scratch memory of as many numbers.
func (c *recalibration) apply(times []float64, group int, memory []float64) {
	if c == nil {
		return
	}
	copy(memory, times)
	for i, level := range c.levels[group] {
		x := min(max(level*samples-0.5, 0), samples-1)
		j := min(int(x), samples-2)
		times[i] = memory[j] + (x-float64(j))*(memory[j+1]-memory[j])
	}
}

// recalibrate learns the recalibration of a model's forecasts from sequences.
func (m *Race) recalibrate(d *tpp.Dataset) {
	m.recalibration = nil
	var levels [recalibrated][]float64
	events := 0
	for i := range d.Sequences {
		if s := &d.Sequences[i]; s.TEnd == nil && events < recalibrationEvents {
			m.collectLevels(s, &levels)
			events += s.Len()
		}
	}
	c := &recalibration{}
	for g := range levels {
		own := levels[g]
		if len(own) < minOffsets {
			own = []float64{0, 1} // as it is
		}
		slices.Sort(own)
		for i := range c.levels[g] {
			x := (float64(i) + 0.5) / samples * float64(len(own)-1)
			j := min(int(x), len(own)-2)
			c.levels[g][i] = own[j] + (x-float64(j))*(own[j+1]-own[j])
		}
	}
	m.recalibration = c
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

// collectLevels appends the levels at which the events of a sequence came in the forecasts before them.
func (m *Race) collectLevels(s *tpp.Sequence, levels *[recalibrated][]float64) {
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
		m.levelsOf(s, st, event.Time, fillers, levels)
	}
}

// levelsOf appends the levels of the events that a state expects.
func (m *Race) levelsOf(s *tpp.Sequence, st *state, now float64, fillers map[opening]filler, levels *[recalibrated][]float64) {
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
		level := (a.Within(max(gap-half, 0)) + a.Within(gap+half)) / 2
		g := group(a.Steps, a.Parent < 0 && st.head(a.Slot) != a.Slot)
		levels[g] = append(levels[g], level)
	}
}
