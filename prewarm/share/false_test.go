package share

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// inject writes a message of somebody who is no instance into a partition of demands.
func inject(m *memory, partition int, message *Message) {
	at := m.g.x.clock.Now()
	if message.At == 0 {
		message.At = at.UnixNano()
	}
	m.write(Record{Topic: Demands, Partition: int32(partition), Key: message.Key, At: at, Value: encode(message)})
	m.pump()
	m.g.x.after()
}

// TestFalseClaim has somebody claim all partitions who is no instance: nothing is decided then until those who have them claim them again, and from there on all is as if
// nothing had been.
func TestFalseClaim(t *testing.T) {
	undisturbed := run(t, 2, 3, nil)
	at := (undisturbed.done[41].at + undisturbed.done[42].at) / 2
	var all []*instance
	x := run(t, 2, 3, func(m *memory) {
		all = m.g.instances
		m.g.x.clock.AfterFunc(at, func() {
			for p := range m.demands {
				inject(m, p, &Message{Claim: &Claim{Owner: "nobody"}})
			}
		})
	})
	split := func(w *world) (before, during, after []done) {
		for _, d := range w.done {
			switch {
			case d.at < at:
				before = append(before, d)
			case d.at < at+reclaimAfter:
				during = append(during, d)
			case d.at > at+15*time.Minute: // containers that are there for once more, or not, are gone
				after = append(after, d)
			}
		}
		return before, during, after
	}
	before, during, after := split(x)
	want, would, wantAfter := split(undisturbed)
	require.Equal(t, want, before)
	require.NotEmpty(t, would)
	require.Empty(t, during)
	require.Equal(t, byFunction(wantAfter), byFunction(after))
	for at, perFunction := range perRequest(x) {
		for function, n := range perFunction {
			require.Equal(t, 1, n, "%s at %v", function, at)
		}
	}
	requests := uint64(0)
	for _, i := range all {
		s := i.deciders.State()
		requests += s.Totals.Requests
		for _, share := range s.Shares {
			require.Empty(t, share.Rebuilding)
		}
	}
	require.InDelta(t, 20, requests, 1, "what was counted before a claim is not lost by it")
}

// TestLostClaim checks that a claim that is lost is made once more.
func TestLostClaim(t *testing.T) {
	var claims []time.Duration
	d, err := NewDeciders(Options{Epoch: virtualEpoch, Price: 2560, Platform: whisk, Emit: func(r Record) {
		m, err := Parse(r.Value)
		require.NoError(t, err)
		require.NotNil(t, m.Claim)
		claims = append(claims, time.Unix(0, m.At).Sub(virtualEpoch))
	}}, controller.Options{Act: true}, "x")
	require.NoError(t, err)
	d.Pass(time.Minute)
	require.NoError(t, d.Assign(0))
	for range 2 {
		require.Equal(t, claims[len(claims)-1]+reclaimAfter, d.Next())
		d.Pass(d.Next())
	}
	require.Equal(t, []time.Duration{time.Minute, time.Minute + reclaimAfter, time.Minute + 2*reclaimAfter}, claims)
	mine := &Message{At: virtualEpoch.UnixNano(), Claim: &Claim{Owner: "x/1"}}
	require.NoError(t, d.Take(d.Now(), &kafka.Message{Offset: 7, Value: encode(mine)}))
	d.Pass(d.Now() + 10*time.Minute)
	require.Len(t, claims, 3)
}

// TestAhead checks that a message of a time that is yet to come does not keep out what is told later, and is counted.
func TestAhead(t *testing.T) {
	now := virtualEpoch.Add(time.Hour)
	i, err := NewInstance(InstanceOptions{
		Options: Options{Epoch: virtualEpoch, Price: 2560, Platform: whisk, Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}},
		Kafka:   kafka.Options{Brokers: []string{"127.0.0.1:1"}}, Demands: "d", Supplies: "s", Rebuild: time.Hour, Name: "x", Now: func() time.Time { return now },
	}, controller.Options{})
	require.NoError(t, err)
	defer func() {
		ended, end := context.WithCancel(context.Background())
		end()
		require.ErrorContains(t, i.Close(ended), "is lost") // there is no broker
	}()
	i.Sources(at(now.Sub(virtualEpoch)))
	supply := func(at time.Time, free bool) []kafka.Message {
		return []kafka.Message{{Value: encode(&Message{At: at.UnixNano(), Key: "f", Supply: &Supply{Free: free}})}}
	}
	for _, messages := range [][]kafka.Message{supply(now.Add(mostAhead+time.Second), true), supply(now, false), supply(now.Add(mostAhead), true)} {
		_, err := supplying{i}.Take(t.Context(), messages)
		require.NoError(t, err)
		require.EqualValues(t, 1, i.supplies.Counts().Invalid)
		if i.predictors.supplies["f"] == nil {
			require.Contains(t, i.supplies.Counts().Error, "message 0 of partition 0 of s: it is of a time 11s ahead")
		}
	}
	require.True(t, i.predictors.supplies["f"].Supply.Free)
	require.Equal(t, now.Add(mostAhead).UnixNano(), i.predictors.supplies["f"].At)

	d := &deciding{i, t.Context()}
	require.NoError(t, d.Assigned(t.Context(), 0, 0, 0))
	_, err = d.Take(t.Context(), []kafka.Message{{Value: encode(&Message{At: now.Add(time.Minute).UnixNano(), Key: "f", Told: &Told{Trace: "t", Until: 1}})}})
	require.NoError(t, err)
	require.EqualValues(t, 1, i.demands.Counts().Invalid)
	// The order of claims holds whatever their times are.
	_, err = d.Take(t.Context(), []kafka.Message{{Value: encode(&Message{At: now.Add(time.Hour).UnixNano(), Claim: &Claim{Owner: "other"}})}})
	require.NoError(t, err)
	require.EqualValues(t, 1, i.demands.Counts().Invalid)
	require.Equal(t, "other", i.deciders.units[0].owner)
}

// at is a loop for which it is always the same time.
type at prewarm.Time

// Do implements Loop.
func (a at) Do(_ context.Context, f func(now prewarm.Time)) error {
	f(prewarm.Time(a))
	return nil
}

// TestToldForEver checks that what somebody has told who does not tell it anew is forgotten, whatever it says of how long it holds.
func TestToldForEver(t *testing.T) {
	undisturbed := run(t, 1, 1, nil)
	at := undisturbed.done[8].at + 11*time.Minute // nothing is warm
	require.Greater(t, undisturbed.done[9].at, at+longestTold+2*time.Minute)
	told := func(in time.Duration) *world {
		return run(t, 1, 1, func(m *memory) {
			m.g.x.clock.AfterFunc(at, func() {
				v := Demand{Probability: 1}
				for i := range v.Times {
					v.Times[i] = (in + time.Duration(i)*time.Millisecond).Microseconds()
				}
				inject(m, 0, &Message{Key: m.g.x.workload.Functions[1].Name, Told: &Told{Trace: "none", Until: furthest, Demands: []Demand{v}}})
			})
		})
	}
	require.Equal(t, byFunction(undisturbed.done), byFunction(told(longestTold+time.Minute).done))
	require.NotEqual(t, undisturbed.done, told(longestTold/2).done, "else it is reckoned with")
}
