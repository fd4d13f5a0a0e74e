package report

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// ReadFile adds the traces of a file: a dataset in any format that package dataset reads, spans, or the lines that a laboratory writes, whose labels
// it takes too. The errors name the file.
func (b *Builder) ReadFile(ctx context.Context, path string, o dataset.ReadOptions) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if o.Name == "" {
		o.Name = path
	}
	return b.Read(ctx, f, o)
}

// Read adds the traces that it reads from r, as ReadFile does.
func (b *Builder) Read(ctx context.Context, r io.ReadSeeker, o dataset.ReadOptions) error {
	o.Durations = true
	lines, err := newLabelReader(r)
	if err != nil {
		return err
	}
	var from io.Reader = lines
	if lines == nil {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return err
		}
		from, lines = r, &labelReader{}
	}
	sequences, err := dataset.NewSequenceReader(from, o)
	if err != nil {
		return err
	}
	defer sequences.Close()
	var names []string
	for s, err := range sequences.All(ctx) {
		if err != nil {
			return err
		}
		for _, m := range s.Marks {
			if m >= len(names) {
				names = sequences.MarkNames()
				break
			}
		}
		b.Add(s, names, lines.next())
	}
	if choices := sequences.Choices(); choices != "" {
		b.notes = append(b.notes, strings.TrimSpace(choices)+".")
	}
	for _, w := range sequences.Warnings() {
		if w.Kind != dataset.WarningTick { // invocations within one machine may be that fast
			b.notes = append(b.notes, strings.TrimSpace(w.Text))
		}
	}
	return nil
}

// labelReader reads lines of JSON, and takes the labels of each on the way.
type labelReader struct {
	lines  *bufio.Reader
	line   []byte
	labels []Labels
}

// longestFirst is the longest first line in which labels are looked for.
const longestFirst = 1 << 20

// newLabelReader returns a reader of the lines in r, compressed or not, nil if it has something else.
func newLabelReader(r io.Reader) (*labelReader, error) {
	lines := bufio.NewReaderSize(r, longestFirst)
	if head, _ := lines.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(lines)
		if err != nil {
			return nil, nil // which package dataset says better
		}
		lines = bufio.NewReaderSize(zr, longestFirst)
	}
	for skip := 0; ; {
		head, err := lines.Peek(longestFirst)
		if len(head) == 0 || err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, nil
		}
		line, _, whole := bytes.Cut(head[skip:], []byte("\n"))
		if whole && len(bytes.TrimSpace(line)) == 0 {
			skip += len(line) + 1
			continue
		}
		var keys map[string]json.RawMessage
		if json.Unmarshal(line, &keys) != nil || keys["sequences"] != nil || keys["arrival_times"] == nil && keys["mapping"] == nil {
			return nil, nil
		}
		return &labelReader{lines: lines}, nil
	}
}

// Read implements io.Reader.
func (l *labelReader) Read(p []byte) (int, error) {
	for len(l.line) == 0 {
		line, err := l.lines.ReadBytes('\n')
		if len(line) == 0 {
			if err == io.ErrUnexpectedEOF {
				err = errors.New("the gzipped file is cut off")
			}
			return 0, err
		}
		l.line = line
		var of struct {
			Arrivals                json.RawMessage `json:"arrival_times"`
			App, Load, Policy, Seed label
		}
		if json.Unmarshal(line, &of) == nil && of.Arrivals != nil {
			l.labels = append(l.labels, Labels{string(of.App), string(of.Load), string(of.Policy), string(of.Seed)})
		}
	}
	n := copy(p, l.line)
	l.line = l.line[n:]
	return n, nil
}

// next returns the labels of the next sequence.
func (l *labelReader) next() Labels {
	if len(l.labels) == 0 {
		return Labels{}
	}
	first := l.labels[0]
	l.labels = l.labels[1:]
	return first
}

// label is a string, or a number as it is written.
type label string

// UnmarshalJSON implements json.Unmarshaler.
func (l *label) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil {
		*l = label(s)
		return nil
	}
	if len(text) > 64 {
		return fmt.Errorf("a label of %d bytes", len(text))
	}
	*l = label(text)
	return nil
}
