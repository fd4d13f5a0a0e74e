package dataset

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// spanScanner reads the spans of a file a few at a time, in the order of the file. What it returns holds until the next call; io.EOF comes
// behind the last span. Its errors name the place.
type spanScanner interface {
	next() ([]span, error)
}

// spanText is what the scanners of spans share.
type spanText struct {
	lex     *jsonLexer
	markKey string // the attribute that marks are taken from, "" for none
	strings map[string]string
	batch   []span
}

func newSpanText(lex *jsonLexer, markKey string) spanText {
	return spanText{lex: lex, markKey: markKey, strings: map[string]string{}}
}

// maxInterned is how many different names are kept in one copy.
const maxInterned = 1 << 16

// intern returns a text as a string, of which the common ones share memory.
func (t *spanText) intern(text []byte) string {
	if s, ok := t.strings[string(text)]; ok {
		return s
	}
	s := string(text)
	if len(t.strings) < maxInterned && len(s) < 1024 {
		t.strings[s] = s
	}
	return s
}

// valueOf returns the value of an attribute as a string. Ids occur once each and are not worth interning.
func (t *spanText) valueOf(key string, text []byte) string {
	switch key {
	case attrActivation, attrInvocation, attrExecution, attrCall, attrPhaseOf:
		return string(text)
	}
	return t.intern(text)
}

// place adds to an error where the lexer stands.
func (t *spanText) place(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if errors.Is(err, errEndsWithin) {
		return fmt.Errorf("line %d, byte %d: the file ends in the middle of a trace: it is cut off", t.lex.line, t.lex.at())
	}
	return fmt.Errorf("line %d, byte %d: %w", t.lex.line, t.lex.at(), err)
}

// text reads a string; null is the empty one. The bytes hold until the next read.
func (t *spanText) text(key string) ([]byte, error) {
	if absent, err := t.lex.null(); absent || err != nil {
		return nil, err
	}
	if t.lex.buf[t.lex.pos] != '"' {
		return nil, fmt.Errorf("%s: %w", key, t.lex.misfit("a string"))
	}
	return t.lex.str()
}

// scalar reads a number, or a string that holds one as Protocol Buffers write 64 bits; null is nil. The bytes hold until the next read.
func (t *spanText) scalar(key string) ([]byte, error) {
	if absent, err := t.lex.null(); absent || err != nil {
		return nil, err
	}
	switch c := t.lex.buf[t.lex.pos]; {
	case c == '"':
		return t.lex.str()
	case isNumberStart(c):
		return t.lex.number()
	}
	return nil, fmt.Errorf("%s: %w", key, t.lex.misfit("a number"))
}

// boolean reads true or false; null is false.
func (t *spanText) boolean(key string) (bool, error) {
	c, err := t.lex.due()
	if err != nil {
		return false, err
	}
	switch c {
	case 't':
		return true, t.lex.literal("true")
	case 'f':
		return false, t.lex.literal("false")
	case 'n':
		return false, t.lex.literal("null")
	}
	return false, fmt.Errorf("%s: %w", key, t.lex.misfit("true or false"))
}

// nanoseconds reads a time or duration of a unit of so many nanoseconds; no number is 0.
func (t *spanText) nanoseconds(key string, unit int64) (int64, error) {
	text, err := t.scalar(key)
	if err != nil || len(text) == 0 {
		return 0, err
	}
	if v, err := strconv.ParseUint(string(text), 10, 64); err == nil && v <= uint64(math.MaxInt64/unit) {
		return int64(v) * unit, nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(v >= 0) {
		return 0, fmt.Errorf("%s %s is not a time since 1970", key, shortID(text))
	}
	if v *= float64(unit); v >= math.MaxInt64 {
		return 0, fmt.Errorf("%s %s is beyond the year 2262", key, shortID(text))
	}
	return int64(math.Round(v)), nil
}

// object reads an object of an element that must be one.
func (t *spanText) object(what string, value func(key string) error) error {
	c, err := t.lex.due()
	if err != nil {
		return err
	}
	if c != '{' {
		return t.lex.misfit(what)
	}
	return t.lex.object(value)
}

// zipkinScanner reads Zipkin's spans, version 2: a list of spans, a list of lists of spans, or any number of these or of spans one behind
// the other.
type zipkinScanner struct {
	spanText
	depth int // of the lists that are open
	first bool
}

func newZipkinScanner(lex *jsonLexer, markKey string) *zipkinScanner {
	return &zipkinScanner{spanText: newSpanText(lex, markKey)}
}

func (z *zipkinScanner) next() ([]span, error) {
	for {
		found, err := z.open()
		if err != nil {
			return nil, z.place(err)
		}
		if !found {
			continue
		}
		s := newSpan()
		hasTrace := false
		if err := z.span(&s, &hasTrace); err != nil {
			if hasTrace {
				err = fmt.Errorf("trace %s: span %016x: %w", s.trace, s.id, err)
			}
			return nil, z.place(err)
		}
		z.batch = append(z.batch[:0], s)
		return z.batch, nil
	}
}

// open reads one step towards the next span, the beginning or end of a list, and reports whether the lexer stands at a span.
func (z *zipkinScanner) open() (found bool, err error) {
	if z.depth > 0 {
		more, err := z.lex.more(']', z.first)
		if err != nil {
			return false, err
		}
		z.first = false
		if !more {
			z.depth--
			return false, nil
		}
	}
	c, err := z.lex.peek()
	if err == io.EOF && z.depth > 0 {
		err = errEndsWithin
	}
	if err != nil {
		return false, err
	}
	switch {
	case c == '{':
		return true, nil
	case c == '[' && z.depth < 2:
		z.depth, z.first = z.depth+1, true
		return false, z.lex.take('[')
	case c == '[' || z.depth > 0:
		return false, z.lex.misfit("a span")
	}
	return false, z.lex.misfit("a span, or a list of spans or of traces")
}

func (z *zipkinScanner) span(s *span, hasTrace *bool) error {
	err := z.lex.object(func(key string) error {
		if _, err := z.lex.due(); err != nil {
			return err
		}
		switch key {
		case "traceId", "id", "parentId":
			text, err := z.text(key)
			if err != nil {
				return err
			}
			switch key {
			case "traceId":
				s.trace, err = parseTraceID(text)
				*hasTrace = err == nil
			case "id":
				s.id, err = parseSpanID(key, text)
			default:
				s.parent, err = parseSpanID(key, text)
			}
			return err
		case "kind":
			text, err := z.text(key)
			s.kind = parseKind(string(text))
			return err
		case "name":
			text, err := z.text(key)
			s.name = z.intern(text)
			return err
		case "timestamp":
			var err error
			s.start, err = z.nanoseconds(key, 1000)
			return err
		case "duration":
			duration, err := z.nanoseconds(key, 1000)
			if duration > 0 {
				s.duration = duration
			}
			return err
		case "shared":
			var err error
			s.shared, err = z.boolean(key)
			return err
		case "localEndpoint":
			return z.endpoint(s)
		case "tags":
			return z.tags(s)
		case "binaryAnnotations":
			return errors.New("its spans are of version 1 of Zipkin's format, which is not read: version 2 is at /api/v2 of its API")
		}
		return z.lex.skip()
	})
	switch {
	case err != nil:
		return err
	case !*hasTrace:
		return errors.New("a span has no traceId")
	case s.id == 0:
		return errors.New("it has no id")
	}
	return nil
}

// endpoint reads which service a span is of.
func (z *zipkinScanner) endpoint(s *span) error {
	if absent, err := z.lex.null(); absent || err != nil {
		return err
	}
	return z.object("an endpoint", func(key string) error {
		if key != "serviceName" {
			return z.lex.skip()
		}
		text, err := z.text(key)
		s.service = z.intern(text)
		return err
	})
}

func (z *zipkinScanner) tags(s *span) error {
	if absent, err := z.lex.null(); absent || err != nil {
		return err
	}
	return z.object("an object of tags", func(key string) error {
		if !isSpanAttribute(key, z.markKey) {
			return z.lex.skip()
		}
		c, err := z.lex.due()
		if err != nil {
			return err
		}
		var value string
		switch {
		case c == '"':
			text, err := z.lex.str()
			if err != nil {
				return err
			}
			value = z.valueOf(key, text)
		case isNumberStart(c):
			text, err := z.lex.number()
			if err != nil {
				return err
			}
			value = z.valueOf(key, text)
		case c == 't' || c == 'f':
			v, err := z.boolean(key)
			if err != nil {
				return err
			}
			value = strconv.FormatBool(v)
		default:
			return z.lex.skip()
		}
		s.set(key, value, z.markKey, false)
		return nil
	})
}
