package openwhiskprocessor

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// TestClampDurations checks which spans end before their start, and what becomes of them.
func TestClampDurations(t *testing.T) {
	for _, test := range []struct {
		start, end, want pcommon.Timestamp
		negative         int64 // in ms, 0 for none
	}{
		{5_000_000, 7_000_000, 7_000_000, 0},
		{5_000_000, 5_000_000, 5_000_000, 0},
		{5_000_000, 0, 0, 0}, // it has no end
		{5_000_000, 4_999_999, 5_000_000, -1},
		{5_000_000, 3_000_000, 5_000_000, -2},
		{1_700_000_001_000_000_000, 1_700_000_000_000_000_000, 1_700_000_001_000_000_000, -1000},
		{math.MaxUint64, 1, math.MaxUint64, -18_446_744_073_710},
	} {
		traces := message(0, "")
		span := spansOf(traces)[0]
		span.SetStartTimestamp(test.start)
		span.SetEndTimestamp(test.end)
		for range 2 { // a second time changes nothing
			clampDurations(traces)
			require.Equal(t, test.start, span.StartTimestamp())
			require.Equal(t, test.want, span.EndTimestamp())
			v, ok := span.Attributes().Get(attrNegativeDuration)
			require.Equal(t, test.negative != 0, ok)
			if ok {
				require.Equal(t, test.negative, v.Int())
			}
		}
	}
}

// TestPoisonTravelsAlone sends spans that an exporter cannot take as they are among good ones, and checks that none waits or is lost
// with them, that a negative duration is clamped on both ways through the processor, and that the record's times replace a clamped one.
func TestPoisonTravelsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig()
		b := start(t, config, &fakeClient{answer: func(context.Context, string, int) (whisk.Record, error) { return record, nil }}, nil)
		missing := start(t, config, &fakeClient{answer: always(whisk.Record{}, whisk.ErrNotYet)}, nil)
		poisoned := func() ptrace.Traces {
			traces := message(0, "", "", "aa", "bb", "")
			spans := spansOf(traces)
			for _, i := range []int{1, 3} {
				spans[i].SetEndTimestamp(spans[i].StartTimestamp() - 1_000_000)
			}
			spans[2].SetTraceID(pcommon.TraceID{})
			spans[4].SetSpanID(pcommon.SpanID{})
			return traces
		}
		require.NoError(t, b.ConsumeTraces(background, poisoned()))
		require.NoError(t, missing.ConsumeTraces(background, poisoned()))
		time.Sleep(config.Retry.BackOff.MaxElapsedTime + config.Retry.BackOff.MaxInterval)
		synctest.Wait()
		for _, h := range []*harness{b, missing} {
			require.Len(t, h.sink.all(), 5)
			clamped := 0
			for _, s := range h.sink.all() {
				require.LessOrEqual(t, s.StartTimestamp(), s.EndTimestamp())
				if _, ok := s.Attributes().Get(attrNegativeDuration); ok {
					clamped++
				}
				if s.TraceID().IsEmpty() {
					_, ok := s.Attributes().Get(attrRecord)
					require.False(t, ok, "it is not looked up")
				}
			}
			require.Equal(t, map[*harness]int{b: 1, missing: 2}[h], clamped)
			require.NoError(t, h.Shutdown(background))
		}
		require.Zero(t, b.client.lookups("aa"))
	})
}

// TestSameSpanTwiceInAMessage checks that it passes once, with and without an activation, with its record in the cache or not, and that
// spans which only share an id pass both.
func TestSameSpanTwiceInAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, testConfig(), &fakeClient{answer: always(record, nil)}, nil)
		twice := func(first int, id string) ptrace.Traces {
			traces := message(first, id)
			spansOf(message(first, id))[0].CopyTo(traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().AppendEmpty())
			message(first, id).ResourceSpans().At(0).CopyTo(traces.ResourceSpans().AppendEmpty()) // and under another resource
			return traces
		}
		require.NoError(t, b.ConsumeTraces(background, twice(0, "")))
		require.NoError(t, b.ConsumeTraces(background, twice(1, "aa")))
		synctest.Wait()
		require.NoError(t, b.ConsumeTraces(background, twice(2, "aa")))
		synctest.Wait()
		require.Equal(t, map[pcommon.SpanID]int{spanID(0): 1, spanID(1): 1, spanID(2): 1}, counts(b.sink.all()))
		require.Equal(t, 1, b.client.lookups("aa"))

		for _, differ := range []func(ptrace.Span){
			func(s ptrace.Span) { s.SetName("start") },
			func(s ptrace.Span) { s.SetKind(ptrace.SpanKindClient) },
			func(s ptrace.Span) { s.SetTraceID(pcommon.TraceID{9}) },
			func(s ptrace.Span) { s.Attributes().PutStr("part", "two") },
		} {
			before := len(b.sink.all())
			traces := message(3, "")
			other := traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().AppendEmpty()
			spansOf(message(3, ""))[0].CopyTo(other)
			differ(other)
			require.NoError(t, b.ConsumeTraces(background, traces))
			require.Len(t, b.sink.all(), before+2)
		}
		require.Zero(t, b.waiting())
		require.NoError(t, b.Shutdown(background))
	})
}

// TestSpanThatWaitsComesAgain checks that a span which waits for its record is taken once, however many wait for the same, and that one which shares
// only its id waits beside it.
func TestSpanThatWaitsComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, testConfig(), &fakeClient{answer: func(_ context.Context, _ string, n int) (whisk.Record, error) {
			if n < 3 {
				return whisk.Record{}, whisk.ErrNotYet
			}
			return record, nil
		}}, nil)
		for _, differ := range []func(ptrace.Span){
			func(ptrace.Span) {},
			func(s ptrace.Span) { s.SetName("start") },
			func(s ptrace.Span) { s.SetKind(ptrace.SpanKindClient) },
			func(s ptrace.Span) { s.SetTraceID(pcommon.TraceID{9}) },
		} {
			for range 2 {
				traces := message(0, "aa")
				differ(spansOf(traces)[0])
				require.NoError(t, b.ConsumeTraces(background, traces))
			}
		}
		want := map[pcommon.SpanID]int{spanID(0): 4}
		for n := range 3 * fewItems {
			want[spanID(n+1)] = 1
			for range 2 {
				require.NoError(t, b.ConsumeTraces(background, message(1, slices.Repeat([]string{"aa"}, n+1)...)))
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, want, counts(b.sink.all()))
		require.Zero(t, b.waiting())
		require.NoError(t, b.Shutdown(background))
	})
}
