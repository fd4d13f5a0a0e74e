package dataset

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tppfaas/tppfaas/tpp"
)

// The names under which the columns of a CSV file are looked for, the first that is there.
var (
	sequenceNames = []string{"sequence", "sequence_id", "trace", "trace_id", "case", "case_id", "case:concept:name", "session", "session_id", "user", "user_id", "id"}
	timeNames     = []string{"time", "timestamp", "arrival_time", "time:timestamp", "ts", "datetime", "date_time", "event_time", "date", "t"}
	markNames     = []string{"mark", "event", "event_type", "type", "function", "activity", "concept:name", "action", "item", "item_id", "label"}
)

// covariatePrefix stands before the name of a covariate in the name of its column.
const covariatePrefix = "covariate:"

// maxRecord is the longest line: an open quote must not swallow the rest of a file.
const maxRecord = 1 << 24

// ErrNoTimeColumn is the error of a file that may be a CSV file, but has no known name of a column of times in its first line.
var ErrNoTimeColumn = errors.New("neither JSON nor a CSV file with a column of times")

// csvColumns are the places of the columns in a line, −1 for those that are not there.
type csvColumns struct {
	sequence, time, mark, wait, init, parent, start, end int
	covariates                                           []int
	covariateNames                                       []string
}

// csvSource reads a CSV file, one event a line.
type csvSource struct {
	reader    *SequenceReader
	csv       *csv.Reader
	guard     *recordGuard
	header    []string // the first line
	columns   csvColumns
	scattered bool
	line      int // that was read last
	stamps    int // 1 if times are time stamps, −1 if they are numbers, 0 as long as none was read

	open     *csvSequence // the one whose lines are being read
	met      idSet
	grouped  []*csvSequence // scattered: all of them, by their first lines
	all      bool           // grouped is complete
	finished bool
}

// recordGuard ends a record that is too long.
type recordGuard struct {
	r    io.Reader
	room int
}

var errRecordTooLong = fmt.Errorf("a line of more than %d MiB: is a quote missing?", maxRecord>>20)

func (g *recordGuard) Read(p []byte) (int, error) {
	if g.room <= 0 {
		return 0, errRecordTooLong
	}
	n, err := g.r.Read(p)
	g.room -= n
	return n, err
}

func newCSVSource(r *SequenceReader, br *bufio.Reader) (*csvSource, error) {
	head := firstLine(br)
	guard := &recordGuard{r: br, room: maxRecord}
	if i := bytes.IndexByte(head, '\r'); i >= 0 && bytes.IndexByte(head, '\n') < 0 {
		guard.r = &carriageReturns{r: br}
	}
	s := &csvSource{reader: r, csv: csv.NewReader(guard), guard: guard, scattered: r.opts.Scattered}
	s.csv.ReuseRecord = true
	s.csv.Comma = separator(head)
	header, err := s.csv.Read()
	if err == io.EOF {
		return nil, errors.New("it is empty")
	} else if err != nil {
		return nil, s.failure(err)
	}
	s.header = slices.Clone(header)
	return s, s.columns.find(s.header, &r.opts)
}

// firstLine returns the first line that is not empty, with the line breaks that end it, as far as it is among the first 64 KiB.
func firstLine(br *bufio.Reader) []byte {
	var head []byte
	for size := 256; size <= br.Size(); size *= 2 {
		head, _ = br.Peek(size)
		begin := len(head) - len(bytes.TrimLeft(head, "\r\n"))
		end := bytes.IndexAny(head[begin:], "\r\n")
		if end < 0 || begin+end+1 == len(head) {
			if len(head) < size {
				break // the file ends there
			}
			continue
		}
		end += begin + 1
		if head[end-1] == '\r' && head[end] == '\n' {
			end++
		}
		return head[:end]
	}
	return head
}

// carriageReturns turns the line ends of old spreadsheets, single carriage returns, into line feeds.
type carriageReturns struct {
	r       io.Reader
	pending bool // the last byte was a carriage return
}

func (c *carriageReturns) Read(p []byte) (int, error) {
	for {
		n, err := c.r.Read(p)
		kept := 0
		for _, b := range p[:n] {
			after := c.pending
			c.pending = b == '\r'
			switch {
			case b == '\n' && after: // the carriage return before it has ended the line
				continue
			case b == '\r':
				b = '\n'
			}
			p[kept] = b
			kept++
		}
		if kept > 0 || err != nil || len(p) == 0 {
			return kept, err
		}
	}
}

// separator returns the commonest of the characters that may separate columns in the first line.
func separator(line []byte) rune {
	best, most := ',', 0
	for _, c := range ",;\t" {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

func (c *csvColumns) find(header []string, opts *ReadOptions) error {
	normal := make([]string, len(header))
	for i, name := range header {
		normal[i] = strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
	}
	var problem error
	one := func(match func(i int) bool, name string) int {
		found := -1
		for i := range header {
			if !match(i) {
				continue
			}
			if found >= 0 && problem == nil {
				problem = fmt.Errorf("line 1: two columns are called %q", name)
			}
			found = i
		}
		return found
	}
	known := func(names ...string) int {
		for _, name := range names {
			if i := one(func(i int) bool { return normal[i] == name }, name); i >= 0 {
				return i
			}
		}
		return -1
	}
	asked := func(name string, names []string) int {
		if name == "" {
			return known(names...)
		}
		i := one(func(i int) bool { return strings.TrimSpace(header[i]) == strings.TrimSpace(name) }, name)
		if i < 0 && problem == nil {
			problem = fmt.Errorf("line 1: no column is called %q, they are %s", name, quotedList(header))
		}
		return i
	}
	c.sequence = asked(opts.SequenceColumn, sequenceNames)
	c.time = asked(opts.TimeColumn, timeNames)
	c.mark = asked(opts.MarkColumn, markNames)
	c.wait, c.init, c.parent = known("wait_time"), known("init_time"), known("parent")
	c.start, c.end = known("t_start"), known("t_end")
	if c.time < 0 && problem == nil {
		return fmt.Errorf("%w: its first line is %s", ErrNoTimeColumn, quotedList(header))
	}
	for i, name := range header {
		if name, ok := strings.CutPrefix(strings.TrimSpace(name), covariatePrefix); ok {
			c.covariates, c.covariateNames = append(c.covariates, i), append(c.covariateNames, name)
		}
	}
	for _, name := range opts.CovariateColumns {
		c.covariates, c.covariateNames = append(c.covariates, asked(name, nil)), append(c.covariateNames, name)
	}
	for i, name := range c.covariateNames {
		if problem != nil {
			break
		}
		if slices.Contains(c.covariateNames[:i], name) {
			problem = fmt.Errorf("line 1: two columns are covariates called %q", name)
		} else if !utf8.ValidString(name) {
			problem = fmt.Errorf("line 1: the name %q of a covariate is not UTF-8", name)
		}
	}
	return problem
}

func quotedList(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i == 10 {
			return b.String() + " …"
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if len(name) > 40 {
			name = strings.ToValidUTF8(name[:40], "") + "…"
		}
		b.WriteString(strconv.Quote(name))
	}
	return b.String()
}

// failure returns an error of the reader with its line.
func (s *csvSource) failure(err error) error {
	var parse *csv.ParseError
	switch {
	case !errors.As(err, &parse):
		return err
	case errors.Is(parse.Err, csv.ErrFieldCount):
		return fmt.Errorf("line %d: the number of its fields differs from the first line's, %d", parse.Line, s.csv.FieldsPerRecord)
	}
	return fmt.Errorf("line %d, column %d: %w", parse.Line, parse.Column, parse.Err)
}

func (s *csvSource) next() (*tpp.Sequence, error) {
	if s.scattered || s.grouped != nil {
		return s.nextScattered()
	}
	for !s.finished {
		row, line, err := s.read()
		if err == io.EOF {
			s.finished = true
			break
		} else if err != nil {
			return nil, err
		}
		id, done := s.id(row), s.open
		if done == nil || done.id != id {
			if !s.met.add(id) {
				return nil, fmt.Errorf("line %d: sequence %q goes on after another one has begun: it must be read as a whole", line, id)
			}
			s.open = &csvSequence{id: strings.Clone(id), line: line}
		} else {
			done = nil
		}
		if err := s.add(s.open, row, line); err != nil {
			return nil, err
		}
		if done != nil {
			return s.close(done)
		}
	}
	if last := s.open; last != nil {
		s.open = nil
		return s.close(last)
	}
	return nil, io.EOF
}

// nextScattered reads all lines first.
func (s *csvSource) nextScattered() (*tpp.Sequence, error) {
	if !s.all {
		byID := map[string]*csvSequence{}
		if s.open != nil {
			byID[s.open.id] = s.open
			s.grouped, s.open = append(s.grouped, s.open), nil
		}
		for {
			row, line, err := s.read()
			if err == io.EOF {
				break
			} else if err != nil {
				return nil, err
			}
			id := s.id(row)
			into := byID[id]
			if into == nil {
				if s.met.has(id) {
					return nil, fmt.Errorf("line %d: sequence %q goes on after it has been taken for complete", line, id)
				}
				into = &csvSequence{id: strings.Clone(id), line: line}
				byID[into.id] = into
				s.grouped = append(s.grouped, into)
			}
			if err := s.add(into, row, line); err != nil {
				return nil, err
			}
		}
		s.all = true
	}
	if len(s.grouped) == 0 {
		return nil, io.EOF
	}
	first := s.grouped[0]
	s.grouped[0] = nil
	s.grouped = s.grouped[1:]
	return s.close(first)
}

// read reads a line. What it returns holds until the next call.
func (s *csvSource) read() (row []string, line int, err error) {
	s.guard.room = maxRecord
	row, err = s.csv.Read()
	switch {
	case err == io.EOF:
		return nil, 0, err
	case errors.Is(err, errRecordTooLong):
		return nil, 0, fmt.Errorf("behind line %d: %w", s.line, errRecordTooLong)
	case err != nil:
		return nil, 0, s.failure(err)
	}
	s.line, _ = s.csv.FieldPos(0)
	return row, s.line, nil
}

func (s *csvSource) id(row []string) string {
	if s.columns.sequence < 0 {
		return ""
	}
	return row[s.columns.sequence]
}

// csvSequence is a sequence under way.
type csvSequence struct {
	id   string
	line int // its first
	tpp.Sequence
	covariates [][]float64
	hasParents bool // a parent cell is not empty
	empty      bool // it is a window in which nothing came
}

// add reads a line into the sequence it belongs to.
func (s *csvSource) add(to *csvSequence, row []string, line int) error {
	c := &s.columns
	if err := s.addTo(to, row, c); err != nil {
		if c.sequence >= 0 {
			return fmt.Errorf("line %d: sequence %q: %w", line, to.id, err)
		}
		return fmt.Errorf("line %d: %w", line, err)
	}
	return nil
}

func (s *csvSource) addTo(to *csvSequence, row []string, c *csvColumns) error {
	if c.sequence >= 0 && to.id == "" {
		return errors.New("it has no name")
	}
	n := to.Len()
	if s.isEmptyWindow(row) {
		if n > 0 || to.empty {
			return errors.New("it has no time, as a window in which nothing came, but there are other lines of the sequence")
		}
		to.empty = true
		var err error
		if to.TStart, err = s.window(to.TStart, n, row, c.start, "t_start"); err != nil {
			return err
		}
		to.TEnd, err = s.window(to.TEnd, n, row, c.end, "t_end")
		return err
	}
	if to.empty {
		return errors.New("it follows a line of the sequence without time, a window in which nothing came")
	}
	t, err := s.time(row[c.time])
	if err != nil {
		return err
	}
	if n > 0 && t < to.ArrivalTimes[n-1] && !s.reader.opts.Sort {
		return fmt.Errorf("its time %q is before that of the event ahead of it", row[c.time])
	}
	to.ArrivalTimes = append(to.ArrivalTimes, t)
	if c.mark >= 0 {
		m, err := s.mark(row[c.mark], n)
		if err != nil {
			return err
		}
		to.Marks = append(to.Marks, m)
	}
	times := s.reader.times
	if to.WaitTimes, err = addCell(to.WaitTimes, n, row, c.wait, "wait_time", times.duration); err != nil {
		return err
	}
	if to.InitTimes, err = addCell(to.InitTimes, n, row, c.init, "init_time", times.duration); err != nil {
		return err
	}
	plain := timeReader{factor: 1}
	if to.covariates == nil && len(c.covariates) > 0 {
		to.covariates = make([][]float64, len(c.covariates))
	}
	for i, column := range c.covariates {
		if to.covariates[i], err = addCell(to.covariates[i], n, row, column, c.covariateNames[i], plain.parse); err != nil {
			return err
		}
	}
	if c.parent >= 0 {
		parent := -1
		if text := strings.TrimSpace(row[c.parent]); text != "" {
			if parent, err = strconv.Atoi(text); err != nil {
				return fmt.Errorf("its parent %q is not an integer", text)
			}
			to.hasParents = true
		}
		to.Parents = append(to.Parents, parent)
	}
	if to.TStart, err = s.window(to.TStart, n, row, c.start, "t_start"); err != nil {
		return err
	}
	to.TEnd, err = s.window(to.TEnd, n, row, c.end, "t_end")
	return err
}

// isEmptyWindow reports whether a line has both edges of a window and no event: neither a time nor a mark.
func (s *csvSource) isEmptyWindow(row []string) bool {
	c := &s.columns
	has := func(column int) bool { return column >= 0 && strings.TrimSpace(row[column]) != "" }
	return has(c.start) && has(c.end) && !has(c.time) && !has(c.mark)
}

// time reads a time. Numbers and time stamps in one file cannot both be meant.
func (s *csvSource) time(text string) (float64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, errors.New("it has no time")
	}
	kind := -1
	v, err := s.reader.times.parse([]byte(text))
	if errors.Is(err, errNotDecimal) || errors.Is(err, strconv.ErrSyntax) {
		kind = 1
		v, err = s.reader.times.stamp(text)
	}
	if err != nil || math.IsInf(v, 0) {
		if kind == 1 {
			return 0, err
		}
		return 0, fmt.Errorf("its time %q is not a number", text)
	}
	if s.stamps == -kind {
		return 0, fmt.Errorf("its time is %q, but lines ahead mix it with another form of time", text)
	}
	s.stamps = kind
	return v, nil
}

func (s *csvSource) mark(name string, event int) (int, error) {
	if i, ok := s.reader.marks.index[name]; ok {
		return i, nil
	}
	if strings.TrimSpace(name) == "" {
		return 0, errors.New("it has no mark")
	}
	if !utf8.ValidString(name) {
		return 0, fmt.Errorf("its mark %q is not UTF-8", name)
	}
	m := s.reader.marks.add(strings.Clone(name))
	if m < 0 {
		return 0, unknownMark(event, name)
	}
	return m, nil
}

// addCell appends an optional number: a sequence of n events so far has it in all its lines or in none.
func addCell(to []float64, n int, row []string, column int, name string, parse func([]byte) (float64, error)) ([]float64, error) {
	if column < 0 {
		return nil, nil
	}
	text := strings.TrimSpace(row[column])
	if text == "" {
		if to != nil {
			return nil, fmt.Errorf("its %s is empty, but not on all lines of the sequence", name)
		}
		return nil, nil
	}
	if to == nil && n > 0 {
		return nil, fmt.Errorf("it has a %s, but not on all lines of the sequence", name)
	}
	v, err := parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("its %s %q is not a number%s", name, text, remedy(text))
	}
	return append(to, v), nil
}

// window reads t_start or t_end, which an empty cell leaves as it is.
func (s *csvSource) window(is *float64, n int, row []string, column int, name string) (*float64, error) {
	if column < 0 || strings.TrimSpace(row[column]) == "" {
		return is, nil
	}
	v, err := s.time(row[column])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if is != nil && *is != v {
		return nil, fmt.Errorf("its %s %q differs from that of lines ahead", name, row[column])
	}
	return &v, nil
}

// close checks a sequence whose lines are all there.
func (s *csvSource) close(open *csvSequence) (*tpp.Sequence, error) {
	seq := open.Sequence
	if !open.hasParents {
		seq.Parents = nil
	}
	for i, values := range open.covariates {
		if values == nil {
			continue
		}
		if seq.Covariates == nil {
			seq.Covariates = map[string][]float64{}
		}
		seq.Covariates[s.columns.covariateNames[i]] = values
	}
	err := s.reader.finish(&seq)
	if names := s.reader.marks; err == nil && s.columns.mark < 0 && len(names.names) > 1 {
		err = fmt.Errorf("the file has no column of marks, the model has %d marks", len(names.names))
	}
	if err != nil {
		if s.columns.sequence >= 0 {
			return nil, fmt.Errorf("sequence %q from line %d on: %w", open.id, open.line, err)
		}
		return nil, err
	}
	return &seq, nil
}

// idSet remembers which sequences have been met, in little memory: one bit for a whole number among its neighbours, a
// few bytes for any other name. Of that it keeps a hash; that two of 10^8 names share one has the probability 3e-4.
type idSet struct {
	numbers map[uint64]uint64 // number/64 → a bit for each
	hashes  map[uint64]struct{}
}

// add reports whether the name is new.
func (s *idSet) add(id string) bool {
	if s.has(id) {
		return false
	}
	if s.numbers == nil {
		s.numbers, s.hashes = map[uint64]uint64{}, map[uint64]struct{}{}
	}
	if n, ok := wholeNumber(id); ok {
		s.numbers[n/64] |= 1 << (n % 64)
	} else {
		s.hashes[hashOf(id)] = struct{}{}
	}
	return true
}

func (s *idSet) has(id string) bool {
	if n, ok := wholeNumber(id); ok {
		return s.numbers[n/64]&(1<<(n%64)) != 0
	}
	_, ok := s.hashes[hashOf(id)]
	return ok
}

// wholeNumber reads a number that is written as strconv would write it: 007 is another name than 7.
func wholeNumber(id string) (uint64, bool) {
	if id == "" || id[0] == '0' && len(id) > 1 || id[0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseUint(id, 10, 64)
	return n, err == nil
}

func hashOf(id string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, id)
	return h.Sum64()
}
