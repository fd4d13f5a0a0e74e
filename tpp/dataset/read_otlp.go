package dataset

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// maxAttribute is how long the value of an attribute may be that stands before the attribute's name.
const maxAttribute = 1 << 16

// otlpScanner reads OTLP in JSON as the file exporter of the OpenTelemetry Collector writes it: a request to export spans on each line, one
// alone, or a list of them. Requests to export metrics or logs are skipped.
type otlpScanner struct {
	spanText
	list, inRequest, inSpans bool // which bracket is open: of a list of requests, of a request, of its resourceSpans
	first                    bool
	skipped                  int // metrics and logs
	attributes               []attribute
}

// attribute is one of a resource that is used.
type attribute struct{ key, value string }

func newOTLPScanner(lex *jsonLexer, markKey string) *otlpScanner {
	return &otlpScanner{spanText: newSpanText(lex, markKey)}
}

func (o *otlpScanner) next() ([]span, error) {
	for {
		found, err := o.open()
		if err == nil && found {
			err = o.resourceSpans()
		}
		if err != nil {
			return nil, o.place(err)
		}
		if found && len(o.batch) > 0 {
			return o.batch, nil
		}
	}
}

// open reads one step towards the next element of resourceSpans, and reports whether the lexer stands at one.
func (o *otlpScanner) open() (found bool, err error) {
	first := o.first
	switch {
	case o.inSpans:
		o.first = false
		found, err = o.lex.more(']', first)
		o.inSpans = found
		return found, err
	case o.inRequest:
		o.first = false
		if o.inRequest, err = o.lex.more('}', first); err != nil || !o.inRequest {
			return false, err
		}
		return false, o.member()
	case o.list:
		o.first = false
		if o.list, err = o.lex.more(']', first); err != nil || !o.list {
			return false, err
		}
	}
	c, err := o.lex.peek()
	if err == io.EOF && o.list {
		err = errEndsWithin
	}
	if err != nil {
		return false, err
	}
	switch {
	case c == '{':
		o.inRequest, o.first = true, true
		return false, o.lex.take('{')
	case c == '[' && !o.list:
		o.list, o.first = true, true
		return false, o.lex.take('[')
	}
	return false, o.lex.misfit("a request to export spans, an object with resourceSpans")
}

// member reads a member of a request.
func (o *otlpScanner) member() error {
	key, err := o.lex.key()
	if err != nil {
		return err
	}
	c, err := o.lex.due()
	switch {
	case err != nil:
		return err
	case key == "resourceSpans" && c == '[':
		o.inSpans, o.first = true, true
		return o.lex.take('[')
	case key == "resourceSpans" && c != 'n':
		return fmt.Errorf("resourceSpans: %w", o.lex.misfit("a list"))
	case key == "resourceMetrics" || key == "resourceLogs" || key == "resourceProfiles":
		o.skipped++
	}
	return o.lex.skip()
}

// resourceSpans reads an element of resourceSpans into the batch. The resource may stand behind its spans.
func (o *otlpScanner) resourceSpans() error {
	o.batch, o.attributes = o.batch[:0], o.attributes[:0]
	if err := o.object("an object of a resource's spans", func(key string) error {
		switch key {
		case "resource":
			return o.resource()
		case "scopeSpans", "instrumentationLibrarySpans": // as it was called before 2022
			_, err := o.lex.elements("a list of scopes", func(byte) error { return o.scopeSpans() })
			return err
		}
		return o.lex.skip()
	}); err != nil {
		return err
	}
	for i := range o.batch {
		for _, a := range o.attributes {
			o.batch[i].set(a.key, a.value, o.markKey, true)
		}
	}
	return nil
}

func (o *otlpScanner) resource() error {
	if absent, err := o.lex.null(); absent || err != nil {
		return err
	}
	return o.object("a resource", func(key string) error {
		if key != "attributes" {
			return o.lex.skip()
		}
		return o.readAttributes(func(key, value string) { o.attributes = append(o.attributes, attribute{key, value}) })
	})
}

func (o *otlpScanner) scopeSpans() error {
	return o.object("an object of a scope's spans", func(key string) error {
		if key != "spans" {
			return o.lex.skip()
		}
		_, err := o.lex.elements("a list of spans", func(byte) error {
			s := newSpan()
			hasTrace := false
			if err := o.span(&s, &hasTrace); err != nil {
				if hasTrace {
					err = fmt.Errorf("trace %s: span %016x: %w", s.trace, s.id, err)
				}
				return err
			}
			o.batch = append(o.batch, s)
			return nil
		})
		return err
	})
}

func (o *otlpScanner) span(s *span, hasTrace *bool) error {
	var end int64
	err := o.object("a span", func(key string) error {
		if _, err := o.lex.due(); err != nil {
			return err
		}
		switch key {
		case "traceId", "spanId", "parentSpanId":
			text, err := o.text(key)
			if err != nil {
				return err
			}
			switch key {
			case "traceId":
				s.trace, err = parseTraceID(text)
				*hasTrace = err == nil
			case "spanId":
				s.id, err = parseSpanID(key, text)
			default:
				s.parent, err = parseSpanID(key, text)
			}
			return err
		case "kind":
			text, err := o.scalar(key) // a number, or the name of the value
			if n, failure := strconv.Atoi(string(text)); failure != nil {
				s.kind = parseKind(string(text))
			} else if n > 0 && n < len(kindNames) {
				s.kind = spanKind(n)
			}
			return err
		case "name":
			text, err := o.text(key)
			s.name = o.intern(text)
			return err
		case "startTimeUnixNano":
			var err error
			s.start, err = o.nanoseconds(key, 1)
			return err
		case "endTimeUnixNano":
			var err error
			end, err = o.nanoseconds(key, 1)
			return err
		case "attributes":
			return o.readAttributes(func(key, value string) { s.set(key, value, o.markKey, false) })
		}
		return o.lex.skip()
	})
	switch {
	case err != nil:
		return err
	case !*hasTrace:
		return fmt.Errorf("a span has no traceId")
	case s.id == 0:
		return fmt.Errorf("it has no spanId")
	}
	if end > 0 && s.start > 0 {
		s.duration = max(end-s.start, 0) // a clock may have been set back
	}
	return nil
}

// readAttributes reads a list of attributes and calls use for those that are used, each with its value as text.
func (o *otlpScanner) readAttributes(use func(key, value string)) error {
	_, err := o.lex.elements("a list of attributes", func(byte) error {
		var key, value string
		var before []byte // the value, if it stands before the key
		named, found := false, false
		if err := o.object("an attribute", func(member string) (err error) {
			switch {
			case member == "key":
				text, err := o.text(member)
				key, named = o.intern(text), true
				return err
			case member == "value" && !named:
				before, err = o.held()
				return err
			case member == "value" && isSpanAttribute(key, o.markKey):
				value, found, err = o.value(key)
				return err
			}
			return o.lex.skip()
		}); err != nil {
			return err
		}
		if !isSpanAttribute(key, o.markKey) {
			return nil
		}
		if before != nil {
			if len(before) >= maxAttribute {
				return fmt.Errorf("the attribute %s has a value of more than %d bytes", shortName(key), maxAttribute)
			}
			apart := spanText{lex: newJSONLexer(bytes.NewReader(before)), strings: o.strings}
			var err error
			if value, found, err = (&otlpScanner{spanText: apart}).value(key); err != nil {
				return err
			}
		}
		if found {
			use(key, value)
		}
		return nil
	})
	return err
}

// held skips a value and returns its beginning.
func (o *otlpScanner) held() ([]byte, error) {
	l := o.lex
	l.captured, l.capture = []byte{}, maxAttribute
	err := l.skip()
	text := l.captured
	l.captured, l.capture = nil, 0
	return text, err
}

// value reads the value of the attribute with a key as text, and reports whether it is a string, a number or a boolean.
func (o *otlpScanner) value(key string) (value string, found bool, err error) {
	if absent, err := o.lex.null(); absent || err != nil {
		return "", false, err
	}
	err = o.object("the value of an attribute, an object", func(kind string) error {
		if _, err := o.lex.due(); err != nil {
			return err
		}
		switch kind {
		case "stringValue":
			text, err := o.text(kind)
			value, found = o.valueOf(key, text), true
			return err
		case "intValue", "doubleValue":
			text, err := o.scalar(kind)
			value, found = o.valueOf(key, text), true
			return err
		case "boolValue":
			v, err := o.boolean(kind)
			value, found = strconv.FormatBool(v), true
			return err
		}
		return o.lex.skip()
	})
	return value, found, err
}
