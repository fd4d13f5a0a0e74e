package main

import (
	"io"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// orderedWriter writes sequences in the order of their requests. It keeps those in memory that come before their turn.
type orderedWriter struct {
	writer  *dataset.SequenceWriter
	names   []string             // of the marks
	next    int                  // the request whose turn it is
	waiting map[int]tpp.Sequence // by request
}

func newOrderedWriter(w io.Writer, format dataset.Format, names []string) (*orderedWriter, error) {
	writer, err := dataset.NewSequenceWriter(w, format)
	return &orderedWriter{writer: writer, names: names, waiting: map[int]tpp.Sequence{}}, err
}

// add writes the sequence of a request, and those that have waited for it.
func (o *orderedWriter) add(request int, s tpp.Sequence) error {
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
