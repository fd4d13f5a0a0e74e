package otlp

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/testbin"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if testbin.Remove() != nil && status == 0 {
			status = 1
		}
		os.Exit(status)
	}))
}

// begin is the time of the spans of tests.
var begin = time.UnixMilli(1_790_000_000_000).UTC()

const (
	traceText  = "0102030405060708090a0b0c0d0e0f10"
	spanText   = "1112131415161718"
	parentText = "2122232425262728"
)

// newSpan adds a span of the trace to a message, from begin and so long.
func newSpan(rs ptrace.ResourceSpans, name string, kind ptrace.SpanKind, duration time.Duration, attributes map[string]any) ptrace.Span {
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetName(name)
	s.SetKind(kind)
	s.SetTraceID(pcommon.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	s.SetSpanID(pcommon.SpanID{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18})
	s.SetParentSpanID(pcommon.SpanID{0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28})
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(begin))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(begin.Add(duration)))
	if err := s.Attributes().FromRaw(attributes); err != nil {
		panic(err)
	}
	return s
}

// TestSpans checks what each kind of span says.
func TestSpans(t *testing.T) {
	const second = time.Second
	for _, test := range []struct {
		name       string
		resource   map[string]any
		span       string
		kind       ptrace.SpanKind
		duration   time.Duration
		attributes map[string]any
		change     func(s ptrace.Span)
		want       source.Observation // zero: it is ignored
		err        string
	}{
		{name: "a call", resource: map[string]any{"service.name": "shop-dev-main", "host.name": "a", "faas.version": "3"}, span: "invoke", kind: ptrace.SpanKindClient,
			attributes: map[string]any{"faas.invoked_name": "/guest/shop/shop-dev-pay", "call.id": "c1", "faas.instance": "i"},
			want:       source.Observation{Kind: source.Invoked, Function: "shop-dev-pay", Call: "c1", ParentSpan: parentText, Clock: "a", Time: begin}},
		{name: "a call without a name", span: "invoke", kind: ptrace.SpanKindClient, attributes: map[string]any{"call.id": "c1"}},
		{name: "a call that lasts", span: "invoke", kind: ptrace.SpanKindClient, duration: second, attributes: map[string]any{"faas.invoked_name": "f"}},
		{name: "a start", resource: map[string]any{"service.version": "7", "service.instance.id": "m"}, span: "start", kind: ptrace.SpanKindInternal,
			attributes: map[string]any{"activationId": "aa", "faas.name": "guest/f", "faas.coldstart": true, "call.id": "c", "faas.instance": "i"},
			want: source.Observation{Kind: source.Started, Function: "f", Version: "7", Call: "c", Span: parentText, Activation: "aa", Instance: "i", Clock: "m",
				Time: begin, Temperature: source.Cold}},
		{name: "a start that names its service only", resource: map[string]any{"service.name": "g"}, span: "start", duration: time.Microsecond,
			attributes: map[string]any{"activationId": "aa", "faas.coldstart": "false"},
			want:       source.Observation{Kind: source.Started, Function: "g", Span: parentText, Activation: "aa", Time: begin, Temperature: source.Warm}},
		{name: "a start of something else", resource: map[string]any{"service.name": "g"}, span: "start"},
		{name: "a run", resource: map[string]any{"faas.instance": "i", "faas.version": "2"}, span: "shop/f", kind: ptrace.SpanKindServer, duration: second,
			attributes: map[string]any{"activationId": "aa", "call.id": "c"},
			want: source.Observation{Kind: source.Ended, Function: "f", Version: "2", Call: "c", Span: spanText, ParentSpan: parentText, Activation: "aa", Instance: "i",
				Clock: "i", Time: begin.Add(second), Begin: begin}},
		{name: "a run that failed, of elsewhere", span: "POST /", kind: ptrace.SpanKindConsumer, duration: second,
			attributes: map[string]any{"faas.name": "f", "k8s.node.name": "node", "host.name": "pod"},
			change:     func(s ptrace.Span) { s.Status().SetCode(ptrace.StatusCodeError); s.SetParentSpanID(pcommon.SpanID{}) },
			want:       source.Observation{Kind: source.Ended, Function: "f", Span: spanText, Clock: "node", Time: begin.Add(second), Begin: begin, Failed: true}},
		{name: "a server that is no function", span: "GET /", kind: ptrace.SpanKindServer, duration: second, attributes: map[string]any{"http.method": "GET"}},
		{name: "a client that names an activation", span: "f", kind: ptrace.SpanKindClient, duration: second, attributes: map[string]any{"activationId": "aa"}},
		{name: "a cold run with a record", resource: map[string]any{"host.name": "a"}, span: "f", kind: ptrace.SpanKindServer, duration: second,
			attributes: map[string]any{"faas.invocation_id": "aa", "waitTimeMilli": 250, "initTimeMilli": 100, "faas.coldstart": true},
			want: source.Observation{Kind: source.Ended, Function: "f", Span: spanText, ParentSpan: parentText, Activation: "aa", Clock: source.OpenWhiskClock,
				Time: begin.Add(second), Begin: begin.Add(350 * time.Millisecond), Wait: 250 * time.Millisecond, Init: 100 * time.Millisecond, Temperature: source.Cold}},
		{name: "a warm run with a record, from a trace store", span: "f", duration: second,
			attributes: map[string]any{"faas.execution": "aa", "waitTimeMilli": "8"},
			want: source.Observation{Kind: source.Ended, Function: "f", Span: spanText, ParentSpan: parentText, Activation: "aa", Clock: source.OpenWhiskClock,
				Time: begin.Add(second), Begin: begin.Add(8 * time.Millisecond), Wait: 8 * time.Millisecond, Temperature: source.Warm}},
		{name: "a record that does not fit its span", span: "f", duration: time.Millisecond, attributes: map[string]any{"activationId": "aa", "waitTimeMilli": 8.5},
			want: source.Observation{Kind: source.Ended, Function: "f", Span: spanText, ParentSpan: parentText, Activation: "aa", Clock: source.OpenWhiskClock,
				Time: begin.Add(time.Millisecond), Begin: begin.Add(time.Millisecond), Wait: 8500 * time.Microsecond, Temperature: source.Warm}},
		{name: "a phase", span: "init", kind: ptrace.SpanKindInternal, duration: second, attributes: map[string]any{"phase.of": "aa"}},
		{name: "a phase whose attribute is lost", span: "exec", kind: ptrace.SpanKindInternal, duration: second},
		{name: "a clock that was set back", span: "f", duration: -second, attributes: map[string]any{"activationId": "aa"},
			want: source.Observation{Kind: source.Ended, Function: "f", Span: spanText, ParentSpan: parentText, Activation: "aa", Time: begin, Begin: begin}},

		{name: "no trace", span: "f", attributes: map[string]any{"activationId": "aa"}, change: func(s ptrace.Span) { s.SetTraceID(pcommon.TraceID{}) },
			err: `span 1112131415161718 ("f") of trace : it has no trace id`},
		{name: "no span", span: "f", attributes: map[string]any{"activationId": "aa"}, change: func(s ptrace.Span) { s.SetSpanID(pcommon.SpanID{}) }, err: "it has no span id"},
		{name: "no end", span: "f", attributes: map[string]any{"activationId": "aa"}, change: func(s ptrace.Span) { s.SetEndTimestamp(0) }, err: "it has no end"},
		{name: "no time", span: "invoke", attributes: map[string]any{"faas.invoked_name": "f"},
			change: func(s ptrace.Span) { s.SetStartTimestamp(0); s.SetEndTimestamp(0) }, err: "it has no time"},
		{name: "a time that overflows", span: "invoke", attributes: map[string]any{"faas.invoked_name": "f"},
			change: func(s ptrace.Span) { s.SetStartTimestamp(1 << 63); s.SetEndTimestamp(1 << 63) }, err: "it has no time"},
		{name: "no name", span: "", attributes: map[string]any{"activationId": "aa"}, err: "it names no function"},
		{name: "nothing but slashes", span: "invoke", attributes: map[string]any{"faas.invoked_name": "//"}, err: "it names no function"},
		{name: "a long name", span: "invoke", attributes: map[string]any{"faas.invoked_name": strings.Repeat("x", 257)}, err: "its function's name has more than 256 bytes"},
		{name: "a long call", span: "invoke", attributes: map[string]any{"faas.invoked_name": "f", "call.id": strings.Repeat("x", 257)}, err: "its call.id has more than 256 bytes"},
		{name: "a wait that is none", span: "f", attributes: map[string]any{"activationId": "aa", "waitTimeMilli": -1}, err: "is no duration"},
		{name: "an initialisation that is none", span: "f", attributes: map[string]any{"activationId": "aa", "waitTimeMilli": 1, "initTimeMilli": "x"}, err: "is no duration"},
	} {
		t.Run(test.name, func(t *testing.T) {
			traces := ptrace.NewTraces()
			rs := traces.ResourceSpans().AppendEmpty()
			require.NoError(t, rs.Resource().Attributes().FromRaw(test.resource))
			s := newSpan(rs, test.span, test.kind, test.duration, test.attributes)
			if test.change != nil {
				test.change(s)
			}
			got, report := Observations(traces)
			switch {
			case test.err != "":
				require.Empty(t, got)
				require.Equal(t, 1, report.Invalid)
				require.ErrorContains(t, report.First, test.err)
			case test.want.Function == "":
				require.Empty(t, got)
				require.Equal(t, Report{Ignored: 1}, report)
			default:
				require.Equal(t, Report{}, report)
				want := test.want
				want.Trace = traceText
				if want.Clock != source.OpenWhiskClock {
					want.Wait, want.Init = -1, -1
				}
				require.Equal(t, []source.Observation{want}, got)
			}
		})
	}
}

// TestSpansOfOneMessage checks that a resource counts for its own spans alone, and that what cannot be used does not keep others back.
func TestSpansOfOneMessage(t *testing.T) {
	traces := ptrace.NewTraces()
	for i, host := range []string{"a", "", "c"} {
		rs := traces.ResourceSpans().AppendEmpty()
		if host != "" {
			rs.Resource().Attributes().PutStr("host.name", host)
		}
		newSpan(rs, "invoke", ptrace.SpanKindClient, 0, map[string]any{"faas.invoked_name": "f"}).SetTraceID(pcommon.TraceID{byte(i + 1)})
		newSpan(rs, "invoke", ptrace.SpanKindClient, 0, map[string]any{"faas.invoked_name": "f"}).SetTraceID(pcommon.TraceID{})
		newSpan(rs, "other", ptrace.SpanKindClient, 0, nil)
	}
	got, report := Observations(traces)
	require.Len(t, got, 3)
	for i, clock := range []string{"a", "", "c"} {
		require.Equal(t, clock, got[i].Clock)
		require.Equal(t, byte('1'+i), got[i].Trace[1])
	}
	require.Equal(t, 3, report.Invalid)
	require.Equal(t, 3, report.Ignored)
}

// message returns a message with requests, each with the three spans of four runs.
func message(requests int) ptrace.Traces {
	traces := ptrace.NewTraces()
	rs := traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "shop-dev-main")
	rs.Resource().Attributes().PutStr("host.name", "node-1")
	for n := range requests {
		id := pcommon.TraceID{1, byte(n >> 16), byte(n >> 8), byte(n)}
		for run := range 4 {
			attributes := map[string]any{"activationId": "0123456789abcdef0123456789abcdef", "faas.name": "shop-dev-f1", "call.id": "b7ad6b7169203331",
				"application": "shop", "call": run}
			newSpan(rs, "invoke", ptrace.SpanKindClient, 0, map[string]any{"faas.invoked_name": "shop-dev-f1", "call.id": "b7ad6b7169203331"}).SetTraceID(id)
			newSpan(rs, "start", ptrace.SpanKindInternal, 0, attributes).SetTraceID(id)
			newSpan(rs, "shop-dev-f1", ptrace.SpanKindServer, time.Second, attributes).SetTraceID(id)
		}
	}
	return traces
}

// FuzzMessage checks that no message makes the decoder panic, or gives observations that would do harm.
func FuzzMessage(f *testing.F) {
	text, err := new(ptrace.JSONMarshaler).MarshalTraces(message(1))
	require.NoError(f, err)
	f.Add(text, true)
	text, err = new(ptrace.ProtoMarshaler).MarshalTraces(message(1))
	require.NoError(f, err)
	f.Add(text, false)
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01","spanId":"02","name":"f","kind":2,"endTimeUnixNano":"9223372036854775808",
		"attributes":[{"key":"activationId","value":{"stringValue":"\ud800"}},{"key":"waitTimeMilli","value":{"doubleValue":1e300}}]}]}]}]}`), true)
	f.Fuzz(func(t *testing.T, text []byte, isJSON bool) {
		var traces ptrace.Traces
		var err error
		if isJSON {
			traces, err = new(ptrace.JSONUnmarshaler).UnmarshalTraces(text)
		} else {
			traces, err = new(ptrace.ProtoUnmarshaler).UnmarshalTraces(text)
		}
		if err != nil {
			return
		}
		observations, report := Observations(traces)
		require.Equal(t, traces.SpanCount(), len(observations)+report.Invalid+report.Ignored)
		require.Equal(t, report.Invalid > 0, report.First != nil)
		for _, o := range observations {
			checkSound(t, &o)
		}
	})
}

// checkSound checks what every observation keeps to.
func checkSound(t *testing.T, o *source.Observation) {
	t.Helper()
	for _, text := range []string{o.Function, o.Version, o.Trace, o.Call, o.ParentCall, o.Span, o.ParentSpan, o.Activation, o.Instance, o.Clock} {
		require.LessOrEqual(t, len(text), 3*source.MaxText)
		require.Equal(t, text, strings.ToValidUTF8(text, "?"))
	}
	require.NotEmpty(t, o.Function)
	require.NotContains(t, o.Function, "/")
	require.Len(t, o.Trace, 32)
	require.False(t, o.Time.Before(source.FirstTime))
	require.False(t, o.Begin.After(o.Time))
	const year = 366 * 24 * time.Hour
	require.True(t, o.Wait <= year && o.Init <= year)
}

// BenchmarkObservations measures spans a second, from the bytes of a message.
func BenchmarkObservations(b *testing.B) {
	traces := message(80)
	proto, err := new(ptrace.ProtoMarshaler).MarshalTraces(traces)
	require.NoError(b, err)
	text, err := new(ptrace.JSONMarshaler).MarshalTraces(traces)
	require.NoError(b, err)
	n := traces.SpanCount()
	rate := func(b *testing.B) { b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "spans/s") }
	b.Run("decoded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Observations(traces)
		}
		rate(b)
	})
	b.Run("protobuf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			traces, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(proto)
			require.NoError(b, err)
			Observations(traces)
		}
		rate(b)
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			traces, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(text)
			require.NoError(b, err)
			Observations(traces)
		}
		rate(b)
	})
}
