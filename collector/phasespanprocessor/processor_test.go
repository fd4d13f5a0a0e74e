package phasespanprocessor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"
	"pgregory.net/rapid"
)

func TestConfig(t *testing.T) {
	conf, err := confmaptest.LoadConf("testdata/config.yaml")
	require.NoError(t, err)
	load := func(id string) *Config {
		sub, err := conf.Sub(id)
		require.NoError(t, err)
		c := createDefaultConfig().(*Config)
		require.NoError(t, sub.Unmarshal(c))
		return c
	}
	require.Equal(t, &Config{"wait", "init", "exec"}, load("phasespan"))
	require.NoError(t, confmap.Validate(load("phasespan")))
	require.Equal(t, &Config{"queued", "initialised", "ran"}, load("phasespan/names"))
	require.NoError(t, confmap.Validate(load("phasespan/names")))
	err = confmap.Validate(load("phasespan/wrong"))
	require.ErrorContains(t, err, "wait: the name of the span is empty")
	require.ErrorContains(t, err, `exec: the spans of init have the name "run" already`)
}

// run passes traces through a processor and returns what comes out.
func run(t require.TestingT, traces ptrace.Traces) ptrace.Traces {
	sink := new(consumertest.TracesSink)
	factory := NewFactory()
	p, err := factory.CreateTraces(context.Background(), processortest.NewNopSettings(factory.Type()), factory.CreateDefaultConfig(), sink)
	require.NoError(t, err)
	require.NoError(t, p.Start(context.Background(), componenttest.NewNopHost()))
	require.NoError(t, p.ConsumeTraces(context.Background(), traces))
	require.NoError(t, p.Shutdown(context.Background()))
	require.Len(t, sink.AllTraces(), 1)
	return sink.AllTraces()[0]
}

// invocation returns a message with one span of 1000 ms that has the attributes.
func invocation(attributes map[string]any) ptrace.Traces {
	traces := ptrace.NewTraces()
	span := traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetTraceID(pcommon.TraceID{1, 2, 3})
	span.SetSpanID(pcommon.SpanID{4, 5, 6})
	span.SetName("sequence-dev-f1")
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(time.UnixMilli(1_700_000_000_000)))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(time.UnixMilli(1_700_000_001_000)))
	if err := span.Attributes().FromRaw(attributes); err != nil {
		panic(err)
	}
	return traces
}

func spansOf(traces ptrace.Traces) ptrace.SpanSlice {
	return traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
}

func TestPhases(t *testing.T) {
	type phase struct {
		name     string
		from, to int // ms after the start of the span
	}
	for _, test := range []struct {
		name       string
		attributes map[string]any
		want       []phase
	}{
		{"cold", map[string]any{"activationId": "aa", "waitTimeMilli": 250, "initTimeMilli": 100}, []phase{{"wait", 0, 250}, {"init", 250, 350}, {"exec", 350, 1000}}},
		{"warm", map[string]any{"activationId": "aa", "waitTimeMilli": 4}, []phase{{"wait", 0, 4}, {"exec", 4, 1000}}},
		{"numbers as text", map[string]any{"waitTimeMilli": "4", "initTimeMilli": "5"}, []phase{{"wait", 0, 4}, {"init", 4, 9}, {"exec", 9, 1000}}},
		{"nothing but waiting", map[string]any{"waitTimeMilli": 1000}, []phase{{"wait", 0, 1000}, {"exec", 1000, 1000}}},
		{"no times", map[string]any{"activationId": "aa"}, nil},
		{"an init without a wait", map[string]any{"initTimeMilli": 100}, nil},
		{"longer than the span", map[string]any{"waitTimeMilli": 950, "initTimeMilli": 51}, nil},
		{"negative", map[string]any{"waitTimeMilli": -1}, nil},
		{"no number", map[string]any{"waitTimeMilli": "soon"}, nil},
		{"not whole", map[string]any{"waitTimeMilli": 1.5}, nil},
		{"more than can be", map[string]any{"waitTimeMilli": int64(1) << 62}, nil},
		{"an init that is none", map[string]any{"waitTimeMilli": 5, "initTimeMilli": true}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			spans := spansOf(run(t, invocation(test.attributes)))
			require.Equal(t, len(test.want)+1, spans.Len())
			parent := spans.At(0)
			for i, want := range test.want {
				s := spans.At(i + 1)
				require.Equal(t, want.name, s.Name())
				require.Equal(t, parent.TraceID(), s.TraceID())
				require.Equal(t, parent.SpanID(), s.ParentSpanID())
				after := func(ts pcommon.Timestamp) int { return int((ts - parent.StartTimestamp()) / 1_000_000) }
				require.Equal(t, want, phase{s.Name(), after(s.StartTimestamp()), after(s.EndTimestamp())})
				_, named := s.Attributes().Get("activationId")
				require.False(t, named, "a search for an activation must find only the span of the invocation")
			}
		})
	}
}

// TestPhasesPartitionTheSpan checks for any valid durations that the phases follow each other without gaps from the start of the span to
// its end, that their ids are different and not zero, and that the span gets the same phases when it arrives again with or without them.
func TestPhasesPartitionTheSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.Int64Range(0, 1<<40).Draw(t, "length, ns")
		wait := rapid.Int64Range(0, length/1_000_000).Draw(t, "wait")
		attributes := map[string]any{"activationId": "aa", "waitTimeMilli": wait}
		if rapid.Bool().Draw(t, "cold") {
			attributes["initTimeMilli"] = rapid.Int64Range(0, length/1_000_000-wait).Draw(t, "init")
		}
		make := func() ptrace.Traces {
			traces := invocation(attributes)
			s := spansOf(traces).At(0)
			s.SetEndTimestamp(s.StartTimestamp() + pcommon.Timestamp(length))
			copy := pcommon.SpanID{byte(length), byte(wait), 1}
			s.SetSpanID(copy)
			return traces
		}
		once := run(t, make())
		spans := spansOf(once)
		at := spans.At(0).StartTimestamp()
		ids := map[pcommon.SpanID]bool{spans.At(0).SpanID(): true}
		for i := 1; i < spans.Len(); i++ {
			s := spans.At(i)
			require.Equal(t, at, s.StartTimestamp())
			require.GreaterOrEqual(t, s.EndTimestamp(), s.StartTimestamp())
			at = s.EndTimestamp()
			require.False(t, s.SpanID().IsEmpty())
			require.False(t, ids[s.SpanID()])
			ids[s.SpanID()] = true
		}
		require.Equal(t, spans.At(0).EndTimestamp(), at)

		again := ptrace.NewTraces()
		once.CopyTo(again)
		require.Equal(t, spans.Len(), spansOf(run(t, again)).Len(), "the phases were there already")
		anew := spansOf(run(t, make()))
		for i := range spans.Len() {
			require.Equal(t, spans.At(i).SpanID(), anew.At(i).SpanID())
		}
	})
}

func BenchmarkProcess(b *testing.B) {
	p := &phaseSpans{config: createDefaultConfig().(*Config)}
	traces := invocation(map[string]any{"activationId": "aa", "waitTimeMilli": 250, "initTimeMilli": 100})
	spans := spansOf(traces)
	for i := range 99 {
		spans.At(0).CopyTo(spans.AppendEmpty())
		spans.At(i + 1).SetSpanID(pcommon.SpanID{7, byte(i)})
	}
	b.ReportAllocs()
	for b.Loop() {
		message := ptrace.NewTraces()
		traces.CopyTo(message)
		existing := map[pcommon.SpanID]bool{}
		own := spansOf(message)
		for i := range 100 {
			wait, init, _ := phaseDurations(own.At(i))
			p.addPhases(own, i, wait, init, existing)
		}
	}
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "spans/s")
}

// TestSpansWithoutIds checks that a span without a trace id or span id gets no phases: they could not be exported either.
func TestSpansWithoutIds(t *testing.T) {
	for _, spoil := range []func(ptrace.Span){
		func(s ptrace.Span) { s.SetTraceID(pcommon.TraceID{}) }, func(s ptrace.Span) { s.SetSpanID(pcommon.SpanID{}) },
	} {
		traces := invocation(map[string]any{attrWaitTime: 1})
		require.Greater(t, run(t, invocation(map[string]any{attrWaitTime: 1})).SpanCount(), 1)
		spoil(traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0))
		require.Equal(t, 1, run(t, traces).SpanCount())
	}
}
