//go:build integration

package kafka

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc"

	"github.com/tppfaas/tppfaas/internal/kafkatest"
	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/testbin"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/source/otlp"
)

// asking does not keep connections.
var asking = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// begin runs a program until the test ends, or kill is called, and waits until it answers at url.
func begin(t testing.TB, pkg, url string, env []string, args ...string) (kill func()) {
	t.Helper()
	program, err := testbin.Path(pkg)
	require.NoError(t, err)
	command := exec.Command(program, args...)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	command.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, env...)
	require.NoError(t, command.Start())
	kill = sync.OnceFunc(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			text := log.Bytes()
			t.Logf("%s: %s", pkg, text[max(0, len(text)-3000):])
		}
	})
	eventually(t, pkg+" is ready", func() bool {
		answer, err := asking.Get(url)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return kill
}

// newCollector runs a collector at four addresses, and returns where it takes spans.
func newCollector(t testing.TB, addresses []string, env, config string) (url string) {
	t.Helper()
	_, metricsPort, _ := strings.Cut(addresses[3], ":")
	begin(t, "collector/cmd/collector", "http://"+addresses[2], []string{
		"TPPFAAS_OTLP_GRPC=" + addresses[0], "TPPFAAS_OTLP_HTTP=" + addresses[1], "TPPFAAS_HEALTH=" + addresses[2], "TPPFAAS_METRICS_PORT=" + metricsPort,
		"TPPFAAS_STATE=" + t.TempDir(), "TPPFAAS_ZIPKIN=http://127.0.0.1:1", "OW_AUTH=user:password", "OW_APIHOST=http://127.0.0.1:1", env,
	}, "--config", "builtin:local", "--config", config)
	return "http://" + addresses[1] + "/v1/traces"
}

// instance is a controller as a process.
type instance struct {
	url  string
	kill func()
}

func newInstance(t testing.TB, address, broker string) *instance {
	t.Helper()
	i := &instance{url: "http://" + address}
	i.kill = begin(t, "prewarm/cmd/prewarm", i.url+"/readyz", nil, "serve", "-policy", "keepalive:600", "-listen", address, "-grpc", "off", "-kafka", broker)
	return i
}

// seen returns what the instance says of its source, and how many invocations it has decided on.
func (i *instance) seen(t testing.TB) (s controller.SourceState, invocations int) {
	t.Helper()
	answer, err := asking.Get(i.url + "/v1/state")
	require.NoError(t, err)
	defer answer.Body.Close()
	var state controller.State
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&state))
	for _, one := range state.Sources {
		if one.Name == "kafka" {
			s = one
		}
	}
	return s, int(state.Totals.Invocations)
}

// TestIntegrationKafka sends spans through a collector and a broker to two controllers, kills one of these, and then the broker, which comes again: every span
// that the collector has taken is decided on, by the one that was killed if it has committed it, else by the other.
func TestIntegrationKafka(t *testing.T) {
	broker := kafkatest.Start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Address))
	require.NoError(t, err)
	defer client.Close()
	admin := kadm.NewClient(client)
	const partitions = 8
	created, err := admin.CreateTopic(t.Context(), partitions, 1, nil, topic)
	require.NoError(t, err)
	require.NoError(t, created.Err)
	addresses, err := loopback.FreeAddresses(6)
	require.NoError(t, err)
	collector := newCollector(t, addresses, "TPPFAAS_KAFKA="+broker.Address, "builtin:kafka")
	one, other := newInstance(t, addresses[4], broker.Address), newInstance(t, addresses[5], broker.Address)

	var mine map[string]map[int32]bool // partitions by the id of the member
	eventually(t, "both have half of the partitions", func() bool {
		groups, err := admin.DescribeGroups(t.Context(), "prewarm")
		if err != nil {
			return false
		}
		mine = map[string]map[int32]bool{}
		for _, member := range groups["prewarm"].Members {
			if assigned, ok := member.Assigned.AsConsumer(); ok {
				for _, at := range assigned.Topics {
					for _, p := range at.Partitions {
						if mine[member.MemberID] == nil {
							mine[member.MemberID] = map[int32]bool{}
						}
						mine[member.MemberID][p] = true
					}
				}
			}
		}
		if len(mine) != 2 {
			return false
		}
		for _, assigned := range mine {
			if len(assigned) != partitions/2 {
				return false
			}
		}
		return true
	})

	// A span of a trace of its own in each message, again and again.
	sending, stop := context.WithCancel(t.Context())
	defer stop()
	var sent atomic.Int64
	var sender sync.WaitGroup
	sender.Go(func() {
		for i := 0; sending.Err() == nil; i++ {
			answer, err := asking.Post(collector, "application/x-protobuf", bytes.NewReader(message(t, i, 1)))
			if err != nil {
				t.Error(err)
				return
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				t.Errorf("span %d: %s", i, answer.Status)
				return
			}
			sent.Add(1)
		}
	})
	defer sender.Wait()
	defer stop()
	eventually(t, "both read and commit", func() bool {
		offsets, err := admin.FetchOffsets(t.Context(), "prewarm")
		if err != nil {
			return false
		}
		for _, assigned := range mine {
			sum := int64(0)
			offsets.Each(func(o kadm.OffsetResponse) {
				if assigned[o.Partition] {
					sum += o.At
				}
			})
			if sum < 50 {
				return false
			}
		}
		return true
	})

	one.kill()
	offsets, err := admin.FetchOffsets(t.Context(), "prewarm") // those of the dead one do not move until its session is over
	require.NoError(t, err)
	before, _ := other.seen(t)
	at := sent.Load()
	eventually(t, "the other goes on", func() bool {
		now, _ := other.seen(t)
		return now.Observations > before.Observations+20
	})
	heir := ""
	eventually(t, "the other has all partitions", func() bool {
		groups, err := admin.DescribeGroups(t.Context(), "prewarm")
		if err != nil || len(groups["prewarm"].Members) != 1 || groups["prewarm"].State != "Stable" {
			return false
		}
		heir = groups["prewarm"].Members[0].MemberID
		return true
	})
	require.Contains(t, mine, heir)
	t.Logf("the heir has all partitions after %d spans", sent.Load()-at)
	at = sent.Load()
	broker.Kill()
	eventually(t, "spans are taken while the broker is away, and the controller says so", func() bool {
		s, _ := other.seen(t)
		return sent.Load() > at+50 && s.Error != ""
	})
	broker.Again(t)
	at = sent.Load()
	before, _ = other.seen(t)
	eventually(t, "it goes on", func() bool {
		now, _ := other.seen(t)
		return sent.Load() > at+50 && now.Observations > before.Observations+50
	})
	stop()
	sender.Wait()

	// The dead one has looked at what it has committed: of its partitions the heir has the rest.
	dead := 0
	offsets.Each(func(o kadm.OffsetResponse) {
		if !mine[heir][o.Partition] {
			dead += int(max(o.At, 0))
		}
	})
	written := func() int {
		ends, err := admin.ListEndOffsets(t.Context(), topic)
		require.NoError(t, err)
		sum := int64(0)
		ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
		return int(sum)
	}
	want := int(sent.Load()) - dead
	eventually(t, "all spans are decided on", func() bool { _, n := other.seen(t); return n >= want })
	eventually(t, "all is committed", func() bool {
		offsets, err := admin.FetchOffsets(t.Context(), "prewarm")
		sum := int64(0)
		offsets.Each(func(o kadm.OffsetResponse) { sum += o.At })
		return err == nil && int(sum) == written()
	})
	state, n := other.seen(t)
	t.Logf("%d spans sent, %d messages written; %d were committed by the one that was killed; the other has observed %d, decided on %d, could not use %d",
		sent.Load(), written(), dead, state.Observations, n, state.Invalid)
	require.Equal(t, want, n, fmt.Sprintf("decided on, of %d", sent.Load()))
	require.Positive(t, dead)
	require.Zero(t, state.Invalid)
}

// steady is the message i of n of 10,000 runs a second, each of 10 ms, in 100 containers of each of 10 functions, of which the last has just ended.
func steady(t testing.TB, i, n int) []byte {
	traces, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(message(t, i, 1))
	require.NoError(t, err)
	rs := traces.ResourceSpans().At(0)
	rs.Resource().Attributes().PutStr("faas.instance", fmt.Sprint("instance-", i%1000))
	span := rs.ScopeSpans().At(0).Spans().At(0)
	span.Attributes().PutStr("faas.name", fmt.Sprint("f", i%10))
	end := time.Now().Add(-time.Duration(n-i) * 100 * time.Microsecond)
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(end.Add(-10 * time.Millisecond)))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
	text, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces)
	require.NoError(t, err)
	return text
}

// BenchmarkInstances measures how many messages a second one, two and four controllers of a group decide on, from a broker on the same machine; each message is
// a run that has ended, of a trace of its own, as steady makes them.
func BenchmarkInstances(b *testing.B) {
	const messages, partitions = 60_000, 8
	broker := kafkatest.Start(b)
	records := make([]*kgo.Record, messages)
	for _, n := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			client, err := kgo.NewClient(kgo.SeedBrokers(broker.Address), kgo.DefaultProduceTopic(topic), kgo.MaxBufferedRecords(messages))
			require.NoError(b, err)
			defer client.Close()
			admin := kadm.NewClient(client)
			_, _ = admin.DeleteTopic(b.Context(), topic) // there is none at first
			eventually(b, "there is a topic", func() bool {
				created, err := admin.CreateTopic(b.Context(), partitions, 1, nil, topic)
				return err == nil && created.Err == nil
			})
			addresses, err := loopback.FreeAddresses(n)
			require.NoError(b, err)
			var all []*instance
			for _, address := range addresses {
				all = append(all, newInstance(b, address, broker.Address))
			}
			defer func() {
				for _, i := range all {
					i.kill()
				}
			}()
			eventually(b, "all have partitions", func() bool {
				groups, err := admin.DescribeGroups(b.Context(), "prewarm")
				if err != nil || len(groups["prewarm"].Members) != n || groups["prewarm"].State != "Stable" {
					return false
				}
				for _, member := range groups["prewarm"].Members {
					if assigned, ok := member.Assigned.AsConsumer(); !ok || len(assigned.Topics) != 1 || len(assigned.Topics[0].Partitions) != partitions/n {
						return false
					}
				}
				return true
			})
			before := 0
			for range b.N {
				for i := range records {
					records[i] = &kgo.Record{Key: []byte(traceID(i)), Value: steady(b, i, messages)}
				}
				b.ResetTimer()
				require.NoError(b, client.ProduceSync(b.Context(), records...).FirstErr())
				b.ReportMetric(messages/b.Elapsed().Seconds(), "written/s")
				before += messages
				for decided := 0; decided < before; time.Sleep(50 * time.Millisecond) {
					decided = 0
					for _, i := range all {
						_, n := i.seen(b)
						decided += n
					}
				}
			}
			b.ReportMetric(messages*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// BenchmarkWay measures how long a span takes from who sends it, over a collector, to what a source tells: to the receiver of OTLP, and through a broker.
func BenchmarkWay(b *testing.B) {
	broker := kafkatest.Start(b)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Address))
	require.NoError(b, err)
	defer client.Close()
	_, err = kadm.NewClient(client).CreateTopic(b.Context(), 8, 1, nil, topic)
	require.NoError(b, err)
	came := make(chan struct{}, 1)
	told := &sink{fail: func(int) error { came <- struct{}{}; return nil }}
	s, err := New(Options{Brokers: []string{broker.Address}})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx, told) })
	defer running.Wait()
	defer cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	server := grpc.NewServer()
	otlp.New(told, otlp.Options{}).Register(server)
	running.Go(func() { _ = server.Serve(listener) })
	defer server.Stop()
	addresses, err := loopback.FreeAddresses(8)
	require.NoError(b, err)
	direct := newCollector(b, addresses[:4], "TPPFAAS_PREWARM="+listener.Addr().String(), "builtin:prewarm")
	through := newCollector(b, addresses[4:], "TPPFAAS_KAFKA="+broker.Address, "builtin:kafka")
	sent := 0
	send := func(b *testing.B, url string) {
		answer, err := asking.Post(url, "application/x-protobuf", bytes.NewReader(message(b, sent, 1)))
		require.NoError(b, err)
		answer.Body.Close()
		require.Equal(b, http.StatusOK, answer.StatusCode)
		sent++
		<-came
	}
	for _, way := range []struct{ name, url string }{{"direct", direct}, {"kafka", through}} {
		b.Run(way.name, func(b *testing.B) {
			send(b, way.url) // connections are made
			for b.Loop() {
				send(b, way.url)
			}
		})
	}
}
