package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/tppfaas/tppfaas/tpp"
)

// The sequences of other tools. EasyTPP and the data sets at Hugging Face that it reads have a list of sequences, each an object
// of arrays (time_since_start, type_event) or, as in its pickles, a list of events that are objects of numbers; around the list may
// stand an object with the parts of the data set by name (train, dev, test). ifl-tpp has an object of arrays of arrays
// (arrival_times, marks). Marks are numbers without names: they get their numbers as names.

// listParts are the names under which EasyTPP keeps the parts of a data set.
var listParts = []string{"train", "dev", "test", "validation"}

// Keys of EasyTPP, as they are called here.
const (
	keySince   = "time_since_start"
	keyType    = "type_event"
	keyTypes   = "dim_process"
	keyNumber  = "num_marks" // ifl-tpp
	maxNumbers = 1 << 16     // marks that have numbers for names
)

// listSource reads an array of sequences, one at a time.
type listSource struct {
	reader *SequenceReader
	lex    *jsonLexer
	types  int  // how many marks there are, 0 if that is not known
	closes byte // what ends the object around the array, or 0
	index  int
	ended  bool
}

// numberMarks numbers marks that are numbers without names by the names "0", "1", …; types is how many there are, 0 if that is not
// known.
func numberMarks(marks []int, types int, table *markTable) ([]int, error) {
	most := types - 1
	for i, m := range marks {
		if m < 0 || types > 0 && m >= types || m >= maxNumbers {
			return nil, fmt.Errorf("event %d has the mark %d, there are %d", i, m, max(types, 0))
		}
		most = max(most, m)
	}
	if most >= maxNumbers {
		return nil, fmt.Errorf("%d marks, at most %d can be read", most+1, maxNumbers)
	}
	if !table.fixed {
		for m := len(table.names); m <= most; m++ {
			if name := strconv.Itoa(m); table.add(name) != m {
				return nil, fmt.Errorf("the mark %d stands beside marks with names", m)
			}
		}
	}
	out := make([]int, len(marks))
	for i, m := range marks {
		name := strconv.Itoa(m)
		if out[i] = table.add(name); out[i] < 0 {
			return nil, unknownMark(i, name)
		}
	}
	return out, nil
}

func (s *listSource) next() (*tpp.Sequence, error) {
	if s.ended {
		return nil, io.EOF
	}
	ok, err := s.lex.more(']', s.index == 0)
	if err != nil {
		return nil, err
	}
	if !ok {
		s.ended = true
		return nil, s.end()
	}
	seq, err := s.sequence()
	if err != nil {
		return nil, fmt.Errorf("sequence %d: %w", s.index, err)
	}
	s.index++
	return seq, nil
}

// end reads what follows the array: other parts, which must be empty. It returns io.EOF if that is all.
func (s *listSource) end() error {
	for s.closes != 0 {
		if ok, err := s.lex.more(s.closes, false); err != nil {
			return err
		} else if !ok {
			break
		}
		key, err := s.lex.key()
		if err != nil {
			return err
		}
		if key == keyTypes {
			if err := s.endTypes(); err != nil {
				return err
			}
			continue
		}
		if err := s.lex.skipPart(key); err != nil {
			return err
		}
	}
	if _, err := s.lex.peek(); err == nil {
		return fmt.Errorf("more follows the list of sequences, at byte %d", s.lex.at())
	} else if err != io.EOF {
		return err
	}
	return io.EOF
}

// endTypes reads how many marks there are where that stands behind the sequences.
func (s *listSource) endTypes() error {
	c, err := s.lex.due()
	if err != nil {
		return err
	}
	if !isNumberStart(c) {
		return s.lex.skip()
	}
	types, err := s.lex.integer(c)
	if err != nil {
		return err
	}
	if err := s.checkTypes(types); err != nil {
		return err
	}
	_, err = numberMarks(nil, types, s.reader.marks)
	return err
}

// checkTypes returns an error if sequences had more marks than there are.
func (s *listSource) checkTypes(types int) error {
	if met := len(s.reader.marks.names); !s.reader.marks.fixed && met > types {
		return fmt.Errorf("%s is %d, but there is an event with the mark %q", keyTypes, types, s.reader.marks.names[met-1])
	}
	return nil
}

// skipPart reads the value of a key beside a part that is read: another part must be empty.
func (l *jsonLexer) skipPart(key string) error {
	c, err := l.due()
	if err != nil {
		return err
	}
	for _, part := range listParts {
		if key != part || c != '[' {
			continue
		}
		if err := l.take('['); err != nil {
			return err
		}
		if more, err := l.more(']', true); err != nil {
			return err
		} else if more {
			return fmt.Errorf("it has several parts, of which %q is one: write each into a file of its own", key)
		}
		return nil
	}
	return l.skip()
}

func (s *listSource) sequence() (*tpp.Sequence, error) {
	c, err := s.lex.due()
	if err != nil {
		return nil, err
	}
	if c != '[' && c != '{' {
		return nil, fmt.Errorf("not a JSON object: %w", s.lex.misfit("a sequence, an object or a list of events"))
	}
	if c == '{' {
		seq, named, err := s.lex.sequence(s.reader.times, s.reader.marks)
		if err != nil {
			return nil, err
		}
		if !named && seq.Marks != nil {
			if seq.Marks, err = numberMarks(seq.Marks, s.types, s.reader.marks); err != nil {
				return nil, err
			}
		}
		if s.types > 0 { // which the object need not say again
			if _, err := numberMarks(nil, s.types, s.reader.marks); err != nil {
				return nil, err
			}
			if err := s.checkTypes(s.types); err != nil {
				return nil, err
			}
		}
		return seq, s.reader.finish(seq)
	}
	seq := &tpp.Sequence{}
	marked := true
	_, err = s.lex.elements("a list of events", func(c byte) error {
		if c != '{' {
			return s.lex.misfit("an event, an object in braces")
		}
		at, mark := false, false
		if err := s.lex.object(func(key string) error {
			c, err := s.lex.due()
			if err != nil {
				return err
			}
			switch key {
			case keySince:
				var v float64
				v, err = s.lex.float(c, s.reader.times.parse)
				seq.ArrivalTimes, at = append(seq.ArrivalTimes, v), true
			case keyType:
				var m int
				m, err = s.lex.integer(c)
				seq.Marks, mark = append(seq.Marks, m), true
			default:
				err = s.lex.skip()
			}
			return err
		}); err != nil {
			return err
		}
		marked = marked && mark
		if !at {
			return fmt.Errorf("event %d has no %s", len(seq.ArrivalTimes), keySince)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if seq.Marks != nil {
		if !marked {
			return nil, errors.New("some of its events have no " + keyType)
		}
		if seq.Marks, err = numberMarks(seq.Marks, s.types, s.reader.marks); err != nil {
			return nil, err
		}
	}
	return seq, s.reader.finish(seq)
}

// foreignArrays are the arrays of a sequence under EasyTPP's names.
type foreignArrays struct {
	times []float64
	marks []int
	named bool
	types int
}

// read reads the value of a key if it is one of EasyTPP's, and skips it otherwise.
func (f *foreignArrays) read(l *jsonLexer, key string, times *timeReader, marks *markTable) error {
	c, err := l.due()
	if err != nil {
		return err
	}
	switch {
	case key == keySince && c == '[' && f.times == nil:
		f.times, err = l.floats(times.parse)
	case key == keyType && c == '[' && f.marks == nil:
		f.marks, f.named, err = l.marks(marks)
	case key == keyTypes && isNumberStart(c):
		f.types, err = l.integer(c)
	default:
		err = l.skip()
	}
	return err
}

// numbered returns the marks with their numbers as names, unless they have names.
func (f *foreignArrays) numbered(table *markTable) (marks []int, named bool, err error) {
	if f.named || f.marks == nil {
		return f.marks, f.named, nil
	}
	marks, err = numberMarks(f.marks, f.types, table)
	return marks, true, err
}

// arraysSource yields the sequences of arrays of arrays.
type arraysSource struct {
	reader    *SequenceReader
	sequences []tpp.Sequence
	types     int
	index     int
}

// newArraysSource reads an object of arrays of arrays as ifl-tpp has it; windows are one number for all sequences or an array.
func newArraysSource(r *SequenceReader, text []byte, types int) (*arraysSource, error) {
	var doc struct {
		Times  [][]json.Number `json:"arrival_times"`
		Marks  [][]*int        `json:"marks"`
		TStart json.RawMessage `json:"t_start"`
		TEnd   json.RawMessage `json:"t_end"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("arrays of arrival_times: %w", err)
	}
	if doc.Marks != nil && len(doc.Marks) != len(doc.Times) {
		return nil, fmt.Errorf("%d arrays of arrival_times but %d of marks", len(doc.Times), len(doc.Marks))
	}
	s := &arraysSource{reader: r, sequences: make([]tpp.Sequence, len(doc.Times)), types: types}
	for i, times := range doc.Times {
		for _, t := range times {
			v, err := r.times.parse([]byte(t))
			if err != nil {
				return nil, fmt.Errorf("sequence %d: %s is not a number", i, t)
			}
			s.sequences[i].ArrivalTimes = append(s.sequences[i].ArrivalTimes, v)
		}
		if doc.Marks == nil {
			continue
		}
		s.sequences[i].Marks = make([]int, len(doc.Marks[i])) // none of null, which is then too few
		for j, m := range doc.Marks[i] {
			if m == nil {
				return nil, fmt.Errorf("sequence %d: the mark of event %d is null", i, j)
			}
			s.sequences[i].Marks[j] = *m
		}
	}
	for _, edge := range []struct {
		name string
		text json.RawMessage
		of   func(s *tpp.Sequence, v *float64)
	}{
		{"t_start", doc.TStart, func(s *tpp.Sequence, v *float64) { s.TStart = v }},
		{"t_end", doc.TEnd, func(s *tpp.Sequence, v *float64) { s.TEnd = v }},
	} {
		if err := s.setEdge(edge.name, edge.text, edge.of); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *arraysSource) setEdge(name string, text json.RawMessage, set func(s *tpp.Sequence, v *float64)) error {
	if len(text) == 0 || string(text) == "null" {
		return nil
	}
	var values []json.Number
	if text[0] != '[' {
		values = make([]json.Number, len(s.sequences))
		for i := range values {
			values[i] = json.Number(text)
		}
	} else if err := json.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(values) != len(s.sequences) {
		return fmt.Errorf("%d arrays of arrival_times but %d numbers %s", len(s.sequences), len(values), name)
	}
	for i, text := range values {
		v, err := s.reader.times.parse([]byte(text))
		if err != nil {
			return fmt.Errorf("sequence %d: %s %s is not a number", i, name, text)
		}
		set(&s.sequences[i], &v)
	}
	return nil
}

func (s *arraysSource) next() (*tpp.Sequence, error) {
	if s.index == len(s.sequences) {
		return nil, io.EOF
	}
	seq := s.sequences[s.index]
	s.sequences[s.index] = tpp.Sequence{}
	if seq.Marks != nil {
		var err error
		if seq.Marks, err = numberMarks(seq.Marks, s.types, s.reader.marks); err != nil {
			return nil, fmt.Errorf("sequence %d: %w", s.index, err)
		}
	}
	if err := s.reader.finish(&seq); err != nil {
		return nil, fmt.Errorf("sequence %d: %w", s.index, err)
	}
	s.index++
	return &seq, nil
}
