package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/testbin"
	"github.com/tppfaas/tppfaas/prewarm/internal/guarded/guardedtest"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if testbin.Remove() != nil && status == 0 {
			status = 1
		}
		os.Exit(status)
	}))
}

const topic = "otlp_spans"

// cluster starts brokers with a topic until the test ends.
func cluster(t *testing.T, partitions int32, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	if partitions > 0 {
		options = append(options, kfake.SeedTopics(partitions, topic))
	}
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"})}, options...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// message is the spans of a trace, as the exporter of a collector writes them: n runs that have ended.
func message(t testing.TB, trace, n int) []byte {
	t.Helper()
	traces := ptrace.NewTraces()
	spans := traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for i := range n {
		span := spans.AppendEmpty()
		span.SetTraceID(pcommon.TraceID{1, byte(trace >> 8), byte(trace)})
		span.SetSpanID(pcommon.SpanID{1, byte(i >> 8), byte(i)})
		span.SetKind(ptrace.SpanKindServer)
		span.SetName("f")
		span.Attributes().PutStr("faas.name", "f")
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(-time.Second)))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	}
	text, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces)
	require.NoError(t, err)
	return text
}

// traceID is the id of a trace of message.
func traceID(trace int) string {
	return pcommon.TraceID{1, byte(trace >> 8), byte(trace)}.String()
}

// write writes messages with the keys that the exporter gives them.
func write(t *testing.T, c *kfake.Cluster, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic(topic))
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.ProduceSync(t.Context(), records...).FirstErr())
}

// traces writes a message for each of some traces.
func writeTraces(t *testing.T, c *kfake.Cluster, from, to int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Key: []byte(traceID(i)), Value: message(t, i, 1)})
	}
	write(t, c, records...)
}

// sink is a source.Follower that keeps what it is told.
type sink struct {
	mu     sync.Mutex
	took   []source.Observation
	looked uint64
	blind  bool // it looks at nothing
	fail   func(took int) error
	refuse int // how often it has refused
}

func (s *sink) Observe(_ context.Context, o []source.Observation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(len(s.took)); err != nil {
			s.refuse++
			return err
		}
	}
	s.took = append(s.took, o...)
	if !s.blind {
		s.looked = uint64(len(s.took))
	}
	return nil
}

func (s *sink) ObserveLoad(context.Context, []source.Load) error { return errors.New("no load") }

func (s *sink) Progress() (taken, looked uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.took)), s.looked
}

func (s *sink) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// counts returns how often it was told of each trace.
func (s *sink) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for _, o := range s.took {
		counts[o.Trace]++
	}
	return counts
}

func (s *sink) n() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.took)
}

func (s *sink) refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refuse
}

// run reads into a sink until stop is called, or the test ends.
func run(t *testing.T, c *kfake.Cluster, sink source.Sink, o Options) (s *Source, stop func() error) {
	t.Helper()
	o.Brokers = c.ListenAddrs()
	s, err := New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, sink) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return s, stop
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, time.Minute, 2*time.Millisecond, what)
}

// commits returns what the group prewarm has committed, of the partitions of which it has something.
func commits(t *testing.T, c *kfake.Cluster) (all []int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	require.NoError(t, err)
	defer client.Close()
	offsets, err := kadm.NewClient(client).FetchOffsets(t.Context(), "prewarm")
	require.NoError(t, err)
	offsets.Each(func(o kadm.OffsetResponse) { all = append(all, o.At) })
	return all
}

// committed returns the sum of them.
func committed(t *testing.T, c *kfake.Cluster) (sum int64) {
	t.Helper()
	for _, at := range commits(t, c) {
		sum += at
	}
	return sum
}

// TestReads checks that what was written is observed, once, and committed, before and after a restart.
func TestReads(t *testing.T) {
	c := cluster(t, 4)
	writeTraces(t, c, 0, 100)
	s := &sink{}
	reading, stop := run(t, c, s, Options{})
	eventually(t, "all come", func() bool { return s.n() == 100 })
	require.NoError(t, stop())
	require.EqualValues(t, 100, committed(t, c), "what was looked at is committed")
	require.EqualValues(t, 100, reading.Counts().Observations)
	require.NotNil(t, reading.Counts().Last)
	require.Equal(t, "f", s.took[0].Function)

	writeTraces(t, c, 100, 150) // while nobody reads
	s = &sink{}
	_, stop = run(t, c, s, Options{})
	eventually(t, "what was written meanwhile comes", func() bool { return s.n() == 50 })
	require.NoError(t, stop())
	for i := 100; i < 150; i++ {
		require.Equal(t, 1, s.counts()[traceID(i)])
	}
}

// TestGarbage checks that messages that are of no use are counted, say why, and hold up nothing.
func TestGarbage(t *testing.T) {
	for _, test := range []struct {
		name    string
		record  kgo.Record
		invalid uint64
		refused uint64
		want    string
	}{
		{name: "no message", record: kgo.Record{Value: []byte("garbage\nof two lines")}, invalid: 1, want: "message 0 of partition 0 of otlp_spans: this is no message with spans: "},
		{name: "tombstone", record: kgo.Record{Key: []byte("k")}, invalid: 1, want: "message 0 of partition 0 of otlp_spans: it is empty"},
		{name: "too long", record: kgo.Record{Value: message(t, 1, 1000)}, invalid: 1, want: "it has more than 4096 bytes"},
		{name: "span without a trace", record: kgo.Record{Value: func() []byte {
			traces, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(message(t, 1, 1))
			require.NoError(t, err)
			traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).SetTraceID(pcommon.TraceID{})
			text, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces)
			require.NoError(t, err)
			return text
		}()}, invalid: 1, want: `message 0 of partition 0 of otlp_spans: span 0100000000000000 ("f") of trace : it has no trace id`},
		{name: "old", record: kgo.Record{Value: message(t, 1, 1), Timestamp: time.Now().Add(-time.Hour)}, refused: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := cluster(t, 1)
			s := &sink{}
			reading, stop := run(t, c, s, Options{MaxMessage: 4096})
			write(t, c, &test.record, &kgo.Record{Value: message(t, 7, 1)})
			eventually(t, "what is good comes", func() bool { return s.counts()[traceID(7)] == 1 })
			eventually(t, "all is committed", func() bool { return committed(t, c) == 2 })
			counts := reading.Counts()
			require.Equal(t, [3]uint64{1, test.invalid, test.refused}, [3]uint64{counts.Observations, counts.Invalid, counts.Refused})
			require.Contains(t, counts.Error, test.want)
			require.NotContains(t, counts.Error, "\n")
			require.NoError(t, stop())
			require.Equal(t, 1, s.n())
		})
	}
}

// TestBomb checks that messages that are small packed and large unpacked are passed over.
func TestBomb(t *testing.T) {
	c := cluster(t, 1)
	s := &sink{}
	reading, stop := run(t, c, s, Options{})
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchMaxBytes(readBytes+1<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, readBytes)}).FirstErr())
	writeTraces(t, c, 7, 8)
	eventually(t, "what is good comes", func() bool { return s.counts()[traceID(7)] == 1 })
	require.Contains(t, reading.Counts().Error, "messages from 0 of partition 0 of otlp_spans: they have more than 67108864 bytes unpacked")
	require.EqualValues(t, 1, reading.Counts().Invalid)
	require.NoError(t, stop())
	require.EqualValues(t, 2, committed(t, c))
}

// TestBusy checks that a sink without room is told everything later, once and in order, also the parts of a long message; that nothing more is fetched
// meanwhile; and that nothing is committed that it has not taken.
func TestBusy(t *testing.T) {
	c := cluster(t, 1)
	s := &sink{blind: true}
	room := 2*chunk + 10 // which is less than the first message and the second
	s.fail = func(took int) error {
		if took+chunk > room {
			return fmt.Errorf("full: %w", source.ErrBusy)
		}
		return nil
	}
	_, stop := run(t, c, s, Options{})
	write(t, c, &kgo.Record{Value: message(t, 1, 3*chunk)}, &kgo.Record{Value: message(t, 2, 5)}, &kgo.Record{Value: message(t, 3, 5)})
	eventually(t, "it was refused several times", func() bool { return s.refused() > 3 })
	require.Equal(t, 2*chunk, s.n(), "a part of the first message")
	require.EqualValues(t, 0, max(0, committed(t, c)))
	s.set(func() { s.fail = nil })
	eventually(t, "the rest comes", func() bool { return s.n() == 3*chunk+10 })
	s.set(func() { s.looked = 3*chunk + 5 })
	eventually(t, "what was looked at is committed", func() bool { return committed(t, c) == 2 })
	require.NoError(t, stop())
	require.EqualValues(t, 2, committed(t, c), "what was only taken is not committed")
	for i, o := range s.took[:3*chunk] {
		require.Equal(t, pcommon.SpanID{1, byte(i >> 8), byte(i)}.String(), o.Span, i)
	}

	again := &sink{}
	_, stop = run(t, c, again, Options{})
	eventually(t, "what was not looked at comes again", func() bool { return again.n() == 5 })
	require.NoError(t, stop())
	require.Equal(t, map[string]int{traceID(3): 5}, again.counts())
}

// TestRebalance checks that readers of a group share the partitions, that each trace is with one of them, and that nothing is lost and nothing comes twice
// when one joins and one leaves, while messages come.
func TestRebalance(t *testing.T) {
	c := cluster(t, 8)
	first, second := &sink{}, &sink{}
	_, stopFirst := run(t, c, first, Options{})
	written := 0
	more := func() { writeTraces(t, c, written, written+40); written += 40 }
	more()
	eventually(t, "the first reads", func() bool { return first.n() > 0 })
	_, stopSecond := run(t, c, second, Options{})
	eventually(t, "both read", func() bool { more(); return second.n() > 0 })
	eventually(t, "all is read", func() bool { return first.n()+second.n() >= written })
	require.NoError(t, stopFirst())
	before := second.n()
	more()
	eventually(t, "the second reads all", func() bool { return second.n() >= before+40 })
	require.NoError(t, stopSecond())
	require.Equal(t, written, first.n()+second.n(), "nothing comes twice when readers leave in order")
	one, other := first.counts(), second.counts()
	for i := range written {
		require.Equal(t, 1, one[traceID(i)]+other[traceID(i)], i)
	}
	require.EqualValues(t, written, committed(t, c))
}

// TestDead checks that what a reader has not looked at comes to another one after it has died.
func TestDead(t *testing.T) {
	c := cluster(t, 2)
	dead := &sink{blind: true}
	_, stop := run(t, c, dead, Options{})
	writeTraces(t, c, 0, 20)
	eventually(t, "the first has taken all", func() bool { return dead.n() == 20 })
	dead.set(func() { dead.looked = 5 })
	eventually(t, "what it has looked at is committed", func() bool { return committed(t, c) == 5 })
	require.NoError(t, stop()) // as when it is killed, but for the time until the group notices: it has not looked at the rest
	heir := &sink{}
	_, stop = run(t, c, heir, Options{})
	eventually(t, "the rest comes to the other", func() bool { return heir.n() == 15 })
	require.NoError(t, stop())
	for _, o := range dead.took[:5] {
		require.Zero(t, heir.counts()[o.Trace])
	}
}

// TestBrokerGone checks that a reader says when brokers or the topic are away, and goes on when they are there.
func TestBrokerGone(t *testing.T) {
	c := cluster(t, 0, kfake.DataDir(t.TempDir()))
	s := &sink{}
	reading, stop := run(t, c, s, Options{})
	eventually(t, "the topic is missing", func() bool {
		return strings.Contains(reading.Counts().Error, "the topic otlp_spans is not there yet at 127.0.0.1:")
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	require.NoError(t, err)
	_, err = kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, nil, topic)
	require.NoError(t, err)
	client.Close()
	writeTraces(t, c, 0, 3)
	eventually(t, "it reads as soon as there is one", func() bool { return s.n() == 3 })
	eventually(t, "it says nothing any more", func() bool { return reading.Counts().Error == "" })
	c.Close()
	eventually(t, "the broker is away", func() bool { return strings.Contains(reading.Counts().Error, "connection refused") })
	require.NotContains(t, reading.Counts().Error, "\n")
	begun := time.Now()
	require.NoError(t, stop())
	require.Less(t, time.Since(begun), 30*time.Second, "it ends while the broker is away")
}

// TestBrokerAgain checks that a reader goes on when the broker is there again, at the same address and with the same data.
func TestBrokerAgain(t *testing.T) {
	data := t.TempDir()
	begin := func(port int) *kfake.Cluster {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.SeedTopics(1, topic), kfake.DataDir(data))
		require.NoError(t, err)
		t.Cleanup(c.Close)
		return c
	}
	addresses, err := loopback.FreeAddresses(1) // which no connection takes while the broker is away
	require.NoError(t, err)
	var port int
	_, err = fmt.Sscanf(addresses[0], "127.0.0.1:%d", &port)
	require.NoError(t, err)
	c := begin(port)
	s := &sink{}
	reading, stop := run(t, c, s, Options{})
	writeTraces(t, c, 0, 3)
	eventually(t, "it reads", func() bool { return s.n() >= 3 })
	c.Close()
	eventually(t, "the broker is away", func() bool { return reading.Counts().Error != "" })
	c = begin(port)
	writeTraces(t, c, 3, 6)
	eventually(t, "it reads on", func() bool { return len(s.counts()) == 6 })
	eventually(t, "it says nothing any more", func() bool { return reading.Counts().Error == "" })
	require.NoError(t, stop())
}

// TestSecurity checks TLS and each mechanism, with the right and with a wrong password.
func TestSecurity(t *testing.T) {
	cert, key, _ := guardedtest.Certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	password := func(text string) string {
		file := filepath.Join(t.TempDir(), "password")
		require.NoError(t, os.WriteFile(file, []byte(text+"\n"), 0o600))
		return file
	}
	for _, mechanism := range Mechanisms {
		t.Run(mechanism, func(t *testing.T) {
			c := cluster(t, 1, kfake.EnableSASL(), kfake.Superuser(mechanism, "reader", "secret"), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
			o := Options{TLS: true, CAFile: cert, User: "reader", PasswordFile: password("secret"), Mechanism: mechanism}
			s := &sink{}
			client, err := kgo.NewClient(append(mustSecurity(t, o), kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic(topic))...)
			require.NoError(t, err)
			defer client.Close()
			require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Value: message(t, 1, 1)}).FirstErr())
			_, stop := run(t, c, s, o)
			eventually(t, "it reads", func() bool { return s.n() == 1 })
			require.NoError(t, stop())

			untrusting, stop := run(t, c, s, Options{TLS: true, User: o.User, PasswordFile: o.PasswordFile, Mechanism: mechanism})
			eventually(t, "the certificate is not trusted", func() bool { return strings.Contains(untrusting.Counts().Error, "certificate") })
			require.NoError(t, stop())
			plain, stop := run(t, c, s, Options{})
			eventually(t, "the broker speaks TLS", func() bool { return strings.Contains(strings.ToLower(plain.Counts().Error), "tls") })
			require.NoError(t, stop())

			o.PasswordFile = password("wrong")
			wrong, stop := run(t, c, s, o)
			eventually(t, "the broker ends the connection", func() bool { return strings.HasSuffix(wrong.Counts().Error, "EOF"+hintEOF) })
			require.NoError(t, stop())
			c.ControlKey(int16(kmsg.SASLAuthenticate), func(request kmsg.Request) (kmsg.Response, error, bool) { // as Kafka does it; kfake ends the connection
				c.KeepControl()
				answer := request.ResponseKind().(*kmsg.SASLAuthenticateResponse)
				answer.ErrorCode = kerr.SaslAuthenticationFailed.Code
				return answer, nil, true
			})
			o.Brokers = c.ListenAddrs()
			wrong, err = New(o)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err = wrong.Run(ctx, s)
			require.ErrorContains(t, err, "reading the topic otlp_spans at "+c.ListenAddrs()[0]+": SASL_AUTHENTICATION_FAILED")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// TestRefused checks that a reader ends that may not read the topic, or not as that group.
func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		key  kmsg.Key
		code *kerr.Error
	}{
		"group": {kmsg.JoinGroup, kerr.GroupAuthorizationFailed},
		"topic": {kmsg.Metadata, kerr.TopicAuthorizationFailed},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster(t, 1)
			c.ControlKey(int16(test.key), func(request kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				switch answer := request.ResponseKind().(type) {
				case *kmsg.JoinGroupResponse:
					answer.ErrorCode = test.code.Code
					return answer, nil, true
				case *kmsg.MetadataResponse:
					asked := request.(*kmsg.MetadataRequest)
					if len(asked.Topics) == 0 {
						return nil, nil, false
					}
					one := kmsg.NewMetadataResponseTopic()
					one.Topic, one.ErrorCode = kmsg.StringPtr(topic), test.code.Code
					answer.Topics = append(answer.Topics, one)
					return answer, nil, true
				}
				return nil, nil, false
			})
			s, err := New(Options{Brokers: c.ListenAddrs()})
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.ErrorIs(t, s.Run(ctx, &sink{}), test.code)
		})
	}
}

// TestWorksAgain checks that a stage whose reader has ended because it was refused, and that is read for again, says nothing of that any more once it reads.
func TestWorksAgain(t *testing.T) {
	c := cluster(t, 1)
	var allowed atomic.Bool
	c.ControlKey(int16(kmsg.JoinGroup), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		answer := request.ResponseKind().(*kmsg.JoinGroupResponse)
		answer.ErrorCode = kerr.GroupAuthorizationFailed.Code
		return answer, nil, !allowed.Load()
	})
	counter := source.NewCounter("kafka", &sink{})
	to := &stage{from: map[int32]int64{}}
	reader := func() *StageReader {
		s, err := NewStageReader(StageOptions{Options: Options{Brokers: c.ListenAddrs()}, Rebuild: time.Minute}, to, counter)
		require.NoError(t, err)
		return s
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.ErrorIs(t, reader().Run(ctx), kerr.GroupAuthorizationFailed)
	require.Contains(t, counter.Counts().Error, "GROUP_AUTHORIZATION_FAILED")
	allowed.Store(true)
	stop := runs(t, reader().Run)
	writeTraces(t, c, 0, 1)
	eventually(t, "it reads", func() bool { return to.n() == 1 })
	eventually(t, "it says nothing", func() bool { return counter.Counts().Error == "" })
	require.NoError(t, stop())
}

func mustSecurity(t *testing.T, o Options) []kgo.Opt {
	t.Helper()
	options, err := o.security()
	require.NoError(t, err)
	return options
}

// TestOptions checks that what is wrong is said when a Source is made.
func TestOptions(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	brokers := []string{"127.0.0.1:9092"}
	for want, o := range map[string]Options{
		"no broker is named":                              {},
		`the broker "kafka" is not of the form host:port`: {Brokers: []string{"kafka"}},
		`the broker "kafka:99999" is not of the form `:    {Brokers: []string{"kafka:99999"}},
		`the broker "kafka:0" is not of the form `:        {Brokers: []string{"kafka:0"}},
		`the broker "kafka:x" is not of the form `:        {Brokers: []string{"kafka:x"}},
		"bounds of messages cannot be negative":           {Brokers: brokers, MaxAge: -1},
		"certificates are for TLS, which is off":          {Brokers: brokers, CAFile: empty},
		"has none in PEM":                                 {Brokers: brokers, TLS: true, CAFile: empty},
		"a certificate of the reader needs its key":       {Brokers: brokers, TLS: true, CertFile: empty},
		"the reader's certificate: ":                      {Brokers: brokers, TLS: true, CertFile: empty, KeyFile: empty},
		"a user needs a password":                         {Brokers: brokers, User: "u"},
		`there is no mechanism "MD5"`:                     {Brokers: brokers, Mechanism: "MD5"},
		"the password for Kafka: open":                    {Brokers: brokers, User: "u", PasswordFile: empty + "x"},
		"empty is empty":                                  {Brokers: brokers, User: "u", PasswordFile: empty},
		"for everyone to read":                            {Brokers: []string{"kafka:9092"}, User: "u", PasswordFile: empty, Mechanism: "PLAIN"},
	} {
		_, err := New(o)
		require.ErrorContains(t, err, want)
	}
	for _, o := range []Options{{Brokers: brokers}, {Brokers: []string{"a:1", "[::1]:2"}, TLS: true}} {
		s, err := New(o)
		require.NoError(t, err)
		require.Equal(t, source.Counts{Name: "kafka"}, s.Counts())
	}
}

// FuzzDecode checks that no message does harm.
func FuzzDecode(f *testing.F) {
	f.Add(message(f, 1, 2))
	f.Add([]byte("garbage"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		s := &sink{}
		o := Options{Brokers: []string{"a:1"}}
		require.NoError(t, o.check())
		r := &reader{o: &o, counter: source.NewCounter("kafka", s)}
		observations := r.decode(&kgo.Record{Topic: topic, Value: value, Timestamp: time.Now()})
		require.False(t, slices.ContainsFunc(observations, func(o source.Observation) bool { return o.Trace == "" || o.Function == "" }))
		require.NotContains(t, r.counter.Counts().Error, "\n")
	})
}
