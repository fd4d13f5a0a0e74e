package scaler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/policy/scaler"
)

// TestExcessBurst checks the excess burst capacity that the policy tells: with one ready replica of 100 and a target of 211 the activator stays
// in the path, with a target of 50 it may leave until 50 requests are in flight.
func TestExcessBurst(t *testing.T) {
	for _, tt := range []struct {
		burst float64
		want  int
	}{{0, 100 - 211 - 10}, {50, 100 - 50 - 10}} {
		fleet, err := prewarm.NewFleet(prewarm.Platform{Arrivals: true}, []prewarm.Function{{Name: "main", MemoryMB: 256}})
		require.NoError(t, err)
		p := scaler.NewKPA(scaler.KPAOptions{Burst: tt.burst})
		tell := func(e prewarm.Event) (d prewarm.Decisions) {
			require.NoError(t, fleet.Apply(&e))
			p.Handle(&e, fleet, &d)
			return d
		}
		begin := tell(prewarm.Event{Kind: prewarm.Woken})
		require.Equal(t, prewarm.ScaleFunction, begin.List[0].Action)
		wake := begin.List[1]
		require.Equal(t, 2*time.Second, wake.Until)
		tell(prewarm.Event{Kind: prewarm.Starting, Container: 1})
		tell(prewarm.Event{Kind: prewarm.Idle, Container: 1})
		for i := range 10 {
			tell(prewarm.Event{Kind: prewarm.Arrived, Invocation: prewarm.ID(i + 1)})
		}
		tell(prewarm.Event{Kind: prewarm.Woken, At: wake.Until, Key: wake.Key})
		require.Equal(t, tt.want, p.ExcessBurst(0))
	}
}

// TestNothingBeforeTheFirstEvent checks that policies which are told of events before the first Woken keep calm.
func TestNothingBeforeTheFirstEvent(t *testing.T) {
	fleet, err := prewarm.NewFleet(prewarm.Platform{Arrivals: true}, []prewarm.Function{{Name: "main", MemoryMB: 256}})
	require.NoError(t, err)
	for _, p := range []prewarm.Policy{
		scaler.NewCE(scaler.CEOptions{}), scaler.NewPro(scaler.ProOptions{}), scaler.NewHPA(scaler.HPAOptions{}), scaler.NewKPA(scaler.KPAOptions{}),
	} {
		var d prewarm.Decisions
		for kind := prewarm.Arrived; kind <= prewarm.Leaving; kind++ {
			p.Handle(&prewarm.Event{Kind: kind}, fleet, &d)
		}
		require.Empty(t, d.List)
	}
}

// TestShortWindow checks that a window of less than a second, for which nothing is measured, is one of a second.
func TestShortWindow(t *testing.T) {
	fleet, err := prewarm.NewFleet(prewarm.Platform{Arrivals: true}, []prewarm.Function{{Name: "main", MemoryMB: 256}})
	require.NoError(t, err)
	p := scaler.NewKPA(scaler.KPAOptions{StableWindow: time.Microsecond, Total: 1, Utilization: 1})
	var d prewarm.Decisions
	for _, e := range []prewarm.Event{
		{Kind: prewarm.Woken}, {Kind: prewarm.Arrived, Invocation: 1}, {Kind: prewarm.Arrived, Invocation: 2}, {Kind: prewarm.Woken, At: 2 * time.Second, Key: 1},
	} {
		require.NoError(t, fleet.Apply(&e))
		d.Reset()
		p.Handle(&e, fleet, &d)
	}
	require.Equal(t, prewarm.ScaleFunction, d.List[0].Action)
	require.Equal(t, 2, d.List[0].N)
}
