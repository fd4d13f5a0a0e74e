package share

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/internal/announce"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

const (
	spansTopic, demandsTopic, suppliesTopic = "otlp_spans", "prewarm_demands", "prewarm_supplies"
	partitions                              = 4
)

// fake are instances with their topics in kfake, which they read by goroutines of their own, in a world whose clock stands still until all of them have read all there is.
type fake struct {
	x       *world
	cluster *kfake.Cluster
	writer  *kafka.Writer
	time    atomic.Int64 // that instances see, Unix time in ns
	members []*member
	sent    map[uint64]*member // whose command it was
	numbers map[uint64]uint64
	last    uint64
	limits  Limits

	mu        sync.Mutex
	changed   *sync.Cond
	writing   int             // messages that are being written
	ends      map[place]int64 // of what was written
	committed map[place]int64 // by members that are dead
}

type place struct {
	topic     string
	partition int32
}

// member is an instance.
type member struct {
	*fake
	in   *Instance
	loop sync.Mutex // of the deciders
	at   map[place]int64
	dead bool
	stop func()
}

func newFake(t *testing.T, x *world) *fake {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}),
		kfake.SeedTopics(partitions, spansTopic, demandsTopic, suppliesTopic))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	f := &fake{x: x, cluster: c, ends: map[place]int64{}, committed: map[place]int64{}, sent: map[uint64]*member{}, numbers: map[uint64]uint64{}}
	f.changed = sync.NewCond(&f.mu)
	f.set()
	f.writer, err = kafka.NewWriter(kafka.Options{Brokers: c.ListenAddrs()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.writer.Close(context.Background())) })
	x.works = f
	return f
}

// add adds an instance, and waits until each has as many partitions as the others.
func (f *fake) add(name string) *member {
	t := f.x.t
	m := &member{fake: f, at: map[place]int64{}}
	var err error
	m.in, err = NewInstance(InstanceOptions{
		Options: Options{Epoch: virtualEpoch, Price: f.x.price, EveryWait: f.x.everyWait, Platform: f.x.told, Functions: f.x.workload.Functions, Applications: f.x.apps, Limits: f.limits},
		Kafka:   kafka.Options{Brokers: f.cluster.ListenAddrs(), Topic: spansTopic, Group: "prewarm", MaxAge: 1000 * time.Hour},
		Demands: demandsTopic, Supplies: suppliesTopic, Deciders: "prewarm-deciders", Rebuild: 1000 * time.Hour, Name: name, Now: f.now,
	}, controller.Options{Act: true})
	require.NoError(t, err)
	m.in.watch, m.in.supplied = m, 1000*time.Hour
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, s := range m.in.Sources(m) {
		running.Go(func() {
			if err := s.Run(ctx, nil); err != nil {
				t.Error(err)
			}
		})
	}
	m.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := m.in.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(m.stop)
	f.members = append(f.members, m)
	f.balanced()
	return m
}

// balanced waits until each instance has as many partitions as the others, and has rebuilt them.
func (f *fake) balanced() {
	require.Eventually(f.x.t, func() bool {
		sum := 0
		for _, m := range f.alive() {
			var shares []controller.ShareState
			m.do(func(prewarm.Time) { shares = m.in.Engine().State().Shares })
			if len(shares) != 2 {
				return false
			}
			for _, s := range shares {
				if sum += len(s.Partitions); len(s.Partitions) < partitions/len(f.alive()) || len(s.Rebuilding) > 0 {
					return false
				}
			}
		}
		return sum == 2*partitions
	}, time.Minute, time.Millisecond, "all have partitions")
	f.pump()
}

// kill ends an instance as if it was killed: nothing of what it does counts any more.
func (f *fake) kill(m *member) {
	m.do(func(prewarm.Time) { m.dead = true })
	m.stop()
	f.mu.Lock()
	for p, at := range m.at {
		if p.topic == spansTopic { // it has committed that in the end; a killed one comes again
			f.committed[p] = at
		}
	}
	f.mu.Unlock()
	f.balanced()
}

func (f *fake) alive() []*member {
	return slices.DeleteFunc(slices.Clone(f.members), func(m *member) bool { return m.dead })
}

func (f *fake) now() time.Time { return time.Unix(0, f.time.Load()) }

// set sets the time that instances see.
func (f *fake) set() { f.time.Store(f.x.clock.Now().UnixNano()) }

// Do implements Loop.
func (m *member) Do(_ context.Context, f func(now prewarm.Time)) error {
	m.do(f)
	return nil
}

func (m *member) do(f func(now prewarm.Time)) {
	m.loop.Lock()
	defer m.loop.Unlock()
	f(m.now().Sub(virtualEpoch))
}

func (f *fake) begins(string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing++
}

func (f *fake) wrote(topic string, m kafka.Message, err error) {
	if err != nil {
		f.x.t.Error(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing--
	p := place{topic, m.Partition}
	f.ends[p] = max(f.ends[p], m.Offset+1)
	f.changed.Broadcast()
}

func (m *member) took(topic string, message *kafka.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at[place{topic, message.Partition}] = message.Offset + 1
	m.changed.Broadcast()
}

// settled reports whether all that was written was read: spans and demands by somebody, supplies by everybody.
func (f *fake) settled() bool {
	if f.writing > 0 {
		return false
	}
	for p, end := range f.ends {
		most, least := f.committed[p], end
		for _, m := range f.alive() {
			most, least = max(most, m.at[p]), min(least, m.at[p])
		}
		if most < end || p.topic == suppliesTopic && least < end {
			return false
		}
	}
	return true
}

// pump waits until the instances have read all there is.
func (f *fake) pump() {
	stuck := time.AfterFunc(time.Minute, func() { panic("the instances do not come to an end") })
	defer stuck.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.settled() {
		f.changed.Wait()
	}
}

func (f *fake) observe(o *source.Observation) {
	f.set()
	f.begins(spansTopic)
	f.writer.Write(spansTopic, -1, o.Trace, f.now(), spanOf(f.x.t, o), func(m kafka.Message, err error) { f.wrote(spansTopic, m, err) })
	f.pump()
}

func (f *fake) pass(now prewarm.Time) {
	f.set()
	for _, m := range f.alive() {
		m.in.mu.Lock()
		m.in.predictors.Pass(now)
		m.in.mu.Unlock()
	}
	f.pump()
	for _, m := range f.alive() {
		m.do(func(prewarm.Time) { m.in.Engine().Pass(now) })
	}
	f.pump()
}

func (f *fake) next() prewarm.Time {
	next := prewarm.Never
	for _, m := range f.alive() {
		m.in.mu.Lock()
		next = min(next, m.in.predictors.Next())
		m.in.mu.Unlock()
		m.do(func(prewarm.Time) { next = min(next, m.in.Engine().Next()) })
	}
	return next
}

func (f *fake) acted(now prewarm.Time, command uint64, results []actuator.Result) {
	f.set()
	if m := f.sent[command]; !m.dead {
		m.do(func(prewarm.Time) { m.in.Engine().Acted(now, f.numbers[command], results) })
		f.pump()
	}
}

func (f *fake) commands() []actuator.Command {
	var all []actuator.Command
	for _, m := range f.alive() {
		m.do(func(prewarm.Time) {
			for _, c := range m.in.Engine().Commands() {
				f.last++
				f.sent[f.last], f.numbers[f.last] = m, c.ID
				c.ID = f.last
				all = append(all, c)
			}
			m.in.Engine().Releases()
		})
	}
	slices.SortStableFunc(all, func(a, b actuator.Command) int { return compareStrings(a.Function, b.Function) }) // by whom does not matter
	return all
}

// spanOf returns the message with the span, as an instrumented function sends it, that is observed as o.
func spanOf(t testing.TB, o *source.Observation) []byte {
	t.Helper()
	traces := ptrace.NewTraces()
	span := traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	id, err := hex.DecodeString(o.Trace)
	require.NoError(t, err)
	span.SetTraceID(pcommon.TraceID(id))
	at := pcommon.NewTimestampFromTime(o.Time)
	span.SetStartTimestamp(at)
	span.SetEndTimestamp(at)
	a := span.Attributes()
	a.PutStr(announce.CallID, o.Call)
	if o.Kind != source.Invoked {
		a.PutStr("faas.name", o.Function)
		a.PutStr("faas.instance", o.Instance)
		a.PutBool(announce.ColdStart, o.Temperature == source.Cold)
	}
	span.SetSpanID(runSpan(o.Call + "/" + o.Kind.String()))
	switch o.Kind {
	case source.Invoked:
		span.SetName(announce.Invoke)
		a.PutStr(announce.InvokedName, o.Function)
		span.SetParentSpanID(runSpan(o.ParentCall))
	case source.Started:
		span.SetName(announce.Start)
		span.SetParentSpanID(runSpan(o.Call))
	default:
		span.SetName(o.Function)
		span.SetKind(ptrace.SpanKindServer)
		span.SetSpanID(runSpan(o.Call))
		span.SetParentSpanID(runSpan(o.ParentCall))
	}
	text, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces)
	require.NoError(t, err)
	return text
}

// runSpan returns the id of the span of a call's run.
func runSpan(call string) (id pcommon.SpanID) {
	if call == "" {
		return id
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(call))
	return pcommon.SpanID(h.Sum(nil))
}

// runWithKafka runs a world that n instances share, with topics in Kafka.
func runWithKafka(t *testing.T, x *world, n int, change func(f *fake)) *world {
	t.Helper()
	f := newFake(t, x)
	for i := range n {
		f.add(fmt.Sprint("instance-", i))
	}
	if change != nil {
		change(f)
	}
	x.run()
	return x
}

// TestKafkaSeveralAreAsOne checks that instances that share their work by Kafka decide what one of them does, to the nanosecond, and warm the same containers for the same
// requests if one joins and one is killed.
func TestKafkaSeveralAreAsOne(t *testing.T) {
	const requests = 6
	instances := []int{2, 4}
	if testing.Short() {
		instances = instances[:1]
	}
	run := func(n int, change func(f *fake)) *world {
		return runWithKafka(t, newWorld(t, "tree_small", "poisson:1200", requests, 1), n, change)
	}
	one := run(1, nil)
	require.Greater(t, len(one.done), 8*requests/2)
	for _, n := range instances {
		several := run(n, nil)
		require.Equal(t, one.done, several.done, n)
		require.Equal(t, one.starts, several.starts, n)
	}
	between := func(request int) time.Duration { // a moment between two requests
		gaps := 0
		for i := 1; i < len(one.done); i++ {
			if one.done[i].at-one.done[i-1].at > 3*time.Minute {
				if gaps++; gaps == request {
					return one.done[i].at - time.Minute
				}
			}
		}
		t.Fatal("there are too few requests")
		return 0
	}
	changing := run(1, func(f *fake) {
		f.x.clock.AfterFunc(between(1), func() { f.set(); f.add("joined"); f.x.after() })
		f.x.clock.AfterFunc(between(3), func() { f.set(); f.kill(f.members[0]); f.x.after() })
	})
	// What predictors have learned of first calls is not rebuilt, so that times differ a little.
	require.Len(t, changing.done, len(one.done))
	want, have := sorted(one.done), sorted(changing.done)
	for i := range want {
		require.Equal(t, want[i].function, have[i].function)
		require.Equal(t, want[i].n, have[i].n)
		require.InDelta(t, want[i].at.Seconds(), have[i].at.Seconds(), 0.1)
	}
}

// sorted returns what was done by function.
func sorted(all []done) []done {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b done) int { return compareStrings(a.function, b.function) })
	return all
}
