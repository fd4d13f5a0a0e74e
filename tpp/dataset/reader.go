package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// SequenceReader reads the sequences of a file one at a time, in memory for one of them, however many there are. (Of a CSV
// file it also remembers the sequences it has met, in a few bytes each.)
//
// A JSON document whose mapping stands behind its sequences, as in the files that this package writes, is read twice:
// first for the mapping.
type SequenceReader struct {
	opts    ReadOptions
	times   *timeReader
	marks   *markTable
	format  Format
	gzipped bool
	src     source
	err     error // of the iteration, or io.EOF

	plausible plausibility

	ctx    context.Context
	file   *os.File // nil unless it is to be closed
	seeker io.Seeker
	start  int64
	raw    io.Reader
}

// errNoReader is the error of the zero value.
var errNoReader = errors.New("a SequenceReader begins with NewSequenceReader or OpenSequences")

// source is a file under way. It yields io.EOF behind the last sequence; its errors name the place.
type source interface {
	next() (*tpp.Sequence, error)
}

// rewind goes back to the beginning of the file.
func (r *SequenceReader) rewind() error {
	if r.seeker == nil {
		return errors.New("its mapping stands behind its sequences: a pipe must have it before them, or be read as a whole")
	}
	_, err := r.seeker.Seek(r.start, io.SeekStart)
	return err
}

// contextReader reads until the context of the iteration is done.
type contextReader struct{ r *SequenceReader }

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.r.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.raw.Read(p)
}

// Format returns the format of the file.
func (r *SequenceReader) Format() Format { return r.format }

// Gzipped reports whether the file is compressed.
func (r *SequenceReader) Gzipped() bool { return r.gzipped }

// MarkNames returns the names of the marks of the sequences read so far, by their numbers; it is empty for an unmarked
// file. With ReadOptions.MarkNames it returns a copy of those. For a JSON document it returns all names once the first
// sequence has been read; for other formats names are added as they appear.
func (r *SequenceReader) MarkNames() []string {
	if r.marks == nil {
		return nil
	}
	return slices.Clone(r.marks.names)
}

// All yields the sequences that have not been read yet, each with memory of its own and checked as by
// [Sequence.Validate], and ends after the first error. Only one iteration may be under way. When the context is done,
// reading stops with its error.
func (r *SequenceReader) All(ctx context.Context) iter.Seq2[*tpp.Sequence, error] {
	return func(yield func(*tpp.Sequence, error) bool) {
		r.ctx = ctx
		for {
			s, err := r.next(ctx)
			if err == io.EOF {
				return
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

func (r *SequenceReader) next(ctx context.Context) (*tpp.Sequence, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.src == nil {
		return nil, errNoReader
	}
	s, err := (*tpp.Sequence)(nil), ctx.Err()
	if err == nil {
		s, err = r.src.next()
	}
	r.err = r.named(err)
	return s, r.err
}

// named puts the name of the file before an error.
func (r *SequenceReader) named(err error) error {
	if err == nil || err == io.EOF || r.opts.Name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", r.opts.Name, err)
}

// finish does to a sequence what the options ask for, and checks it.
func (r *SequenceReader) finish(s *tpp.Sequence) error {
	if r.opts.Sort {
		sortEvents(s)
	}
	if err := s.Validate(max(len(r.marks.names), 1)); err != nil {
		return err
	}
	if s.Len() == 0 {
		*s = tpp.Sequence{TStart: s.TStart, TEnd: s.TEnd} // the same in every format
	}
	r.plausible.add(s, r.tick())
	return nil
}

// Close closes the file that OpenSequences opened.
func (r *SequenceReader) Close() error {
	if r.err == nil {
		r.err = r.named(os.ErrClosed)
	}
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	return f.Close()
}
