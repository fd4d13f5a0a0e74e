package share

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// underWay counts what is yet to be written.
type underWay struct{ atomic.Int64 }

func (u *underWay) begins(string)                      { u.Add(1) }
func (u *underWay) wrote(string, kafka.Message, error) { u.Add(-1) }
func (u *underWay) took(string, *kafka.Message)        {}

// TestPredictorsWaitForRoom checks that predictors read nothing more while brokers take too little of what is written: what finds no room, while something later
// does, is passed over when it comes again.
func TestPredictorsWaitForRoom(t *testing.T) {
	i, err := NewInstance(InstanceOptions{
		Options: Options{Epoch: virtualEpoch, Price: 2560, Platform: whisk, Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}},
		Kafka:   kafka.Options{Brokers: []string{"127.0.0.1:1"}}, Demands: "d", Supplies: "s", Rebuild: time.Hour, Name: "x",
	}, controller.Options{})
	require.NoError(t, err)
	under := &underWay{}
	i.watch = under
	ended, end := context.WithCancel(t.Context())
	end()
	p := &predicting{Instance: i}
	require.NoError(t, p.Tick(ended))
	for range 100_001 {
		i.writePredicted(Record{Topic: Demands, Partition: -1, Key: "f"})
	}
	require.ErrorIs(t, p.Tick(ended), context.Canceled)
	require.ErrorContains(t, i.Close(ended), "is lost") // there is no broker
	require.Eventually(t, func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.failed != nil && under.Load() == 0
	}, time.Minute, time.Millisecond, "what was lost comes again")
	require.Error(t, p.Tick(t.Context()))
}

// TestEndsWithWhatItHasAskedFor checks that an instance whose loop has ended first, as it does when a server is told to end, says too of what it has asked for and not read that
// nothing comes of it.
func TestEndsWithWhatItHasAskedFor(t *testing.T) {
	i, err := NewInstance(InstanceOptions{
		Options: Options{Epoch: virtualEpoch, Price: 2560, Platform: whisk, Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}},
		Kafka:   kafka.Options{Brokers: []string{"127.0.0.1:1"}}, Demands: "d", Supplies: "s", Rebuild: time.Hour, Name: "x",
	}, controller.Options{Act: true})
	require.NoError(t, err)
	var written []Record
	i.deciders.o.Emit = func(r Record) { written = append(written, r) }
	require.NoError(t, i.deciders.Assign(3))
	i.deciders.units[3].asked[7] = pending{n: 2}
	require.NoError(t, i.Close(t.Context()))
	last := written[len(written)-1]
	require.EqualValues(t, 3, last.Partition)
	message, err := Parse(last.Value)
	require.NoError(t, err)
	require.Equal(t, &Done{Owner: "x/1", ID: 7, Results: []Result{{Outcome: actuator.Held}, {Outcome: actuator.Held}}}, message.Done)
}
