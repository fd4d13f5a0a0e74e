package neural

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// examples are the encoded sequences of a part of the data, in memory or read anew for each pass.
type examples interface {
	counts() counts
	// windows yields the sequences in successive windows of a size, the last of which may be smaller; a size of 0 is one window. A window is valid
	// until the next one is asked for. After an error there are no more.
	windows(ctx context.Context, size int) iter.Seq2[[]example[float32], error]
}

// counts say how much there is in a part of the data.
type counts struct {
	sequences int
	events    int // scored ones
	empty     int // windows without events
}

func (c *counts) add(e *example[float32]) {
	c.sequences++
	c.events += e.scored
	if e.empty() {
		c.empty++
	}
}

// inMemory are examples in memory.
type inMemory struct{ all []example[float32] }

func (m inMemory) counts() (c counts) {
	for i := range m.all {
		c.add(&m.all[i])
	}
	return c
}

func (m inMemory) windows(_ context.Context, size int) iter.Seq2[[]example[float32], error] {
	if size == 0 {
		size = max(len(m.all), 1)
	}
	return func(yield func([]example[float32], error) bool) {
		for window := range slices.Chunk(m.all, size) {
			if !yield(window, nil) {
				return
			}
		}
	}
}

// fromStream are examples that are encoded anew for each pass.
type fromStream struct {
	net    *network[float32]
	stream Stream
	all    counts // of the first pass
}

// newFromStream makes the first pass.
func newFromStream(ctx context.Context, net *network[float32], stream Stream) (*fromStream, error) {
	s := &fromStream{net: net, stream: stream}
	if stream.Sequences == nil { // no data
		return s, nil
	}
	var all counts
	err := s.each(ctx, func(e *example[float32]) bool {
		all.add(e)
		return true
	})
	s.all = all
	return s, err
}

func (s *fromStream) counts() counts { return s.all }

// each calls do with each example, until it returns false.
func (s *fromStream) each(ctx context.Context, do func(*example[float32]) bool) error {
	i := 0
	for sequence, err := range s.stream.Sequences(ctx) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if err := sequence.Validate(s.net.numMarks); err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
		e, err := s.net.newExample(sequence)
		if err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
		i++
		if !do(&e) {
			return nil
		}
	}
	return nil
}

// windows encodes the next window while the one before is used: two of them are in memory.
func (s *fromStream) windows(ctx context.Context, size int) iter.Seq2[[]example[float32], error] {
	if size == 0 {
		size = max(s.all.sequences, 1)
	}
	return func(yield func([]example[float32], error) bool) {
		if s.stream.Sequences == nil {
			return
		}
		ctx, stop := context.WithCancel(ctx)
		full, free := make(chan []example[float32]), make(chan []example[float32], 2)
		free <- nil
		free <- nil
		var failed error
		go func() {
			defer close(full)
			failed = s.fill(ctx, size, full, free)
		}()
		more := true
		for window := range full {
			if more && !yield(window, nil) {
				more = false
				stop()
			}
			free <- window[:0]
		}
		stop()
		if more && failed != nil {
			yield(nil, failed)
		}
	}
}

// errChanged says that a pass had other data than the first one.
var errChanged = errors.New("the data changed while they were trained on: another number of sequences or events than in the first pass")

// fill sends the windows of a pass, each in the memory of one that is free.
func (s *fromStream) fill(ctx context.Context, size int, full chan<- []example[float32], free <-chan []example[float32]) error {
	window := <-free
	send := func() bool {
		select {
		case full <- window:
			window = <-free
			return true
		case <-ctx.Done():
			return false
		}
	}
	var seen counts
	err := s.each(ctx, func(e *example[float32]) bool {
		seen.add(e)
		window = append(window, *e)
		return len(window) < size || send()
	})
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case seen != s.all:
		return errChanged
	case len(window) > 0 && !send():
		return ctx.Err()
	}
	return nil
}

// Stream is a dataset that is read anew for each pass over it, so that it need not fit in memory.
type Stream struct {
	// MarkNames are the names of the marks by index. Empty means that every event has mark 0.
	MarkNames []string
	// Sequences yields the sequences, each time all of them in the same order, or an error after which there are no more. They are called by one
	// goroutine at a time. A nil function is no data.
	Sequences func(ctx context.Context) iter.Seq2[*tpp.Sequence, error]
}

// StreamOf returns the stream of a dataset in memory.
func StreamOf(d *tpp.Dataset) Stream {
	return Stream{MarkNames: d.MarkNames, Sequences: func(context.Context) iter.Seq2[*tpp.Sequence, error] {
		return func(yield func(*tpp.Sequence, error) bool) {
			for i := range d.Sequences {
				if !yield(&d.Sequences[i], nil) {
					return
				}
			}
		}
	}}
}
