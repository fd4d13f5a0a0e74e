package dataset

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tppfaas/tppfaas/tpp"
)

// Columns are the optional columns of a CSV file: those beside the sequence, the time and the mark of an event.
type Columns struct {
	WaitTime, InitTime, Parent, TStart, TEnd bool
	// Covariates are the names of the covariates, in the order of their columns.
	Covariates []string
}

// Add adds the columns that a sequence needs; nil needs none.
func (c *Columns) Add(s *tpp.Sequence) {
	if s == nil {
		return
	}
	c.WaitTime = c.WaitTime || s.WaitTimes != nil
	c.InitTime = c.InitTime || s.InitTimes != nil
	c.Parent = c.Parent || s.Parents != nil
	c.TStart = c.TStart || s.TStart != nil
	c.TEnd = c.TEnd || s.TEnd != nil
	for name := range s.Covariates {
		if at, ok := slices.BinarySearch(c.Covariates, name); !ok {
			c.Covariates = slices.Insert(c.Covariates, at, name)
		}
	}
}

// covers says which column of a sequence is missing, if any.
func (c *Columns) covers(s *tpp.Sequence) error {
	for _, f := range []struct {
		name        string
		needed, has bool
	}{
		{"wait_time", s.WaitTimes != nil, c.WaitTime}, {"init_time", s.InitTimes != nil, c.InitTime},
		{"parent", s.Parents != nil, c.Parent}, {"t_start", s.TStart != nil, c.TStart}, {"t_end", s.TEnd != nil, c.TEnd},
	} {
		if f.needed && !f.has {
			return fmt.Errorf("it has a %s, for which there is no column", f.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Covariates)) {
		if !slices.Contains(c.Covariates, name) {
			return fmt.Errorf("it has a covariate %q, for which there is no column", name)
		}
	}
	return nil
}

// SequenceWriter writes sequences one at a time, in memory for one of them. Call Close at the end.
type SequenceWriter struct {
	// Columns are the optional columns of a CSV file. Left as they are, those of the first sequence are taken; a later
	// sequence that needs another one is an error. Other formats need none.
	Columns Columns

	w       *bufio.Writer
	csv     *csv.Writer
	format  Format
	names   []string // of the marks, as they were last given
	quoted  []string // the names as JSON
	buffer  []byte
	row     []string
	count   int
	marked  bool // the CSV has a column of marks
	closed  bool
	failure error
}

// errNoWriter is the error of the zero value.
var errNoWriter = errors.New("a SequenceWriter begins with NewSequenceWriter")

// NewSequenceWriter returns a writer of a format. It writes to w through a buffer.
func NewSequenceWriter(w io.Writer, format Format) (*SequenceWriter, error) {
	switch format {
	case FormatJSON, FormatJSONLines, FormatCSV:
	default:
		return nil, fmt.Errorf("unknown format %q, it is %s, %s or %s", format, FormatJSON, FormatJSONLines, FormatCSV)
	}
	if w == nil {
		return nil, errors.New("there is nothing to write to: no writer")
	}
	sw := &SequenceWriter{w: bufio.NewWriterSize(w, 1<<16), format: format}
	sw.csv = csv.NewWriter(sw.w)
	return sw, nil
}

// Write writes a sequence after checking it. The names are those of the marks; there may be more of them than in the
// call before, as when they come from a [SequenceReader], but no others. The sequences of a CSV file are called 0, 1
// and so on. The error names the sequence by that number; no further sequence can be written then.
func (w *SequenceWriter) Write(s *tpp.Sequence, markNames []string) error {
	if w.failure != nil {
		return w.failure
	}
	if w.w == nil {
		return errNoWriter
	}
	if w.closed {
		return errors.New("the writer is closed")
	}
	if s == nil {
		return errors.New("no sequence")
	}
	if err := w.write(s, markNames); err != nil {
		w.failure = fmt.Errorf("sequence %d: %w", w.count, err)
	}
	w.count++
	return w.failure
}

func (w *SequenceWriter) write(s *tpp.Sequence, names []string) error {
	if err := s.Validate(max(len(names), 1)); err != nil {
		return err
	}
	if len(names) < len(w.names) || !slices.Equal(names[:len(w.names)], w.names) {
		return errors.New("the names of the marks are not those of the sequences before, or further ones")
	}
	if w.count > 0 && len(w.names) == 0 && len(names) > 0 {
		return errors.New("its marks have names, those of the sequences before had none")
	}
	for _, name := range names[len(w.names):] {
		if !utf8.ValidString(name) {
			return fmt.Errorf("the name %q of a mark is not UTF-8", name)
		}
	}
	w.names = names
	if w.count == 0 {
		if err := w.begin(s); err != nil {
			return err
		}
	}
	switch w.format {
	case FormatCSV:
		return w.writeRows(s)
	case FormatJSONLines:
		for _, name := range names[len(w.quoted):] {
			w.quoted = append(w.quoted, string(appendString(nil, name)))
		}
		w.buffer = append(appendSequence(w.buffer[:0], s, w.quoted), '\n')
	default:
		w.buffer = w.buffer[:0]
		if w.count > 0 {
			w.buffer = append(w.buffer, ',')
		}
		w.buffer = appendSequence(append(w.buffer, '\n'), s, nil)
	}
	_, err := w.w.Write(w.buffer)
	return err
}

// begin writes what stands before the first sequence, which is nil if there is none.
func (w *SequenceWriter) begin(s *tpp.Sequence) error {
	switch w.format {
	case FormatCSV:
		return w.writeHeader(s)
	case FormatJSONLines:
		if len(w.names) > 0 || s == nil {
			// For the order of the marks, and for those that no sequence has.
			w.buffer = append(appendMapping(append(w.buffer[:0], '{'), w.names), "}\n"...)
			w.w.Write(w.buffer)
		}
	default:
		w.w.WriteString(`{"sequences": [`)
	}
	return nil
}

// Close writes what is left and the end of the document. It does not close the writer behind it.
func (w *SequenceWriter) Close() error {
	if w.failure != nil || w.closed {
		return w.failure
	}
	if w.w == nil {
		return errNoWriter
	}
	w.closed = true
	if w.count == 0 {
		if err := w.begin(nil); err != nil {
			return err
		}
	}
	switch w.format {
	case FormatCSV:
		w.csv.Flush()
	case FormatJSON:
		w.w.WriteString("\n]")
		if len(w.names) > 0 {
			w.w.Write(appendMapping([]byte(", "), w.names))
		}
		w.w.WriteString("}\n")
	}
	return w.w.Flush()
}

func (w *SequenceWriter) writeHeader(s *tpp.Sequence) error {
	if s != nil && w.Columns.empty() {
		w.Columns.Add(s)
	}
	w.marked = len(w.names) > 0
	w.row = append(w.row[:0], "sequence", "time")
	if w.marked {
		w.row = append(w.row, "mark")
	}
	c := &w.Columns
	for _, f := range []struct {
		name string
		has  bool
	}{{"wait_time", c.WaitTime}, {"init_time", c.InitTime}, {"parent", c.Parent}, {"t_start", c.TStart}, {"t_end", c.TEnd}} {
		if f.has {
			w.row = append(w.row, f.name)
		}
	}
	for i, name := range c.Covariates {
		if err := checkCell("covariate", name); err != nil {
			return err
		}
		if slices.Contains(c.Covariates[:i], name) {
			return fmt.Errorf("two covariates are called %q", name)
		}
		w.row = append(w.row, covariatePrefix+name)
	}
	return w.csv.Write(w.row)
}

func (c *Columns) empty() bool {
	return !c.WaitTime && !c.InitTime && !c.Parent && !c.TStart && !c.TEnd && len(c.Covariates) == 0
}

// checkCell refuses a name that would not come back as it was.
func checkCell(what, name string) error {
	if strings.TrimSpace(name) == "" || strings.ContainsAny(name, "\r\x00") || strings.TrimSpace(name) != name && what == "covariate" {
		return fmt.Errorf("the name %q of a %s cannot stand in a CSV file", name, what)
	}
	return nil
}

func (w *SequenceWriter) writeRows(s *tpp.Sequence) error {
	c := &w.Columns
	if err := c.covers(s); err != nil {
		return err
	}
	number := func(v float64) string {
		w.buffer = appendNumber(w.buffer[:0], v)
		return string(w.buffer)
	}
	cell := func(has bool, values []float64, i int) {
		switch {
		case !has:
		case values == nil:
			w.row = append(w.row, "")
		default:
			w.row = append(w.row, number(values[i]))
		}
	}
	edge := func(has bool, at *float64) {
		switch {
		case !has:
		case at == nil:
			w.row = append(w.row, "")
		default:
			w.row = append(w.row, number(*at))
		}
	}
	id := strconv.Itoa(w.count)
	if s.Len() == 0 { // a window in which nothing came: a row without time and mark
		w.row = append(w.row[:0], id, "")
		if w.marked {
			w.row = append(w.row, "")
		}
		for _, has := range []bool{c.WaitTime, c.InitTime, c.Parent} {
			if has {
				w.row = append(w.row, "")
			}
		}
		edge(c.TStart, s.TStart)
		edge(c.TEnd, s.TEnd)
		for range c.Covariates {
			w.row = append(w.row, "")
		}
		return w.csv.Write(w.row)
	}
	for i := range s.Len() {
		w.row = append(w.row[:0], id, number(s.ArrivalTimes[i]))
		if w.marked {
			name := w.names[s.Mark(i)]
			if err := checkCell("mark", name); err != nil {
				return err
			}
			w.row = append(w.row, name)
		}
		cell(c.WaitTime, s.WaitTimes, i)
		cell(c.InitTime, s.InitTimes, i)
		if c.Parent {
			parent := ""
			if s.Parents != nil {
				parent = strconv.Itoa(s.Parents[i])
			}
			w.row = append(w.row, parent)
		}
		edge(c.TStart, s.TStart)
		edge(c.TEnd, s.TEnd)
		for _, name := range c.Covariates {
			cell(true, s.Covariates[name], i)
		}
		if err := w.csv.Write(w.row); err != nil {
			return err
		}
	}
	return nil
}
