package race

import (
	"math"
	"math/bits"
)

// kind says what has happened to the other slots of the same event since a slot became due.
type kind uint8

const (
	kindFirst   kind = iota // none of them has come: the delay counts from the parent's arrival
	kindNext                // the slot before this one, but for what that excludes, came last: from its arrival
	kindLater               // an earlier one came last: from its arrival
	kindOver                // a later one came last: this one was overtaken; from its arrival
	kindStarted             // none has come, and the parent has started: from its start
	numKinds
)

// structure is the graph with what is known of its slots apart from the network. A class is an alternative of a slot of a parent's
// mark together with a kind; parents are the marks and, as the last one, the start of a sequence.
type structure struct {
	graph    *Graph
	numMarks int
	scale    float64 // of asinh(delay/scale), in the time unit
	tick     float64 // resolution of the clock
	classes  []class
	first    [][]int32 // by parent and slot: the first class, of its first alternative and first kind
	skipped  [][]bool  // by parent and slot: whether training saw one not come
}

// class holds the statistics of the delays of a class in the training data.
type class struct {
	mark   int32
	median float64 // of the delay, in the time unit
	stale  float64 // the delay after which one that may never come is taken not to
}

// start is the mark of the start of a sequence, as a parent.
func (s *structure) start() int { return s.numMarks }

// newStructure returns the structure of a graph with one more parent, the start of a sequence, which has the given slots.
func newStructure(g *Graph, roots []Slot, numMarks int, tick float64) *structure {
	whole := &Graph{Slots: append(append([][]Slot{}, g.Slots...), roots)}
	if g.Exclusive != nil {
		whole.Exclusive = append(append([][][2]int{}, g.Exclusive...), nil)
	}
	s := &structure{graph: whole, numMarks: numMarks, scale: 10 * tick, tick: tick}
	for _, slots := range whole.Slots {
		first, skipped := make([]int32, len(slots)), make([]bool, len(slots))
		for k, slot := range slots {
			first[k] = int32(len(s.classes))
			for _, m := range slot.Marks {
				for range numKinds {
					s.classes = append(s.classes, class{mark: int32(m), stale: math.Inf(1)})
				}
			}
		}
		s.first, s.skipped = append(s.first, first), append(s.skipped, skipped)
	}
	return s
}

// classOf returns the class of an alternative of a slot that is due.
func (s *structure) classOf(p *due, alternative int) int {
	return int(s.first[p.parent][p.slot]) + alternative*int(numKinds) + int(p.kind)
}

// mark returns the mark of an alternative of a slot that is due.
func (s *structure) mark(p *due, alternative int) int {
	return s.graph.Slots[p.parent][p.slot].Marks[alternative]
}

// mayNotCome reports whether the slot has been seen not to come.
func (s *structure) mayNotCome(p *due) bool { return s.skipped[p.parent][p.slot] }

// log returns asinh(delay/scale), which is linear for short delays and a logarithm for long ones.
func (s *structure) log(delay float64) float64 {
	x := delay / s.scale
	if x < 0.05 || x > 1e9 {
		return math.Asinh(x)
	}
	return math.Log(x + math.Sqrt(x*x+1)) // faster, and as good here
}

// due is a slot of an event that has come, and that nothing has filled yet.
type due struct {
	parent int32  // the mark of the event
	slot   int32  // in the slots of that mark
	event  int    // the index of the event
	alive  uint64 // the alternatives that are left, a bit each
	kind   kind
	anchor float64    // when the delay began
	excess float64    // of the parent's own delay over the median of its class
	placed [2]float64 // wait and initialisation of the parent, once it has started
	late   float64    // how late what came of the parent's slots was at last: the sum of the excesses from one to the next
	before ancestry   // how late the parent was
}

// maxDue bounds how many slots are due at once: beyond it, those that have waited longest are forgotten.
const maxDue = 256

// maxRecent is how many events ago one arrived at most that starts: the start of an older one is ignored.
const maxRecent = maxDue

// tracker follows a sequence and knows what is due. Its zero value with a structure is ready at the time start.
type tracker struct {
	*structure
	due         []due
	covariates  []float64 // of the parents of due, one row each
	width       int       // of a row
	events      int
	unexplained int
	begun       bool       // the start of the sequence is known
	forgotten   func(*due) // if not nil, is called with what is forgotten
	excluded    func(*due) // if not nil, is called with what can no longer come, because what excludes it has
	start       float64
	last        float64 // the time of the last step
	late        float64 // the sum over the events that something explains of how late they were, from −1 to 1 each
	explained   int
}

// arrival is what the tracker found out about an event when it came.
type arrival struct {
	slot        int // the index in due before the event, −1 if nothing explains it
	alternative int
	delay       float64 // since the slot's anchor; since the event before if nothing explains it
	excess      float64 // of the delay over the median of its class; 0 if nothing explains it
}

// reset prepares the tracker for a new sequence.
func (t *tracker) reset(start float64) {
	t.due, t.covariates = t.due[:0], t.covariates[:0]
	t.events, t.unexplained, t.begun, t.start, t.last = 0, 0, false, start, start
	t.late, t.explained = 0, 0
}

// find returns which slot an event with the mark fills: of those due that have it, the one that is latest compared with the median
// of its class.
func (t *tracker) find(time float64, mark int) arrival {
	a := arrival{slot: -1, delay: time - t.last}
	for i := range t.due {
		p := &t.due[i]
		for left := p.alive; left != 0; left &= left - 1 {
			alternative := bits.TrailingZeros64(left)
			c := &t.classes[t.classOf(p, alternative)]
			if int(c.mark) != mark {
				continue
			}
			if delay := time - p.anchor; a.slot < 0 || delay-c.median > a.excess {
				a = arrival{i, alternative, delay, delay - c.median}
			}
		}
	}
	return a
}

// arrive updates what is due after an event, whose covariates are a row.
func (t *tracker) arrive(time float64, mark int, a arrival, covariates []float64) {
	var before ancestry
	if a.slot >= 0 {
		came := t.due[a.slot]
		t.remove(a.slot)
		came.late += a.excess
		before = came.before.of(came.late)
		t.tell(&came, time, mark)
		t.late += squash(a.excess, lateScale*t.tick)
		t.explained++
	} else if t.begun || t.events > 0 {
		t.unexplained++ // the first event is given if the start is not known
	}
	t.forget(time)
	t.add(time, mark, a.excess, before, covariates)
	t.events++
	t.last = time
}

// lateScale is the scale in ticks of how late an event is, and lateBounds divide the means of that over a sequence so far.
const lateScale = 200

var lateBounds = [latenesses - 1]float64{-0.2, 0.05, 0.35}

// latenesses is the number of levels of lateness.
const latenesses = 4

// lateness returns how late the events of the sequence so far were, as one of few levels.
func (t *tracker) lateness() int {
	mean := t.late / float64(max(t.explained, 1))
	level := 0
	for level < len(lateBounds) && mean > lateBounds[level] {
		level++
	}
	return level
}

// tell updates the other slots of an event after one of them, which came, was filled by an event with the mark. The next one is the one behind
// it, or behind those that it excludes.
func (t *tracker) tell(came *due, time float64, mark int) {
	excluded := t.exclude(came, mark)
	next := came.slot + 1
	for next < 64 && excluded>>next&1 == 1 {
		next++
	}
	for i := range t.due {
		p := &t.due[i]
		if p.event != came.event || p.parent != came.parent {
			continue
		}
		p.late = came.late
		switch {
		case p.slot < came.slot:
			p.kind, p.anchor = kindOver, time
		case p.kind == kindOver: // stays so
		case p.slot == next:
			p.kind, p.anchor = kindNext, time
		default:
			p.kind, p.anchor = kindLater, time
		}
	}
}

// exclude removes the alternatives that can no longer come after a slot of the same event, which came, was filled by an event with the
// mark. It returns of which slots nothing is left, a bit each for the first 64.
func (t *tracker) exclude(came *due, mark int) (excluded uint64) {
	parent := int(came.parent)
	if t.graph.Exclusive == nil || len(t.graph.Exclusive[parent]) == 0 {
		return 0
	}
	kept := 0
	for i := range t.due {
		p := t.due[i]
		if p.event == came.event && p.parent == came.parent {
			for left := p.alive; left != 0; left &= left - 1 {
				alternative := bits.TrailingZeros64(left)
				if t.graph.exclusive(parent, t.mark(&p, alternative), mark) {
					p.alive &^= 1 << alternative
				}
			}
		}
		if p.alive != 0 {
			t.move(kept, i)
			t.due[kept] = p
			kept++
			continue
		}
		if p.slot < 64 {
			excluded |= 1 << p.slot
		}
		if t.excluded != nil {
			gone := p // else every p would be allocated
			t.excluded(&gone)
		}
	}
	t.truncate(kept)
	return excluded
}

// forget drops what has been due for so long that it never comes.
func (t *tracker) forget(time float64) {
	kept := 0
	for i := range t.due {
		p := &t.due[i]
		if t.mayNotCome(p) && time-p.anchor > t.staleAfter(p) {
			if t.forgotten != nil {
				t.forgotten(p)
			}
			continue
		}
		t.move(kept, i)
		t.due[kept] = t.due[i]
		kept++
	}
	t.truncate(kept)
}

// staleAfter returns the longest of the times after which the alternatives of a slot that is due are taken never to come.
func (t *tracker) staleAfter(p *due) float64 {
	longest := 0.0
	for left := p.alive; left != 0; left &= left - 1 {
		longest = max(longest, t.classes[t.classOf(p, bits.TrailingZeros64(left))].stale)
	}
	return longest
}

// add makes the slots of an event due.
func (t *tracker) add(time float64, mark int, excess float64, before ancestry, covariates []float64) {
	for k, slot := range t.graph.Slots[mark] {
		if len(t.due) == maxDue {
			if t.forgotten != nil {
				t.forgotten(&t.due[0])
			}
			t.remove(0)
		}
		t.due = append(t.due, due{
			parent: int32(mark), slot: int32(k), event: t.events, alive: 1<<len(slot.Marks) - 1, anchor: time, excess: excess,
			before: before,
		})
		t.covariates = append(t.covariates, covariates...)
	}
}

// begin makes the slots of the start of a sequence due.
func (t *tracker) begin(covariates []float64) {
	t.events = -1
	t.add(t.start, t.structure.start(), 0, ancestry{}, covariates)
	t.events, t.begun = 0, true
}

// started tells that an event has started after the wait, which includes the initialisation.
func (t *tracker) started(time float64, event int, wait, initialisation float64) {
	for i := range t.due {
		p := &t.due[i]
		if p.event != event {
			continue
		}
		p.placed = [2]float64{wait, initialisation}
		if p.kind == kindFirst {
			p.kind, p.anchor = kindStarted, time
		}
	}
	t.last = time
}

// remove removes an entry of due.
func (t *tracker) remove(i int) {
	t.due = append(t.due[:i], t.due[i+1:]...)
	if w := t.width; w > 0 {
		t.covariates = append(t.covariates[:i*w], t.covariates[(i+1)*w:]...)
	}
}

// move copies the covariates of an entry of due.
func (t *tracker) move(dst, src int) {
	if w := t.width; w > 0 && dst != src {
		copy(t.covariates[dst*w:(dst+1)*w], t.covariates[src*w:(src+1)*w])
	}
}

func (t *tracker) truncate(n int) {
	t.due, t.covariates = t.due[:n], t.covariates[:n*t.width]
}

// copyFrom sets t to a copy of o, in the memory of t.
func (t *tracker) copyFrom(o *tracker) {
	due, covariates := append(t.due[:0], o.due...), append(t.covariates[:0], o.covariates...)
	*t = *o
	t.due, t.covariates = due, covariates
}
