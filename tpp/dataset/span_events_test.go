package dataset

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestEventsOfTraces checks which spans become events, and what is known of each, in small traces of Zipkin. Times are in ms after a second
// since 1970.
func TestEventsOfTraces(t *testing.T) {
	// span writes one of trace 1: its id, its parent's or "", its time, and what else there is.
	span := func(id, parent string, at int, more string) string {
		text := fmt.Sprintf(`{"traceId":"1","id":"%s","timestamp":%d,"duration":5000`, id, 1000*(1000+at))
		if parent != "" {
			text += `,"parentId":"` + parent + `"`
		}
		return text + more + "}"
	}
	function := func(name, more string) string {
		return fmt.Sprintf(`,"name":"%s","kind":"SERVER","tags":{"activationId":"act-%s"%s}`, name, name, more)
	}
	const instant = `,"duration":1` // the last of two members with one name counts
	for _, c := range []struct {
		name  string
		opts  ReadOptions
		spans []string
		want  string
	}{
		{"siblings at the same time in the order of the plan", ReadOptions{}, []string{
			span("1", "", 0, function("main", "")), span("2", "1", 3, function("b", `,"call":"2"`)), span("3", "1", 3, function("a", `,"call":"1"`)),
		}, "main@0 a@3<0 b@3<0"},
		{"and without a plan in that of their ids", ReadOptions{}, []string{
			span("3", "1", 3, function("b", "")), span("1", "", 0, function("main", "")), span("2", "1", 3, function("a", "")),
		}, "main@0 a@3<0 b@3<0"},
		{"a parent before its children at the same time", ReadOptions{}, []string{
			span("1", "9", 3, function("child", "")), span("9", "", 3, function("main", "")),
		}, "main@3 child@3<0"},
		{"a child that the clocks put before its parent", ReadOptions{}, []string{
			span("1", "", 3, function("main", "")), span("2", "1", 1, function("child", "")),
		}, "child@1<1 main@3"},
		{"a function that has announced its start", ReadOptions{}, []string{
			span("2", "1", 2, `,"name":"start","tags":{"activationId":"act-main"}`+instant), span("1", "", 0, function("main", "")), span("3", "2", 4, function("next", "")),
		}, "main@0 next@4<0"},
		{"an announcement that is not below its function", ReadOptions{}, []string{
			span("1", "", 4, function("main", "")), span("2", "7", 2, `,"name":"start","tags":{"activationId":"act-main"}`+instant),
		}, "main@4"},
		{"an invocation whose span has no time", ReadOptions{}, []string{
			span("1", "", 0, function("main", "")+`,"timestamp":null`), span("2", "1", 2, `,"name":"start","tags":{"activationId":"act-main","faas.name":"main"}`+instant), span("3", "1", 4, function("next", "")),
		}, "main@2 next@4<0"},
		{"durations where they are asked for", ReadOptions{Durations: true}, []string{
			span("1", "", 0, function("main", "")+`,"duration":7250`), span("2", "1", 3, function("next", "")),
		}, "main@0 next@3<0 covariates map[duration:[7.25 5]]"},
		{"and where all spans have one", ReadOptions{Durations: true}, []string{
			strings.Replace(span("1", "", 0, function("main", "")), `"duration":5000`, `"duration":null`, 1), span("2", "1", 3, function("next", "")),
		}, "main@0 next@3<0"},
		{"a function that is called start", ReadOptions{}, []string{span("1", "", 0, function("start", ""))}, "start@0"},
		{"a span of the same invocation within", ReadOptions{}, []string{
			span("2", "1", 1, `,"name":"inner","tags":{"faas.invocation_id":"act-main"}`), span("1", "", 4, function("main", "")), span("3", "2", 5, function("next", "")),
		}, "main@4 next@5<0"},
		{"an invocation that was sent with two ids", ReadOptions{}, []string{
			span("2", "", 2, function("main", "")), span("1", "", 1, function("main", "")), span("3", "2", 5, function("next", "")),
		}, "main@1 next@5<0"},
		{"a caller that names the invocation", ReadOptions{}, []string{
			span("1", "", 0, `,"name":"call","kind":"CLIENT","tags":{"faas.invocation_id":"act-main"}`), span("2", "1", 1, function("main", "")),
		}, "main@1"},
		{"client and server of one id without a word", ReadOptions{}, []string{
			span("2", "1", 2, `,"name":"call","kind":"CLIENT"`), span("2", "1", 3, `,"name":"called","kind":"SERVER"`), span("3", "2", 4, `,"name":"next","kind":"SERVER"`), span("1", "", 0, `,"name":"main","kind":"SERVER"`),
		}, "main@0 called@3<0 next@4<1"},
		{"and with all spans as events", ReadOptions{Spans: SpansAll}, []string{
			span("2", "1", 2, `,"name":"call","kind":"CLIENT"`), span("2", "1", 3, `,"name":"called","kind":"SERVER"`), span("3", "2", 4, `,"name":"next"`), span("1", "", 0, `,"name":"main","kind":"SERVER"`),
		}, "main@0 call@2<0 called@3<1 next@4<2"},
		{"two reports of one span", ReadOptions{}, []string{
			span("1", "", 30, `,"kind":"SERVER","tags":{"faas.name":"main"}`), span("1", "", 10, `,"name":"x","kind":"SERVER","tags":{"waitTimeMilli":"20"}`), span("1", "", 30, `,"kind":"SERVER"`),
		}, "main@10 waits [20] inits [0]"},
		{"phases that have lost their attribute", ReadOptions{Spans: SpansAll}, []string{
			span("1", "", 0, function("main", `,"waitTimeMilli":"7"`)), span("2", "1", 0, `,"name":"wait"`), span("3", "1", 7, `,"name":"exec"`), span("4", "1", 8, `,"name":"wait","kind":"CLIENT"`), span("5", "1", 9, `,"name":"other"`),
		}, "main@0 wait@8<0 other@9<0"},
		{"a function that is called wait", ReadOptions{}, []string{
			span("1", "", 0, function("main", `,"waitTimeMilli":"7"`)), span("2", "1", 9, `,"name":"wait","tags":{"activationId":"2","waitTimeMilli":"8"}`),
		}, "main@0 wait@9<0 waits [7 8] inits [0 0]"},
		{"waits of some", ReadOptions{}, []string{span("1", "", 0, function("main", `,"waitTimeMilli":"7"`)), span("2", "1", 9, function("next", ""))}, "main@0 next@9<0"},
		{"a wait that is none", ReadOptions{}, []string{span("1", "", 0, function("main", `,"waitTimeMilli":"-7"`))}, "main@0"},
		{"a cold start without an init time", ReadOptions{}, []string{
			span("1", "", 0, function("main", `,"waitTimeMilli":"7","faas.coldstart":"true"`)), span("2", "1", 9, function("next", `,"waitTimeMilli":"8","faas.coldstart":"false"`)),
		}, "main@0 next@9<0 waits [7 8] covariates map[faas.coldstart:[1 0]]"},
		{"cold starts with and without", ReadOptions{}, []string{
			span("1", "", 0, function("main", `,"waitTimeMilli":7,"initTimeMilli":3,"faas.coldstart":true`)), span("2", "1", 9, function("next", `,"waitTimeMilli":8,"faas.coldstart":false`)),
		}, "main@0 next@9<0 waits [7 8] inits [3 0]"},
		{"times on a tick", ReadOptions{Resolution: 10}, []string{
			span("1", "", 4, function("main", `,"waitTimeMilli":"1","initTimeMilli":"0"`)), span("2", "1", 16, function("next", `,"waitTimeMilli":"26","initTimeMilli":"2"`)),
		}, "main@0 next@20<0 waits [10 30] inits [0 10]"},
		{"functions by their resource", ReadOptions{}, []string{
			span("1", "", 0, `,"name":"get","kind":"SERVER","tags":{"faas.name":"main"}`), span("2", "1", 1, `,"name":"get","tags":{"faas.name":"main"}`), span("3", "2", 2, `,"name":"poll","kind":"CONSUMER","tags":{"faas.trigger":"timer"}`),
		}, "main@0 poll@2<0"},
		{"ids of 64 and of 128 bits", ReadOptions{}, []string{
			strings.Replace(span("1", "", 0, function("main", "")), `"1"`, `"70000000000000001"`, 1), span("2", "1", 1, function("next", "")),
			strings.Replace(span("3", "1", 2, function("last", "")), `"1"`, `"00000000000000070000000000000001"`, 1), span("4", "1", 3, function("end", "")),
		}, "main@0 next@1<0 last@2<0 end@3<0"},
		{"an id of 64 bits that may be of either", ReadOptions{}, []string{
			strings.Replace(span("1", "", 0, function("main", "")), `"1"`, `"70000000000000001"`, 1),
			strings.Replace(span("1", "", 1, function("other", "")), `"1"`, `"80000000000000001"`, 1), span("2", "1", 2, function("next", "")),
		}, "main@0; other@1; next@2"},
		{"a mark by an attribute", ReadOptions{MarkColumn: "region"}, []string{
			span("1", "", 0, function("main", `,"region":"eu"`)), span("2", "1", 1, function("next", "")),
		}, "eu@0 unknown@1<0"},
		{"a mark by the service", ReadOptions{MarkColumn: "service.name"}, []string{span("1", "", 0, function("main", "")+`,"localEndpoint":{"serviceName":"shop"}`)}, "shop@0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewSequenceReader(strings.NewReader("["+strings.Join(c.spans, ",")+"]"), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			d, err := r.ReadAll(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var sequences []string
			for _, s := range d.Sequences {
				var text []string
				for i, at := range s.ArrivalTimes {
					event := fmt.Sprintf("%s@%g", d.MarkNames[s.Mark(i)], at-1000)
					if s.Parents[i] >= 0 {
						event += fmt.Sprintf("<%d", s.Parents[i])
					}
					text = append(text, event)
				}
				if s.WaitTimes != nil {
					text = append(text, fmt.Sprintf("waits %v", s.WaitTimes))
				}
				if s.InitTimes != nil {
					text = append(text, fmt.Sprintf("inits %v", s.InitTimes))
				}
				if s.Covariates != nil {
					text = append(text, fmt.Sprintf("covariates %v", s.Covariates))
				}
				sequences = append(sequences, strings.Join(text, " "))
			}
			if got := strings.Join(sequences, "; "); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestLongChainOfOneInvocation checks that a trace whose spans are all of one invocation, each a child of the one before, is one event: that of
// the outermost span.
func TestLongChainOfOneInvocation(t *testing.T) {
	const n = 50_000
	var b strings.Builder
	for i := n; i >= 1; i-- {
		fmt.Fprintf(&b, `{"traceId":"1","id":"%x","parentId":"%x","timestamp":%d,"duration":1,"name":"main","kind":"SERVER","tags":{"faas.invocation_id":"act"}},`, i+1, i, 1700000000000000+i)
	}
	b.WriteString(`{"traceId":"1","id":"1","timestamp":1700000000000000,"name":"main","kind":"SERVER","tags":{"faas.invocation_id":"act"}}`)
	r, err := NewSequenceReader(strings.NewReader("["+b.String()+"]"), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.ReadAll(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Sequences) != 1 || d.NumEvents() != 1 || d.Sequences[0].ArrivalTimes[0] != 1700000000000 {
		t.Errorf("%d sequences with %d events, want one at the time of the outermost span", len(d.Sequences), d.NumEvents())
	}
}

// TestTimesOfAnotherUnit checks that times that count milliseconds where microseconds are due are warned of, with the first span.
func TestTimesOfAnotherUnit(t *testing.T) {
	for text, want := range map[string]string{
		`[{"traceId":"1","id":"1","timestamp":1700000000000,"name":"main","kind":"SERVER"},{"traceId":"1","id":"2","parentId":"1","timestamp":1700000000900,"name":"f","kind":"SERVER"}]`:                                       "has 2 of 2 events before 1990: Zipkin counts microseconds since 1970, and OTLP nanoseconds; the first is trace 0000000000000001: span 0000000000000001 (\"main\") at 1970-01-20T16:13:20Z",
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","name":"f","kind":2,"startTimeUnixNano":"1700000000000","endTimeUnixNano":"1700000000001"}]}]}]}`: "has 1 of 1 events before 1990",
	} {
		r, err := NewSequenceReader(strings.NewReader(text), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadAll(context.Background()); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, w := range r.Warnings() {
			found = found || w.Kind == WarningUnit && strings.HasPrefix(w.Text, want)
		}
		if !found {
			t.Errorf("warnings %v, want one %q", r.Warnings(), want)
		}
	}
}

// TestWaitsThatAreNoDurations checks that they are left out and named, unless another report of the span has one.
func TestWaitsThatAreNoDurations(t *testing.T) {
	for _, wait := range []string{"-5", "abc", "1e300", "NaN"} {
		r, err := NewSequenceReader(strings.NewReader(`[{"traceId":"1","id":"1","timestamp":1700000000000000,"name":"main","kind":"SERVER","tags":{"activationId":"a","waitTimeMilli":"`+wait+`"}}]`), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.ReadAll(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if w := r.Warnings(); d.Sequences[0].WaitTimes != nil || len(w) != 1 || w[0].Kind != WarningDurations || !strings.HasPrefix(w[0].Text, "has 1 events whose waitTimeMilli") {
			t.Errorf("%s: waits %v, warnings %v", wait, d.Sequences[0].WaitTimes, w)
		}
	}
	span := func(wait string) string {
		return `{"traceId":"1","id":"1","timestamp":1700000000000000,"name":"main","kind":"SERVER","tags":{"activationId":"a","waitTimeMilli":"` + wait + `"}}`
	}
	for _, text := range []string{span("-5") + "," + span("5"), span("5") + "," + span("-5")} {
		r, err := NewSequenceReader(strings.NewReader("["+text+"]"), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.ReadAll(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if w := r.Warnings(); len(d.Sequences[0].WaitTimes) != 1 || d.Sequences[0].WaitTimes[0] != 5 || len(w) != 0 {
			t.Errorf("%s: waits %v, warnings %v", text, d.Sequences[0].WaitTimes, w)
		}
	}
}
