package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tppfaas/tppfaas/prewarm/internal/guarded"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// sink is a Sink that keeps what it is told, unless fail says otherwise.
type sink struct {
	mu   sync.Mutex
	took []source.Observation
	fail func(call int) error // nil: it takes everything; called with the number of the call
	n    int
	came chan struct{} // has an element after something was taken
}

func newSink() *sink { return &sink{came: make(chan struct{}, 1)} }

func (s *sink) Observe(_ context.Context, o []source.Observation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if s.fail != nil {
		if err := s.fail(s.n); err != nil {
			return err
		}
	}
	s.took = append(s.took, o...)
	select {
	case s.came <- struct{}{}:
	default:
	}
	return nil
}

func (s *sink) ObserveLoad(context.Context, []source.Load) error { return errors.New("no load") }

func (s *sink) taken() []source.Observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took
}

// wait returns what was taken as soon as it fulfils a condition.
func (s *sink) wait(t *testing.T, enough func([]source.Observation) bool) []source.Observation {
	t.Helper()
	for deadline := time.After(time.Minute); ; {
		if took := s.taken(); enough(took) {
			return took
		}
		select {
		case <-s.came:
		case <-deadline:
			t.Fatalf("only these came: %+v", s.taken())
		}
	}
}

func busy(int) error { return source.ErrBusy }

// encode returns a message in a form, packed or not.
func encode(t testing.TB, traces ptrace.Traces, form string, packed bool) []byte {
	t.Helper()
	request := ptraceotlp.NewExportRequestFromTraces(traces)
	text, err := request.MarshalProto()
	if form == asJSON {
		text, err = request.MarshalJSON()
	}
	require.NoError(t, err)
	if packed {
		text = pack(t, text)
	}
	return text
}

func pack(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestHTTP(t *testing.T) {
	wrong := ptrace.NewTraces()
	newSpan(wrong.ResourceSpans().AppendEmpty(), "f", ptrace.SpanKindServer, time.Second, map[string]any{"activationId": "aa"}).SetEndTimestamp(0)
	for _, test := range []struct {
		name           string
		form, encoding string // of the content; "" stands for protobuf
		body           []byte
		fail           func(int) error
		want           int
		text           string // in the answer
		taken          int
		counts         source.Counts
	}{
		{name: "protobuf", body: encode(t, message(1), asProtobuf, false), want: 200, taken: 12, counts: source.Counts{Observations: 12}},
		{name: "JSON", form: asJSON + "; charset=utf-8", body: encode(t, message(1), asJSON, false), want: 200, taken: 12, counts: source.Counts{Observations: 12}},
		{name: "packed", encoding: "gzip", body: encode(t, message(1), asProtobuf, true), want: 200, taken: 12, counts: source.Counts{Observations: 12}},
		{name: "packed JSON", form: asJSON, encoding: "GZIP", body: encode(t, message(1), asJSON, true), want: 200, taken: 12, counts: source.Counts{Observations: 12}},
		{name: "nothing", body: nil, want: 200},
		{name: "invalid spans", body: encode(t, wrong, asProtobuf, false), want: 200, text: "it has no end", counts: source.Counts{Invalid: 1}},
		{name: "invalid spans in JSON", form: asJSON, body: encode(t, wrong, asJSON, false), want: 200, text: `"rejectedSpans":"1"`, counts: source.Counts{Invalid: 1}},
		{name: "busy", body: encode(t, message(1), asProtobuf, false), fail: busy, want: 429, text: source.ErrBusy.Error(), counts: source.Counts{Refused: 12}},
		{name: "invalid spans while busy", body: encode(t, both(message(1), wrong), asProtobuf, false), fail: busy, want: 429, counts: source.Counts{Refused: 12}},
		{name: "a sink that fails", body: encode(t, message(1), asProtobuf, false), fail: func(int) error { return errors.New("it is about to end") }, want: 503, text: "it is about to end"},
		{name: "garbage", body: []byte("garbage"), want: 400, text: "this is no message with spans", counts: source.Counts{Invalid: 1}},
		{name: "garbage in JSON", form: asJSON, body: []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":{}}]}]}]}`), want: 400, text: "this is no message with spans", counts: source.Counts{Invalid: 1}},
		{name: "half a message", form: asJSON, body: []byte(`{"resourceSpans":[`), want: 400, counts: source.Counts{Invalid: 1}},
		{name: "no gzip", encoding: "gzip", body: []byte("garbage garbage garbage"), want: 400, text: "gzip: ", counts: source.Counts{Invalid: 1}},
		{name: "half a gzip", encoding: "gzip", body: encode(t, message(1), asProtobuf, true)[:100], want: 400, text: "unexpected EOF", counts: source.Counts{Invalid: 1}},
		{name: "another packing", encoding: "zstd", body: []byte("x"), want: 415, text: `"zstd" is not known`, counts: source.Counts{Invalid: 1}},
		{name: "another form", form: "text/plain", body: []byte("x"), want: 415, text: "application/x-protobuf or application/json"},
		{name: "too large", body: make([]byte, 1<<20+1), want: 413, text: "more than 1048576 bytes", counts: source.Counts{Invalid: 1}},
		{name: "too large when unpacked", encoding: "gzip", body: pack(t, make([]byte, 1<<24)), want: 413, text: "more than 1048576 bytes", counts: source.Counts{Invalid: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSink()
			s.fail = test.fail
			r := New(s, Options{MaxBytes: 1 << 20})
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/traces", bytes.NewReader(test.body))
			if test.form == "" {
				test.form = asProtobuf
			}
			request.Header.Set("Content-Type", test.form)
			request.Header.Set("Content-Encoding", test.encoding)
			answer := httptest.NewRecorder()
			r.ServeHTTP(answer, request)
			require.Equal(t, test.want, answer.Code, answer.Body)
			require.Contains(t, answer.Body.String(), test.text)
			require.Len(t, s.taken(), test.taken)
			counts := r.Counts()
			require.Equal(t, test.taken > 0, counts.Last != nil)
			require.Equal(t, test.counts.Invalid > 0 || test.want == 503, counts.Error != "")
			counts.Last, counts.Error = nil, ""
			test.counts.Name = "otlp"
			require.Equal(t, test.counts, counts)
			form, _, _ := strings.Cut(test.form, ";")
			switch {
			case form != asJSON && form != asProtobuf:
				return
			case test.want == 200:
				response := ptraceotlp.NewExportResponse()
				if form == asJSON {
					require.NoError(t, response.UnmarshalJSON(answer.Body.Bytes()))
				} else {
					require.NoError(t, response.UnmarshalProto(answer.Body.Bytes()))
				}
				require.EqualValues(t, test.counts.Invalid, response.PartialSuccess().RejectedSpans())
			default:
				var s spb.Status
				if form == asJSON {
					require.NoError(t, protojson.Unmarshal(answer.Body.Bytes(), &s))
				} else {
					require.NoError(t, proto.Unmarshal(answer.Body.Bytes(), &s))
				}
				require.NotEmpty(t, s.GetMessage())
			}
			require.Equal(t, form, answer.Header().Get("Content-Type"))
			if test.want == 429 {
				require.Equal(t, "1", answer.Header().Get("Retry-After"))
			}
			require.Zero(t, r.room.Used(), "memory that nobody gives back")
		})
	}
}

// both returns the spans of two messages in one.
func both(a, b ptrace.Traces) ptrace.Traces {
	all := ptrace.NewTraces()
	for _, traces := range []ptrace.Traces{a, b} {
		for _, rs := range traces.ResourceSpans().All() {
			rs.CopyTo(all.ResourceSpans().AppendEmpty())
		}
	}
	return all
}

// TestErrorPasses checks that what went wrong is told until spans come that are right, and that what is none says nothing of it.
func TestErrorPasses(t *testing.T) {
	wrong, none := ptrace.NewTraces(), ptrace.NewTraces()
	newSpan(wrong.ResourceSpans().AppendEmpty(), "f", ptrace.SpanKindServer, time.Second, map[string]any{"activationId": "aa"}).SetEndTimestamp(0)
	newSpan(none.ResourceSpans().AppendEmpty(), "query", ptrace.SpanKindClient, time.Second, nil)
	r := New(newSink(), Options{})
	for _, step := range []struct {
		traces ptrace.Traces
		want   string
	}{{wrong, "it has no end"}, {none, "it has no end"}, {message(1), ""}, {both(message(1), wrong), "it has no end"}} {
		_, err := r.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(step.traces))
		require.NoError(t, err)
		if step.want == "" {
			require.Empty(t, r.Counts().Error)
		} else {
			require.Contains(t, r.Counts().Error, step.want)
		}
	}
	require.EqualValues(t, 2, r.Counts().Invalid)
}

func TestMethod(t *testing.T) {
	answer := httptest.NewRecorder()
	New(newSink(), Options{}).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/traces", nil))
	require.Equal(t, http.StatusMethodNotAllowed, answer.Code)
	require.Equal(t, "POST", answer.Header().Get("Allow"))
}

// TestLongMessages checks that a message of more than a sink takes at once is told in parts, and refused as a whole if one of them is.
func TestLongMessages(t *testing.T) {
	for _, test := range []struct {
		fail  func(int) error
		taken int
		want  int
	}{
		{nil, 2400, 200},
		{func(call int) error {
			if call == 3 {
				return source.ErrBusy
			}
			return nil
		}, 2000, 429},
	} {
		s := newSink()
		s.fail = test.fail
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/traces", bytes.NewReader(encode(t, message(200), asProtobuf, false)))
		request.Header.Set("Content-Type", asProtobuf)
		answer := httptest.NewRecorder()
		New(s, Options{}).ServeHTTP(answer, request)
		require.Equal(t, test.want, answer.Code)
		require.Len(t, s.taken(), test.taken)
	}
}

// failing is a body whose n-th read fails.
type failing struct {
	text []byte
	n    int
}

var errBroken = errors.New("the connection is broken")

func (f *failing) Read(p []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, errBroken
	}
	n := copy(p[:min(len(p), 100)], f.text)
	f.text = f.text[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestBrokenBodies checks that a body whose n-th read fails is refused, whatever n is, and gives its memory back.
func TestBrokenBodies(t *testing.T) {
	text := encode(t, message(1), asProtobuf, false)
	for _, packed := range []bool{false, true} {
		for n := 0; ; n++ {
			s := newSink()
			r := New(s, Options{})
			body := &failing{text: text, n: n}
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/traces", body)
			if packed {
				body.text = pack(t, text)
				request.Header.Set("Content-Encoding", "gzip")
			}
			request.Header.Set("Content-Type", asProtobuf)
			answer := httptest.NewRecorder()
			r.ServeHTTP(answer, request)
			require.Zero(t, r.room.Used())
			if answer.Code == http.StatusOK {
				require.Greater(t, n, 3)
				require.Len(t, s.taken(), 12)
				break
			}
			require.Equal(t, http.StatusBadRequest, answer.Code)
			require.Contains(t, answer.Body.String(), errBroken.Error())
			require.Empty(t, s.taken())
		}
	}
}

// TestFlood checks that messages which come slowly hold no more memory than all may at once, that others are refused meanwhile, and that a short one is taken
// as soon as there is room.
func TestFlood(t *testing.T) {
	s := newSink()
	r := New(s, Options{MaxBytes: 1 << 20, MaxBytesAtOnce: 4 << 20})
	server := httptest.NewServer(r)
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	post := func(body io.Reader) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/traces", body)
		require.NoError(t, err)
		request.Header.Set("Content-Type", asProtobuf)
		answer, err := transport.RoundTrip(request)
		if err != nil {
			return 0
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer.StatusCode
	}
	const slow = 20
	var writers []*io.PipeWriter
	codes := make(chan int, slow)
	for range slow {
		reader, writer := io.Pipe()
		writers = append(writers, writer)
		go func() { codes <- post(reader) }()
		go func() { _, _ = writer.Write(make([]byte, 900_000)) }()
	}
	require.Eventually(t, func() bool { return len(codes) >= slow-4 }, time.Minute, time.Millisecond)
	require.LessOrEqual(t, r.room.Used(), int64(4<<20))
	for _, w := range writers {
		_ = w.CloseWithError(errBroken)
	}
	refused := 0
	for range slow {
		if code := <-codes; code == http.StatusTooManyRequests {
			refused++
		}
	}
	require.Positive(t, refused)
	require.Eventually(t, func() bool { return r.room.Used() == 0 }, time.Minute, time.Millisecond)
	require.Equal(t, 200, post(bytes.NewReader(encode(t, message(1), asProtobuf, false))))
	require.Len(t, s.taken(), 12)
}

// serveGRPC serves a Receiver over gRPC, and returns a connection to it.
func serveGRPC(t testing.TB, r *Receiver, maxMessage int) *grpc.ClientConn {
	t.Helper()
	guard, err := guarded.New(guarded.Options{Address: "127.0.0.1:0"})
	require.NoError(t, err)
	l, err := guard.Listen(t.Context())
	require.NoError(t, err)
	server := guard.NewServer(maxMessage)
	r.Register(server)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- guard.ServeGRPC(ctx, l, server) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	connection, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func TestGRPC(t *testing.T) {
	wrong := ptrace.NewTraces()
	newSpan(wrong.ResourceSpans().AppendEmpty(), "f", ptrace.SpanKindServer, time.Second, map[string]any{"activationId": "aa"}).SetEndTimestamp(0)
	s := newSink()
	r := New(s, Options{})
	connection := serveGRPC(t, r, 1<<20)
	client := ptraceotlp.NewGRPCClient(connection)
	for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor("gzip")}} {
		before := len(s.taken())
		answer, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(both(message(1), wrong)), options...)
		require.NoError(t, err)
		require.EqualValues(t, 1, answer.PartialSuccess().RejectedSpans())
		require.Contains(t, answer.PartialSuccess().ErrorMessage(), "it has no end")
		require.Len(t, s.taken(), before+12)
	}
	_, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(message(2000)))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Empty(t, status.Convert(err).Details(), "what is too large should not be sent again")
	_, err = client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(message(2000)), grpc.UseCompressor("gzip"))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))

	s.fail = busy
	_, err = client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(message(1)))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Contains(t, fmt.Sprint(status.Convert(err).Details()), "retry_delay:{seconds:1}")
	s.fail = func(int) error { return errors.New("it is about to end") }
	_, err = client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(message(1)))
	require.Equal(t, codes.Unavailable, status.Code(err))

	answer, err := grpc_health_v1.NewHealthClient(connection).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, answer.GetStatus())
	counts := r.Counts()
	require.EqualValues(t, 24, counts.Observations)
	require.EqualValues(t, 12, counts.Refused)
	require.EqualValues(t, 2, counts.Invalid)
}
