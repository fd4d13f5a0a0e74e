package main

import (
	"context"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/tpp"
)

// kind is the kind of the model in files and scores.
const kind = "loglogistic-chain"

// Registering lets tpp.ReadModel read the model's files.
func init() { tpp.Register(kind, read) }

// Chain is a Markov chain of marks with log-logistic gaps: the next mark and the gap before it depend on the last
// mark. Rows are indexed by the last mark.
type Chain struct {
	header tpp.ModelHeader
	gaps   []LogLogistic
	follow [][]float64 // probabilities of the next mark and, in the last column, of the end
}

// Fit fits a Chain. The transitions are counted, each one once more than it occurs.
func Fit(ctx context.Context, d *tpp.Dataset) (*Chain, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	marks := d.NumMarks()
	c := &Chain{header: tpp.ModelHeader{Format: tpp.ModelFormat, Kind: kind, NumMarks: marks, Marks: d.MarkNames, TimeUnit: "ms", Resolution: 1}}
	gaps := make([][]float64, marks)
	for m := range marks {
		c.follow = append(c.follow, make([]float64, marks+1))
		for k := range c.follow[m] {
			c.follow[m][k] = 1
		}
	}
	for i := range d.Sequences {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s := &d.Sequences[i]
		for j, gap := range s.InterTimes() {
			gaps[s.Mark(j)] = append(gaps[s.Mark(j)], gap)
			c.follow[s.Mark(j)][s.Mark(j+1)]++
		}
		if s.TEnd == nil {
			c.follow[s.Mark(s.Len()-1)][marks]++
		}
	}
	all, err := fitLogLogistic(flatten(gaps))
	if err != nil {
		return nil, err
	}
	for m := range marks {
		own, err := fitLogLogistic(gaps[m])
		if err != nil {
			own = all // no sequence goes on after this mark
		}
		c.gaps = append(c.gaps, own)
		normalise(c.follow[m])
	}
	return c, nil
}

func flatten(lists [][]float64) (all []float64) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func normalise(p []float64) {
	total := 0.0
	for _, v := range p {
		total += v
	}
	for i := range p {
		p[i] /= total
	}
}

// Kind returns loglogistic-chain.
func (c *Chain) Kind() string { return c.header.Kind }

// MarkNames returns the names of the marks by index.
func (c *Chain) MarkNames() []string { return c.header.Marks }

// CovariateNames returns nil.
func (c *Chain) CovariateNames() []string { return nil }

// KnowsEnd returns true: the model predicts Next.End.
func (c *Chain) KnowsEnd() bool { return true }

// NewState returns the state of a sequence that begins at start.
func (c *Chain) NewState(start float64) tpp.State { return &state{c: c, last: start} }

// state holds the last event of a sequence.
type state struct {
	c    *Chain
	last float64
	mark int
	next tpp.Next
}

func (s *state) Observe(e tpp.Event) error {
	if err := tpp.CheckEvent(e, s.last, s.c.header.NumMarks); err != nil {
		return err
	}
	s.last, s.mark = e.Time, e.Mark
	return nil
}

func (s *state) Next(now float64) *tpp.Next {
	follow := s.c.follow[s.mark]
	end := follow[len(follow)-1]
	marks := make([]float64, len(follow)-1)
	for m := range marks {
		marks[m] = follow[m] / (1 - end)
	}
	s.next = tpp.Next{Time: s.c.gaps[s.mark], Marks: marks, End: end, GapFloor: 0.5}
	return s.next.Conditional(now - s.last)
}

func (s *state) Clone() tpp.State {
	clone := *s
	clone.next = tpp.Next{}
	return &clone
}

// Encode writes the model's file.
func (c *Chain) Encode(w io.Writer) error {
	n := c.header.NumMarks
	gaps, follow := tpp.Tensor{Shape: []int{n, 2}}, tpp.Tensor{Shape: []int{n, n + 1}}
	for m := range n {
		gaps.Data = append(gaps.Data, c.gaps[m].Shape, c.gaps[m].Scale)
		follow.Data = append(follow.Data, c.follow[m]...)
	}
	return tpp.EncodeModel(w, c.header, map[string]tpp.Tensor{"gaps": gaps, "follow": follow})
}

// read returns the model stored in a file.
func read(f *tpp.ModelFile) (tpp.Model, error) {
	n := f.Header.NumMarks
	gaps, follow := f.Tensor("gaps", n, 2), f.Tensor("follow", n, n+1)
	if err := f.Finish(); err != nil {
		return nil, err
	}
	c := &Chain{header: f.Header}
	for m := range n {
		w := LogLogistic{Shape: gaps[2*m], Scale: gaps[2*m+1]}
		if !(w.Shape > 0 && w.Scale > 0) {
			return nil, fmt.Errorf("mark %d: the gap has shape %v and scale %v, both must be above 0", m, w.Shape, w.Scale)
		}
		c.gaps = append(c.gaps, w)
		c.follow = append(c.follow, follow[m*(n+1):(m+1)*(n+1)])
		normalise(c.follow[m])
	}
	return c, nil
}
