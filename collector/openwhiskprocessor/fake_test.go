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

// fakeClient is a Client whose answers come from a function. It counts lookups.
type fakeClient struct {
	answer func(ctx context.Context, id string, n int) (whisk.Record, error) // n counts the lookups of this id, from 1
	check  error

	mu     sync.Mutex
	asked  map[string]int
	active int // lookups under way
	most   int // the most that were under way at the same time
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
func provide(c recordClient) provider {
	return func(context.Context, *Config, component.Host, component.TelemetrySettings) (recordClient, error) {
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

// record is the record of most activations in these tests.
var record = whisk.Record{
	Start: time.UnixMilli(1_700_000_000_300), End: time.UnixMilli(1_700_000_000_900),
	Wait: 250 * time.Millisecond, Init: 100 * time.Millisecond, Cold: true,
}

func always(r whisk.Record, err error) func(context.Context, string, int) (whisk.Record, error) {
	return func(context.Context, string, int) (whisk.Record, error) { return r, err }
}

// sink is a consumer that collects spans.
type sink struct {
	refuse func() error // returns the error of ConsumeTraces, or nil to accept the spans; may be nil

	mu    sync.Mutex
	spans []ptrace.Span
	came  chan struct{} // receives a value after each message
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
		c := ptrace.NewSpan()
		span.CopyTo(c)
		s.spans = append(s.spans, c)
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

// message returns a message with a span for each activation id, or without an activation for "". The span ids are numbered from first.
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

// activationIDs returns n different ids.
func activationIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%032x", i+1)
	}
	return ids
}

// harness is a processor between a fake OpenWhisk and a sink.
type harness struct {
	*openwhisk
	client *fakeClient
	sink   *sink
	logs   *observer.ObservedLogs
}

// waiting returns the sum of the numbers of spans and bytes that have room reserved.
func (h *harness) waiting() int {
	spans, bytes := h.pending.load()
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

// start starts a processor, and shuts it down after the test.
func start(t testing.TB, config *Config, client *fakeClient, host component.Host) *harness {
	t.Helper()
	set, logs := settings()
	h := &harness{client: client, sink: newSink(), logs: logs}
	p, err := newProcessor(set, config, h.sink, provide(client))
	require.NoError(t, err)
	if host == nil {
		host = componenttest.NewNopHost()
	}
	require.NoError(t, p.Start(context.Background(), host))
	h.openwhisk = p
	t.Cleanup(func() { _ = p.Shutdown(context.Background()) }) // for tests that fail before they do this
	return h
}

// counts returns how often each span id occurs.
func counts(spans []ptrace.Span) map[pcommon.SpanID]int {
	m := map[pcommon.SpanID]int{}
	for _, s := range spans {
		m[s.SpanID()]++
	}
	return m
}
