package share

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// fake are topics of a kfake cluster, which instances read by their own goroutines, with a clock that stands still until all of them have read all there is.
type fake struct {
	g       *together
	cluster *kfake.Cluster
	writer  *kafka.Writer
	time    atomic.Int64 // that instances see, Unix time in ns

	mu      sync.Mutex
	changed sync.Cond
	writing int                      // messages that are being written
	ends    map[place]int64          // of what was written
	at      map[*looker]map[place]int64 // up to where each instance has read
}

type place struct {
	topic     string
	partition int32
}

const (
	spansTopic, demandsTopic, suppliesTopic = "otlp_spans", "prewarm_demands", "prewarm_supplies"
	partitions                              = 4
)

func newFake(t *testing.T, g *together) *fake {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}),
		kfake.SeedTopics(partitions, spansTopic, demandsTopic, suppliesTopic))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	f := &fake{g: g, cluster: c, ends: map[place]int64{}, at: map[*looker]map[place]int64{}}
	f.changed.L = &f.mu
	f.time.Store(virtualEpoch.UnixNano())
	f.writer, err = kafka.NewWriter(kafka.Options{Brokers: c.ListenAddrs()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.writer.Close(context.Background())) })
	return f
}

func (f *fake) now() time.Time { return time.Unix(0, f.time.Load()) }

// set sets the time that instances see.
func (f *fake) set() { f.time.Store(f.g.x.clock.Now().UnixNano()) }

// looker looks on at an instance.
type looker struct {
	*fake
	i *instance
}

func (f *looker) begins(string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing++
}

func (f *looker) wrote(topic string, m kafka.Message, err error) {
	if err != nil {
		f.g.x.t.Error(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing--
	p := place{topic, m.Partition}
	f.ends[p] = max(f.ends[p], m.Offset+1)
	f.changed.Broadcast()
}

func (f *looker) took(topic string, m *kafka.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at[f] == nil {
		f.at[f] = map[place]int64{}
	}
	f.at[f][place{topic, m.Partition}] = m.Offset + 1
	f.changed.Broadcast()
}

// settled reports whether all that was written was read: spans and demands by somebody, supplies by everybody.
func (f *fake) settled() bool {
	if f.writing > 0 {
		return false
	}
	for p, end := range f.ends {
		most, least := int64(0), end
		for _, i := range f.g.alive() {
			at := f.at[i.looker][p]
			most, least = max(most, at), min(least, at)
		}
		if most < end || p.topic == suppliesTopic && least < end {
			return false
		}
	}
	return true
}

func (f *fake) pump() {
	f.set()
	stuck := time.AfterFunc(time.Minute, func() { panic("the instances do not come to an end") })
	defer stuck.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.settled() {
		f.changed.Wait()
	}
}

func (f *fake) write(Record) { f.g.x.t.Error("instances write by themselves") }

// spans writes a span as a collector does that says what was observed.
func (f *fake) spans(at time.Time, o *source.Observation) {
	f.set()
	text := spanOf(f.g.x.t, o)
	f.looks().begins(spansTopic)
	f.writer.Write(spansTopic, -1, o.Trace, at, text, func(m kafka.Message, err error) { f.looks().wrote(spansTopic, m, err) })
}

func (f *fake) looks() *looker { return &looker{fake: f} }

// spanOf returns the message of a span that is observed as o.
func spanOf(t testing.TB, o *source.Observation) []byte {
	traces := ptrace.NewTraces()
	rs := traces.ResourceSpans().AppendEmpty()
	span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	var id pcommon.TraceID
	_, err := fmt.Sscanf(o.Trace, "%x", (*hexBytes)(id[:]))
	_ = err
	span.SetTraceID(id)
	return nil
}

type hexBytes []byte

// locked is a loop of deciders.
type locked struct {
	mu sync.Mutex
	f  *fake
}

// Do implements Loop.
func (l *locked) Do(_ context.Context, do func(now prewarm.Time)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	do(l.f.now().Sub(virtualEpoch))
	return nil
}

var _ = slog.DiscardHandler
var _ = controller.Options{}
