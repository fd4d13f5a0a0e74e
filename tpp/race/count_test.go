package race

import (
	"math"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// TestWhatNeverComesIsCounted checks that a slot that is often not filled is known as one also where sequences are so long that the tracker
// has forgotten it by their end, because it was stale or because too much was due.
func TestWhatNeverComesIsCounted(t *testing.T) {
	for name, gap := range map[string]float64{"stale": 5000, "too much": 1} {
		c := newTraces(4, "main", "rare", "again")
		for i := range 40 {
			last := c.event("main", -1, 0)
			for range 600 {
				if i%2 == 0 {
					c.event("rare", last, 2)
				}
				last = c.event("again", last, gap)
				if gap == 1 {
					c.now[last] = c.now[len(c.now)-1]
				}
			}
			c.end(0)
		}
		g, err := GraphFromParents(&c.data)
		if err != nil {
			t.Fatal(err)
		}
		m := newRace(Config{Graph: g}.withDefaults(), c.data.MarkNames, 3, nil)
		e := m.encoder
		e.settle(e.count(&c.data))
		counts := e.count(&c.data)
		e.settle(counts)
		again := 2
		for k, slot := range g.Slots[again] {
			if slot.Marks[0] != 1 {
				continue
			}
			came, never := counts.came[again][k][0], counts.never[again][k]
			if !e.skipped[again][k] || never < came*8/10 || never > came*12/10 {
				t.Errorf("%s: the slot that is not filled every other time: filled %d times, not filled %d times, may not come: %v",
					name, came, never, e.skipped[again][k])
			}
		}
	}
}

// counted returns the encoder of the graph of traces, and what it counts there.
func counted(t *testing.T, c *traces) (*encoder, *counts) {
	t.Helper()
	g, err := GraphFromParents(&c.data)
	if err != nil {
		t.Fatal(err)
	}
	e := newRace(Config{Graph: g}.withDefaults(), c.data.MarkNames, len(c.data.MarkNames), nil).encoder
	e.settle(e.count(&c.data))
	counts := e.count(&c.data)
	e.settle(counts)
	return e, counts
}

// TestCountsByKind counts by hand a slot that is filled before its sibling or never.
func TestCountsByKind(t *testing.T) {
	c := newTraces(6, "main", "a", "b")
	for i := range 40 {
		m := c.event("main", -1, 0)
		if i%2 == 0 {
			c.event("b", m, 50)
		}
		c.event("a", m, 500)
		c.end(0)
	}
	e, counts := counted(t, c)
	for _, want := range []struct {
		slot       int
		kind       kind
		came, not  float64
		share, all float64 // of the whole slot, with half a count more of each
	}{
		{0, kindFirst, 20, 20, 20.5, 41},
		{0, kindOver, 0, 20, 20.5, 41}, // after a there is no b any more
		{0, kindNext, 0, 0, 20.5, 41},
		{1, kindFirst, 40, 0, 40.5, 41},
		{1, kindNext, 20, 0, 40.5, 41},
	} {
		class := int(e.first[0][want.slot]) + int(want.kind)
		if counts.finallyCame[class] != want.came || counts.finallyNot[class] != want.not {
			t.Errorf("slot %d of kind %d came %v times and %v times not", want.slot, want.kind, counts.finallyCame[class], counts.finallyNot[class])
		}
		odds := math.Log((want.came + 2*want.share/want.all) / (want.not + 2*(1-want.share/want.all)))
		if got := counts.odds(0, want.slot, 0, class); math.Abs(got-odds) > 1e-9 {
			t.Errorf("slot %d of kind %d: odds %v, want %v", want.slot, want.kind, got, odds)
		}
	}
}

// TestDelaysFromEachAnchor checks that what came after a sibling also has its delay from the event that made both due.
func TestDelaysFromEachAnchor(t *testing.T) {
	c := newTraces(8, "main", "a", "b")
	var want []float64
	for range 30 {
		m := c.event("main", -1, 0)
		a := c.event("a", m, 50)
		b := c.event("b", a, 5)
		want = append(want, c.now[b]-c.now[m])
		c.end(0)
		s := &c.data.Sequences[len(c.data.Sequences)-1]
		s.Parents = []int{-1, 0, 0}
	}
	e, counts := counted(t, c)
	first := int(e.first[0][1])
	if got := counts.waited[first+int(kindFirst)]; !slices.Equal(got, want) {
		t.Errorf("delays since main are %v, want %v", got, want)
	}
	if own := counts.delays[first+int(kindFirst)]; len(own) > 0 {
		t.Errorf("%d came before their sibling", len(own))
	}
	if n := len(counts.waited[first+int(kindNext)]); n != 30 {
		t.Errorf("%d delays since the sibling", n)
	}
}

// TestWhatIsExcludedIsRare checks that what comes in place of another event is not expected for certain while that may still come.
func TestWhatIsExcludedIsRare(t *testing.T) {
	c := newTraces(7, "main", "f", "g")
	for i := range 32 {
		m := c.event("main", -1, 0)
		if i >= 2 {
			m = c.event("f", m, 10)
		}
		c.event("g", m, 200)
		c.end(0)
	}
	e, counts := counted(t, c)
	f, g := 0, 1
	if !(e.skipped[0][g] && !e.skipped[0][f]) {
		t.Errorf("f may not come: %v; g: %v", e.skipped[0][f], e.skipped[0][g])
	}
	if counts.excluded[0][g] != 30 || counts.excluded[0][f] != 2 {
		t.Errorf("g was excluded %d times, f %d times", counts.excluded[0][g], counts.excluded[0][f])
	}
	share := 2.0 / 33
	odds := math.Log((2 + share*2.5) / (30 + share*30.5))
	if got := counts.odds(0, g, 0, int(e.first[0][g])); math.Abs(got-odds) > 1e-9 {
		t.Errorf("odds %v, want %v", got, odds)
	}
}

// TestConstantCovariate checks that a covariate that is always the same does no harm.
func TestConstantCovariate(t *testing.T) {
	c := newTraces(5, "main", "a")
	for range 50 {
		c.event("a", c.event("main", -1, 0), 100)
		c.end(0)
	}
	for i := range c.data.Sequences {
		c.data.Sequences[i].Covariates = map[string][]float64{"x": {3, 3}}
	}
	m, err := Train(t.Context(), Config{Covariates: []string{"x"}}, &c.data, nil, TrainOptions{Epochs: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewState(0)
	if err := s.Observe(tpp.Event{Time: 0, Covariates: []float64{3}}); err != nil {
		t.Fatal(err)
	}
	if median := s.Next(0).Median(); !(median > 50 && median < 150) {
		t.Errorf("the median is %v", median)
	}
}
