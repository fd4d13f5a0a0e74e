package race

import (
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
