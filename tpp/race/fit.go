package race

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/tpp"
)

// counts holds what the training part says about the classes, slots and the background, apart from the network.
type counts struct {
	delays           [][]float64 // of each class
	came             [][][]int   // by parent, slot, alternative
	never            [][]int     // by parent and slot
	excluded         [][]int     // by parent and slot: how often another slot of the same event excluded it
	finallyCame      []float64   // of each class: how often what was once of its kind came in the end
	finallyNot       []float64   // of each class: how often it did not
	waited           [][]float64 // of each class: the delays of what came in the end, whatever its kind was by then
	gaps             []float64   // before events that nothing explains
	allGaps          []float64
	unexplainedMarks []float64
	marks            []float64

	unexplained, events, unexplainedEmpty, empty float64
}

// count follows all sequences. skipped and the medians of the structure are not used, but for the choice between slots.
func (e *encoder) count(d *tpp.Dataset) *counts {
	c := &counts{
		delays: make([][]float64, len(e.classes)), marks: make([]float64, e.numMarks), unexplainedMarks: make([]float64, e.numMarks),
		finallyCame: make([]float64, len(e.classes)), finallyNot: make([]float64, len(e.classes)),
		waited: make([][]float64, len(e.classes)),
	}
	for _, slots := range e.graph.Slots {
		came := make([][]int, len(slots))
		for k, s := range slots {
			came[k] = make([]int, len(s.Marks))
		}
		c.came, c.never = append(c.came, came), append(c.never, make([]int, len(slots)))
		c.excluded = append(c.excluded, make([]int, len(slots)))
	}
	t := &tracker{structure: e.structure}
	passed := newPassed(e.structure)
	never := func(p *due) {
		c.never[p.parent][p.slot]++
		passed.settle(p, -1, 0, c)
	}
	t.excluded = func(p *due) {
		c.excluded[p.parent][p.slot]++
		passed.settle(p, -1, 0, c)
	}
	var steps []step
	for i := range d.Sequences {
		s := &d.Sequences[i]
		t.forgotten = nil
		if s.TEnd == nil {
			t.forgotten = never
		}
		steps = stepsOf(s, e.regime, steps)
		passed.reset(s.Len())
		e.walk(s, t, steps, func(step *step, a arrival) {
			for j := range t.due {
				passed.add(&t.due[j])
			}
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
				passed.settle(p, a.alternative, step.time, c)
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
			came := 0
			for _, n := range c.came[parent][k] {
				came += n
			}
			// What is seldom filled, because another slot excludes it, is no longer certain before that one is filled.
			e.skipped[parent][k] = c.never[parent][k] > 0 || c.excluded[parent][k] > seldom*came
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

// farShares are the shares of delays that are at most as far from their medians as the scales that are learned: one, two and about three standard
// deviations, were they normal. Under high load these are seconds, of which the largest fixed scale tells little.
var farShares = [...]float64{0.68, 0.95, 0.99}

// learnScales returns the fixed scales and those that the delays have. The medians of the classes must be settled.
func (e *encoder) learnScales(c *counts) []float64 {
	scales := fixedScales[:]
	var far []float64
	for class, delays := range c.delays {
		for _, d := range delays {
			far = append(far, math.Abs(d-e.classes[class].median)/e.tick)
		}
	}
	if len(far) == 0 {
		return scales
	}
	slices.Sort(far)
	for _, q := range farShares {
		scales = append(scales, max(far[int(q*float64(len(far)-1))], 1))
	}
	return scales
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
						waited := c.waited[first+alternative*int(numKinds)+i]
						delays = slices.Concat(delays, waited)
						if len(waited) < minWaited {
							delays = append(delays, fallback...)
						}
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
					row[3*k] = float32(c.odds(parent, slot, alternative, first+alternative*int(numKinds)+i))
				}
			}
		}
	}
}

// odds returns the logarithm of how often an alternative comes in the end over how often nothing does, where its slot is of the kind of
// a class. Where little of that kind was seen, it is near to that of the slot.
func (c *counts) odds(parent, slot, alternative, class int) float64 {
	came, never := float64(c.came[parent][slot][alternative])+0.5, float64(c.never[parent][slot])+0.5
	if n := c.excluded[parent][slot]; float64(n) > seldom*came {
		never += float64(n)
	}
	share := fewOfKind / (came + never)
	return math.Log(c.finallyCame[class]+share*came) - math.Log(c.finallyNot[class]+share*never)
}

// fewOfKind is how many slots of a kind that of the slot of whatever kind counts for.
const fewOfKind = 2

// seldom is how much more often a slot is excluded than filled that is filled seldom.
const seldom = 3

// passed holds of which kinds each slot of each event of a sequence has been so far, a bit each.
type passed struct {
	*structure
	slots   int // of a parent at most
	kinds   []uint8
	anchors [][numKinds]float64 // by kind, if it has been of that
}

func newPassed(s *structure) *passed {
	p := &passed{structure: s}
	for _, slots := range s.graph.Slots {
		p.slots = max(p.slots, len(slots))
	}
	return p
}

// reset begins a sequence of some events.
func (p *passed) reset(events int) {
	p.kinds = nn.Resize(p.kinds, (events+1)*p.slots)
	clear(p.kinds)
	p.anchors = nn.Resize(p.anchors, len(p.kinds))
}

// of returns the index of a slot that is due; event −1 is the start of the sequence.
func (p *passed) of(d *due) int { return (d.event+1)*p.slots + int(d.slot) }

// add notes the kind of a slot that is due.
func (p *passed) add(d *due) {
	p.kinds[p.of(d)] |= 1 << d.kind
	p.anchors[p.of(d)][d.kind] = d.anchor
}

// settle counts for every kind that a slot has been of that one of its alternatives came in the end, at a time, or, if it is −1, that none
// did.
func (p *passed) settle(d *due, alternative int, time float64, c *counts) {
	p.add(d)
	first := int(p.first[d.parent][d.slot])
	for i := range p.graph.Slots[d.parent][d.slot].Marks {
		for kinds, k := p.kinds[p.of(d)], 0; kinds != 0; kinds, k = kinds>>1, k+1 {
			if kinds&1 == 0 {
				continue
			}
			switch class := first + i*int(numKinds) + k; {
			case alternative < 0:
				c.finallyNot[class]++
			case i == alternative:
				c.finallyCame[class]++
				c.waited[class] = append(c.waited[class], time-p.anchors[p.of(d)][k])
			}
		}
	}
}

// minDelays is how many delays a class must have for a distribution of its own at the beginning of training.
const minDelays = 20

// minWaited is how many slots must have been of a kind and been filled in the end, in whatever kind, for their delays to stand for those of the kind.
const minWaited = 5

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
