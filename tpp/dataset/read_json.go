package dataset

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/tppfaas/tppfaas/tpp"
)

// jsonSource reads a JSON document or JSON lines. Which of them it is, the keys of the first object say.
type jsonSource struct {
	reader   *SequenceReader
	lex      *jsonLexer
	document bool
	mapping  *numbering // the one that holds; nil: none yet
	// anonymous and named say that a sequence without, or with, names of its marks has been read.
	anonymous, named bool

	// Of other tools:
	other source // reads the file in this one's place, nil if it is of ours
	types int    // how many marks have numbers for names, 0: they have names

	// Of a document:
	begun bool // a sequence has been asked for
	again bool // the document is read for the second time, with the mapping known
	index int  // of the next sequence
	late  bool // leave the marks to resolveLate: the mapping comes behind the sequences
	names []bool
	tail  bool // the sequences are read

	// Of lines:
	first     []byte // the first line, which was read to find out what the file is
	firstLine int
}

// begin reads the first object: up to the first sequence of a document, as a whole otherwise.
func (s *jsonSource) begin() error {
	l := s.lex
	c, err := l.peek()
	if err == io.EOF {
		return errors.New("it is empty")
	} else if err != nil {
		return err
	}
	line := l.line
	if c != '{' {
		return fmt.Errorf("not a JSON object: it starts with %c", c)
	}
	l.take('{')
	held, nested := []byte{'{'}, false
	for first := true; ; first = false {
		if ok, err := l.more('}', first); err != nil {
			return err
		} else if !ok {
			break
		}
		key, err := l.key()
		if err != nil {
			return err
		}
		switch key {
		case "sequences":
			s.document = true
			return s.openSequences()
		case "mapping":
			if s.mapping != nil {
				return errTwice(key)
			}
			if s.mapping, err = l.mapping(); err != nil {
				return err
			}
		case keyNumber:
			if err := s.readTypes(); err != nil {
				return err
			}
		case "train", "dev", "test", "validation":
			if isPart, err := s.openPart(); isPart || err != nil {
				return err
			}
		case keySince, keyType, keyTypes, "arrival_times", "marks", "wait_times", "init_times", "parents", "covariates", "t_start", "t_end":
			// Held until it is clear whether this object is a document, to which these keys mean nothing, or a line.
			if len(held) > 1 {
				held = append(held, ',')
			}
			held = append(held, `"`+key+`":`...)
			l.captured, l.capture = held, -1
			from := len(held)
			err := l.skip()
			held, l.captured, l.capture = l.captured, nil, 0
			if err != nil {
				return err
			}
			if key == keyTypes {
				s.types, _ = strconv.Atoi(string(held[from:]))
			}
			nested = nested || key == "arrival_times" && bytes.HasPrefix(held[from:], []byte("[["))
		default:
			if err := l.skip(); err != nil {
				return err
			}
		}
	}
	switch {
	case len(held) == 1 && s.mapping == nil:
		return errors.New(`not a dataset: it has no "sequences", and as a line of JSON lines it would have "arrival_times"`)
	case len(held) == 1:
		s.mapping.enter(s.reader.marks)
	case s.mapping != nil:
		return fmt.Errorf("line %d: a mapping and a sequence in one line", line)
	case nested:
		if _, err := l.peek(); err == nil {
			return fmt.Errorf("more follows the arrays, at byte %d", l.at())
		} else if err != io.EOF {
			return err
		}
		s.other, err = newArraysSource(s.reader, append(held, '}'), s.types)
		return err
	default:
		s.first, s.firstLine = append(held, '}'), line
	}
	return nil
}

// readTypes reads how many marks there are, which have their numbers for names where there is no mapping.
func (s *jsonSource) readTypes() error {
	c, err := s.lex.due()
	if err != nil || !isNumberStart(c) {
		return cmp.Or(err, s.lex.skip())
	}
	s.types, err = s.lex.integer(c)
	return err
}

// openPart begins to read the sequences of a part of a data set of EasyTPP's, unless it is none or empty.
func (s *jsonSource) openPart() (isPart bool, err error) {
	c, err := s.lex.due()
	if err != nil || c != '[' {
		return false, cmp.Or(err, s.lex.skip())
	}
	if err := s.lex.take('['); err != nil {
		return false, err
	}
	if c, err = s.lex.due(); err != nil || c == ']' {
		if err == nil {
			err = s.lex.take(']')
		}
		return false, err
	}
	s.other = &listSource{reader: s.reader, lex: s.lex, closes: '}', types: s.types}
	return true, nil
}

// numbered is the mapping of marks that have their numbers for names.
func numbered(types int) (*numbering, error) {
	if types > maxNumbers {
		return nil, fmt.Errorf("%d marks, at most %d can be read", types, maxNumbers)
	}
	m := &numbering{dense: map[int]int{}}
	for i := range types {
		m.names, m.dense[i] = append(m.names, strconv.Itoa(i)), i
	}
	return m, nil
}

func errTwice(key string) error { return fmt.Errorf("%q stands there twice", key) }

func (s *jsonSource) openSequences() error {
	if c, err := s.lex.due(); err != nil {
		return err
	} else if c != '[' {
		return errors.New(`"sequences" is not an array`)
	}
	return s.lex.take('[')
}

func (s *jsonSource) next() (*tpp.Sequence, error) {
	if s.document {
		return s.nextInDocument()
	}
	return s.nextLine()
}

func (s *jsonSource) nextInDocument() (*tpp.Sequence, error) {
	if s.tail {
		return nil, io.EOF
	}
	if !s.begun {
		s.begun = true
		if err := s.findMapping(); err != nil {
			return nil, err
		}
	}
	if ok, err := s.lex.more(']', s.index == 0); err != nil {
		return nil, err
	} else if !ok {
		s.tail = true
		if err := s.readTail(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	seq, named, err := s.lex.sequence(s.reader.times, s.reader.marks)
	if err == nil {
		if s.late {
			s.names = append(s.names, named)
		} else {
			err = s.finish(seq, named)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sequence %d: %w", s.index, err)
	}
	s.index++
	return seq, nil
}

// findMapping reads ahead to a mapping that is not there yet, and comes back.
func (s *jsonSource) findMapping() error {
	if s.mapping != nil {
		s.mapping.enter(s.reader.marks)
	}
	if s.mapping != nil || s.late {
		return nil
	}
	if s.reader.seeker == nil {
		return s.reader.rewind()
	}
	for first := true; ; first = false {
		if ok, err := s.lex.more(']', first); err != nil {
			return err
		} else if !ok {
			break
		}
		if err := s.lex.skip(); err != nil {
			return fmt.Errorf("sequence %d: %w", s.index, err)
		}
		s.index++
	}
	if err := s.readTail(); err != nil {
		return err
	}
	found, types := s.mapping, s.types
	if found == nil && types > 0 {
		var err error
		if found, err = numbered(types); err != nil {
			return err
		}
	}
	if err := s.reader.rewind(); err != nil {
		return err
	}
	if err := s.reader.begin(); err != nil {
		return err
	}
	again, ok := s.reader.src.(*jsonSource)
	if !ok || !again.document || again.mapping != nil {
		return errors.New("it changed while it was read")
	}
	*s = *again
	s.reader.src, s.begun, s.again = s, true, true
	if s.mapping = found; found == nil {
		s.mapping = &numbering{}
	}
	s.mapping.enter(s.reader.marks)
	return nil
}

// readTail reads what follows the sequences of a document.
func (s *jsonSource) readTail() error {
	l := s.lex
	behind := false
	for {
		if ok, err := l.more('}', false); err != nil {
			return err
		} else if !ok {
			break
		}
		key, err := l.key()
		if err != nil {
			return err
		}
		switch key {
		case "sequences":
			return errTwice(key)
		case "mapping":
			m, err := l.mapping()
			if err != nil {
				return err
			}
			if behind || s.mapping != nil && !s.again {
				return errTwice(key)
			}
			s.mapping, behind = m, true
		case keyNumber:
			if err := s.readTypes(); err != nil {
				return err
			}
		default:
			if err := l.skip(); err != nil {
				return err
			}
		}
	}
	if _, err := l.peek(); err == nil {
		return fmt.Errorf("more follows the dataset's closing brace, at byte %d", l.at())
	} else if err != io.EOF {
		return err
	}
	return nil
}

// finish numbers the marks of a sequence and checks it.
func (s *jsonSource) finish(seq *tpp.Sequence, named bool) error {
	if seq.Len() == 0 {
		return s.reader.finish(seq) // which is what is wrong with it, whatever its marks
	}
	marks := s.reader.marks
	mapped := s.mapping != nil && len(s.mapping.names) > 0
	switch {
	case named:
		// The table of a document begins with its mapping.
		if s.document && mapped && !marks.fixed {
			for i, m := range seq.Marks {
				if m >= len(s.mapping.names) {
					return fmt.Errorf("event %d has mark %q, which is not in the mapping", i, marks.names[m])
				}
			}
		}
		s.named = true
	case mapped:
		if err := s.mapping.resolve(seq); err != nil {
			return err
		}
	default:
		for i, m := range seq.Marks {
			if m != 0 {
				return fmt.Errorf("marks[%d] = %d, and no mapping names it (nor does a num_marks say that their numbers are their names)", i, m)
			}
		}
		if marks.fixed && len(marks.names) > 1 {
			return fmt.Errorf("it has no names of marks, the model has %d", len(marks.names))
		}
		s.anonymous = true
	}
	if s.named && s.anonymous && !marks.fixed {
		if named {
			return errors.New("it names its marks, sequences before it do not")
		}
		return errors.New("it does not name its marks, sequences before it do")
	}
	return s.reader.finish(seq)
}

// resolveLate numbers the marks of a whole document, whose mapping came last.
func (s *jsonSource) resolveLate(d *tpp.Dataset) error {
	r := s.reader
	if s.mapping == nil && s.types > 0 {
		var err error
		if s.mapping, err = numbered(s.types); err != nil {
			return err
		}
	}
	if s.mapping != nil && len(s.mapping.names) > 0 {
		met := r.marks
		if !met.fixed {
			r.marks = newMarkTable(nil)
		}
		s.mapping.enter(r.marks)
		for i, named := range s.names {
			if !named || met.fixed {
				continue
			}
			marks := d.Sequences[i].Marks
			for j, m := range marks {
				k, ok := r.marks.index[met.names[m]]
				if !ok {
					return fmt.Errorf("sequence %d: event %d has mark %q, which is not in the mapping", i, j, met.names[m])
				}
				marks[j] = k
			}
		}
	}
	for i := range d.Sequences {
		if err := s.finish(&d.Sequences[i], s.names[i]); err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	return nil
}

func (s *jsonSource) nextLine() (*tpp.Sequence, error) {
	for {
		l, line := s.lex, s.firstLine
		if s.first != nil {
			l = newJSONLexer(bytes.NewReader(s.first))
			s.first = nil
		} else {
			if _, err := l.peek(); err != nil {
				if err != io.EOF {
					err = fmt.Errorf("line %d: %w", l.line, err)
				}
				return nil, err
			}
			line = l.line
		}
		var found *numbering
		seq, named, err := l.sequenceOrMapping(s.reader.times, s.reader.marks, &found)
		if err == nil && found == nil {
			err = s.finish(seq, named)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if found == nil {
			return seq, nil
		}
		found.enter(s.reader.marks)
		s.mapping = found
	}
}

// sequence reads a sequence. Marks that are names are numbered by the table, others as they are in the file.
func (l *jsonLexer) sequence(times *timeReader, marks *markTable) (s *tpp.Sequence, named bool, err error) {
	return l.sequenceOrMapping(times, marks, nil)
}

// sequenceOrMapping reads a sequence or, if mapping is not nil, an object that has a mapping in its place.
func (l *jsonLexer) sequenceOrMapping(times *timeReader, marks *markTable, mapping **numbering) (s *tpp.Sequence, named bool, err error) {
	if c, err := l.due(); err != nil {
		return nil, false, err
	} else if c != '{' && c != '}' && c != ']' && c != ',' {
		return nil, false, l.misfit("a sequence, an object in braces")
	}
	s = &tpp.Sequence{}
	var seen uint
	var other foreignArrays
	err = l.object(func(key string) error {
		which := slices.Index(sequenceKeys, key)
		if which < 0 {
			if key == "mapping" && mapping != nil {
				if *mapping != nil {
					return errTwice(key)
				}
				*mapping, err = l.mapping()
				return err
			}
			return other.read(l, key, times, marks)
		}
		if seen&(1<<which) != 0 {
			return errTwice(key)
		}
		seen |= 1 << which
		var err error
		switch key {
		case "arrival_times":
			s.ArrivalTimes, err = l.floats(times.parse)
		case "marks":
			s.Marks, named, err = l.marks(marks)
		case "wait_times":
			s.WaitTimes, err = l.floats(times.duration)
		case "init_times":
			s.InitTimes, err = l.floats(times.duration)
		case "parents":
			s.Parents, err = l.integers()
		case "covariates":
			s.Covariates, err = l.covariates()
		case "t_start":
			s.TStart, err = l.window(key, times)
		case "t_end":
			s.TEnd, err = l.window(key, times)
		}
		return err
	})
	if err == nil && seen&1 == 0 && other.times != nil { // no arrival_times
		s.ArrivalTimes = other.times
		s.Marks, named, err = other.numbered(marks)
		seen |= 1
	}
	if err == nil && mapping != nil && *mapping != nil && seen != 0 {
		err = errors.New("a mapping and a sequence in one line")
	}
	return s, named, err
}

var sequenceKeys = []string{"arrival_times", "marks", "wait_times", "init_times", "parents", "covariates", "t_start", "t_end"}

// window reads t_start or t_end; null leaves it open.
func (l *jsonLexer) window(key string, times *timeReader) (*float64, error) {
	if absent, err := l.null(); absent || err != nil {
		return nil, err
	}
	v, err := l.float(l.buf[l.pos], times.parse)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return &v, nil
}

// marks reads an array of numbers or of names, which the table numbers.
func (l *jsonLexer) marks(table *markTable) (marks []int, named bool, err error) {
	marks = []int{}
	present, err := l.elements("an array of integers or of names", func(c byte) error {
		if isName := c == '"'; len(marks) > 0 && isName != named {
			return errors.New("some of its marks are names, others are numbers")
		} else if !isName {
			m, err := l.integer(c)
			marks = append(marks, m)
			return err
		}
		named = true
		name, err := l.str()
		if err != nil {
			return err
		}
		m := table.addBytes(name)
		if m < 0 {
			return unknownMark(len(marks), string(name))
		}
		marks = append(marks, m)
		return nil
	})
	if !present || err != nil {
		return nil, false, err
	}
	return marks, named, nil
}

// covariates reads an object of arrays of numbers. An empty one is as good as none.
func (l *jsonLexer) covariates() (map[string][]float64, error) {
	if absent, err := l.null(); absent || err != nil {
		return nil, err
	}
	if l.buf[l.pos] != '{' {
		return nil, l.misfit("an object of covariates")
	}
	var covariates map[string][]float64
	plain := timeReader{factor: 1}
	err := l.object(func(name string) error {
		if _, ok := covariates[name]; ok {
			return fmt.Errorf("covariate %q stands there twice", name)
		}
		values, err := l.floats(plain.parse)
		if err != nil {
			return fmt.Errorf("covariate %q: %w", name, err)
		}
		if covariates == nil {
			covariates = map[string][]float64{}
		}
		covariates[name] = values
		return nil
	})
	return covariates, err
}

// mapping reads the numbers of the marks. Numbers that it leaves out are closed up, in order, so that marks become
// 0…NumMarks−1.
func (l *jsonLexer) mapping() (*numbering, error) {
	m := &numbering{dense: map[int]int{}}
	if absent, err := l.null(); absent || err != nil {
		return m, err
	}
	if l.buf[l.pos] != '{' {
		return nil, errors.New(`"mapping" is not an object`)
	}
	numbers := map[string]int{}
	err := l.object(func(name string) error {
		if _, ok := numbers[name]; ok {
			return fmt.Errorf("mapping: %q stands there twice", name)
		}
		c, err := l.due()
		if err != nil {
			return err
		}
		mark, err := l.integer(c)
		if err != nil {
			return fmt.Errorf("mapping: %q: %w", name, err)
		}
		if mark < 0 {
			return fmt.Errorf("mapping: %q is not a number from 0 up", name)
		}
		numbers[name] = mark
		m.names = append(m.names, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(m.names, func(a, b string) int {
		if numbers[a] != numbers[b] {
			return cmp.Compare(numbers[a], numbers[b])
		}
		return cmp.Compare(a, b)
	})
	for i, name := range m.names {
		if i > 0 && numbers[name] == numbers[m.names[i-1]] {
			return nil, fmt.Errorf("mapping is not one to one: %q and %q are both %d", m.names[i-1], name, numbers[name])
		}
		m.dense[numbers[name]] = i
	}
	return m, nil
}
