//go:build unix

package fire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/tppfaas/tppfaas/internal/localzipkin"
	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/testbin"
)

var soak = flag.Bool("soak", false, "run in full: a minute instead of seconds, a hundred thousand spans instead of ten thousand")

// full returns long in a soak and short otherwise.
func full[T any](long, short T) T {
	if *soak {
		return long
	}
	return short
}

// builder is the file of a collector that was made from builder.yaml, to be tested instead of our own.
var builder = flag.String("collector", "", "test this collector, made from builder.yaml, instead of our own")

// program returns the path of the collector.
func program() (string, error) {
	if *builder != "" {
		return *builder, nil
	}
	return testbin.Path("collector/cmd/collector")
}

func TestMain(m *testing.M) { os.Exit(testbin.Main(m)) }

const (
	user     = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502"
	password = "a-password-that-must-not-be-seen"
)

// whisk is a fake OpenWhisk whose answers can be replaced.
type whisk struct {
	address string
	server  *http.Server
	handler atomic.Value // http.HandlerFunc that answers instead; a nil function for correct answers
	lookups atomic.Int64
	mu      sync.Mutex
	asked   map[string]int // number of lookups answered with a record, by activation
}

func newWhisk(t *testing.T) *whisk {
	w := &whisk{address: freeAddress(t), asked: map[string]int{}}
	w.handler.Store(http.HandlerFunc(nil))
	w.start(t)
	t.Cleanup(w.stop)
	return w
}

func (w *whisk) start(t *testing.T) {
	l, err := net.Listen("tcp", w.address)
	require.NoError(t, err)
	w.server = &http.Server{Handler: http.HandlerFunc(w.answer), ReadHeaderTimeout: time.Minute}
	go w.server.Serve(l)
}

func (w *whisk) stop() { _ = w.server.Close() }

// answerWith replaces the answers, or restores the correct ones if h is nil.
func (w *whisk) answerWith(h http.HandlerFunc) { w.handler.Store(h) }

func (w *whisk) answer(rw http.ResponseWriter, r *http.Request) {
	w.lookups.Add(1)
	if h := w.handler.Load().(http.HandlerFunc); h != nil {
		h(rw, r)
		return
	}
	w.answerCorrectly(rw, r)
}

// answerCorrectly answers with the record of the activation.
func (w *whisk) answerCorrectly(rw http.ResponseWriter, r *http.Request) {
	if u, p, _ := r.BasicAuth(); u != user || p != password {
		http.Error(rw, `{"code":"x","error":"The supplied authentication is invalid"}`, http.StatusUnauthorized)
		return
	}
	id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	w.mu.Lock()
	w.asked[id]++
	w.mu.Unlock()
	rw.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(rw, `{"activationId":%q,"annotations":[{"key":"path","value":"guest/f"},{"key":"waitTime","value":250},{"key":"initTime","value":100}],
		"duration":600,"end":%d,"logs":[],"name":"f","namespace":"guest","response":{"result":{},"size":2,"status":"success","success":true},"start":%d}`,
		id, began.Add(900*time.Millisecond).UnixMilli(), began.Add(300*time.Millisecond).UnixMilli())
}

// notYet answers as OpenWhisk does while it has no record.
func notYet(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(rw, `{"code":"VooLgmEH9k0BGXRgoYiO9vHBzz1aa81d","error":"The requested resource does not exist."}`)
}

// began is the arrival time of all activations.
var began = time.Now().Truncate(time.Millisecond)

// zipkin is a Zipkin that can be stopped and started, and counts how often each span of an invocation arrives.
type zipkin struct {
	address string
	store   *localzipkin.Store
	handler http.Handler
	server  *http.Server
	refuse  atomic.Uint64 // the id of a span; requests with it are refused, if it is not 0
	mu      sync.Mutex
	came    map[model.ID]int
	changed chan struct{}
}

func newZipkin(t *testing.T) *zipkin {
	z := &zipkin{address: freeAddress(t), store: localzipkin.NewStore(1_000_000, 2<<30), came: map[model.ID]int{}, changed: make(chan struct{}, 1)}
	z.handler = localzipkin.NewHandler(z.store, 64<<20)
	z.start(t)
	t.Cleanup(z.stop)
	return z
}

func (z *zipkin) start(t *testing.T) {
	l, err := net.Listen("tcp", z.address)
	require.NoError(t, err)
	z.server = &http.Server{Handler: http.HandlerFunc(z.serve), ReadHeaderTimeout: time.Minute}
	go z.server.Serve(l)
}

// stop stops the server after it has answered the requests that it has received; otherwise their spans would be sent again.
func (z *zipkin) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = z.server.Shutdown(ctx)
	_ = z.server.Close()
}

func (z *zipkin) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if id := z.refuse.Load(); id != 0 && bytes.Contains(body, fmt.Appendf(nil, `"id":"%016x"`, id)) {
		http.Error(w, "this one is wrong", http.StatusBadRequest)
		return
	}
	z.handler.ServeHTTP(w, r)
	// Count spans only after they are stored, because tests look for them after they have waited for a count.
	if spans, err := localzipkin.Decode(body, r.Header.Get("Content-Type")); err == nil && r.Method == http.MethodPost {
		z.mu.Lock()
		for _, s := range spans {
			if _, phase := s.Tags["phase.of"]; !phase {
				z.came[s.ID]++
			}
		}
		z.mu.Unlock()
	}
	select {
	case z.changed <- struct{}{}:
	default:
	}
}

// count returns how many spans arrived, and how many of them more than once.
func (z *zipkin) count() (came, twice int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, n := range z.came {
		if n > 1 {
			twice++
		}
	}
	return len(z.came), twice
}

// wait waits until n spans have arrived, and fails if one arrives twice.
func (z *zipkin) wait(t *testing.T, n int) {
	t.Helper()
	deadline := time.After(full(10*time.Minute, 90*time.Second))
	for {
		came, twice := z.count()
		require.Zero(t, twice, "spans came twice")
		if came >= n {
			require.Equal(t, n, came, "more came than were sent")
			return
		}
		select {
		case <-z.changed:
		case <-time.After(time.Second):
		case <-deadline:
			t.Fatalf("%d of %d spans came", came, n)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	return addresses[0]
}

// collector runs the program as a process.
type collector struct {
	t       *testing.T
	grpc    string
	http    string
	health  string
	metrics string
	state   string
	env     []string
	args    []string
	process *exec.Cmd
	exited  chan struct{}
	logMu   sync.Mutex
	log     bytes.Buffer
}

func newCollector(t *testing.T, w *whisk, zipkinAddress string, configs ...string) *collector {
	t.Helper()
	c := &collector{t: t, grpc: freeAddress(t), http: freeAddress(t), health: freeAddress(t), metrics: freeAddress(t), state: t.TempDir()}
	host, port, err := net.SplitHostPort(c.metrics)
	require.NoError(t, err)
	c.env = []string{
		"TPPFAAS_OTLP_GRPC=" + c.grpc, "TPPFAAS_OTLP_HTTP=" + c.http, "TPPFAAS_HEALTH=" + c.health, "TPPFAAS_METRICS_HOST=" + host,
		"TPPFAAS_METRICS_PORT=" + port, "TPPFAAS_STATE=" + c.state, "TPPFAAS_ZIPKIN=http://" + zipkinAddress,
		"OW_AUTH=" + user + ":" + password, "TPPFAAS_LOG=debug", "HOME=" + c.state, "PATH=" + os.Getenv("PATH"),
	}
	if w != nil {
		c.env = append(c.env, "OW_APIHOST=http://"+w.address)
	}
	if *builder != "" && len(configs) == 0 {
		configs = []string{"builtin:local"}
	}
	for _, config := range configs {
		if *builder != "" && config == "builtin:local" {
			config = "../config.yaml"
		}
		c.args = append(c.args, "--config", config)
	}
	c.start()
	t.Cleanup(func() {
		c.stop()
		c.logMu.Lock()
		defer c.logMu.Unlock()
		require.NotContains(t, c.log.String(), password, "the log contains the key")
		require.Contains(t, c.log.String(), "Everything is ready", "nothing was logged")
		if t.Failed() {
			text := c.log.String()
			t.Log(text[max(0, len(text)-6000):])
		}
	})
	return c
}

func (c *collector) start() {
	c.t.Helper()
	file, err := program()
	require.NoError(c.t, err)
	c.process = exec.Command(file, c.args...)
	c.process.Env = c.env
	out, err := c.process.StderrPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, c.process.Start())
	exited := make(chan struct{})
	c.exited = exited
	process := c.process
	go func() {
		defer close(exited)
		for lines := bufio.NewReader(out); ; {
			line, err := lines.ReadBytes('\n')
			c.logMu.Lock()
			c.log.Write(line)
			c.logMu.Unlock()
			if err != nil {
				break
			}
		}
		_ = process.Wait()
	}()
	for deadline := time.Now().Add(time.Minute); ; {
		if r, err := http.Get("http://" + c.health); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-exited:
			c.t.Fatalf("the collector ended: %s", c.log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			c.t.Fatal("the collector does not get ready")
		}
	}
}

// kill ends the process with SIGKILL.
func (c *collector) kill() {
	c.t.Helper()
	require.NoError(c.t, c.process.Process.Kill())
	<-c.exited
}

func (c *collector) stop() {
	_ = c.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(time.Minute):
		c.t.Error("the collector does not stop")
		_ = c.process.Process.Kill()
		<-c.exited
	}
}

// usage returns the CPU time that the process has used, and its resident memory in bytes.
func (c *collector) usage() (cpu time.Duration, resident int64) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.process.Process.Pid))
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	pages, _ := strconv.ParseInt(fields[21], 10, 64)
	const ticks = 100 // a second, on Linux
	return time.Duration(user+system) * time.Second / ticks, pages * int64(os.Getpagesize())
}

// spans returns a message with n spans, numbered from first. Each has its own activation.
func spans(first, n int) ptrace.Traces {
	traces := ptrace.NewTraces()
	rs := traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "sequence-dev-f1")
	ss := rs.ScopeSpans().AppendEmpty()
	for i := first; i < first+n; i++ {
		span := ss.Spans().AppendEmpty()
		span.SetName("sequence-dev-f1")
		span.SetKind(ptrace.SpanKindServer)
		span.SetTraceID(traceID(i / 10))
		span.SetSpanID(spanID(i))
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(began.Add(400 * time.Millisecond)))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(began.Add(890 * time.Millisecond)))
		span.Attributes().PutStr("activationId", activationID(i))
	}
	return traces
}

func activationID(n int) string { return fmt.Sprintf("%032x", n+1) }

func spanID(n int) (id pcommon.SpanID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)+1)
	return id
}

func traceID(n int) (id pcommon.TraceID) {
	binary.BigEndian.PutUint64(id[:8], 0x1111)
	// Multiplied so that ids are spread like random ones.
	binary.BigEndian.PutUint64(id[8:], (uint64(n)+1)*0x9E3779B97F4A7C15)
	return id
}

// send posts a message until the collector accepts it, and returns how often it was refused.
func (c *collector) send(traces ptrace.Traces) (refused int) {
	c.t.Helper()
	for {
		status, after, err := c.post(traces)
		switch {
		case err == nil && status == http.StatusOK:
			return refused
		case err == nil && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable:
			c.t.Fatalf("status %d", status)
		}
		refused++
		time.Sleep(after)
	}
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

// post posts a message once. If it is refused, after is the time to wait before the next attempt.
func (c *collector) post(traces ptrace.Traces) (status int, after time.Duration, err error) {
	body, err := ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto()
	require.NoError(c.t, err)
	return c.postBody(body, "application/x-protobuf")
}

func (c *collector) postBody(body []byte, contentType string) (status int, after time.Duration, err error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+c.http+"/v1/traces", bytes.NewReader(body))
	require.NoError(c.t, err)
	request.Header.Set("Content-Type", contentType)
	response, err := client.Do(request)
	if err != nil {
		return 0, 50 * time.Millisecond, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	after = 50 * time.Millisecond
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		after = time.Duration(seconds) * time.Second
	}
	return response.StatusCode, after, nil
}

// metric returns the value of a metric at the collector's Prometheus endpoint, summed over the series that contain the labels.
func (c *collector) metric(name string, labels ...string) float64 {
	c.t.Helper()
	response, err := http.Get("http://" + c.metrics + "/metrics")
	require.NoError(c.t, err)
	defer response.Body.Close()
	total := 0.0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		wanted := strings.HasPrefix(line, name)
		for _, label := range labels {
			wanted = wanted && strings.Contains(line, label)
		}
		if wanted {
			value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			require.NoError(c.t, err)
			total += value
		}
	}
	return total
}

// check checks that the spans with these numbers are in Zipkin, enriched and with three phases.
func (z *zipkin) check(t *testing.T, first, n int) {
	t.Helper()
	for i := first; i < first+n; i++ {
		id := spanID(i)
		trace := traceID(i / 10)
		whole, err := model.TraceIDFromHex(hex.EncodeToString(trace[:]))
		require.NoError(t, err)
		phases, own := 0, false
		for _, s := range z.store.Trace(whole) {
			if s.ID == model.ID(binary.BigEndian.Uint64(id[:])) {
				own = true
				require.Equal(t, "250", s.Tags["waitTimeMilli"])
				require.Equal(t, "100", s.Tags["initTimeMilli"])
				require.Equal(t, "true", s.Tags["faas.coldstart"])
				require.Equal(t, began.Add(50*time.Millisecond).UnixMicro(), s.Timestamp.UnixMicro())
				require.Equal(t, 850*time.Millisecond, s.Duration)
			}
			if s.Tags["phase.of"] == activationID(i) {
				phases++
			}
		}
		require.True(t, own, "span %d", i)
		require.Equal(t, 3, phases, "phases of span %d", i)
	}
}
