package traces

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Spool is a temporary file with what Collect wrote. It is gone when it is closed.
type Spool struct {
	*os.File
	Result
}

// Fetch collects traces as Collect does into a temporary file, which is to be read from its beginning and closed.
func Fetch(ctx context.Context, o Options) (*Spool, error) {
	file, err := os.CreateTemp("", "tppfaas-traces-*.json")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name()) // where an open file can go at once, nothing is left behind even by a kill
	s := &Spool{File: file}
	w := bufio.NewWriterSize(file, 1<<16)
	if s.Result, err = Collect(ctx, o, w); err == nil {
		if err = w.Flush(); err == nil {
			_, err = file.Seek(0, io.SeekStart)
		}
		if err != nil {
			err = fmt.Errorf("the traces, before they are read: %w", err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the file and removes it.
func (s *Spool) Close() error {
	err := s.File.Close()
	if gone := os.Remove(s.Name()); err == nil && !errors.Is(gone, os.ErrNotExist) {
		err = gone
	}
	return err
}
