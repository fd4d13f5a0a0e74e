package race

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// traces makes sequences of events that cause each other, whose truth is known.
type traces struct {
	rng   *rand.Rand
	data  tpp.Dataset
	now   []float64
	marks []string
	cause []int
}

func newTraces(seed uint64, names ...string) *traces {
	return &traces{rng: rand.New(rand.NewPCG(seed, 14)), data: tpp.Dataset{MarkNames: names}}
}

// event adds an event that another one caused (−1 for none), around the given delay after it, and returns its index.
func (c *traces) event(name string, cause int, delay float64) int {
	at := 1000.0
	if cause >= 0 {
		at = c.now[cause] + math.Round(delay*(0.5+(c.rng.Float64()+c.rng.Float64()+c.rng.Float64())/3))
	}
	c.now, c.marks, c.cause = append(c.now, at), append(c.marks, name), append(c.cause, cause)
	return len(c.now) - 1
}

// end ends a sequence: it is complete, or observed for so long after its first event if until is above 0.
func (c *traces) end(until float64) {
	order := make([]int, len(c.now))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.now[a], c.now[b]) })
	place := make([]int, len(order))
	var s tpp.Sequence
	if until > 0 {
		s.TEnd = new(float64)
		*s.TEnd = c.now[0] + until
	}
	for _, i := range order {
		if s.TEnd != nil && c.now[i] > *s.TEnd {
			break
		}
		place[i] = s.Len()
		s.ArrivalTimes = append(s.ArrivalTimes, c.now[i])
		s.Marks = append(s.Marks, slices.Index(c.data.MarkNames, c.marks[i]))
		parent := -1
		if c.cause[i] >= 0 {
			parent = place[c.cause[i]]
		}
		s.Parents = append(s.Parents, parent)
	}
	c.data.Sequences = append(c.data.Sequences, s)
	c.now, c.marks, c.cause = c.now[:0], c.marks[:0], c.cause[:0]
}

// train trains a model on 80 % of the sequences.
func (c *traces) train(t *testing.T) *Race {
	t.Helper()
	n := len(c.data.Sequences)
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	m, err := Train(context.Background(), Config{}, c.data.Subset(all[:n*8/10]), c.data.Subset(all[n*8/10:]), TrainOptions{Epochs: 4, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// after returns the state after the events, which come 100 apart.
func (c *traces) after(t *testing.T, m *Race, names ...string) (s tpp.State, now float64) {
	t.Helper()
	s = m.NewState(0)
	for i, name := range names {
		now = 100 * float64(i)
		if err := s.Observe(tpp.Event{Time: now, Mark: slices.Index(c.data.MarkNames, name)}); err != nil {
			t.Fatal(err)
		}
	}
	return s, now
}

// expect compares what comes next, as probabilities by name, with the truth, within three points.
func (c *traces) expect(t *testing.T, m *Race, want map[string]float64, names ...string) {
	t.Helper()
	s, now := c.after(t, m, names...)
	n := s.Next(now)
	if over := want["over"]; math.Abs(n.End-over) > 0.03 {
		t.Errorf("after %v: over with %v, want %v", names, n.End, over)
	}
	for i, name := range c.data.MarkNames {
		if got := (1 - n.End) * n.Marks[i]; math.Abs(got-want[name]) > 0.03 {
			t.Errorf("after %v: %s with %v, want %v", names, name, got, want[name])
		}
	}
}

// grows checks that the probability that nothing comes any more grows with the time that nothing has come, where something may not come,
// and that it is exactly 0, however long that is, where something must.
func (c *traces) grows(t *testing.T, m *Race, may bool, names ...string) {
	t.Helper()
	s, now := c.after(t, m, names...)
	last := -1.0
	for _, waited := range []float64{0, 50, 80, 100, 120, 150, 1e3, 1e5, 1e9} {
		end := s.Next(now + waited).End
		switch {
		case !may && end != 0:
			t.Errorf("after %v and %v more: over with %v, want exactly 0", names, waited, end)
		case may && end < last:
			t.Errorf("after %v and %v more: over with %v, before with %v", names, waited, end, last)
		case may && waited >= 1e3 && waited < 1e9 && end < 0.5:
			t.Errorf("after %v and %v more: over with only %v", names, waited, end)
		}
		last = end
	}
}

// TestChoicesAreLearned checks the probabilities of a choice, one outcome of which is that nothing comes, of a loop, and of what must come.
func TestChoicesAreLearned(t *testing.T) {
	c := newTraces(1, "main", "stock", "pay", "backorder", "bank", "notify")
	for range 3000 {
		stock := c.event("stock", c.event("main", -1, 0), 100)
		switch u := c.rng.Float64(); {
		case u < 0.7:
			last := c.event("pay", stock, 100)
			for c.rng.Float64() < 0.3 {
				last = c.event("bank", last, 100)
			}
		case u < 0.95:
			c.event("notify", c.event("backorder", stock, 100), 100)
		}
		c.end(0)
	}
	m := c.train(t)
	c.expect(t, m, map[string]float64{"stock": 1}, "main")
	c.expect(t, m, map[string]float64{"pay": 0.7, "backorder": 0.25, "over": 0.05}, "main", "stock")
	c.expect(t, m, map[string]float64{"bank": 0.3, "over": 0.7}, "main", "stock", "pay")
	c.expect(t, m, map[string]float64{"bank": 0.3, "over": 0.7}, "main", "stock", "pay", "bank")
	c.expect(t, m, map[string]float64{"bank": 0.3, "over": 0.7}, "main", "stock", "pay", "bank", "bank")
	c.expect(t, m, map[string]float64{"notify": 1}, "main", "stock", "backorder")
	c.grows(t, m, false, "main")
	c.grows(t, m, true, "main", "stock")
	c.grows(t, m, true, "main", "stock", "pay")
	c.grows(t, m, false, "main", "stock", "backorder")
}

// TestTwoKindsOfTraces checks the probability of what comes in one kind of traces and not in the other, before and after it shows
// which of the two a trace is.
func TestTwoKindsOfTraces(t *testing.T) {
	c := newTraces(2, "main", "x", "y", "z")
	for range 2500 {
		main := c.event("main", -1, 0)
		if c.rng.Float64() < 0.6 {
			c.event("x", main, 50)
			c.event("y", main, 300)
		} else {
			c.event("z", main, 100)
		}
		c.end(0)
	}
	m := c.train(t)
	c.expect(t, m, map[string]float64{"x": 0.6, "z": 0.4}, "main")
	c.expect(t, m, map[string]float64{"y": 1}, "main", "x")
	c.expect(t, m, map[string]float64{"over": 1}, "main", "z")
}

// TestUnfinishedSequencesDoNotTeachNever checks that what had not come when observation stopped counts as neither come nor never coming.
func TestUnfinishedSequencesDoNotTeachNever(t *testing.T) {
	for _, never := range []float64{0, 0.2} {
		c := newTraces(3, "main", "a")
		for i := range 3000 {
			main := c.event("main", -1, 0)
			if c.rng.Float64() >= never {
				c.event("a", main, 100)
			}
			c.end([]float64{40, 80, 0}[i%3])
		}
		m := c.train(t)
		c.expect(t, m, map[string]float64{"a": 1 - never, "over": never}, "main")
		c.grows(t, m, never > 0, "main")
	}
}
