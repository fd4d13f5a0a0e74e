package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
)

// Format is a form in which a file holds sequences. Each may be gzipped.
type Format string

// The formats. Reading tells them apart by their content, writing by the ending of the name.
const (
	// FormatJSON is one document: {"sequences": [{"arrival_times": [...], "marks": [...]}, ...], "mapping": {"a": 0, ...}}.
	FormatJSON Format = "json"
	// FormatJSONLines is one sequence a line, in the form that a document has it: {"arrival_times": [...], "marks":
	// ["a", "b", ...]}. The marks are names, which are numbered as they appear. They may be numbers behind a line
	// {"mapping": {"a": 0, ...}}, which holds until the next such line: so files can be put one behind the other.
	FormatJSONLines Format = "jsonl"
	// FormatCSV is one event a line, under a line that names the columns; see [ReadOptions].
	FormatCSV Format = "csv"
)

// FormatOf is the format that the ending of a file's name asks for, .gz aside: .jsonl or .ndjson, .csv, and for
// everything else JSON.
func FormatOf(path string) Format {
	name := strings.ToLower(strings.TrimSuffix(path, ".gz"))
	switch {
	case strings.HasSuffix(name, ".jsonl"), strings.HasSuffix(name, ".ndjson"):
		return FormatJSONLines
	case strings.HasSuffix(name, ".csv"):
		return FormatCSV
	}
	return FormatJSON
}

// ReadOptions says how to read a file of sequences. The zero value reads what this package writes.
//
// A CSV file begins with a line that names its columns; they are separated by commas, semicolons or tabs. Times are
// numbers of the Unit, or time stamps as in RFC 3339 (the T may be a space, and no zone means UTC). Marks are names.
// These columns are found by their names, in any case and with spaces or dashes for underscores, the first there is:
//
//	sequence     sequence, sequence_id, trace, trace_id, case, case_id, case:concept:name, session, session_id, id
//	time         time, timestamp, arrival_time, time:timestamp, t
//	mark         mark, event, event_type, type, function, activity, concept:name, label
//	wait_time, init_time, parent, t_start, t_end, and covariate:NAME for a covariate NAME
//
// Without a sequence column the file is one sequence, without a mark column it is unmarked. Other columns are skipped.
// The cells of wait_time, init_time and a covariate may be empty if they are for the whole sequence; an empty parent is
// −1 if another one is not; t_start and t_end must not change within a sequence.
type ReadOptions struct {
	// Unit is what a number counts that is a time in the file: ns, us, ms (the default), s, min or h. Times are taken to
	// milliseconds. A float64 of milliseconds resolves a quarter of a microsecond at today's time since 1970.
	Unit string
	// Resolution is the tick of the clock in milliseconds: times are rounded to whole ticks, and wait and init times
	// above 0 to one tick at least. 0 leaves them as they are.
	Resolution float64
	// MarkNames are the names of the marks by their numbers, as a model knows them: marks are numbered like this, and
	// one that is not among them is an error. Nil numbers them as the file does.
	MarkNames []string
	// Sort puts the events of a sequence in the order of their times, equal times in the order of the file. Otherwise
	// an event that is before the one ahead of it is an error.
	Sort bool
	// Scattered says that the lines of one sequence may stand apart in a CSV file. It is then held in memory as a
	// whole, and its sequences come in the order of their first lines. Otherwise a sequence that goes on after another
	// one has begun is an error. Reading a whole dataset does not mind.
	Scattered bool
	// SequenceColumn, TimeColumn and MarkColumn are the names of these columns in a CSV file. Empty finds them.
	SequenceColumn, TimeColumn, MarkColumn string
	// CovariateColumns are further columns of a CSV file to take in as covariates.
	CovariateColumns []string
}

// SequenceReader reads the sequences of a file one at a time, in memory for one of them, however many there are. (Of a CSV
// file it also remembers the sequences it has met, in a few bytes each.)
//
// A JSON document whose mapping stands behind its sequences, as in the files that this package writes, is read twice:
// first for the mapping.
type SequenceReader struct {
	path    string
	opts    ReadOptions
	times   *timeReader
	marks   *markTable
	format  Format
	gzipped bool
	src     source
	err     error // of the iteration, or io.EOF

	ctx    context.Context
	file   *os.File // nil unless it is to be closed
	seeker io.Seeker
	start  int64
	raw    io.Reader
}

// source is a file under way. It yields io.EOF behind the last sequence; its errors name the place.
type source interface {
	next() (*tpp.Sequence, error)
}

// OpenSequences opens a file of any format for reading sequence by sequence. The errors of the reader name the file.
func OpenSequences(path string, opts ReadOptions) (*SequenceReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := NewSequenceReader(f, opts)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.path, r.file = path, f
	return r, nil
}

// NewSequenceReader reads from r what OpenSequences reads from a file. Unless r is an io.Seeker, a JSON document whose
// mapping stands behind its sequences can only be read as a whole, by ReadAll. Close does not close r.
func NewSequenceReader(r io.Reader, opts ReadOptions) (*SequenceReader, error) {
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
	return s, s.begin()
}

// begin finds out what the file is.
func (r *SequenceReader) begin() error {
	br := bufio.NewReaderSize(&contextReader{r}, 1<<16)
	head, err := br.Peek(2)
	if err != nil && err != io.EOF {
		return err
	}
	r.gzipped = bytes.Equal(head, []byte{0x1f, 0x8b})
	if r.gzipped {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("gzip: %w", wholeGzip(err))
		}
		br = bufio.NewReaderSize(&gzipReader{zr}, 1<<16)
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
	switch {
	case len(trimmed) == 0 && len(head) < 4000:
		return errors.New("it is empty")
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return errors.New("its text is UTF-16, it must be UTF-8")
	case safetensors.IsHead(head):
		return errors.New("it is a model, not a dataset")
	case bytes.IndexByte(head, 0) >= 0:
		return errors.New("not a dataset: it is no text")
	case len(trimmed) == 0 || trimmed[0] == '{' || trimmed[0] == '[':
		src := &jsonSource{reader: r, lex: newJSONLexer(br)}
		if err := src.begin(); err != nil {
			return err
		}
		r.format, r.src = FormatJSON, src
		if !src.document {
			r.format = FormatJSONLines
		}
		return nil
	}
	r.format = FormatCSV
	r.src, err = newCSVSource(r, br)
	return err
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

// gzipReader tells a stream that is cut off from the end of the text within.
type gzipReader struct{ zr *gzip.Reader }

func (g *gzipReader) Read(p []byte) (int, error) {
	n, err := g.zr.Read(p)
	if err != nil && err != io.EOF {
		err = wholeGzip(err)
	}
	return n, err
}

func wholeGzip(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		return errors.New("the gzipped file is cut off")
	}
	return err
}

// Format is the format that the file has.
func (r *SequenceReader) Format() Format { return r.format }

// Gzipped says whether the file is compressed.
func (r *SequenceReader) Gzipped() bool { return r.gzipped }

// MarkNames names the marks of the sequences read so far by their numbers, and is empty for an unmarked file. Of
// ReadOptions.MarkNames it is a copy; of a document it has all names from the first sequence on; otherwise names are
// added as they appear.
func (r *SequenceReader) MarkNames() []string { return slices.Clone(r.marks.names) }

// NumMarks is the number of marks known so far, 1 for an unmarked file.
func (r *SequenceReader) NumMarks() int { return max(len(r.marks.names), 1) }

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
	s, err := (*tpp.Sequence)(nil), ctx.Err()
	if err == nil {
		s, err = r.src.next()
	}
	r.err = r.named(err)
	return s, r.err
}

// named puts the name of the file before an error.
func (r *SequenceReader) named(err error) error {
	if err == nil || err == io.EOF || r.path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", r.path, err)
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

// finish does to a sequence what the options ask for, and checks it.
func (r *SequenceReader) finish(s *tpp.Sequence) error {
	if r.opts.Sort {
		sortEvents(s)
	}
	return s.Validate(r.NumMarks())
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

// ReadFile reads a dataset of any [Format], gzipped or not, told apart by content. The error names the file, the
// sequence or line, and the reason.
func ReadFile(path string) (*tpp.Dataset, error) {
	return ReadFileWith(path, ReadOptions{})
}

// ReadFileWith is ReadFile with options.
func ReadFileWith(path string, opts ReadOptions) (*tpp.Dataset, error) {
	r, err := OpenSequences(path, opts)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.ReadAll(context.Background())
}

// ReadDataset reads a dataset as ReadFile does.
func ReadDataset(r io.Reader) (*tpp.Dataset, error) {
	sr, err := NewSequenceReader(r, ReadOptions{})
	if err != nil {
		return nil, err
	}
	return sr.ReadAll(context.Background())
}

// sortEvents puts the events in the order of their times; parents follow the events that they name.
func sortEvents(s *tpp.Sequence) {
	if slices.IsSorted(s.ArrivalTimes) {
		return
	}
	n := s.Len()
	for _, length := range columnLengths(s) {
		if length != n {
			return // Validate says what is wrong
		}
	}
	order := make([]int, n) // order[new] = old
	for i := range order {
		order[i] = i
	}
	times := s.ArrivalTimes
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case times[a] < times[b]:
			return -1
		case times[a] > times[b]:
			return 1
		}
		return 0
	})
	s.ArrivalTimes = permuted(times, order)
	s.Marks = permuted(s.Marks, order)
	s.WaitTimes = permuted(s.WaitTimes, order)
	s.InitTimes = permuted(s.InitTimes, order)
	for name, values := range s.Covariates {
		s.Covariates[name] = permuted(values, order)
	}
	if s.Parents != nil {
		moved := make([]int, n) // moved[old] = new
		for i, old := range order {
			moved[old] = i
		}
		s.Parents = permuted(s.Parents, order)
		for i, p := range s.Parents {
			if p >= 0 && p < n {
				s.Parents[i] = moved[p]
			}
		}
	}
}

// columnLengths are the lengths of what is there beside the arrival times.
func columnLengths(s *tpp.Sequence) []int {
	var lengths []int
	if s.Marks != nil {
		lengths = append(lengths, len(s.Marks))
	}
	if s.WaitTimes != nil {
		lengths = append(lengths, len(s.WaitTimes))
	}
	if s.InitTimes != nil {
		lengths = append(lengths, len(s.InitTimes))
	}
	if s.Parents != nil {
		lengths = append(lengths, len(s.Parents))
	}
	for _, values := range s.Covariates {
		lengths = append(lengths, len(values))
	}
	return lengths
}

func permuted[T any](values []T, order []int) []T {
	if values == nil {
		return nil
	}
	out := make([]T, len(order))
	for i, old := range order {
		out[i] = values[old]
	}
	return out
}
