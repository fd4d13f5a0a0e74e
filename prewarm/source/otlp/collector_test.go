//go:build unix

package otlp

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/testbin"
	"github.com/tppfaas/tppfaas/prewarm/internal/guarded"
	"github.com/tppfaas/tppfaas/prewarm/internal/guarded/guardedtest"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// logText is what a process says.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startCollector runs the collector at four addresses with configurations and variables. At the second it receives OTLP over HTTP.
func startCollector(t *testing.T, addresses []string, env []string, configs ...string) {
	t.Helper()
	program, err := testbin.Path("collector/cmd/collector")
	require.NoError(t, err)
	state := t.TempDir()
	_, port, _ := strings.Cut(addresses[3], ":")
	var args []string
	for _, c := range configs {
		args = append(args, "--config", c)
	}
	command := exec.Command(program, args...)
	var log logText
	command.Stdout, command.Stderr = &log, &log
	command.Env = append([]string{
		"TPPFAAS_OTLP_GRPC=" + addresses[0], "TPPFAAS_OTLP_HTTP=" + addresses[1], "TPPFAAS_HEALTH=" + addresses[2], "TPPFAAS_METRICS_PORT=" + port,
		"TPPFAAS_STATE=" + state, "TPPFAAS_ZIPKIN=http://127.0.0.1:1", "OW_AUTH=user:password", "OW_APIHOST=http://127.0.0.1:1", "HOME=" + state,
		"PATH=" + os.Getenv("PATH"),
	}, env...)
	require.NoError(t, command.Start())
	exited := make(chan struct{})
	go func() { _ = command.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(time.Minute):
			_ = command.Process.Kill()
			<-exited
		}
		if t.Failed() {
			text := log.String()
			t.Log(text[max(0, len(text)-4000):])
		}
	})
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	require.Eventually(t, func() bool {
		answer, err := client.Get("http://" + addresses[2])
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, time.Minute, 20*time.Millisecond, "the collector does not get ready")
}

// send sends a message to a collector, and requires that it takes it at once.
func send(t *testing.T, address string, traces ptrace.Traces) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	begin := time.Now()
	answer, err := client.Post("http://"+address+"/v1/traces", asProtobuf, bytes.NewReader(encode(t, traces, asProtobuf, false)))
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Less(t, time.Since(begin), 30*time.Second, "the controller holds the sender up")
}

// listen serves a Receiver over gRPC and HTTP at addresses for those who may come, until the function that it returns is called.
func listen(t *testing.T, r *Receiver, grpcAddress, httpAddress string, o guarded.Options) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, address := range []string{grpcAddress, httpAddress} {
		o.Address = address
		guard, err := guarded.New(o)
		require.NoError(t, err)
		l, err := guard.Listen(ctx)
		require.NoError(t, err)
		running.Go(func() {
			var err error
			if address == grpcAddress {
				server := guard.NewServer(MaxMessage)
				r.Register(server)
				err = guard.ServeGRPC(ctx, l, server)
			} else {
				mux := http.NewServeMux()
				mux.Handle("POST /v1/traces", r)
				err = guard.ServeHTTP(ctx, l, mux)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// kinds counts observations by what they are.
func kinds(took []source.Observation) (counts [3]int) {
	for _, o := range took {
		counts[o.Kind]++
	}
	return counts
}

// TestCollector checks that the collector with prewarm.yaml passes announcements and runs that have ended on over TLS and with a token, while OpenWhisk and
// Zipkin are away; that a controller that is busy gets them later; and that one that is away holds nobody up.
func TestCollector(t *testing.T) {
	addresses, err := loopback.FreeAddresses(6)
	require.NoError(t, err)
	cert, key, _ := guardedtest.Certificate(t)
	options := guarded.Options{CertFile: cert, KeyFile: key, Token: "a-token-of-some-length"}
	s := newSink()
	s.fail = func(call int) error {
		if call == 1 {
			return source.ErrBusy
		}
		return nil
	}
	r := New(s, Options{})
	stop := listen(t, r, addresses[0], addresses[1], options)
	collector := addresses[3]
	startCollector(t, addresses[2:], []string{
		"TPPFAAS_PREWARM=" + addresses[0], "TPPFAAS_PREWARM_TOKEN=" + options.Token, "TPPFAAS_PREWARM_INSECURE=false", "TPPFAAS_PREWARM_CA=" + cert,
	}, "builtin:local", filepath.Join("..", "..", "..", "collector", "prewarm.yaml"))
	send(t, collector, message(2))
	took := s.wait(t, func(took []source.Observation) bool { return len(took) >= 24 })
	require.Equal(t, [3]int{8, 8, 8}, kinds(took))
	require.EqualValues(t, 24, r.Counts().Refused, "they were asked to come again")
	require.True(t, slices.ContainsFunc(took, func(o source.Observation) bool {
		return o.Kind == source.Started && o.Function == "shop-dev-f1" && o.Clock == "node-1" && o.Call == "b7ad6b7169203331"
	}))

	stop()
	send(t, collector, message(1))
	send(t, collector, message(1))
	stop = listen(t, r, addresses[0], addresses[1], options)
	before := len(s.taken())
	s.wait(t, func(took []source.Observation) bool { // as soon as the exporter has its connection again
		send(t, collector, message(1))
		return len(took) > before
	})
	stop()
}

// TestExporterOverHTTP checks that the collector's exporter over HTTP is understood too, as protobuf and as JSON, packed.
func TestExporterOverHTTP(t *testing.T) {
	for _, encoding := range []string{"proto", "json"} {
		t.Run(encoding, func(t *testing.T) {
			addresses, err := loopback.FreeAddresses(6)
			require.NoError(t, err)
			s := newSink()
			s.fail = func(call int) error {
				if call == 1 {
					return source.ErrBusy
				}
				return nil
			}
			listen(t, New(s, Options{}), addresses[0], addresses[1], guarded.Options{})
			collector := addresses[3]
			startCollector(t, addresses[2:], nil, "builtin:local", "yaml:exporters::otlp_http/prewarm: {endpoint: \"http://"+addresses[1]+"\", encoding: "+encoding+"}",
				"yaml:service::pipelines::traces/prewarm: {receivers: [otlp], exporters: [otlp_http/prewarm]}")
			send(t, collector, message(2))
			took := s.wait(t, func(took []source.Observation) bool { return len(took) >= 24 })
			require.Equal(t, [3]int{8, 8, 8}, kinds(took))
		})
	}
}

// TestRecords checks that the collector with prewarm-records.yaml besides sends runs again with what OpenWhisk has recorded of them, though Zipkin is away.
func TestRecords(t *testing.T) {
	openWhisk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"activationId":%q,"name":"f","start":%d,"end":%d,"annotations":[{"key":"waitTime","value":250},{"key":"initTime","value":100}],
			"response":{"status":"success","success":true}}`, path.Base(r.URL.Path), begin.UnixMilli(), begin.Add(time.Second).UnixMilli())
	}))
	defer openWhisk.Close()
	addresses, err := loopback.FreeAddresses(6)
	require.NoError(t, err)
	s := newSink()
	listen(t, New(s, Options{}), addresses[0], addresses[1], guarded.Options{})
	configs := filepath.Join("..", "..", "..", "collector")
	startCollector(t, addresses[2:], []string{"TPPFAAS_PREWARM=" + addresses[0], "OW_APIHOST=" + openWhisk.URL}, "builtin:local",
		filepath.Join(configs, "prewarm.yaml"), filepath.Join(configs, "prewarm-records.yaml"))
	send(t, addresses[3], message(1))
	enriched := func(o source.Observation) bool { return o.Clock == source.OpenWhiskClock }
	raw := func(o source.Observation) bool { return o.Kind == source.Ended && o.Clock == "node-1" && o.Wait < 0 }
	took := s.wait(t, func(took []source.Observation) bool {
		return slices.ContainsFunc(took, enriched) && slices.ContainsFunc(took, raw)
	})
	o := took[slices.IndexFunc(took, enriched)]
	require.Equal(t, source.Ended, o.Kind)
	require.Equal(t, source.Cold, o.Temperature)
	require.Equal(t, 250*time.Millisecond, o.Wait)
	require.Equal(t, 100*time.Millisecond, o.Init)
	require.True(t, begin.Add(100*time.Millisecond).Equal(o.Begin), "the record's start is that of the initialisation")
}
