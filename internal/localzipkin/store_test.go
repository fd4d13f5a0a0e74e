package localzipkin

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func testSpan(trace, id uint64, tags ...string) *model.SpanModel {
	s := &model.SpanModel{
		SpanContext: model.SpanContext{TraceID: model.TraceID{Low: trace}, ID: model.ID(id)}, Name: "main",
		Timestamp: time.UnixMilli(1_700_000_000_000 + int64(trace)), Tags: map[string]string{},
	}
	for i := 0; i < len(tags); i += 2 {
		s.Tags[tags[i]] = tags[i+1]
	}
	return s
}

func everything() Query {
	return Query{EndTs: time.UnixMilli(1_800_000_000_000), Lookback: 100 * 365 * 24 * time.Hour, Limit: 1 << 30}
}

// TestEviction checks that the traces without a new span for the longest time are removed first, as a whole, and from the index too.
func TestEviction(t *testing.T) {
	s := NewStore(10, 1<<30)
	for trace := range uint64(5) {
		s.Add([]*model.SpanModel{testSpan(trace+1, 1, "n", fmt.Sprint(trace)), testSpan(trace+1, 2)})
	}
	s.Add([]*model.SpanModel{testSpan(1, 3)}) // trace 1 is no longer the least recently written
	require.Len(t, s.Trace(model.TraceID{Low: 1}), 3)
	require.Nil(t, s.Trace(model.TraceID{Low: 2}))
	require.Equal(t, 9, s.Stats().Spans)
	require.Equal(t, 1, s.Stats().EvictedTraces)
	q := everything()
	q.Annotations = map[string]string{"n": "1"}
	require.Empty(t, s.Find(q))
	q.Annotations = map[string]string{"n": "0"}
	require.Len(t, s.Find(q), 1)
}

// TestReadsAreBounded checks that a client that sends its request slowly, or not at all, does not keep a connection for ever.
func TestReadsAreBounded(t *testing.T) {
	s, err := Start(t.Context(), Options{})
	require.NoError(t, err)
	require.Positive(t, s.http.ReadHeaderTimeout)
	require.Positive(t, s.http.ReadTimeout)
	require.NoError(t, s.Close())
}

// TestBytesAreBounded checks that traces are removed beyond the limit on bytes.
func TestBytesAreBounded(t *testing.T) {
	s := NewStore(1<<30, 100_000)
	for trace := range uint64(100) {
		s.Add([]*model.SpanModel{testSpan(trace+1, 1, "text", strings.Repeat("x", 5000))})
	}
	stats := s.Stats()
	require.LessOrEqual(t, stats.Bytes, 100_000)
	require.Positive(t, stats.Traces)
	require.Equal(t, 100, stats.Traces+stats.EvictedTraces)
}

// TestIndexFindsWhatASearchFinds checks, for random spans with repetitions and evictions, that a query answered by the index finds the same traces as
// a search through all, and that the index is empty when all traces are gone.
func TestIndexFindsWhatASearchFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStore(rapid.IntRange(1, 40).Draw(t, "room"), 1<<30)
		for range rapid.IntRange(0, 60).Draw(t, "spans") {
			s.Add([]*model.SpanModel{testSpan(
				rapid.Uint64Range(1, 12).Draw(t, "trace"), rapid.Uint64Range(1, 4).Draw(t, "id"),
				rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value"),
			)})
		}
		for _, annotations := range []map[string]string{{"a": "1"}, {"b": "2"}, {"a": "1", "b": "1"}, {"a": "2", "b": ""}} {
			q := everything()
			q.Annotations = annotations
			var want []model.TraceID
			for id, tr := range s.traces {
				if _, ok := q.matches(tr); ok {
					want = append(want, id)
				}
			}
			var got []model.TraceID
			for _, spans := range s.Find(q) {
				got = append(got, spans[0].TraceID)
			}
			require.ElementsMatch(t, want, got)
		}
		spans := 0
		for _, tr := range s.traces {
			spans += len(tr.spans)
		}
		require.Equal(t, spans, s.Stats().Spans)
		for len(s.traces) > 0 {
			s.evict(s.recent.Back().Value.(*trace))
		}
		require.Empty(t, s.tags)
		require.Zero(t, s.spans)
		require.Zero(t, s.bytes)
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`[{"traceId":"1","id":"2","parentId":"2","timestamp":1,"duration":2,"tags":{"a":"b"},"localEndpoint":{"serviceName":"x"}}]`), "application/json")
	f.Add([]byte(`[null]`), "application/json")
	f.Add([]byte(`[{"traceId":"1","id":"2","timestamp":"1.5e3","duration":-7,"annotations":[{"timestamp":0,"value":5}],"localEndpoint":{"ipv4":"x","ipv6":"1.2.3.4","port":"80"}}]`), "")
	f.Add([]byte(`[{"traceId":"1","id":"2","timestamp":18446744073709551615}]`), "")
	f.Add([]byte("\x0a\x14\x0a\x08\x00\x00\x00\x00\x00\x00\x00\x01\x1a\x08\x00\x00\x00\x00\x00\x00\x00\x02"), "application/x-protobuf")
	f.Fuzz(func(t *testing.T, text []byte, contentType string) {
		spans, err := Decode(text, contentType)
		if err != nil {
			return
		}
		s := NewStore(100, 1<<20)
		s.Add(spans)
		for _, found := range s.Find(everything()) {
			if len(found) == 0 {
				t.Fatal("a trace without spans")
			}
			given, err := json.Marshal(wire(found))
			if err != nil {
				t.Fatalf("what was taken cannot be given: %v", err)
			}
			again, err := Decode(given, "application/json")
			if err != nil {
				t.Fatalf("what was given cannot be taken: %v\n%s", err, given)
			}
			back := make([]model.SpanModel, len(again))
			for i, span := range again {
				back[i] = *span
			}
			if second, err := json.Marshal(wire(back)); err != nil || string(second) != string(given) {
				t.Fatalf("%v: given %s, and when that is taken %s", err, given, second)
			}
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	f.Add("serviceName=shop&annotationQuery=a%3Db+and+c&limit=5&endTs=1&lookback=9223372036854775807&minDuration=1&maxDuration=9223372036854775807")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		q, err := ParseQuery(values, time.UnixMilli(1_700_000_000_000))
		if err != nil {
			return
		}
		if q.Limit < 1 || q.Lookback < 0 || q.MinDuration < 0 || q.MaxDuration < 0 {
			t.Fatalf("%+v", q)
		}
		s := NewStore(10, 1<<20)
		s.Add([]*model.SpanModel{testSpan(1, 1, "a", "b")})
		s.Find(q)
	})
}

// BenchmarkAdd measures adding spans to a full store, as a collector sends them.
func BenchmarkAdd(b *testing.B) {
	s := NewStore(100_000, 1<<30)
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		spans := make([]*model.SpanModel, 100)
		for i := range spans {
			spans[i] = testSpan(n*10+uint64(i)/10+1, uint64(i)+1, "activationId", fmt.Sprintf("%032x", n*100+uint64(i)), "waitTimeMilli", "4", "faas.coldstart", "false")
		}
		s.Add(spans)
	}
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
}

// BenchmarkFind measures the search for the trace of an activation among 10,000 traces.
func BenchmarkFind(b *testing.B) {
	s := NewStore(1_000_000, 1<<30)
	for trace := range uint64(10_000) {
		for i := range uint64(12) {
			s.Add([]*model.SpanModel{testSpan(trace+1, i+1, "activationId", fmt.Sprintf("%032x", trace*100+i))})
		}
	}
	q := everything()
	for n := 0; b.Loop(); n++ {
		q.Annotations = map[string]string{"activationId": fmt.Sprintf("%032x", n%10_000*100)}
		if len(s.Find(q)) != 1 {
			b.Fatal("not found")
		}
	}
}
