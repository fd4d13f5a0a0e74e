package main

import (
	"io"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// inOrder writes the sequences of requests in their order, with memory for those that have come before their turn.
type inOrder struct {
	writer  *dataset.SequenceWriter
	names   []string // of the marks
	next    int
	waiting map[int]tpp.Sequence
}

func newInOrder(w io.Writer, format dataset.Format, names []string) (*inOrder, error) {
	writer, err := dataset.NewSequenceWriter(w, format)
	return &inOrder{writer: writer, names: names, waiting: map[int]tpp.Sequence{}}, err
}

func (o *inOrder) add(request int, s tpp.Sequence) error {
	o.waiting[request] = s
	for {
		s, ok := o.waiting[o.next]
		if !ok {
			return nil
		}
		if err := o.writer.Write(&s, o.names); err != nil {
			return err
		}
		delete(o.waiting, o.next)
		o.next++
	}
}
