// Package gunzip reads gzipped files, of which one that ends too early is told from one that is whole.
//
//	unzipped, err := gunzip.NewReader(file)
package gunzip

import (
	"compress/gzip"
	"errors"
	"io"
)

// ErrCut is the error of a file that ends too early.
var ErrCut = errors.New("the gzipped file is cut off")

// NewReader returns a reader of what a file has that is gzipped. Its errors, and those of that reader, are ErrCut where the file ends too early.
func NewReader(r io.Reader) (io.Reader, error) {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return nil, whole(err)
	}
	return &reader{zr}, nil
}

// reader tells a stream that is cut off from the end of the text within.
type reader struct{ zr *gzip.Reader }

func (g *reader) Read(p []byte) (int, error) {
	n, err := g.zr.Read(p)
	if err != nil && err != io.EOF {
		err = whole(err)
	}
	return n, err
}

func whole(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		return ErrCut
	}
	return err
}
