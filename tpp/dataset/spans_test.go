package dataset

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// TestSpansThatAreWrong checks that the error of a damaged file names the line, the place, and the span where there is one.
func TestSpansThatAreWrong(t *testing.T) {
	good := `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"ab","spanId":"1","startTimeUnixNano":"5"}]}]}]}`
	for _, c := range []struct{ name, text, want string }{
		{"the last line is cut", good + "\n" + good[:60], "line 2, byte 163: the file ends in the middle of a trace: it is cut off"},
		{"a list of traces is cut", `[[{"traceId":"ab","id":"1","timestamp":5}],[`, "line 1, byte 44: the file ends in the middle of a trace: it is cut off"},
		{"a list is cut behind a comma", `[{"traceId":"ab","id":"1","timestamp":5},`, "it is cut off"},
		{"a list of requests is cut", "[" + good, "it is cut off"},
		{"something in the middle", good + "\n{]\n" + good, "line 2, byte 104: not JSON at byte 104: ] stands where a name is due"},
		{"no trace id", `[{"id":"1","localEndpoint":{}}]`, "line 1, byte 30: a span has no traceId"},
		{"no id", `[{"traceId":"ab"}]`, "line 1, byte 17: trace 00000000000000ab: span 0000000000000000: it has no id"},
		{"no span id", `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"ab","startTimeUnixNano":"5"}]}]}]}`, "trace 00000000000000ab: span 0000000000000000: it has no spanId"},
		{"a long trace id", `[{"traceId":"` + strings.Repeat("a", 33) + `","id":"1"}]`, "has more than 32 digits"},
		{"base64", `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"Sb1+nw==","spanId":"1"}]}]}]}`, `traceId "Sb1+nw==" is not hexadecimal`},
		{"a trace id of zeros", `[{"traceId":"0000000000000000","id":"1"}]`, `traceId "0000000000000000" is zero`},
		{"a long span id", `[{"traceId":"ab","id":"12345678123456781"}]`, `id "12345678123456781" has more than 16 digits`},
		{"a time that is none", `[{"traceId":"ab","id":"2","timestamp":"yesterday"}]`, `line 1, byte 49: trace 00000000000000ab: span 0000000000000002: timestamp "yesterday" is not a time since 1970`},
		{"a time before 1970", `[{"traceId":"ab","id":"2","timestamp":-5}]`, `timestamp "-5" is not a time since 1970`},
		{"a time in ns as µs", `[{"traceId":"ab","id":"2","timestamp":1700000000000000000}]`, `timestamp "1700000000000000000" is beyond the year 2262`},
		{"a name that is none", `[{"traceId":"ab","id":"2","name":7}]`, "name: 7 is not a string"},
		{"tags that are none", `[{"traceId":"ab","id":"2","tags":[1]}]`, "[1] is not an object of tags"},
		{"shared that is none", `[{"traceId":"ab","id":"2","shared":"yes"}]`, `shared: "yes" is not true or false`},
		{"too many brackets", `[[{"traceId":"ab","id":"1","timestamp":5}, [3]]]`, "[3] is not a span"},
		{"a number among spans", `[{"traceId":"ab","id":"1","timestamp":5}, 3]`, "3 is not a span"},
		{"something behind", `[{"traceId":"ab","id":"1","timestamp":5}] 3`, "3 is not a span, or a list of spans or of traces"},
		{"something behind requests", good + ` 3`, "3 is not a request to export spans, an object with resourceSpans"},
		{"resourceSpans that are none", `{"resourceSpans":{}}`, "resourceSpans: {} is not a list"},
		{"a scope that is none", `{"resourceSpans":[{"scopeSpans":[5]}]}`, "5 is not an object of a scope's spans"},
		{"an attribute that is none", `{"resourceSpans":[{"resource":{"attributes":[5]}}]}`, "5 is not an attribute"},
		{"a long value before its key", `{"resourceSpans":[{"resource":{"attributes":[{"value":{"stringValue":"` + strings.Repeat("x", maxAttribute) + `"},"key":"faas.name"}]}}]}`,
			`the attribute "faas.name" has a value of more than 65536 bytes`},
		{"Jaeger", `{"data":[{"traceID":"ab","spans":[{"traceID":"ab","operationName":"x"}]}]}`, "its spans are Jaeger's, which are not read"},
		{"the API of Jaeger", `{"result":` + good + `}`, `it is the answer of a trace store, with its spans in "result"`},
		{"the API of Tempo", `{"batches":[{"scopeSpans":[]}]}`, `it is the answer of a trace store, with its spans in "batches"`},
		{"version 1 of Zipkin", `[[{"traceId":"ab","id":"1","annotations":[{"value":"sr","timestamp":5}],"binaryAnnotations":[]}]]`, "version 1 of Zipkin's format, which is not read"},
		{"zstd", "\x28\xb5\x2f\xfd\x00", "compressed with zstd, which is not read"},
		{"zstd of a Collector", "\x00\x00\x01\x02\x28\xb5\x2f\xfd\x00", "leave out its setting compression"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	whole := zipped([]byte(good + "\n" + strings.Repeat(good+"\n", 50)))
	path := filepath.Join(t.TempDir(), "cut.gz")
	if err := os.WriteFile(path, whole[:len(whole)-12], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), path+": ") || !strings.Contains(err.Error(), "the gzipped file is cut off") {
		t.Errorf("got %v", err)
	}
}

// TestSpansAreTold checks what is taken for spans, and what is not.
func TestSpansAreTold(t *testing.T) {
	for _, c := range []struct {
		text string
		want Format
	}{
		{`[[{"traceId":"1","id":"1","timestamp":1}]]`, FormatZipkin},
		{` [ [ ] , [{"kind":"SERVER","id":"1","timestamp":1,"traceId":"1"}]]`, FormatZipkin},
		{"[]\n[[]]\n[ ] [{\"traceId\":\"1\",\"id\":\"1\",\"timestamp\":1}]", FormatZipkin}, // answers put one behind the other, of which the first have no trace
		{"\ufeff[{\"traceId\":\"1\",\"id\":\"1\",\"timestamp\":1}]", FormatZipkin},
		{`{"traceId":"1","id":"1","timestamp":1}`, FormatZipkin},
		{`{"resourceSpans":[]}`, FormatOTLP},
		{`[{"resourceSpans":[]}]`, FormatOTLP},
		{`{"resourceLogs":[]}` + "\n" + `{"resourceSpans":[]}`, FormatOTLP},
		{`[]`, FormatJSON},
		{`[[]]`, FormatJSON},
		{`[{"time_since_start":[0],"type_event":[0],"traceId":"1"}]`, FormatJSON},
		{`[[{"time_since_start":0,"type_event":0}]]`, FormatJSON},
		{`{"traceId":"1","arrival_times":[1]}`, FormatJSONLines},
		{`{"traceId":"1","sequences":[]}`, FormatJSON},
	} {
		r, err := NewSequenceReader(strings.NewReader(c.text), ReadOptions{})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if r.Format() != c.want {
			t.Errorf("%s is taken for %s, want %s", c.text, r.Format(), c.want)
		}
	}
}

// TestSpansWithoutEvents checks that a file of spans without an event says why.
func TestSpansWithoutEvents(t *testing.T) {
	for _, c := range []struct {
		text, want string
		rule       SpanRule
	}{
		{`{"resourceMetrics":[]}`, "has 1 requests to export metrics or logs, and none with spans", ""},
		{`{"resourceSpans":[]}`, "has no span", ""},
		{`[{"traceId":"1","id":"1","name":"x"}]`, `has 1 spans, and no event with a time; the first without is trace 0000000000000001: span 0000000000000001 ("x")`, ""},
		{`[{"traceId":"1","id":"1","timestamp":1}]`, "has 1 spans in 1 traces, and none that is an event by -spans server", SpansServer},
	} {
		r, err := NewSequenceReader(strings.NewReader(c.text), ReadOptions{Spans: c.rule})
		if err != nil {
			t.Fatal(err)
		}
		if d, err := r.ReadAll(context.Background()); err != nil || len(d.Sequences) != 0 {
			t.Fatal(d, err)
		}
		if w := r.Warnings(); len(w) != 1 || w[0].Kind != WarningEmpty || w[0].Text != c.want {
			t.Errorf("%s: %+v, want %s", c.text, w, c.want)
		}
	}
	if _, err := NewSequenceReader(strings.NewReader(`{"resourceSpans":[]}`), ReadOptions{Spans: "some"}); err == nil || !strings.Contains(err.Error(), "invocations, server or all") {
		t.Errorf("a rule that is none: %v", err)
	}
}

// TestSpansInTheNamesOfAModel checks that marks are numbered as a model does, and that others are errors that name the trace.
func TestSpansInTheNamesOfAModel(t *testing.T) {
	text := `[{"traceId":"ab","id":"1","timestamp":1000,"name":"b"},{"traceId":"ab","id":"2","parentId":"1","timestamp":2000,"name":"a"}]`
	r, err := NewSequenceReader(strings.NewReader(text), ReadOptions{MarkNames: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.ReadAll(context.Background())
	if err != nil || fmt.Sprint(d.Sequences[0].Marks) != "[1 0]" {
		t.Errorf("%+v, %v", d, err)
	}
	r, err = NewSequenceReader(strings.NewReader(text), ReadOptions{MarkNames: []string{"b"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAll(context.Background()); err == nil || err.Error() != `trace 00000000000000ab: event 1 has mark "a", which the model does not know` {
		t.Error(err)
	}
}

// TestParentsThatAreLoops checks that spans that are each other's ancestors become roots, in every rule.
func TestParentsThatAreLoops(t *testing.T) {
	for text, want := range map[string]string{
		`[{"traceId":"1","id":"1","parentId":"1","timestamp":1,"kind":"SERVER"}]`:                                                                                                                                             "[-1]",
		`[{"traceId":"1","id":"1","parentId":"2","timestamp":1,"kind":"SERVER"},{"traceId":"1","id":"2","parentId":"1","timestamp":2}]`:                                                                                       "[-1]",
		`[{"traceId":"1","id":"1","parentId":"2","timestamp":1,"kind":"SERVER"},{"traceId":"1","id":"2","parentId":"3","timestamp":1},{"traceId":"1","id":"3","parentId":"2","timestamp":1}]`:                                 "[-1]",
		`[{"traceId":"1","id":"1","parentId":"2","timestamp":1,"kind":"SERVER"},{"traceId":"1","id":"2","parentId":"1","timestamp":1,"kind":"SERVER"},{"traceId":"1","id":"3","parentId":"2","timestamp":1,"kind":"SERVER"}]`: "[-1 0 1]",
	} {
		d, err := Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(d.Sequences[0].Parents); got != want {
			t.Errorf("%s: parents %s, want %s", text, got, want)
		}
	}
}

// manySpans is a file of OTLP with a trace of three spans on each line, and one whose spans are the first and the last of the file.
type manySpans struct {
	lines, next int
	rest        []byte
}

func (m *manySpans) line(i int) []byte {
	trace := i + 1
	if i == 0 || i == m.lines-1 {
		trace = 1 << 40
	}
	var spans []string
	for k := range 3 {
		spans = append(spans, fmt.Sprintf(`{"traceId":"%032x","spanId":"%016x","kind":2,"name":"f%d","startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[{"key":"faas.invocation_id","value":{"stringValue":"act-%d-%d"}},{"key":"body","value":{"stringValue":"%0400d"}}]}`,
			trace, 3*i+k+1, k, 1700000000000000000+int64(i)*1e9+int64(k)*1e6, 1700000000000000000+int64(i)*1e9+int64(k)*1e6+5e5, i, k, 7))
	}
	return []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.Join(spans, ",") + `]}]}]}` + "\n")
}

func (m *manySpans) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		if m.next == m.lines {
			return 0, io.EOF
		}
		m.rest = m.line(m.next)
		m.next++
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

func (m *manySpans) Seek(offset int64, whence int) (int64, error) {
	if offset == 0 && whence == io.SeekStart {
		m.next, m.rest = 0, nil
	}
	return 0, nil
}

// TestSpansHoldOpenTraces checks that of a file which can be read twice only the traces are in memory that have begun and not ended, and a few
// bytes for each trace.
func TestSpansHoldOpenTraces(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const lines = 16_000
	before := heap()
	r, err := NewSequenceReader(&manySpans{lines: lines}, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n, most := 0, uint64(0)
	var last *tpp.Sequence
	for s, err := range r.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%5_000 == 0 {
			most = max(most, heap())
		}
		last = s
	}
	if n != lines-1 || last.Len() != 6 {
		t.Errorf("%d sequences, the last of %d events; want %d, the last of 6", n, last.Len(), lines-1)
	}
	// The file has some 37 MB; its spans would take 13 MB.
	if grown := int64(most) - int64(before); grown > 5<<20 {
		t.Errorf("%d bytes are held for %d traces", grown, lines)
	}
	runtime.KeepAlive(r)
}

// TestFileThatChanges checks that a file which grows between the two times that it is read is an error.
func TestFileThatChanges(t *testing.T) {
	file := &manySpans{lines: 3}
	r, err := NewSequenceReader(file, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range r.All(context.Background()) {
		if err != nil {
			if err != errChanged {
				t.Error(err)
			}
			return
		}
		file.lines = 5
	}
	t.Error("no error")
}

// TestSpansStop checks that reading spans ends with its context.
func TestSpansStop(t *testing.T) {
	r, err := NewSequenceReader(bytes.NewReader([]byte(strings.Repeat("{\"resourceSpans\":[]}\n", 10_000))), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.ReadAll(ctx); err != context.Canceled {
		t.Error(err)
	}
}
