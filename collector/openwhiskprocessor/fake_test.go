package openwhiskprocessor

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// fakeClient answers as its function says; it stands for an OpenWhisk with faults.
type fakeClient struct {
	answer func(ctx context.Context, id string, n int) (whisk.Record, error) // n counts the lookups of this id, from 1
	check  error

	mu     sync.Mutex
	asked  map[string]int
	active int
	most   int
}

func (f *fakeClient) Activation(ctx context.Context, id string) (whisk.Record, error) {
	f.mu.Lock()
	if f.asked == nil {
		f.asked = map[string]int{}
	}
	f.asked[id]++
	n := f.asked[id]
	f.active++
	f.most = max(f.most, f.active)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.active--
		f.mu.Unlock()
	}()
	return f.answer(ctx, id, n)
}

func (f *fakeClient) Check(context.Context) error { return f.check }
func (f *fakeClient) Close()                      {}

// provide returns a provider of the client.
func provide(c Client) provider {
	return func(context.Context, *Config, component.Host, component.TelemetrySettings) (Client, error) {
		return c, nil
	}
}

func (f *fakeClient) lookups(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[id]
}

func (f *fakeClient) mostAtOnce() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most
}

// record is what every activation has in these tests.
var record = whisk.Record{
	Start: time.UnixMilli(1_700_000_000_300), End: time.UnixMilli(1_700_000_000_900),
	Wait: 250 * time.Millisecond, Init: 100 * time.Millisecond, Cold: true,
}

func always(r whisk.Record, err error) func(context.Context, string, int) (whisk.Record, error) {
	return func(context.Context, string, int) (whisk.Record, error) { return r, err }
}

// sink takes spans, and counts each by its id.
type sink struct {
	refuse func() error // what it says instead of taking, nil to take

	mu    sync.Mutex
	spans []ptrace.Span
	came  chan struct{} // a signal after each arrival
}

func newSink() *sink { return &sink{came: make(chan struct{}, 1)} }

func (s *sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *sink) ConsumeTraces(_ context.Context, traces ptrace.Traces) error {
	if s.refuse != nil {
		if err := s.refuse(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range spansOf(traces) {
		own := ptrace.NewSpan()
		span.CopyTo(own)
		s.spans = append(s.spans, own)
	}
	select {
	case s.came <- struct{}{}:
	default:
	}
	return nil
}

func (s *sink) all() []ptrace.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]ptrace.Span(nil), s.spans...)
}

func spansOf(traces ptrace.Traces) []ptrace.Span {
	var spans []ptrace.Span
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				spans = append(spans, span)
			}
		}
	}
	return spans
}

// message has a span for each activation id; "" gives one without.
func message(first int, ids ...string) ptrace.Traces {
	traces := ptrace.NewTraces()
	rs := traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "sequence-dev-f1")
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("tppfaas")
	for i, id := range ids {
		span := ss.Spans().AppendEmpty()
		span.SetName("sequence-dev-f1")
		span.SetTraceID(pcommon.TraceID{1})
		span.SetSpanID(spanID(first + i))
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(time.UnixMilli(1_700_000_000_400)))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(time.UnixMilli(1_700_000_000_890)))
		if id != "" {
			span.Attributes().PutStr(attrActivationID, id)
		}
	}
	return traces
}

func spanID(n int) (id pcommon.SpanID) {
	binary.BigEndian.PutUint64(id[:], uint64(n+1))
	return id
}

// activationIDs are n different ones.
func activationIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%032x", i+1)
	}
	return ids
}

// bench is a processor between a fake OpenWhisk and a sink.
type bench struct {
	*openwhisk
	client *fakeClient
	sink   *sink
	logs   *observer.ObservedLogs
}

// waiting returns the spans and bytes that have room reserved, added up.
func (b *bench) waiting() int {
	spans, bytes := b.pending.load()
	return spans + bytes
}

func settings() (processor.Settings, *observer.ObservedLogs) {
	set := processortest.NewNopSettings(NewFactory().Type())
	core, logs := observer.New(zap.DebugLevel)
	set.Logger = zap.New(core)
	return set, logs
}

func testConfig() *Config {
	c := createDefaultConfig().(*Config)
	c.Key = "user:secret"
	c.Retry.BackOff.RandomizationFactor = 0 // so that a test knows when lookups are made
	return c
}

// start starts a processor.
func start(t testing.TB, config *Config, client *fakeClient, host component.Host) *bench {
	t.Helper()
	set, logs := settings()
	b := &bench{client: client, sink: newSink(), logs: logs}
	p, err := newProcessor(set, config, b.sink, provide(client))
	require.NoError(t, err)
	if host == nil {
		host = componenttest.NewNopHost()
	}
	require.NoError(t, p.Start(context.Background(), host))
	b.openwhisk = p
	t.Cleanup(func() { _ = p.Shutdown(context.Background()) }) // after a failed test; others have done it
	return b
}

// counts are how often each span id came.
func counts(spans []ptrace.Span) map[pcommon.SpanID]int {
	m := map[pcommon.SpanID]int{}
	for _, s := range spans {
		m[s.SpanID()]++
	}
	return m
}
