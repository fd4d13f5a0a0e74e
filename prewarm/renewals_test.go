package prewarm_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
)

const second = time.Second

// renewing is a platform that removes what has been idle for 10 s, of which half a second before it can be renewed.
var renewing = prewarm.Platform{Arrivals: true, Renew: true, IdleTimeout: 10 * second}

// idleFleet returns a fleet whose containers 1, 2, … have become idle at times.
func idleFleet(t *testing.T, since ...prewarm.Time) *prewarm.Fleet {
	t.Helper()
	f := newFleet(t, renewing)
	for i, at := range since {
		apply(t, f, prewarm.Event{Kind: prewarm.Starting, At: at, Container: prewarm.ID(i + 1)})
		apply(t, f, prewarm.Event{Kind: prewarm.Idle, At: at, Container: prewarm.ID(i + 1)})
	}
	return f
}

func apply(t *testing.T, f *prewarm.Fleet, e prewarm.Event) {
	t.Helper()
	require.NoError(t, f.Apply(&e))
}

func TestRenews(t *testing.T) {
	for _, c := range []struct {
		platform prewarm.Platform
		renews   bool
		lead     time.Duration
	}{
		{renewing, true, second / 2},
		{prewarm.Platform{Renew: true, IdleTimeout: 10 * time.Minute}, true, 5 * second},
		{prewarm.Platform{Renew: true, IdleTimeout: second}, true, second / 10},
		{prewarm.Platform{Renew: true, IdleTimeout: second / 10}, true, second / 20},
		{prewarm.Platform{Renew: true, Hold: true, IdleTimeout: second}, false, second / 10}, // it can do better
		{prewarm.Platform{Renew: true, IdleTimeout: prewarm.Never}, false, 5 * second},       // there is no need
		{prewarm.Platform{Renew: true}, false, 0},                                            // it is not known when
		{prewarm.Platform{IdleTimeout: second}, false, second / 10},
	} {
		require.Equal(t, c.renews, c.platform.Renews(), "%+v", c.platform)
		require.Equal(t, c.lead, c.platform.RenewLead(), "%+v", c.platform)
	}
}

// TestRenewalsAreDue checks when the containers of a function are renewed: a moment before the first of them is removed, if all are to be kept for longer.
func TestRenewalsAreDue(t *testing.T) {
	type hold struct {
		container prewarm.ID
		until     prewarm.Time
	}
	for _, c := range []struct {
		name  string
		since []prewarm.Time
		holds []hold
		at    prewarm.Time
		now   bool
		next  prewarm.Time
	}{
		{"nothing is held", []prewarm.Time{0}, nil, 9 * second, false, prewarm.Never},
		{"it is not time", []prewarm.Time{0}, []hold{{1, 20 * second}}, 9 * second, false, 9500 * time.Millisecond},
		{"it is", []prewarm.Time{0}, []hold{{1, 20 * second}}, 9500 * time.Millisecond, true, prewarm.Never},
		{"it is kept for as long by itself", []prewarm.Time{0}, []hold{{1, 10*second + 1}}, 9900 * time.Millisecond, false, prewarm.Never},
		{"one of two: the first goes", []prewarm.Time{0, 5 * second}, []hold{{1, 20 * second}}, 9500 * time.Millisecond, false, prewarm.Never},
		{"both", []prewarm.Time{0, 5 * second}, []hold{{1, 20 * second}, {2, 30 * second}}, 9500 * time.Millisecond, true, prewarm.Never},
		{"both, but the second for no longer than it is there", []prewarm.Time{0, 5 * second}, []hold{{1, 20 * second}, {2, 10 * second}}, 9500 * time.Millisecond, false, prewarm.Never},
		{"one that is not idle", []prewarm.Time{0}, []hold{{7, 20 * second}}, 9500 * time.Millisecond, false, prewarm.Never},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := idleFleet(t, c.since...)
			var r prewarm.Renewals
			for _, h := range c.holds {
				r.Hold(h.container, h.until)
			}
			now, next := r.Due(0, f, c.at)
			require.Equal(t, c.now, now)
			require.Equal(t, c.next, next)
			now, _ = r.Due(1, f, c.at)
			require.False(t, now, "of another function")
		})
	}
}

// TestAnotherTakesOver: of two containers the one that is held is removed, and the other one, which is as good, is kept in its place.
func TestAnotherTakesOver(t *testing.T) {
	f := idleFleet(t, 0, 5*second)
	var r prewarm.Renewals
	r.Hold(1, 40*second)
	apply(t, f, prewarm.Event{Kind: prewarm.Removed, At: 10 * second, Container: 1})
	r.Removed(1, 0, f)
	now, next := r.Due(0, f, 10*second)
	require.False(t, now)
	require.Equal(t, 14500*time.Millisecond, next)

	// Renewed, it is there for as long again, and used, it is held no longer.
	apply(t, f, prewarm.Event{Kind: prewarm.Renewed, At: 14500 * time.Millisecond, Container: 2})
	_, next = r.Due(0, f, 14500*time.Millisecond)
	require.Equal(t, 24*second, next)
	r.End(2)
	_, next = r.Due(0, f, 14500*time.Millisecond)
	require.Equal(t, prewarm.Never, next)
}

// TestRenewedIsOfIdle: only what is idle can be renewed.
func TestRenewedIsOfIdle(t *testing.T) {
	f := idleFleet(t, 0)
	apply(t, f, prewarm.Event{Kind: prewarm.Arrived, At: second, Invocation: 1, Trace: 1})
	apply(t, f, prewarm.Event{Kind: prewarm.Placed, At: second, Invocation: 1, Trace: 1, Container: 1})
	require.ErrorContains(t, f.Apply(&prewarm.Event{Kind: prewarm.Renewed, At: 2 * second, Container: 1}), "container 1 is busy")
	require.ErrorContains(t, f.Apply(&prewarm.Event{Kind: prewarm.Renewed, At: 2 * second, Container: 9}), "no container 9")
}
