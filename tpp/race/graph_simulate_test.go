package race

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"pgregory.net/rapid"
)

// process draws sequences from a graph: each slot of an event yields one of its alternatives or nothing, and a mark that is repeated
// yields itself again, before all of its slots.
type process struct {
	slots    [][][]int
	none     [][]float64 // by mark and slot
	repeated []float64   // probability of a further run of each mark
	waits    bool
	rng      *rand.Rand
}

// sequence draws a sequence that starts with mark 0.
func (p *process) sequence() tpp.Sequence {
	type event struct {
		time, wait   float64
		mark, parent int
		original     int
	}
	events := []event{{time: 0, parent: -1}}
	for i := 0; i < len(events); i++ {
		e := &events[i]
		e.original = i
		if p.waits {
			e.wait = float64(4 + p.rng.IntN(3))
			if p.rng.Float64() < 0.1 {
				e.wait = float64(2000 + p.rng.IntN(500))
			}
		}
		at, mark := e.time+e.wait+200+30*float64(mark(e.mark))+float64(p.rng.IntN(20)), e.mark
		if p.rng.Float64() < p.repeated[mark] {
			events = append(events, event{time: at, mark: mark, parent: i})
			continue
		}
		for k, slot := range p.slots[mark] {
			if p.rng.Float64() >= p.none[mark][k] {
				events = append(events, event{time: at + float64(20*k+p.rng.IntN(10)), mark: slot[p.rng.IntN(len(slot))], parent: i})
			}
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return int(a.time - b.time) })
	position := make([]int, len(events))
	for i, e := range events {
		position[e.original] = i
	}
	var s tpp.Sequence
	for _, e := range events {
		s.ArrivalTimes = append(s.ArrivalTimes, e.time)
		s.Marks = append(s.Marks, e.mark)
		parent := -1
		if e.parent >= 0 {
			parent = position[e.parent]
		}
		s.Parents = append(s.Parents, parent)
		if p.waits {
			s.WaitTimes = append(s.WaitTimes, e.wait)
		}
	}
	return s
}

// mark spreads the durations of marks, so that no two are alike.
func mark(m int) int { return m * 7 % 11 }

func (p *process) dataset(n int) *tpp.Dataset {
	d := &tpp.Dataset{}
	for m := range p.slots {
		d.MarkNames = append(d.MarkNames, fmt.Sprint(m))
	}
	for range n {
		d.Sequences = append(d.Sequences, p.sequence())
	}
	return d
}

// graph returns the graph that the process has.
func (p *process) graph() *Graph {
	g := &Graph{Slots: make([][]Slot, len(p.slots)), Exclusive: make([][][2]int, len(p.slots))}
	for m, slots := range p.slots {
		for _, marks := range slots {
			g.Slots[m] = append(g.Slots[m], Slot{Marks: slices.Sorted(slices.Values(marks))})
		}
		if p.repeated[m] == 0 {
			continue
		}
		g.Slots[m] = append(g.Slots[m], Slot{Marks: []int{m}})
		for _, marks := range slots {
			for _, o := range marks {
				g.Exclusive[m] = append(g.Exclusive[m], [2]int{min(m, o), max(m, o)})
			}
		}
	}
	return g
}

// excluded returns all pairs of marks that exclude each other below a mark, whether they stand in one slot or not.
func excluded(g *Graph, parent int) [][2]int {
	pairs := slices.Clone(g.Exclusive[parent])
	for _, s := range g.Slots[parent] {
		for i, a := range s.Marks {
			for _, b := range s.Marks[:i] {
				pairs = append(pairs, [2]int{a, b})
			}
		}
	}
	return sortedPairs(pairs)
}

// marksBelow returns the marks below a mark, each as often as it may come.
func marksBelow(g *Graph, parent int) []int {
	var marks []int
	for _, s := range g.Slots[parent] {
		marks = append(marks, s.Marks...)
	}
	slices.Sort(marks)
	return marks
}

// drawProcess draws a process in which each mark has one place. Choices are among what always comes, so
// that a few hundred sequences tell all about them. With twice, some children are the second of their mark.
func drawProcess(t *rapid.T, twice bool) *process {
	p := &process{rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))}
	numMarks := 1
	newMark := func() int {
		numMarks++
		return numMarks - 1
	}
	type open struct {
		mark   int
		always bool
	}
	queue := []open{{0, true}}
	p.slots, p.none, p.repeated = make([][][]int, 1), make([][]float64, 1), make([]float64, 1)
	for len(queue) > 0 && numMarks < 12 {
		at := queue[0]
		queue = queue[1:]
		for k := range rapid.IntRange(0, 3).Draw(t, "slots") {
			choice, none := 1, 0.
			if at.always {
				choice = rapid.IntRange(1, 3).Draw(t, "alternatives")
				none = rapid.SampledFrom([]float64{0, 0, 0.05, 0.3}).Draw(t, "none")
			}
			var slot []int
			if twice && k > 0 && len(p.slots[at.mark][k-1]) == 1 && rapid.IntRange(0, 4).Draw(t, "twice") == 0 {
				slot = p.slots[at.mark][k-1]
			} else {
				for range choice {
					m := newMark()
					slot = append(slot, m)
					p.slots, p.none, p.repeated = append(p.slots, nil), append(p.none, nil), append(p.repeated, 0)
					queue = append(queue, open{m, at.always && choice == 1})
				}
			}
			p.slots[at.mark], p.none[at.mark] = append(p.slots[at.mark], slot), append(p.none[at.mark], none)
		}
		if at.mark > 0 && at.always && rapid.IntRange(0, 3).Draw(t, "repeated") == 0 {
			p.repeated[at.mark] = 0.4
		}
	}
	return p
}

func TestGraphFromParentsFindsTheProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProcess(t, true)
		d, want := p.dataset(600), p.graph()
		got, err := GraphFromParents(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Validate(d.NumMarks()); err != nil {
			t.Fatal(err)
		}
		for m := range want.Slots {
			if p.repeated[m] == 0 && fmt.Sprint(got.Slots[m]) != fmt.Sprint(want.Slots[m]) {
				t.Errorf("mark %d has slots %v, want %v", m, got.Slots[m], want.Slots[m])
			}
			// What is repeated may stand in any slot of what it excludes.
			if fmt.Sprint(marksBelow(got, m)) != fmt.Sprint(marksBelow(want, m)) || fmt.Sprint(excluded(got, m)) != fmt.Sprint(excluded(want, m)) {
				t.Errorf("mark %d: slots %v, exclusive %v; want %v, %v", m, got.Slots[m], got.Exclusive[m], want.Slots[m], want.Exclusive[m])
			}
		}
	})
}

// TestGraphFromParentsOfWindows cuts sequences off while children are still missing, which must not make them exclusive.
func TestGraphFromParentsOfWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProcess(t, true)
		d, want := p.dataset(600), p.graph()
		for i := range d.Sequences {
			s := &d.Sequences[i]
			end := 1500 * p.rng.Float64()
			n := 0
			for n < s.Len() && s.ArrivalTimes[n] <= end {
				n++
			}
			*s = s.First(n)
			s.TEnd = &end
		}
		got, err := GraphFromParents(d)
		if err != nil {
			t.Fatal(err)
		}
		for m := range want.Slots {
			truth := excluded(want, m)
			for _, pair := range excluded(got, m) {
				if !slices.Contains(truth, pair) {
					t.Errorf("mark %d: %v are exclusive, slots %v, want %v", m, pair, got.Slots[m], want.Slots[m])
				}
			}
		}
	})
}
