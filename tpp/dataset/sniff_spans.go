package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// sniffed is how many bytes of a file may decide whether it has spans.
const sniffed = 1 << 16

// sniffSpans returns the format of a file of spans, "" if it is none. The keys of the first object in it decide: a span of Zipkin has a
// traceId, a request of OTLP resourceSpans. It reads nothing.
func sniffSpans(br *bufio.Reader) (Format, error) {
	head, _ := br.Peek(sniffed) // an error comes again where the file is read
	l := newJSONLexer(bytes.NewReader(head))
	c, err := l.peek()
	for depth := 0; err == nil && c == '[' && depth < 3; {
		// Lists without anything in them may stand before the first object: in the list that it is in, or in lists before that.
		first, more := true, true
		for l.take('['); ; first = false {
			var failure error
			if more, failure = l.more(']', first); failure != nil || !more && depth > 0 {
				return "", nil
			}
			if !more {
				c, err = l.peek()
				break
			}
			if c, err = l.due(); err != nil || c != '[' || !l.emptyList() {
				break
			}
		}
		if more {
			depth++
		}
	}
	if err != nil || c != '{' {
		return "", nil
	}
	var format Format
	wrapper := "" // what the answers of a trace store have their spans in
	l.object(func(key string) error {
		switch {
		case key == "resourceSpans" || key == "resourceMetrics" || key == "resourceLogs" || key == "resourceProfiles":
			format = FormatOTLP
			return errDecided
		case key == "traceId" || key == "localEndpoint":
			format = FormatZipkin
		case key == "traceID" || key == "data" && format == "":
			format = formatJaeger
		case (key == "result" || key == "batches" || key == "trace") && format == "":
			wrapper = key
		case key == "sequences" || key == keySince || slices.Contains(sequenceKeys, key):
			format, wrapper = "", ""
			return errDecided
		}
		return l.skip()
	})
	if format == "" && wrapper != "" && bytes.Contains(head, []byte(`"scopeSpans"`)) {
		return "", fmt.Errorf("it is the answer of a trace store, with its spans in %q: only requests of OTLP themselves are read, an object with resourceSpans", wrapper)
	}
	if format == formatJaeger {
		if bytes.Contains(head, []byte(`"traceID"`)) && bytes.Contains(head, []byte(`"operationName"`)) {
			return "", errors.New("its spans are Jaeger's, which are not read: export them as OTLP or Zipkin's JSON")
		}
		return "", nil
	}
	return format, nil
}

// formatJaeger is what is recognised, but not read.
const formatJaeger Format = "jaeger"

var errDecided = errors.New("decided")

// emptyList reads a list if it is empty, and otherwise nothing.
func (l *jsonLexer) emptyList() bool {
	rest := bytes.TrimLeft(l.buf[l.pos+1:], " \t\r\n")
	if len(rest) == 0 || rest[0] != ']' {
		return false
	}
	return l.take('[') == nil && l.take(']') == nil
}
