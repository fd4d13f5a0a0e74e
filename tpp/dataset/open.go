package dataset

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tppfaas/tppfaas/internal/gunzip"
	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
)

// ReadFile reads a dataset of any [Format], gzipped or not, told apart by content. The error names the file, the
// sequence or line, and the reason.
func ReadFile(path string) (*tpp.Dataset, error) {
	return ReadFileWith(path, ReadOptions{})
}

// ReadFileWith reads a dataset as ReadFile does, with options.
func ReadFileWith(path string, opts ReadOptions) (*tpp.Dataset, error) {
	r, err := OpenSequences(path, opts)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.ReadAll(context.Background())
}

// Read reads a dataset of any [Format] from r, gzipped or not. The error names the sequence or line, and the reason.
func Read(r io.Reader) (*tpp.Dataset, error) {
	sr, err := NewSequenceReader(r, ReadOptions{})
	if err != nil {
		return nil, err
	}
	return sr.ReadAll(context.Background())
}

// OpenSequences opens a file of any format for reading sequence by sequence. The errors of the reader name the file.
func OpenSequences(path string, opts ReadOptions) (*SequenceReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	opts.Name = cmp.Or(opts.Name, path)
	r, err := NewSequenceReader(f, opts)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.file = f
	return r, nil
}

// NewSequenceReader reads from r what OpenSequences reads from a file. Unless r is an io.Seeker, a JSON document whose
// mapping stands behind its sequences can only be read as a whole, by ReadAll. Close does not close r.
func NewSequenceReader(r io.Reader, opts ReadOptions) (*SequenceReader, error) {
	if r == nil {
		return nil, errors.New("there is nothing to read from: no reader")
	}
	times, err := newTimeReader(opts.Unit, opts.Resolution)
	if err != nil {
		return nil, err
	}
	s := &SequenceReader{opts: opts, times: times, marks: newMarkTable(opts.MarkNames), raw: r, ctx: context.Background()}
	if seeker, ok := r.(io.Seeker); ok {
		// A pipe is an *os.File too, and says here that it cannot seek.
		if s.start, err = seeker.Seek(0, io.SeekCurrent); err == nil {
			s.seeker = seeker
		}
	}
	if err := s.begin(); err != nil {
		return nil, s.named(err)
	}
	return s, nil
}

// begin detects compression and format from the first bytes, and sets up the source.
func (r *SequenceReader) begin() error {
	br := bufio.NewReaderSize(&contextReader{r}, 1<<16)
	head, err := br.Peek(2)
	if err != nil && err != io.EOF {
		return err
	}
	r.gzipped = bytes.Equal(head, []byte{0x1f, 0x8b})
	if r.gzipped {
		zr, err := gunzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		br = bufio.NewReaderSize(zr, 1<<16)
	}
	head, err = br.Peek(4096)
	if err != nil && err != io.EOF {
		return err
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) { // the byte order mark that Windows puts before UTF-8
		br.Discard(3)
		head = head[3:]
	}
	trimmed := bytes.TrimLeft(head, " \t\r\n")
	var first byte // what is not blank
	if len(trimmed) > 0 {
		first = trimmed[0]
	}
	switch {
	case len(trimmed) == 0 && len(head) < 4000:
		return errors.New("it is empty")
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return errors.New("its text is UTF-16, it must be UTF-8")
	case safetensors.IsHead(head):
		return errors.New("it is a model, not a dataset")
	case len(head) > 1 && head[0] == 0x80 && head[1] <= 5:
		return errors.New("it is no text but a Python pickle, which only Python reads: write it as JSON there, with json.dump")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return errors.New("it is no text but a zip archive, as .npz files and those of PyTorch are: write its arrays as JSON in Python, with json.dump")
	case bytes.Contains(head[:min(len(head), 8)], []byte{0x28, 0xb5, 0x2f, 0xfd}): // behind four bytes of length in the Collector's files
		return errors.New("it is compressed with zstd, which is not read: unpack it with zstd -d (the Collector's file exporter compresses message by message: leave out its setting compression)")
	case bytes.IndexByte(head, 0) >= 0:
		return errors.New("not a dataset: it is no text")
	}
	if format, err := sniffSpans(br); format != "" || err != nil {
		if err != nil {
			return err
		}
		r.format = format
		r.src, err = newSpanSource(r, format, newJSONLexer(br))
		return err
	}
	switch {
	case first == '[':
		src := &listSource{reader: r, lex: newJSONLexer(br)}
		r.format, r.src = FormatJSON, src
		return src.lex.take('[')
	case first == 0 || first == '{':
		src := &jsonSource{reader: r, lex: newJSONLexer(br)}
		if err := src.begin(); err != nil {
			return err
		}
		r.format, r.src = FormatJSON, src
		if src.other != nil {
			r.src = src.other
			return nil
		}
		if !src.document {
			r.format = FormatJSONLines
		}
		return nil
	}
	r.format = FormatCSV
	r.src, err = newCSVSource(r, br)
	return err
}

// ReadAll reads the sequences that have not been read yet into a dataset.
func (r *SequenceReader) ReadAll(ctx context.Context) (*tpp.Dataset, error) {
	if r.err != nil && r.err != io.EOF {
		return nil, r.err
	}
	doc, _ := r.src.(*jsonSource)
	if doc != nil {
		doc.late = doc.document && !doc.begun && doc.mapping == nil
	}
	if table, ok := r.src.(*csvSource); ok {
		table.scattered = true
	}
	var d tpp.Dataset
	for s, err := range r.All(ctx) {
		if err != nil {
			return nil, err
		}
		d.Sequences = append(d.Sequences, *s)
	}
	if doc != nil && doc.late {
		if err := doc.resolveLate(&d); err != nil {
			return nil, r.named(err)
		}
	}
	d.MarkNames = r.marks.names
	return &d, nil
}
