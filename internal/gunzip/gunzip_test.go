package gunzip

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"
)

// TestNewReader cuts a file off after each of its bytes: it is never taken for a whole one, and what is no gzip is not called cut.
func TestNewReader(t *testing.T) {
	var file bytes.Buffer
	zw := gzip.NewWriter(&file)
	if _, err := zw.Write([]byte("time,usage\n1,2\n")); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) (string, error) {
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(r)
		return string(text), err
	}
	for n := range file.Len() {
		if _, err := read(file.Bytes()[:n]); !errors.Is(err, ErrCut) {
			t.Errorf("of %d of %d bytes the error is %v", n, file.Len(), err)
		}
	}
	if text, err := read(file.Bytes()); err != nil || text != "time,usage\n1,2\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := read([]byte("this is a text")); err == nil || errors.Is(err, ErrCut) {
		t.Errorf("of a text the error is %v", err)
	}
}
