//go:build unix

package fire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// TestOpenWhiskFails checks that spans wait while OpenWhisk fails, in any way, and are delivered with their records afterwards.
func TestOpenWhiskFails(t *testing.T) {
	release := make(chan struct{})
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address)
	t.Cleanup(func() { close(release) })
	sent := 0
	for _, fault := range []struct {
		name    string
		handler http.HandlerFunc // nil stops OpenWhisk
	}{
		{"has no records yet", notYet},
		{"answers 500", answer(500, `{"code":"x","error":"There was an internal server error."}`)},
		{"answers 429", answer(429, `{"code":"x","error":"Too many requests in the last minute (count: 61, allowed: 60)."}`)},
		{"answers garbage", answer(200, "<html>Welcome to nginx!</html>")},
		{"refuses the key", answer(401, `{"code":"x","error":"The supplied authentication is invalid"}`)},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}},
		{"is away", nil},
	} {
		t.Run(fault.name, func(t *testing.T) {
			if fault.handler == nil {
				w.stop()
			} else {
				w.answerWith(fault.handler)
			}
			before := w.lookups.Load()
			const n = 200
			for range 4 {
				c.send(spans(sent, n/4))
				sent += n / 4
			}
			if fault.handler != nil {
				require.Eventually(t, func() bool { return w.lookups.Load() > before }, time.Minute, time.Millisecond, "OpenWhisk is not asked")
			}
			time.Sleep(full(5*time.Second, 500*time.Millisecond)) // the duration of the failure
			came, _ := z.count()
			require.Equal(t, sent-n, came, "a span was delivered without its record")
			if fault.handler == nil {
				w.start(t)
			}
			w.answerWith(nil)
			z.wait(t, sent)
			z.check(t, sent-n, n)
		})
	}
}

// TestZipkinIsDown checks that spans are accepted while Zipkin is down, and delivered afterwards.
func TestZipkinIsDown(t *testing.T) {
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address)
	c.send(spans(0, 100))
	z.wait(t, 100)
	z.stop()
	sent := 100
	for end := time.Now().Add(full(time.Minute, 2*time.Second)); time.Now().Before(end); sent += 100 {
		require.Zero(t, c.send(spans(sent, 100)), "the collector refused spans")
		time.Sleep(100 * time.Millisecond) // the interval of the sender
	}
	z.start(t)
	z.wait(t, sent)
	z.check(t, 0, sent)
	t.Logf("%d spans were sent while Zipkin was down", sent-100)
}

// TestKilled kills the collector while some spans wait for their records and others for Zipkin, and checks that the next process delivers all.
func TestKilled(t *testing.T) {
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address)
	rounds := full(5, 2)
	sent := 0
	for range rounds {
		z.stop()
		const each = 500
		for range 5 {
			c.send(spans(sent, each/5))
			sent += each / 5
		}
		// All have been enriched and are in the exporter's queue.
		require.Eventually(t, func() bool { return c.metric("otelcol_processor_openwhisk_spans_waiting") == 0 }, time.Minute, 10*time.Millisecond)
		w.answerWith(notYet)
		for range 5 {
			c.send(spans(sent, each/5))
			sent += each / 5
		}
		require.Equal(t, float64(each), c.metric("otelcol_processor_openwhisk_spans_waiting"))
		c.kill()
		z.start(t)
		w.answerWith(nil)
		c.start()
		z.wait(t, sent)
	}
	z.check(t, 0, sent)
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Len(t, w.asked, sent, "every activation was looked up")
}

// TestStopped checks that a collector that is stopped while records are missing leaves the spans to the next process.
func TestStopped(t *testing.T) {
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address, "builtin:local", "yaml:processors::openwhisk::shutdown_timeout: 100ms")
	w.answerWith(notYet)
	c.send(spans(0, 100))
	c.stop()
	came, _ := z.count()
	require.Zero(t, came)
	w.answerWith(nil)
	c.start()
	z.wait(t, 100)
	z.check(t, 0, 100)
}

// TestLoad sends two thousand spans a second, each with its own lookup, reports CPU time and memory, and checks that memory is bounded.
func TestLoad(t *testing.T) {
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address)
	const rate, each = 2000, 20
	length := full(time.Minute, 3*time.Second)
	cpu0, _ := c.usage()
	begin := time.Now()
	var most int64
	sent, refused := 0, 0
	for tick := time.NewTicker(time.Second * each / rate); time.Since(begin) < length; <-tick.C {
		refused += c.send(spans(sent, each))
		sent += each
		_, resident := c.usage()
		most = max(most, resident)
	}
	took := time.Since(begin)
	z.wait(t, sent)
	cpu1, _ := c.usage()
	z.check(t, sent-100, 100)
	t.Logf("%d spans in %.1f s (%.0f a second), refused %d times; CPU %.0f %% of a core, at most %d MiB resident",
		sent, took.Seconds(), float64(sent)/took.Seconds(), refused, 100*(cpu1-cpu0).Seconds()/time.Since(begin).Seconds(), most>>20)
	require.Less(t, most, int64(1)<<30)
}

// TestManyWait fills the queue, and checks that further spans are refused with a time to retry, and accepted when there is room.
func TestManyWait(t *testing.T) {
	w, z := newWhisk(t), newZipkin(t)
	room := full(100_000, 10_000)
	configs := []string{"builtin:local"}
	if !*soak {
		configs = append(configs, "yaml:processors::openwhisk::pending::spans: 10000")
	}
	c := newCollector(t, w, z.address, configs...)
	w.answerWith(notYet)
	for sent := 0; sent < room; sent += 1000 {
		require.Zero(t, c.send(spans(sent, 1000)))
	}
	_, resident := c.usage()
	require.Equal(t, float64(room), c.metric("otelcol_processor_openwhisk_spans_waiting"))

	code, after, err := c.post(spans(room, 1000))
	require.NoError(t, err)
	require.Equal(t, http.StatusTooManyRequests, code)
	require.Equal(t, time.Second, after)
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	_, err = ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(spans(room, 1000)))
	s, _ := status.FromError(err)
	require.Equal(t, codes.ResourceExhausted, s.Code())
	require.NotEmpty(t, s.Details(), "the time to retry")

	w.answerWith(nil)
	begin := time.Now()
	refused := c.send(spans(room, 1000))
	z.wait(t, room+1000)
	_, after1 := c.usage()
	t.Logf("%d spans waited in %d MiB resident (%d afterwards); one message was refused %d times more; all were out %.1f s after the records came",
		room, resident>>20, after1>>20, refused, time.Since(begin).Seconds())
	z.check(t, room, 1000)
}

// TestOddSpans sends invalid OTLP, spans without an activation, several with the same one and with impossible ids, and the same spans twice.
func TestOddSpans(t *testing.T) {
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address)
	for _, bad := range []struct{ body, contentType string }{
		{"\xff\xff\xff", "application/x-protobuf"}, {"{", "application/json"}, {`{"resourceSpans": 5}`, "application/json"},
	} {
		code, _, err := c.postBody([]byte(bad.body), bad.contentType)
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, code, "%q", bad.body)
	}
	code, _, err := c.postBody([]byte("hello"), "text/plain")
	require.NoError(t, err)
	require.Equal(t, http.StatusUnsupportedMediaType, code)

	traces := spans(0, 40)
	own := traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	for i := range 10 {
		own.At(i).Attributes().Clear()                                       // no activation
		own.At(i+10).Attributes().PutStr("activationId", activationID(1000)) // one for ten
		own.At(i+20).Attributes().PutStr("activationId", "../../actions/secret")
	}
	c.send(traces)
	z.wait(t, 40)
	z.check(t, 30, 10)
	w.mu.Lock()
	require.Equal(t, 1, w.asked[activationID(1000)])
	require.Len(t, w.asked, 11)
	w.mu.Unlock()
	require.Equal(t, 10.0, c.metric("otelcol_processor_openwhisk_spans_passed_on", `reason="impossible"`))
	require.Equal(t, 10.0, c.metric("otelcol_processor_openwhisk_spans_passed_on", `reason="no_id"`))

	// A sender that did not receive the answer sends a waiting span again.
	w.answerWith(notYet)
	c.send(spans(100, 10))
	c.send(spans(100, 10))
	w.answerWith(nil)
	z.wait(t, 50)
	c.stop()
	_, twice := z.count()
	require.Zero(t, twice)
	c.start()
}

// TestManySenders sends concurrently over both protocols.
func TestManySenders(t *testing.T) {
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address)
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	const senders, messages, each = 8, 20, 10
	var wg sync.WaitGroup
	var failed atomic.Int64
	for sender := range senders {
		wg.Go(func() {
			for i := range messages {
				m := spans((sender*messages+i)*each, each)
				if sender%2 == 0 {
					c.send(m)
				} else if _, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(m)); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, failed.Load())
	z.wait(t, senders*messages*each)
	z.check(t, 0, senders*messages*each)
}

// TestPredictor checks that a predictor is passed every span in messages that it takes, of whatever size they were when they came, and that one
// that hangs holds nothing up.
func TestPredictor(t *testing.T) {
	const most = 64 << 20 // of examples/live
	var passed, tooLarge atomic.Int64
	hang, end := atomic.Bool{}, make(chan struct{})
	predictor := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if hang.Load() {
			<-end
			return
		}
		m := ptraceotlp.NewExportRequest()
		if err := m.UnmarshalJSON(body); err != nil {
			t.Error(err)
		}
		if len(body) > most {
			tooLarge.Add(1)
		}
		passed.Add(int64(m.Traces().SpanCount()))
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, "{}")
	}))
	defer predictor.Close()
	defer close(end)
	w, z := newWhisk(t), newZipkin(t)
	c := newCollector(t, w, z.address, "builtin:local", "../predictor.yaml",
		"yaml:exporters::otlp_http/predictor: {endpoint: \""+predictor.URL+"\", timeout: 20s, sending_queue: {queue_size: 12000000}}") // one machine may be slow
	large := spans(0, 5000)
	for _, s := range large.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
		s.Attributes().PutStr("payload", strings.Repeat("x", 1000))
	}
	c.send(large)
	require.Eventually(t, func() bool { return passed.Load() == 5000 }, time.Minute, 10*time.Millisecond)
	require.Zero(t, tooLarge.Load(), "messages that are too large")
	hang.Store(true)
	for i := range 20 {
		c.send(spans(5000+10*i, 10))
	}
	z.wait(t, 5200)
	z.check(t, 0, 5200)
	for i := range 4 { // more than the queue holds
		more := spans(6000+5000*i, 5000)
		for _, s := range more.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
			s.Attributes().PutStr("payload", strings.Repeat("x", 1000))
		}
		c.send(more)
	}
	z.wait(t, 25200)
	z.check(t, 6000, 20000)
	require.Eventually(t, func() bool {
		return c.metric("otelcol_exporter_enqueue_failed_spans", `exporter="otlp_http/predictor"`) > 0
	}, time.Minute, 10*time.Millisecond)
}

// TestScaledOut checks that a front collector distributes traces to two others, and that all spans of a trace go to the same one.
func TestScaledOut(t *testing.T) {
	w := newWhisk(t)
	z := []*zipkin{newZipkin(t), newZipkin(t)}
	backends := []*collector{newCollector(t, w, z[0].address), newCollector(t, w, z[1].address)}
	front := newCollector(t, nil, "127.0.0.1:1", strings.ReplaceAll(strings.ReplaceAll(`yaml:
receivers: {otlp: {protocols: {http: {endpoint: "${env:TPPFAAS_OTLP_HTTP}"}, grpc: {endpoint: "${env:TPPFAAS_OTLP_GRPC}"}}}}
exporters:
  load_balancing:
    routing_key: traceID
    protocol: {otlp: {tls: {insecure: true}}}
    resolver: {static: {hostnames: ["FIRST", "SECOND"]}}
extensions: {health_check: {endpoint: "${env:TPPFAAS_HEALTH}"}}
service:
  extensions: [health_check]
  pipelines: {traces: {receivers: [otlp], exporters: [load_balancing]}}
  telemetry: {metrics: {level: none}}
`, "FIRST", backends[0].grpc), "SECOND", backends[1].grpc))
	const traces = 200
	for part := range 10 { // each trace comes in ten messages
		message := ptrace.NewTraces()
		ss := message.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty()
		for trace := range traces {
			span := ss.Spans().AppendEmpty()
			spans(trace*10+part, 1).ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).MoveTo(span)
		}
		front.send(message)
	}
	require.Eventually(t, func() bool {
		a, _ := z[0].count()
		b, _ := z[1].count()
		return a+b == traces*10
	}, time.Minute, 20*time.Millisecond)
	for i := range z {
		n, twice := z[i].count()
		require.Zero(t, twice)
		require.Zero(t, n%10, "a trace is split")
		require.Greater(t, n, traces*10/5, "the load is not shared")
		stats := z[i].store.Stats()
		require.Equal(t, n/10, stats.Traces)
		t.Logf("collector %d has %d of %d traces", i+1, stats.Traces, traces)
	}
}
