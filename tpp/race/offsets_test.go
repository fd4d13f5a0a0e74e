package race

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"pgregory.net/rapid"
)

// learned returns what is learned of sequences with a graph, apart from the network.
func learned(g *Graph, d *tpp.Dataset) *offsets {
	m := newRace(Config{Graph: g}.withDefaults(), d.MarkNames, len(g.Slots), rootSlots(d))
	m.encoder.measure(d)
	m.encoder.settle(m.encoder.count(d))
	return m.encoder.learnOffsets(d)
}

// forks returns 40 sequences of marks a, b, e and c or, each fourth time, d: a makes b due, which makes c or d due, and e.
func forks() (*Graph, *tpp.Dataset) {
	g := &Graph{
		Slots:     [][]Slot{{{Marks: []int{1}}, {Marks: []int{4}}}, {{Marks: []int{2, 3}}}, nil, nil, nil},
		Exclusive: make([][][2]int, 5),
	}
	d := &tpp.Dataset{MarkNames: []string{"a", "b", "c", "d", "e"}}
	for i := range 40 {
		s := tpp.Sequence{ArrivalTimes: []float64{0, 10, 15, 30}, Marks: []int{0, 1, 4, 2}}
		if i%4 == 3 {
			s.Marks[3], s.ArrivalTimes[3] = 3, 50
		}
		d.Sequences = append(d.Sequences, s)
	}
	return g, d
}

// all reports whether all numbers are one.
func all(values []float32, v float32) bool {
	return !slices.ContainsFunc(values, func(x float32) bool { return x != v })
}

// TestOffsetsOfForks compares what is learned with what the sequences were made of.
func TestOffsetsOfForks(t *testing.T) {
	g, d := forks()
	o := learned(g, d)
	type known struct {
		parent, slot, alternative, depth, mark int
		probability                            float64
		offset                                 float32
	}
	for mark, want := range [][]known{
		{{-1, 0, 0, 1, 1, 1, 10}, {0, 0, 0, 2, 2, 0.75, 30}, {0, 0, 1, 2, 3, 0.25, 50}, {-1, 1, 0, 1, 4, 1, 15}},
		{{-1, 0, 0, 1, 2, 0.75, 20}, {-1, 0, 1, 1, 3, 0.25, 40}}, nil, nil, nil,
	} {
		if len(o.descendants[mark]) != len(want) {
			t.Errorf("mark %d has descendants %+v, want %+v", mark, o.descendants[mark], want)
			continue
		}
		for i, got := range o.descendants[mark] {
			w := want[i]
			if (known{int(got.parent), int(got.slot), int(got.alternative), int(got.depth), int(got.mark), got.probability, w.offset}) != w || !all(got.offsets, w.offset) {
				t.Errorf("descendant %d of mark %d is %+v, want %+v", i, mark, got, w)
			}
		}
	}
	if own := o.between(0, 0, 1, 2); len(own) != samples || !all(own, 5) {
		t.Errorf("between the children of a lie %v, want 5", own)
	}
	if o.between(0, 1, 0, 2) != nil || o.between(1, 0, 0, 1) != nil {
		t.Error("there are times between what has none")
	}
}

// TestOffsetsOfWhatWasStillRunning checks that sequences that were still running tell when events come but not how often, unless there are
// no others.
func TestOffsetsOfWhatWasStillRunning(t *testing.T) {
	g, d := forks()
	for i := range 20 {
		s := &d.Sequences[i]
		s.ArrivalTimes, s.Marks = s.ArrivalTimes[:2], s.Marks[:2]
		s.ArrivalTimes[1] = 12
		s.TEnd = new(20.0)
	}
	o := learned(g, d)
	b := o.descendants[0][0]
	if b.probability != 1 || o.descendants[1][0].probability != 0.75 || b.offsets[0] != 10 || b.offsets[samples-1] != 12 {
		t.Errorf("b comes with probability %v after %v, and c after it with %v", b.probability, b.offsets[:samples], o.descendants[1][0].probability)
	}
	for i := range d.Sequences {
		d.Sequences[i].TEnd = new(100.0)
	}
	if p := learned(g, d).descendants[1][0].probability; p != 15./40 {
		t.Errorf("c comes after b with probability %v, want %v: that all were still running says nothing else", p, 15./40)
	}
}

// TestOffsetsOfLoops checks that what makes itself due is followed so far and no further.
func TestOffsetsOfLoops(t *testing.T) {
	g := &Graph{Slots: [][]Slot{{{Marks: []int{0, 1}}, {Marks: []int{0}}}, {{Marks: []int{0}}}}, Exclusive: make([][][2]int, 2)}
	rng := rand.New(rand.NewPCG(1, 2))
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}}
	for range 10 {
		s := tpp.Sequence{}
		for i := range 200 {
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, float64(10*i)), append(s.Marks, rng.IntN(2))
		}
		s.Marks[0] = 0
		d.Sequences = append(d.Sequences, s)
	}
	o := learned(g, d)
	deepest := int32(0)
	for mark, nodes := range o.descendants {
		if len(nodes) > maxDescendants {
			t.Errorf("mark %d has %d descendants", mark, len(nodes))
		}
		checkOrder(t, nodes)
		for i := range nodes {
			deepest = max(deepest, nodes[i].depth)
			if p := nodes[i].probability; !(p >= 0 && p <= 1) || len(nodes[i].offsets) != latenesses*samples {
				t.Errorf("descendant %d of mark %d comes with probability %v, has %d offsets", i, mark, p, len(nodes[i].offsets))
			}
		}
	}
	if deepest < 3 || deepest > maxDepth {
		t.Errorf("the deepest descendant is %d steps below", deepest)
	}
}

// checkOrder checks that descendants stand below their parents, ordered by slot and alternative.
func checkOrder(t *testing.T, nodes []descendant) {
	t.Helper()
	var path []int // from a child of the event itself to the last one
	for i := range nodes {
		d := &nodes[i]
		if int(d.depth) > len(path)+1 || d.depth < 1 {
			t.Fatalf("descendant %d is %d steps below, the one before it %d", i, d.depth, len(path))
		}
		if int(d.depth) <= len(path) {
			if b := &nodes[path[d.depth-1]]; b.slot > d.slot || b.slot == d.slot && b.alternative >= d.alternative {
				t.Fatalf("descendant %d, %+v, stands behind %+v", i, *d, *b)
			}
		}
		path = path[:d.depth-1]
		above := -1
		if len(path) > 0 {
			above = path[len(path)-1]
		}
		if int(d.parent) != above {
			t.Fatalf("descendant %d is below %d, it stands behind %d", i, d.parent, above)
		}
		path = append(path, i)
	}
}

// TestDescendantsAreInOrder checks the order of what is learned of any sequences.
func TestDescendantsAreInOrder(t *testing.T) {
	several := 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 21))
		w := randomWorld(rng, []Regime{Arrivals, Starts}[seed%2], 12, int(seed%3))
		for _, nodes := range w.model.encoder.learnOffsets(w.data).descendants {
			checkOrder(t, nodes)
			if len(nodes) > 4 {
				several++
			}
		}
	}
	if several < 20 {
		t.Errorf("%d marks had several descendants", several)
	}
}

// TestOffsetsByLateness checks that a level of lateness has a distribution of its own where it has enough offsets.
func TestOffsetsByLateness(t *testing.T) {
	var values [latenesses][]float64
	for range minOffsets {
		values[0] = append(values[0], 10)
	}
	values[1] = []float64{90, 80}
	got := samplesByLateness(&values)
	if !all(got[:samples], 10) {
		t.Errorf("early: %v, want 10", got[:samples])
	}
	for level := 1; level < latenesses; level++ {
		own := got[level*samples:][:samples]
		if own[0] != 10 || own[samples-1] != 90 || own[samples-3] != 80 || !slices.IsSorted(own) {
			t.Errorf("level %d: %v, want the quantiles of all", level, own)
		}
	}
}

// TestLevelTimes checks that the time of a level is where tpp.ExpectedArrival.Within has it.
func TestLevelTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := make([]float64, samples)
		for i := range times {
			times[i] = rapid.Float64Range(0.1, 1e4).Draw(t, "time")
		}
		slices.Sort(times)
		level := rapid.Float64Range(0, 1).Draw(t, "level")
		a := tpp.ExpectedArrival{Times: times}
		at := levelTime(times, level)
		if level > 1-tailShare/2/samples {
			level = 1 - tailShare/2/samples
		}
		if got := a.Within(at); math.Abs(got-level) > 1e-6 && times[samples-1] > times[samples-2] && slices.Compact(slices.Clone(times))[0] >= 0 && len(slices.Compact(slices.Clone(times))) == samples {
			t.Fatalf("level %v is at %v, within which it comes with probability %v", level, at, got)
		}
	})
}

// TestRecalibration checks that levels ascend from 0 to 1, and that times to which they are applied have what the levels show: none of a bias that
// is the same for all marks, nor of one of a mark that came often.
func TestRecalibration(t *testing.T) {
	const marks = 3
	rng := rand.New(rand.NewPCG(5, 6))
	came := make([][]float64, marks*recalibrated)
	fill := func(mark, group, n int, level func(u float64) float64) {
		for range n {
			came[mark*recalibrated+group] = append(came[mark*recalibrated+group], level(rng.Float64()))
		}
	}
	late := func(u float64) float64 { return math.Sqrt(u) }
	early := func(u float64) float64 { return u * u }
	fill(0, 0, 4000, late)
	fill(1, 0, 4000, early)
	fill(2, 0, 5, early)
	fill(0, 3, minLevels-1, late)
	c := newRecalibration(came)
	for i, l := range c.levels {
		if l != nil && (!slices.IsSorted(l[:]) || !(l[0] >= 0) || l[samples-1] > 1) {
			t.Errorf("levels %d: %v", i, l)
		}
	}
	if own := len(c.levelsForm()); own != 2 {
		t.Errorf("%d marks and groups have their own, want 2", own)
	}
	times := func(mark, group int) []float64 {
		out := make([]float64, samples)
		for i := range out {
			out[i] = 1000 * (float64(i) + 0.5) / samples
		}
		c.apply(out, mark, group, make([]float64, samples))
		if !slices.IsSorted(out) || !(out[0] >= 0) {
			t.Errorf("mark %d, group %d: %v", mark, group, out)
		}
		return out
	}
	for _, w := range []struct {
		mark, group int
		median      float64
		because     string
	}{
		{0, 0, 1000 * math.Sqrt(0.5), "it comes late"},
		{1, 0, 250, "it comes early"},
		{2, 0, 525, "it came seldom: as all do, where (x² + √x)/2 is a half"},
		{0, 3, 500, "it came too seldom to tell"},
		{1, 5, 500, "it never came"},
	} {
		own := times(w.mark, w.group)
		if got := (own[samples/2-1] + own[samples/2]) / 2; math.Abs(got-w.median) > 25 {
			t.Errorf("mark %d, group %d: median %v, want %v: %s", w.mark, w.group, got, w.median, w.because)
		}
	}
	if own := times(1, 5); math.Abs(own[0]-500./samples) > 1e-3 {
		t.Errorf("without levels, the first time is %v, want %v", own[0], 500./samples)
	}
}

// TestArrivalsDoNotAllocate checks that a forecast does not allocate once its memory has grown, and is the same again, after a forecast of the
// next event too.
func TestArrivalsDoNotAllocate(t *testing.T) {
	m, d := treeSmall(t, Arrivals)
	s := m.NewState(0).(*state)
	own := &d.Sequences[110]
	for j := range 3 {
		if err := s.Observe(own.Event(j, nil, nil)); err != nil {
			t.Fatal(err)
		}
	}
	now := own.ArrivalTimes[2]
	clone := func() (out []tpp.ExpectedArrival) {
		for _, a := range s.Arrivals(now) {
			a.Times = slices.Clone(a.Times)
			out = append(out, a)
		}
		return out
	}
	first := clone()
	end := s.Next(now).End
	if again := clone(); len(first) == 0 || !slices.EqualFunc(first, again, func(a, b tpp.ExpectedArrival) bool {
		return a.Probability == b.Probability && slices.Equal(a.Times, b.Times)
	}) {
		t.Errorf("expected are %+v, and again %+v", first, again)
	}
	if got := s.Next(now).End; got != end {
		t.Errorf("it is over with probability %v, after a forecast %v", end, got)
	}
	at := now
	if n := testing.AllocsPerRun(100, func() {
		at++
		s.Arrivals(at)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
