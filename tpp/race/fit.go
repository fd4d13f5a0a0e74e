package race

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// counts holds what the training part says about the classes, slots and the background, apart from the network.
type counts struct {
	delays           [][]float64 // of each class
	came             [][][]int   // by parent, slot, alternative
	never            [][]int     // by parent and slot
	gaps             []float64   // before events that nothing explains
	allGaps          []float64
	unexplainedMarks []float64
	marks            []float64

	unexplained, events, unexplainedEmpty, empty float64
}

// count follows all sequences. skipped and the medians of the structure are not used, but for the choice between slots.
func (e *encoder) count(d *tpp.Dataset) *counts {
	c := &counts{delays: make([][]float64, len(e.classes)), marks: make([]float64, e.numMarks), unexplainedMarks: make([]float64, e.numMarks)}
	for _, slots := range e.graph.Slots {
		came := make([][]int, len(slots))
		for k, s := range slots {
			came[k] = make([]int, len(s.Marks))
		}
		c.came, c.never = append(c.came, came), append(c.never, make([]int, len(slots)))
	}
	never := func(p *due) { c.never[p.parent][p.slot]++ }
	t := &tracker{structure: e.structure}
	var steps []step
	for i := range d.Sequences {
		s := &d.Sequences[i]
		t.forgotten = nil
		if s.TEnd == nil {
			t.forgotten = never
		}
		steps = stepsOf(s, e.regime, steps)
		e.walk(s, t, steps, func(step *step, a arrival) {
			switch {
			case step == nil:
				if s.TEnd == nil {
					for j := range t.due {
						never(&t.due[j])
					}
					if len(t.due) == 0 {
						c.empty++
					}
				}
				return
			case step.started:
				return
			}
			mark := s.Mark(step.event)
			c.marks[mark]++
			if step.event > 0 {
				c.allGaps = append(c.allGaps, step.time-s.ArrivalTimes[step.event-1])
			}
			if a.slot >= 0 {
				p := &t.due[a.slot]
				class := e.classOf(p, a.alternative)
				c.delays[class] = append(c.delays[class], a.delay)
				c.came[p.parent][p.slot][a.alternative]++
				c.events++
				return
			}
			if step.event == 0 && s.TStart == nil {
				return // it is given
			}
			if len(t.due) == 0 {
				c.empty++
				c.unexplainedEmpty++
			} else {
				c.events++
				c.unexplained++
			}
			c.unexplainedMarks[mark]++
			c.gaps = append(c.gaps, step.time-t.last)
		})
	}
	return c
}

// settle sets what the structure knows of its classes and slots to what was counted.
func (e *encoder) settle(c *counts) {
	for parent, slots := range e.graph.Slots {
		for k, slot := range slots {
			e.skipped[parent][k] = c.never[parent][k] > 0
			first := int(e.first[parent][k])
			for alternative := range slot.Marks {
				own := c.delays[first+alternative*int(numKinds):][:numKinds]
				fallback := slices.Concat(own...)
				slices.Sort(fallback)
				for i, delays := range own {
					class := &e.classes[first+alternative*int(numKinds)+i]
					slices.Sort(delays)
					if len(delays) == 0 {
						delays = fallback
					}
					class.median, class.stale = 0, math.Inf(1)
					if n := len(delays); n > 0 {
						class.median = delays[n/2]
						class.stale = 3*fallback[len(fallback)-1] + 1000*e.tick
					}
				}
			}
		}
	}
}

// background returns the distribution of what the graph does not explain.
func (c *counts) background(s *structure) *background {
	b := &background{structure: s}
	gaps, marks := c.gaps, c.unexplainedMarks
	if len(gaps) < 50 {
		gaps, marks = c.allGaps, c.marks
	}
	b.fit(gaps, marks, c.unexplained, c.events, c.unexplainedEmpty, c.empty)
	return b
}

// table sets the table of mixtures (classes × size) to the distributions of the delays.
func (e *encoder) table(c *counts, table []float32, k int) {
	size := 3*k + 1
	all := make([]float64, 0, len(c.allGaps))
	for _, g := range c.allGaps {
		all = append(all, e.log(g))
	}
	slices.Sort(all)
	locations, scales, weights := make([]float64, k), make([]float64, k), make([]float64, k)
	for parent, slots := range e.graph.Slots {
		for slot, s := range slots {
			first := int(e.first[parent][slot])
			for alternative := range s.Marks {
				own := c.delays[first+alternative*int(numKinds):][:numKinds]
				fallback := slices.Concat(own...)
				for i, delays := range own {
					if len(delays) < minDelays {
						delays = append(slices.Clone(delays), fallback...)
					}
					logs := make([]float64, len(delays))
					for j, d := range delays {
						logs[j] = e.log(d)
					}
					if len(logs) == 0 {
						logs = all
					}
					slices.Sort(logs)
					spread(locations, scales, weights, logs, e.structure)
					row := table[(first+alternative*int(numKinds)+i)*size:][:size]
					for j := range k {
						row[j], row[k+j], row[2*k+j] = float32(locations[j]), float32(scales[j]), float32(math.Log(weights[j]))
					}
					row[3*k] = float32(math.Log(float64(c.came[parent][slot][alternative])+0.5) - math.Log(float64(c.never[parent][slot])+0.5))
				}
			}
		}
	}
}

// minDelays is how many delays a class must have for a distribution of its own at the beginning of training.
const minDelays = 20

// spread sets locations, log scales and weights of components to cover sorted values on the scale of y: 60 % of them at quantiles, the
// rest spaced from the median to the maximum, and four wide ones.
func spread(locations, scales, weights, sorted []float64, s *structure) {
	k := len(locations)
	wide := min(4, k/4)
	tail := (k - wide) * 2 / 5
	body := k - wide - tail
	n := len(sorted)
	at := func(q float64) float64 { // quantile q of the values
		if n == 0 {
			return 1
		}
		x := q * float64(n-1)
		i := min(int(x), n-1)
		j := min(i+1, n-1)
		return sorted[i] + (x-float64(i))*(sorted[j]-sorted[i])
	}
	lowest, median, highest := at(0), at(0.5), at(1)
	// A component narrower than a part of a tick is of no use.
	narrowest := func(y float64) float64 {
		return 0.35 * s.tick / math.Hypot(s.scale, s.scale*math.Sinh(y))
	}
	for i := range body {
		q := (float64(i) + 0.5) / float64(body)
		half := 0.75 / float64(body)
		locations[i] = at(q)
		width := (at(min(q+half, 1)) - at(max(q-half, 0))) / 2
		scales[i] = math.Log(max(min(0.6*width, 0.4), narrowest(locations[i]), 1e-4))
		weights[i] = 0.93 / float64(body)
	}
	for i := range tail {
		f := (float64(i) + 0.5) / float64(tail)
		locations[body+i] = median + f*(highest-median)
		scales[body+i] = math.Log(max(min((highest-median)/float64(tail)/2, 0.4), 2*narrowest(locations[body+i]), 1e-3))
		weights[body+i] = 0.05 / float64(tail)
	}
	for i := range wide {
		f := (float64(i) + 0.5) / float64(wide)
		top := max(highest, 3) + 1.5
		locations[body+tail+i] = lowest*0.5 + f*(top-lowest*0.5)
		scales[body+tail+i] = math.Log(0.4)
		weights[body+tail+i] = 0.02 / float64(wide)
	}
}

// The numbers of components of a mixture, and the share of long delays that asks for the larger one.
const (
	fewComponents  = 21 // so that a row of outputs has 64 numbers
	manyComponents = 40
	longTails      = 0.02
)

// tailShare returns the share of delays that are more than 100 ticks above twice the median of their class.
func (e *encoder) tailShare(c *counts) float64 {
	long, all := 0, 0
	for class, delays := range c.delays {
		for _, d := range delays {
			all++
			if d > 2*e.classes[class].median+100*e.tick {
				long++
			}
		}
	}
	return float64(long) / float64(max(all, 1))
}
