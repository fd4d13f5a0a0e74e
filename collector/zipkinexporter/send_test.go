package zipkinexporter

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/openzipkin/zipkin-go/proto/zipkin_proto3"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

// zipkin is a Zipkin server that keeps the names of the spans that it takes.
type zipkin struct {
	answer func(body []byte, spans []*model.SpanModel) int // the status; may be nil

	mu       sync.Mutex
	names    []string
	requests int
	largest  int
}

func (z *zipkin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var spans []*model.SpanModel
	var err error
	if r.Header.Get("Content-Type") == "application/json" {
		err = json.Unmarshal(body, &spans)
	} else {
		spans, err = zipkin_proto3.ParseSpans(body, false)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.requests++
	z.largest = max(z.largest, len(body))
	status := http.StatusAccepted
	if err != nil {
		status = http.StatusBadRequest
	} else if z.answer != nil {
		status = z.answer(body, spans)
	}
	if status == http.StatusAccepted {
		for _, s := range spans {
			z.names = append(z.names, s.Name)
		}
	}
	w.Header().Set("Retry-After", "3")
	w.WriteHeader(status)
}

// names returns n names of spans, "a", "b" and so on.
func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = string(rune('a'+i%26)) + strings.Repeat("x", i/26)
	}
	return all
}

// spans returns a message with a span for each name.
func spans(names ...string) ptrace.Traces {
	traces := ptrace.NewTraces()
	for i, name := range names {
		if i%3 == 0 { // some spans share a resource and scope
			rs := traces.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("service.name", "f")
			rs.ScopeSpans().AppendEmpty().Scope().SetName("s")
		}
		span := traces.ResourceSpans().At(i / 3).ScopeSpans().At(0).Spans().AppendEmpty()
		span.SetName(name)
		span.SetTraceID(pcommon.TraceID{1})
		var id [8]byte
		binary.BigEndian.PutUint64(id[:], uint64(i+1))
		span.SetSpanID(id)
		span.SetStartTimestamp(1_700_000_000_000_000_000)
		span.SetEndTimestamp(1_700_000_000_001_000_000)
	}
	return traces
}

func namesOf(traces ptrace.Traces) []string {
	var all []string
	for _, p := range partsOf(traces) {
		all = append(all, p.span.Name())
	}
	return all
}

// harness is an exporter with a Zipkin server.
type harness struct {
	*zipkinExporter
	zipkin *zipkin
	logs   *observer.ObservedLogs
	dir    string
}

func start(t *testing.T, change func(*Config)) *harness {
	t.Helper()
	h := &harness{zipkin: &zipkin{}, dir: filepath.Join(t.TempDir(), "refused")}
	server := httptest.NewServer(h.zipkin)
	t.Cleanup(server.Close)
	config := createDefaultConfig().(*Config)
	config.ClientConfig.Endpoint = server.URL
	config.ClientConfig.DisableKeepAlives = true
	config.SetAside.Directory = h.dir
	if change != nil {
		change(config)
	}
	require.NoError(t, config.Validate())
	set := exportertest.NewNopSettings(NewFactory().Type())
	core, logs := observer.New(zap.InfoLevel)
	set.Logger, h.logs = zap.New(core), logs
	var err error
	h.zipkinExporter, err = newExporter(set, config, errorfs.OS{})
	require.NoError(t, err)
	require.NoError(t, h.start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, h.shutdown(context.Background())) })
	return h
}

// asideNames returns the names of the spans that were set aside, by reason.
func (h *harness) asideNames(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	entries, err := os.ReadDir(h.dir)
	require.NoError(t, err)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(h.dir, e.Name()))
		require.NoError(t, err)
		var header struct {
			Reason, Error string
			Spans         int
			Time          time.Time
		}
		require.NoError(t, json.Unmarshal(text, &header))
		traces, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(text)
		require.NoError(t, err, "the file can be sent to a collector")
		require.Equal(t, header.Spans, traces.SpanCount())
		require.Equal(t, header.Spans, spansIn(e.Name()))
		require.NotEmpty(t, header.Error)
		found[header.Reason] = append(found[header.Reason], namesOf(traces)...)
	}
	return found
}

// TestRefusedSpansAreFound checks, for each status of a server that refuses some spans for good, that exactly those are set aside, with one
// log line, and all others arrive once.
func TestRefusedSpansAreFound(t *testing.T) {
	for _, status := range []int{400, 413, 422, 500} {
		for _, format := range []string{"json", "proto"} {
			h := start(t, func(c *Config) { c.Format = format })
			h.zipkin.answer = func(_ []byte, spans []*model.SpanModel) int {
				for _, s := range spans {
					if strings.HasPrefix(s.Name, "bad") {
						return status
					}
				}
				return http.StatusAccepted
			}
			all := names(100)
			all[0], all[41], all[42] = "bad first", "bad 41", "bad 42"
			require.NoError(t, h.push(t.Context(), spans(all...)))
			var good []string
			for _, name := range all {
				if !strings.HasPrefix(name, "bad") {
					good = append(good, name)
				}
			}
			require.Equal(t, good, h.zipkin.names)
			reason := map[bool]string{true: "too_large", false: "refused"}[status == 413]
			require.Equal(t, map[string][]string{reason: {"bad first", "bad 41", "bad 42"}}, h.asideNames(t))
			require.Less(t, h.zipkin.requests, 45)
			require.Equal(t, 1, h.logs.Len())
			require.Equal(t, int64(3), h.logs.All()[0].ContextMap()["spans"])
		}
	}
}

// TestTooLargeRequestIsDivided checks that requests are bounded, and that those which are nevertheless above the server's limit, about which it
// says 500 as Zipkin does, are divided.
func TestTooLargeRequestIsDivided(t *testing.T) {
	const limit = 10_000
	for _, bound := range []int{limit, 5 << 20} {
		h := start(t, func(c *Config) { c.MaxRequestBytes = bound })
		h.zipkin.answer = func(body []byte, _ []*model.SpanModel) int {
			if len(body) > limit {
				return 500
			}
			return http.StatusAccepted
		}
		all := names(500)
		require.NoError(t, h.push(t.Context(), spans(all...)))
		require.Equal(t, all, h.zipkin.names)
		require.Zero(t, h.logs.Len())
		if bound == limit {
			require.LessOrEqual(t, h.zipkin.largest, limit)
			require.Greater(t, h.zipkin.largest, limit*9/10, "requests are as large as allowed")
		}
		require.NoError(t, h.push(t.Context(), spans("a", strings.Repeat("b", 2*limit), "c")))
		require.Len(t, h.zipkin.names, 502, "a span that is too large alone is set aside")
		require.Len(t, h.asideNames(t)["refused"], 1)
	}
}

// TestOutageSetsNothingAside checks that whatever a server answers to everything, the spans are to be sent again.
func TestOutageSetsNothingAside(t *testing.T) {
	for _, status := range []int{301, 400, 401, 403, 404, 413, 429, 500, 502, 503, 504} {
		h := start(t, nil)
		h.zipkin.answer = func([]byte, []*model.SpanModel) int { return status }
		err := h.push(t.Context(), spans(names(10)...))
		require.Error(t, err)
		require.False(t, consumererror.IsPermanent(err))
		var left consumererror.Traces
		require.ErrorAs(t, err, &left)
		require.Equal(t, names(10), namesOf(left.Data()))
		require.Empty(t, h.asideNames(t))
		require.LessOrEqual(t, h.zipkin.requests, 2)
	}
}

// TestRestIsSentAgain checks that only those spans are sent again that a server which goes away has not taken.
func TestRestIsSentAgain(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxRequestBytes = 700 })
	taken := 0
	h.zipkin.answer = func(_ []byte, spans []*model.SpanModel) int {
		if taken >= 5 {
			return 503
		}
		for _, s := range spans {
			if s.Name == "b" {
				return 400
			}
		}
		taken += len(spans)
		return http.StatusAccepted
	}
	err := h.push(t.Context(), spans(names(20)...))
	var left consumererror.Traces
	require.ErrorAs(t, err, &left)
	require.ErrorContains(t, err, "503")
	require.Equal(t, []string{"b"}, h.asideNames(t)["refused"])
	require.ElementsMatch(t, names(20), append(append(namesOf(left.Data()), "b"), h.zipkin.names...))
	taken = math.MinInt
	require.NoError(t, h.push(t.Context(), left.Data()))
	require.ElementsMatch(t, names(20), append([]string{"b"}, h.zipkin.names...))
}

// TestUnencodableSpans checks that a span which cannot be translated or encoded is set aside alone.
func TestUnencodableSpans(t *testing.T) {
	for name, spoil := range map[string]func(ptrace.Span){
		"no trace id":           func(s ptrace.Span) { s.SetTraceID(pcommon.TraceID{}) },
		"no span id":            func(s ptrace.Span) { s.SetSpanID(pcommon.SpanID{}) },
		"ends before its start": func(s ptrace.Span) { s.SetEndTimestamp(s.StartTimestamp() - 1) },
		"lasts for ages":        func(s ptrace.Span) { s.SetEndTimestamp(math.MaxUint64) },
		"begins in ages":        func(s ptrace.Span) { s.SetStartTimestamp(math.MaxUint64 - 5); s.SetEndTimestamp(math.MaxUint64) },
		"an event that is no number": func(s ptrace.Span) {
			s.Events().AppendEmpty().Attributes().PutDouble("x", math.NaN())
		},
		"a link that is no number": func(s ptrace.Span) { s.Links().AppendEmpty().Attributes().PutDouble("x", math.Inf(1)) },
	} {
		for _, format := range []string{"json", "proto"} {
			t.Run(name+"/"+format, func(t *testing.T) {
				h := start(t, func(c *Config) { c.Format = format })
				traces := spans(names(7)...)
				spoil(partsOf(traces)[4].span)
				require.NoError(t, h.push(t.Context(), traces))
				require.Equal(t, []string{"a", "b", "c", "d", "f", "g"}, h.zipkin.names)
				require.Equal(t, map[string][]string{"not_encodable": {"e"}}, h.asideNames(t))
			})
		}
	}
}

// TestNothingHoldsUpOthers gives a queue with two consumers four messages that are refused for good, and checks that one behind them arrives.
func TestNothingHoldsUpOthers(t *testing.T) {
	z := &zipkin{answer: func(_ []byte, spans []*model.SpanModel) int {
		for _, s := range spans {
			if s.Name == "bad" {
				return 500
			}
		}
		return http.StatusAccepted
	}}
	server := httptest.NewServer(z)
	defer server.Close()
	factory := NewFactory()
	config := factory.CreateDefaultConfig().(*Config)
	config.ClientConfig.Endpoint = server.URL
	config.ClientConfig.DisableKeepAlives = true
	config.BackOffConfig.MaxElapsedTime = 0
	config.QueueSettings.Get().NumConsumers = 2
	e, err := factory.CreateTraces(t.Context(), exportertest.NewNopSettings(factory.Type()), config)
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context(), componenttest.NewNopHost()))
	for range 4 {
		require.NoError(t, e.ConsumeTraces(t.Context(), spans("bad")))
	}
	require.NoError(t, e.ConsumeTraces(t.Context(), spans("good")))
	require.Eventually(t, func() bool {
		z.mu.Lock()
		defer z.mu.Unlock()
		return len(z.names) == 1
	}, time.Minute, time.Millisecond)
	require.NoError(t, e.Shutdown(t.Context()))
}

// TestWithoutFolder checks that spans are dropped and logged where there is no folder, and that a folder which cannot be made is no reason
// not to start.
func TestWithoutFolder(t *testing.T) {
	for _, dir := range []string{"", "/dev/null/refused"} {
		h := start(t, func(c *Config) { c.SetAside.Directory = dir })
		h.zipkin.answer = func(_ []byte, spans []*model.SpanModel) int {
			if len(spans) > 0 {
				return 400
			}
			return http.StatusAccepted
		}
		require.NoError(t, h.push(t.Context(), spans("a")))
		require.Equal(t, 1, h.logs.FilterMessageSnippet("cannot be exported are dropped").Len())
	}
}

func TestConfig(t *testing.T) {
	config := createDefaultConfig().(*Config)
	config.Format, config.MaxRequestBytes, config.SetAside = "xml", 0, SetAsideConfig{}
	err := config.Validate()
	for _, want := range []string{"endpoint required", `"xml" is neither`, "max_request_bytes", "max_files", "max_bytes"} {
		require.ErrorContains(t, err, want)
	}
	require.False(t, errors.Is(err, os.ErrNotExist))
}
