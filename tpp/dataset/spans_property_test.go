package dataset

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
)

// drawnSpan is a span as the writers of the tests take it, times in µs.
type drawnSpan struct {
	trace, id, parent string
	kind, name        string
	service           string
	start, duration   int64
	tags              map[string]any // string, int64 or bool
}

// drawTraces draws trees of invocations, with client spans, spans within, phases and announcements around them, as spans in any order and
// some of them twice. It returns the sequences that they are, in the order of their first arrivals. Of events at the same time the nearest to the root comes first, then the first in the plan.
func drawTraces(t *rapid.T) (spans []drawnSpan, want *tpp.Dataset) {
	functions := []string{"main", "resize", "Store-it", "mail"}
	want = &tpp.Dataset{MarkNames: functions}
	enriched := rapid.Bool().Draw(t, "enriched")
	ids := 0
	newID := func() string { ids++; return fmt.Sprintf("%016x", 0xabc0000+ids) }
	for tr := range rapid.IntRange(1, 4).Draw(t, "traces") {
		trace := fmt.Sprintf("%032x", uint64(0xfeed000+tr))
		n := rapid.IntRange(1, 7).Draw(t, "invocations")
		seq := tpp.Sequence{}
		at := int64(1_700_000_000_000_000 + tr*3_600_000_000)
		within := make([]string, n) // the id of the innermost span of each invocation
		invocations := make([]string, n)
		depth := make([]int, n)
		for i := range n {
			at += max(rapid.Int64Range(-300_000, 2_000_000).Draw(t, "gap"), 0)
			parent, above := -1, ""
			if i > 0 {
				parent = rapid.IntRange(0, i-1).Draw(t, "parent")
				above = within[parent]
				depth[i] = depth[parent] + 1
			}
			invocations[i] = fmt.Sprintf("act-%d-%d", tr, i)
			wait, init := int64(rapid.IntRange(0, 900).Draw(t, "wait")), int64(0)
			if rapid.Bool().Draw(t, "cold") {
				init = int64(rapid.IntRange(1, 500).Draw(t, "init"))
			}
			function := rapid.IntRange(0, len(functions)-1).Draw(t, "function")
			seq.ArrivalTimes = append(seq.ArrivalTimes, timestamp(at*1000))
			seq.Marks = append(seq.Marks, function)
			seq.Parents = append(seq.Parents, parent)
			if enriched {
				seq.WaitTimes, seq.InitTimes = append(seq.WaitTimes, float64(wait)), append(seq.InitTimes, float64(init))
			}

			call := fmt.Sprintf("call-%d-%d", tr, i)
			add := func(parent, kind, name string, start, duration int64, tags map[string]any) string {
				id := newID()
				spans = append(spans, drawnSpan{trace, id, parent, kind, name, functions[function], start, duration, tags})
				return id
			}
			if i > 0 && rapid.Bool().Draw(t, "announced call") {
				add(above, "", "invoke", at-1, 0, map[string]any{"faas.invoked_name": functions[function], "call.id": call})
			}
			if i > 0 && rapid.Bool().Draw(t, "client span") {
				above = add(above, "CLIENT", "POST", at-5, 1000, map[string]any{"http.status_code": int64(200)})
			}
			tags := map[string]any{"activationId": invocations[i], "faas.name": functions[function], "call.id": call, "call": int64(i)}
			if enriched {
				tags["waitTimeMilli"] = wait
				tags["faas.coldstart"] = init > 0
				if init > 0 {
					tags["initTimeMilli"] = init
				}
			}
			run := at + (wait+init)*1000
			own := add(above, "SERVER", "run "+functions[function], at, (wait+init)*1000+5000, tags)
			within[i] = own
			if enriched {
				add(own, "", "wait", at, wait*1000, map[string]any{"phase.of": invocations[i]})
				add(own, "", "exec", run, 5000, map[string]any{"phase.of": invocations[i]})
			}
			if rapid.Bool().Draw(t, "announced start") {
				add(own, "", "start", run, 0, map[string]any{"activationId": invocations[i], "faas.name": functions[function], "call.id": call})
			}
			for range rapid.IntRange(0, 2).Draw(t, "spans within") {
				within[i] = add(within[i], "", "step", run+1, 100, nil)
			}
			if rapid.Bool().Draw(t, "a span of the same invocation within") {
				within[i] = add(within[i], "INTERNAL", "handler", run+2, 100, map[string]any{"faas.invocation_id": invocations[i]})
			}
		}
		want.Sequences = append(want.Sequences, inOrder(seq, depth))
	}
	for i := range spans {
		if rapid.IntRange(0, 9).Draw(t, "sent twice") == 0 {
			spans = append(spans, spans[i])
		}
	}
	return rapid.Permutation(spans).Draw(t, "order"), want
}

// inOrder sorts the events of a sequence by time and depth.
func inOrder(s tpp.Sequence, depth []int) tpp.Sequence {
	order := make([]int, s.Len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(s.ArrivalTimes[i], s.ArrivalTimes[j]), cmp.Compare(depth[i], depth[j]))
	})
	out := tpp.Sequence{
		ArrivalTimes: permuted(s.ArrivalTimes, order), Marks: permuted(s.Marks, order), Parents: permuted(s.Parents, order),
		WaitTimes: permuted(s.WaitTimes, order), InitTimes: permuted(s.InitTimes, order),
	}
	for k, p := range out.Parents {
		if p >= 0 {
			out.Parents[k] = slices.Index(order, p)
		}
	}
	return out
}

// zipkinText writes spans as Zipkin: a list of traces, or of spans.
func zipkinText(t *rapid.T, spans []drawnSpan) []byte {
	object := func(s drawnSpan) map[string]any {
		o := map[string]any{"traceId": s.trace, "id": s.id, "name": s.name, "timestamp": s.start, "localEndpoint": map[string]any{"serviceName": s.service}}
		if s.parent != "" {
			o["parentId"] = s.parent
		}
		if s.kind != "" && s.kind != "INTERNAL" {
			o["kind"] = s.kind
		}
		if s.duration > 0 {
			o["duration"] = s.duration
		}
		if s.tags != nil {
			tags := map[string]string{}
			for key, value := range s.tags {
				tags[key] = fmt.Sprint(value)
			}
			o["tags"] = tags
		}
		return o
	}
	var list any
	if rapid.Bool().Draw(t, "a flat list") {
		flat := []any{}
		for _, s := range spans {
			flat = append(flat, object(s))
		}
		list = flat
	} else {
		traces := map[string][]any{}
		for _, s := range spans {
			traces[s.trace] = append(traces[s.trace], object(s))
		}
		nested := [][]any{}
		for _, of := range traces {
			nested = append(nested, of)
		}
		list = nested
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// otlpText writes spans as OTLP, some of them to a line.
func otlpText(t *rapid.T, spans []drawnSpan) []byte {
	named := rapid.Bool().Draw(t, "kinds by name")
	textual := rapid.Bool().Draw(t, "times as strings")
	object := func(s drawnSpan) map[string]any {
		number := func(v int64) any {
			if textual {
				return strconv.FormatInt(v, 10)
			}
			return v
		}
		o := map[string]any{"traceId": s.trace, "spanId": s.id, "name": s.name, "startTimeUnixNano": number(s.start * 1000), "endTimeUnixNano": number((s.start + s.duration) * 1000)}
		if s.parent != "" {
			o["parentSpanId"] = s.parent
		}
		if kind := parseKind(s.kind); kind != kindUnknown {
			o["kind"] = int(kind)
			if named {
				o["kind"] = "SPAN_KIND_" + s.kind
			}
		}
		attributes := []any{}
		for key, value := range s.tags {
			var v map[string]any
			switch value := value.(type) {
			case string:
				v = map[string]any{"stringValue": value}
			case int64:
				v = map[string]any{"intValue": number(value)}
			case bool:
				v = map[string]any{"boolValue": value}
			}
			attributes = append(attributes, map[string]any{"key": key, "value": v})
		}
		if len(attributes) > 0 {
			o["attributes"] = attributes
		}
		return o
	}
	var b bytes.Buffer
	for len(spans) > 0 {
		n := rapid.IntRange(1, len(spans)).Draw(t, "spans of a line")
		resources := []any{}
		for _, s := range spans[:n] {
			resources = append(resources, map[string]any{
				"resource":   map[string]any{"attributes": []any{map[string]any{"key": "service.name", "value": map[string]any{"stringValue": s.service}}}},
				"scopeSpans": []any{map[string]any{"spans": []any{object(s)}}},
			})
		}
		line, err := json.Marshal(map[string]any{"resourceSpans": resources})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
		spans = spans[n:]
	}
	return b.Bytes()
}

// byArrival sorts sequences by their first arrivals and numbers their marks by the given names.
func byArrival(t *rapid.T, d *tpp.Dataset, names []string) *tpp.Dataset {
	for _, name := range names {
		if !slices.Contains(d.MarkNames, name) {
			d.MarkNames = append(d.MarkNames, name)
		}
	}
	d, err := d.WithMarks(names)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(d.Sequences, func(a, b tpp.Sequence) int { return cmp.Compare(a.ArrivalTimes[0], b.ArrivalTimes[0]) })
	return d
}

// TestSpansOfEveryFormat checks that trees of invocations come out as they were drawn, whatever stands around them, in which format, in
// which order.
func TestSpansOfEveryFormat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spans, want := drawTraces(t)
		for format, text := range map[Format][]byte{FormatZipkin: zipkinText(t, spans), FormatOTLP: otlpText(t, spans)} {
			for how, source := range map[string]func() (*SequenceReader, error){
				"a file": func() (*SequenceReader, error) { return NewSequenceReader(bytes.NewReader(text), ReadOptions{}) },
				"a pipe": func() (*SequenceReader, error) { return NewSequenceReader(bytes.NewBuffer(text), ReadOptions{}) },
			} {
				r, err := source()
				if err != nil {
					t.Fatal(err)
				}
				if r.Format() != format {
					t.Fatalf("%s is taken for %s", format, r.Format())
				}
				got, err := collect(r)
				if err != nil {
					t.Fatalf("%s from %s: %v\n%s", format, how, err, text)
				}
				if got = byArrival(t, got, want.MarkNames); !reflect.DeepEqual(got.Sequences, want.Sequences) {
					t.Fatalf("%s from %s: got %+v\nwant %+v\n%s", format, how, got.Sequences, want.Sequences, text)
				}
				if warnings := r.Warnings(); len(warnings) > 0 && warnings[0].Kind != WarningTick {
					t.Fatalf("%s: %v", format, warnings)
				}
			}
		}
	})
}

func FuzzReadZipkin(f *testing.F) {
	f.Add([]byte(`[[{"traceId":"1","id":"a","name":"m","kind":"SERVER","timestamp":5,"duration":7,"localEndpoint":{"serviceName":"s"},"tags":{"waitTimeMilli":"1","initTimeMilli":2}}],[]]`))
	f.Add([]byte(`[{"traceId":"00000000000000010000000000000001","id":"a","shared":true,"timestamp":5},{"traceId":"1","id":"a","kind":"CLIENT","timestamp":"4"},{"traceId":"1","parentId":"a","id":"a"}]`))
	f.Add([]byte("{\"traceId\":\"1\",\"id\":\"a\",\"parentId\":\"b\",\"timestamp\":5}\n[{\"traceId\":\"1\",\"id\":\"b\",\"parentId\":\"a\",\"timestamp\":5.5e0,\"name\":\"start\",\"tags\":{\"activationId\":\"x\",\"call.id\":\"c\"}}]"))
	f.Fuzz(checkSpans)
}

func FuzzReadOTLP(f *testing.F) {
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01","spanId":"0a","kind":2,"startTimeUnixNano":"5","endTimeUnixNano":9,"attributes":[{"value":{"intValue":"3"},"key":"waitTimeMilli"},{"key":"faas.coldstart","value":{"boolValue":true}}]}]}],"resource":{"attributes":[{"key":"faas.name","value":{"stringValue":"f"}}]}}]}`))
	f.Add([]byte("{\"resourceMetrics\":[]}\n{\"resourceSpans\":null}\n[{\"resourceSpans\":[{\"instrumentationLibrarySpans\":[{\"spans\":[{\"traceId\":\"1\",\"spanId\":\"2\",\"kind\":\"SPAN_KIND_CONSUMER\",\"startTimeUnixNano\":1e3}]}]}]}]"))
	f.Fuzz(checkSpans)
}

// checkSpans checks that spans are the same from a file and from a pipe, that an error is one line, and that what was read can be written.
func checkSpans(t *testing.T, text []byte) {
	checkStreaming(t, text)
	read := func(pipe bool, opts ReadOptions) (*SequenceReader, *tpp.Dataset, error) {
		var r *SequenceReader
		var err error
		if pipe {
			r, err = NewSequenceReader(bytes.NewBuffer(text), opts)
		} else {
			r, err = NewSequenceReader(bytes.NewReader(text), opts)
		}
		if err != nil {
			return nil, nil, err
		}
		d, err := collect(r)
		return r, d, err
	}
	for _, opts := range []ReadOptions{{Spans: SpansAll}, {Spans: SpansServer, MarkColumn: "service"}, {Spans: SpansInvocations, MarkColumn: "call.id", Resolution: 1}} {
		r, file, err := read(false, opts)
		if r != nil && r.spans() == nil {
			return
		}
		_, pipe, perr := read(true, opts)
		if (err == nil) != (perr == nil) || err != nil && err.Error() != perr.Error() {
			t.Fatalf("from a file: %v; from a pipe: %v", err, perr)
		}
		if err == nil && !reflect.DeepEqual(file, pipe) {
			t.Fatalf("from a file %+v\nfrom a pipe %+v", file, pipe)
		}
	}
}
