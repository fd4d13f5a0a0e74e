package openwhiskprocessor

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"pgregory.net/rapid"
)

// TestClassify classifies any message and checks that classification changes nothing, that waitingSize is the size of what has
// to wait, and that divide puts each span where its class says, under its resource and scope.
func TestClassify(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := testConfig()
		now := time.Now()
		records := newCache(config.Cache)
		records.put("cached", record, now)
		queue := newPending(config)
		queue.restore(&batch{traces: message(1000, "waiting"), left: 1})

		name := func(label string) string {
			return strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 100, 200, 20_000}).Draw(t, label))
		}
		traces := ptrace.NewTraces()
		want := map[pcommon.SpanID]class{}
		where := map[pcommon.SpanID]string{}
		for range rapid.IntRange(0, 3).Draw(t, "resources") {
			rs := traces.ResourceSpans().AppendEmpty()
			resource := name("resource")
			rs.Resource().Attributes().PutStr("service.name", resource)
			rs.SetSchemaUrl(name("schema"))
			for range rapid.IntRange(0, 3).Draw(t, "scopes") {
				ss := rs.ScopeSpans().AppendEmpty()
				scope := name("scope")
				ss.Scope().SetName(scope)
				for range rapid.IntRange(0, 4).Draw(t, "spans") {
					span := ss.Spans().AppendEmpty()
					n := len(want)
					kind := rapid.SampledFrom([]class{passOn, invalid, fromCache, duplicate, toWait}).Draw(t, "class")
					if kind == duplicate && want[spanID(1000)] == duplicate {
						kind = toWait // only one span waits already
					}
					switch kind {
					case passOn:
						message(n, "").ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).MoveTo(span)
					case invalid:
						message(n, "new").ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).MoveTo(span)
						span.SetTraceID(pcommon.TraceID{})
					case fromCache:
						message(n, "cached").ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).MoveTo(span)
					case duplicate:
						message(1000, "waiting").ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).MoveTo(span)
					case toWait:
						id := rapid.SampledFrom([]string{"waiting", "new"}).Draw(t, "id")
						message(n, id).ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).MoveTo(span)
					}
					span.TraceState().FromRaw(name("state"))
					want[span.SpanID()] = kind
					where[span.SpanID()] = resource + "/" + scope
				}
			}
		}
		before, err := new(ptrace.ProtoMarshaler).MarshalTraces(traces)
		require.NoError(t, err)
		classes := classify(traces, queue, records, now)
		size := classes.waitingSize(traces)
		after, err := new(ptrace.ProtoMarshaler).MarshalTraces(traces)
		require.NoError(t, err)
		require.Equal(t, before, after)

		counts := [numClasses]int{}
		for _, c := range want {
			counts[c]++
		}
		require.Equal(t, counts, classes.counts)
		onward, waiting := classes.divide(traces)
		if counts[toWait] == 0 {
			require.Zero(t, size)
		} else {
			require.Equal(t, new(ptrace.ProtoMarshaler).TracesSize(waiting), size)
		}
		require.Equal(t, counts[passOn]+counts[invalid]+counts[fromCache], onward.SpanCount())
		require.Equal(t, counts[toWait], waiting.SpanCount())
		check := func(traces ptrace.Traces, classes ...class) {
			for _, rs := range traces.ResourceSpans().All() {
				resource, _ := rs.Resource().Attributes().Get("service.name")
				for _, ss := range rs.ScopeSpans().All() {
					for _, span := range ss.Spans().All() {
						require.Contains(t, classes, want[span.SpanID()])
						require.Equal(t, where[span.SpanID()], resource.Str()+"/"+ss.Scope().Name())
						_, enriched := span.Attributes().Get(attrWaitTime)
						require.Equal(t, want[span.SpanID()] == fromCache, enriched)
					}
				}
			}
		}
		check(onward, passOn, invalid, fromCache)
		check(waiting, toWait)
	})
}

// TestRefusedMessageIsUnchanged checks that a sender may send the message again that was refused for lack of room.
func TestRefusedMessageIsUnchanged(t *testing.T) {
	config := testConfig()
	config.Pending.Spans = 1
	set, _ := settings()
	p, err := newProcessor(set, config, newSink(), nil)
	require.NoError(t, err)
	p.pending.restore(&batch{traces: message(0, "aa"), left: 1})
	p.cache.put("cached", record, time.Now())
	refused, want := message(1, "", "cached", "bb"), message(1, "", "cached", "bb")
	require.Error(t, p.ConsumeTraces(background, refused))
	require.Equal(t, want, refused)
	require.NoError(t, p.Shutdown(background))
}
