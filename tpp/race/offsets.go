package race

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// samples is the number of equally likely values that stand for a distribution in a forecast.
const samples = 64

// Bounds of what is learned of the descendants of an event, so that sequences of any length can be learned from.
const (
	maxDepth       = 32
	maxDescendants = 512     // of a mark
	maxOffsets     = 1 << 12 // of a descendant
	maxSiblings    = 32      // slots of a mark between which offsets are learned
)

// descendant is an event below another one in the tree of what made what due: its place in the tree, and when and how often it comes.
type descendant struct {
	parent      int32 // in the list of descendants of the same mark; −1 for a child of the event itself
	slot        int32
	alternative int32
	depth       int32 // 1 for a child
	mark        int32
	probability float64   // that it comes, given that the event came
	offsets     []float32 // from the event's arrival to its own: by lateness, samples in ascending order
}

// offsets holds what is learned of the descendants and the siblings of events, apart from the network: the forecast of what is not yet due.
type offsets struct {
	descendants [][]descendant // by mark
	siblings    [][][]float32  // by parent and slot·slots + later slot: samples of the time from one to the other, nil if not known
}

// kin collects the samples of offsets.
type kin struct {
	e        *encoder
	values   [][][latenesses][]float64 // by mark, descendant and the lateness of the sequence when the event became due
	siblings [][][]float64
	comes    [][]int // of descendants in complete sequences
	came     []int   // of marks in complete sequences
	learned  *offsets
}

// place is where an event stands below an ancestor: its index in the ancestor's list.
type place struct{ ancestor, node int }

// learnOffsets follows all sequences as training does.
func (e *encoder) learnOffsets(d *tpp.Dataset) *offsets {
	parents := e.numMarks + 1
	k := &kin{
		e: e, values: make([][][latenesses][]float64, e.numMarks), comes: make([][]int, e.numMarks), came: make([]int, e.numMarks),
		siblings: make([][][]float64, parents),
		learned:  &offsets{descendants: make([][]descendant, e.numMarks), siblings: make([][][]float32, parents)},
	}
	for p, slots := range e.graph.Slots {
		if n := len(slots); n > 1 && n <= maxSiblings {
			k.siblings[p] = make([][]float64, n*n)
		}
	}
	complete := slices.ContainsFunc(d.Sequences, func(s tpp.Sequence) bool { return s.TEnd == nil })
	t := &tracker{structure: e.structure}
	var steps []step
	for i := range d.Sequences {
		s := &d.Sequences[i]
		steps = stepsOf(s, e.regime, steps)
		k.follow(s, t, steps, !complete || s.TEnd == nil)
	}
	for m, nodes := range k.learned.descendants {
		for i := range nodes {
			nodes[i].offsets = samplesByLateness(&k.values[m][i])
			nodes[i].probability = min(float64(k.comes[m][i])/float64(max(k.came[m], 1)), 1)
		}
	}
	for m := range k.learned.descendants {
		k.learned.descendants[m] = inOrder(k.learned.descendants[m])
	}
	for p, pairs := range k.siblings {
		for _, values := range pairs {
			var own []float32
			if len(values) > 0 {
				own = sample(values)
			}
			k.learned.siblings[p] = append(k.learned.siblings[p], own)
		}
	}
	return k.learned
}

// follow collects the offsets of a sequence; counted says that what does not come in it never comes.
func (k *kin) follow(s *tpp.Sequence, t *tracker, steps []step, counted bool) {
	places := make([][]place, s.Len()) // of each event, below its ancestors
	lateness := make([]int, s.Len())   // when each became due
	after := make([]int, s.Len())      // when each had come
	type filled struct{ parent, event, slot, at int }
	var siblings []filled
	k.e.walk(s, t, steps, func(step *step, a arrival) {
		if step == nil || step.started {
			return
		}
		i := step.event
		if counted {
			k.came[s.Mark(i)]++
		}
		if i > 0 {
			after[i-1] = t.lateness()
		}
		if a.slot < 0 {
			return
		}
		p := &t.due[a.slot]
		if p.event >= 0 {
			lateness[i] = after[p.event]
		}
		if k.siblings[p.parent] != nil {
			siblings = append(siblings, filled{int(p.parent), p.event, int(p.slot), i})
		}
		if p.event < 0 {
			return
		}
		key := descendant{slot: p.slot, alternative: int32(a.alternative), mark: int32(s.Mark(i))}
		add := func(ancestor, node int, depth int32) {
			key.parent, key.depth = int32(node), depth
			mark := s.Mark(ancestor)
			if n := k.node(mark, key); n >= 0 {
				if values := &k.values[mark][n][lateness[ancestor]]; len(*values) < maxOffsets {
					*values = append(*values, step.time-s.ArrivalTimes[ancestor])
				}
				if counted {
					k.comes[mark][n]++
				}
				places[i] = append(places[i], place{ancestor, n})
			}
		}
		add(p.event, -1, 1)
		for _, above := range places[p.event] {
			if depth := k.learned.descendants[s.Mark(above.ancestor)][above.node].depth; depth < maxDepth {
				add(above.ancestor, above.node, depth+1)
			}
		}
	})
	slices.SortStableFunc(siblings, func(a, b filled) int { return a.event - b.event })
	for i := range siblings {
		for j := i + 1; j < len(siblings) && siblings[j].event == siblings[i].event; j++ {
			k.pair(siblings[i].parent, siblings[i].slot, siblings[j].slot, s.ArrivalTimes[siblings[j].at]-s.ArrivalTimes[siblings[i].at])
		}
	}
}

// pair adds the time from the arrival of one slot to that of another one of the same event.
func (k *kin) pair(parent, from, to int, offset float64) {
	if from > to {
		from, to, offset = to, from, -offset
	}
	n := len(k.e.graph.Slots[parent])
	if values := &k.siblings[parent][from*n+to]; len(*values) < maxOffsets {
		*values = append(*values, offset)
	}
}

// node returns the index of a descendant of a mark, which is added if it is new; −1 if there are too many.
func (k *kin) node(mark int, key descendant) int {
	nodes := k.learned.descendants[mark]
	for i := int(key.parent) + 1; i < len(nodes); i++ {
		if n := &nodes[i]; n.parent == key.parent && n.slot == key.slot && n.alternative == key.alternative {
			return i
		}
	}
	if len(nodes) >= maxDescendants {
		return -1
	}
	k.learned.descendants[mark] = append(nodes, key)
	k.values[mark], k.comes[mark] = append(k.values[mark], [latenesses][]float64{}), append(k.comes[mark], 0)
	return len(nodes)
}

// sample returns quantiles at the middles of equal shares of values, which it sorts.
func sample(values []float64) []float32 {
	slices.Sort(values)
	out := make([]float32, samples)
	for i := range out {
		x := (float64(i) + 0.5) / samples * float64(len(values))
		j := min(int(x), len(values)-1)
		out[i] = float32(min(max(values[j], -math.MaxFloat32), math.MaxFloat32)) // a model file holds finite numbers only
	}
	return out
}

// minOffsets is how many offsets a level of lateness must have for a distribution of its own.
const minOffsets = 40

// samplesByLateness returns samples for each level of lateness: of its own offsets, if there are enough, otherwise of those of all.
func samplesByLateness(values *[latenesses][]float64) []float32 {
	all := sample(slices.Concat(values[:]...))
	var out []float32
	for _, own := range values {
		if len(own) < minOffsets {
			out = append(out, all...)
		} else {
			out = append(out, sample(own)...)
		}
	}
	return out
}

// inOrder returns descendants so that each stands after its parent, before the next child of which stand all that are below it, and the
// alternatives of a slot are in a row.
func inOrder(nodes []descendant) []descendant {
	children := make(map[int32][]int32)
	for i := range nodes {
		children[nodes[i].parent] = append(children[nodes[i].parent], int32(i))
	}
	out := make([]descendant, 0, len(nodes))
	var visit func(parent, at int32)
	visit = func(parent, at int32) {
		own := children[parent]
		slices.SortFunc(own, func(a, b int32) int {
			if x, y := &nodes[a], &nodes[b]; x.slot != y.slot {
				return int(x.slot - y.slot)
			}
			return int(nodes[a].alternative - nodes[b].alternative)
		})
		for _, i := range own {
			d := nodes[i]
			d.parent = at
			out = append(out, d)
			visit(i, int32(len(out)-1))
		}
	}
	visit(-1, -1)
	return out
}
