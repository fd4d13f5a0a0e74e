package share

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// claimant are deciders of one function that have claimed a partition, and what they have written since.
type claimant struct {
	*Deciders
	t       *testing.T
	written []*Message
	offset  int64
}

func newClaimant(t *testing.T, limits Limits) *claimant {
	t.Helper()
	c := &claimant{t: t}
	var err error
	c.Deciders, err = NewDeciders(Options{
		Epoch: virtualEpoch, Price: 2560, Platform: whisk, Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}, Limits: limits,
		Emit: func(r Record) {
			m, err := Parse(r.Value)
			require.NoError(t, err)
			c.written = append(c.written, m)
		},
	}, controller.Options{Act: true}, "x")
	require.NoError(t, err)
	require.NoError(t, c.Assign(0))
	c.take(0, c.written[0])
	return c
}

// take has them take a message of the partition.
func (c *claimant) take(now prewarm.Time, m *Message) {
	c.t.Helper()
	require.NoError(c.t, c.Take(now, &kafka.Message{Offset: c.offset, At: virtualEpoch.Add(now), Value: encode(m)}))
	c.offset++
}

// want has them want a container at a time, and returns what they have written then.
func (c *claimant) want(now prewarm.Time) []*Message {
	c.Pass(now)
	c.units[0].pass(now)
	c.written = nil
	c.units[0].intend(&prewarm.Decision{Action: prewarm.StartContainers, N: 1}, 1)
	return c.written
}

// TestComesBackVeryLate checks that an instance says of what it has asked for, and reads after it has taken it to be lost, that it is not done: else others take it to be under way.
func TestComesBackVeryLate(t *testing.T) {
	c := newClaimant(t, Limits{})
	first := c.want(time.Second)[0]
	second := c.want(70 * time.Second)[0]
	require.EqualValues(t, 1, first.Asked.ID)
	require.EqualValues(t, 2, second.Asked.ID)
	c.written = nil
	c.take(71*time.Second, first)
	require.Equal(t, &Done{Owner: "x/1", ID: 1, Results: []Result{{Outcome: actuator.Held}}}, c.written[0].Done)
	require.Empty(t, c.Commands())
	c.take(71*time.Second, second)
	require.Len(t, c.Commands(), 1)
	c.written = nil
	c.take(71*time.Second, second) // it came twice
	require.Empty(t, c.Commands())
	for _, m := range c.written {
		require.Nil(t, m.Done)
	}
}

// TestLostDoesNotStand checks that what was asked for and is lost does not stand for ever, though nothing more is wanted: others may have its part of the limits.
func TestLostDoesNotStand(t *testing.T) {
	c := newClaimant(t, Limits{Containers: 1, InFlight: 1})
	wanted := c.want(time.Second)
	require.Equal(t, 1, wanted[0].Standing.Containers)
	stands := func(now prewarm.Time) (last *Standing) {
		c.written = nil
		for at := c.Now(); at < now; {
			at += time.Second
			c.Pass(at)
		}
		for _, m := range c.written {
			if m.Standing != nil {
				last = m.Standing
			}
		}
		return last
	}
	require.Equal(t, 1, stands(31*time.Second).Containers)
	last := stands(65 * time.Second)
	require.Zero(t, last.Containers)
	require.Zero(t, last.Starting)
}

// TestClockIsSetBack checks that what a predictor tells is of now, also once the machine's clock was set back, and that it is reckoned with what it has known before.
func TestClockIsSetBack(t *testing.T) {
	now := virtualEpoch.Add(3 * time.Hour)
	i, err := NewInstance(InstanceOptions{
		Options: Options{Epoch: virtualEpoch, Price: 2560, Platform: whisk, Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}},
		Kafka:   kafka.Options{Brokers: []string{"127.0.0.1:1"}}, Demands: "d", Supplies: "s", Rebuild: time.Hour, Name: "x", Now: func() time.Time { return now },
	}, controller.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, i.Close(t.Context())) }()
	var told []*Message
	i.predictors.o.Emit = func(r Record) {
		m, err := Parse(r.Value)
		require.NoError(t, err)
		told = append(told, m)
	}
	require.NoError(t, i.predictors.Assign(0, 0, 0))
	offset := int64(0)
	observe := func() {
		before := len(told)
		o := source.Observation{Kind: source.Invoked, Function: "f", Trace: "t", Call: now.String(), Time: now, Wait: -1, Init: -1}
		_ = i.predictors.Take(i.now(), &kafka.Message{Offset: offset, At: now, Value: []byte("x")}, []source.Observation{o})
		offset++
		for _, m := range told[before:] {
			require.Equal(t, now.UnixNano(), m.At)
		}
	}
	observe()
	for range 6 {
		now = now.Add(time.Second)
		observe()
	}
	require.EqualValues(t, offset, len(told))
	now = now.Add(-time.Hour)
	before := i.predictors.now
	for range 6 { // of which the first four only say that clocks were set
		now = now.Add(time.Second)
		i.predictors.Pass(i.now())
		observe()
	}
	require.GreaterOrEqual(t, len(told), 9)
	require.InDelta(t, 6, (i.predictors.now - before).Seconds(), 2, "time goes on")
}

// TestSaysWhatIsLost checks that it is said that something of what deciders write is lost, and that it is over once something is written.
func TestSaysWhatIsLost(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, demandsTopic))
	require.NoError(t, err)
	defer c.Close()
	i, err := NewInstance(InstanceOptions{
		Options: Options{Epoch: virtualEpoch, Price: 2560, Platform: whisk}, Kafka: kafka.Options{Brokers: c.ListenAddrs()}, Demands: demandsTopic, Supplies: suppliesTopic, Rebuild: time.Hour, Name: "x",
	}, controller.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, i.Close(context.Background())) }()
	says := func(bytes int, something bool) {
		t.Helper()
		i.writeDecided(Record{Topic: Demands, Value: make([]byte, bytes)})
		require.Eventually(t, func() bool { return (i.demands.Counts().Error != "") == something }, time.Minute, time.Millisecond)
	}
	says(2<<20, true)
	require.Contains(t, i.demands.Counts().Error, "writing to the topic prewarm_demands: MESSAGE_TOO_LARGE")
	says(1, false)
}

// TestSpansOfNoUse checks that of spans that are of no use it is said in which message they were.
func TestSpansOfNoUse(t *testing.T) {
	now := virtualEpoch.Add(3 * time.Hour)
	i, err := NewInstance(InstanceOptions{
		Options: Options{Epoch: virtualEpoch, Price: 2560, Platform: whisk}, Kafka: kafka.Options{Brokers: []string{"127.0.0.1:1"}}, Demands: "d", Supplies: "s", Rebuild: time.Hour, Name: "x",
		Now: func() time.Time { return now },
	}, controller.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, i.Close(t.Context())) }()
	i.predictors.o.Emit = func(Record) {}
	p := &predicting{Instance: i}
	p.reader, err = kafka.NewStageReader(kafka.StageOptions{Options: kafka.Options{Brokers: []string{"127.0.0.1:1"}, MaxAge: 1e6 * time.Hour}}, p, i.spans)
	require.NoError(t, err)
	require.NoError(t, p.Assigned(t.Context(), 3, 0, 0))
	for offset, at := range []time.Time{now, now.Add(-time.Hour)} {
		value := spanOf(t, &source.Observation{Kind: source.Invoked, Function: "f", Trace: "00000000000000000000000000000001", Call: at.String(), Time: at})
		_, err = p.Take(t.Context(), []kafka.Message{{Partition: 3, Offset: int64(offset), At: now, Value: value}})
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, i.spans.Counts().Invalid)
	require.Regexp(t, `^message 1 of partition 3 of otlp_spans: function "f": `, i.spans.Counts().Error)
}

// TestNames checks that there are no more names of traces than may be, and that those that are old make room within a second.
func TestNames(t *testing.T) {
	u := newClaimant(t, Limits{}).units[0]
	known := func(at prewarm.Time, id prewarm.ID) bool {
		u.now = at
		u.name(id, "t", true)
		return u.mirror.TraceID(id) != ""
	}
	for i := range mostNames {
		require.True(t, known(time.Second, prewarm.ID(i+1)))
	}
	require.False(t, known(time.Minute+time.Second/2, mostNames+1))
	require.False(t, known(time.Minute+time.Second+1, mostNames+2), "it was looked a moment ago")
	require.True(t, known(time.Minute+2*time.Second, mostNames+3))
	require.Len(t, u.mirror.names, 1)
}
