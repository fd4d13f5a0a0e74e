package share

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// renews is a platform that removes what was idle for a minute, and only lets idle times be renewed; a renewal is looked at 9 s, and due 3 s, before.
var renews = setting{
	told:  prewarm.Platform{Warm: true, Arrivals: true, FirstCall: true, Late: prewarm.TakesStarting, Renew: true, IdleTimeout: time.Minute},
	price: 20000, everyWait: true,
}

// newRenewing returns a world in which a request comes every 150 s, and each function's container is worth renewing twice until it does.
func newRenewing(t testing.TB, requests int) *world {
	return newWorldOf(t, renews, "tree_small", "periodic:150", requests, 1)
}

// renewing runs such a world, which n instances share.
func renewing(t *testing.T, n int, change func(m *memory)) *world {
	t.Helper()
	return runIn(t, newRenewing(t, 6), Limits{}, n, 5, change)
}

// renewals returns what was renewed from a time on.
func renewals(x *world, from prewarm.Time) (all []done) {
	for _, d := range x.done {
		if d.renewed && d.at >= from {
			all = append(all, d)
		}
	}
	return all
}

// requireOnce checks that no container was renewed twice for the same idle time: what is renewed is there for a minute from then on.
func requireOnce(t *testing.T, x *world) {
	t.Helper()
	last := map[string]prewarm.Time{}
	for _, d := range renewals(x, 0) {
		if before, ok := last[d.function]; ok {
			require.Greater(t, d.at-before, renews.told.IdleTimeout-10*time.Second, "%v", d)
		}
		last[d.function] = d.at
	}
}

// TestSeveralRenewAsOne checks that instances warm and renew together what one of them does, to the nanosecond; and that what is renewed once all have had a request, a controller
// that has no log renews at the same nanosecond.
func TestSeveralRenewAsOne(t *testing.T) {
	one := renewing(t, 1, nil)
	for _, n := range []int{2, 4} {
		several := renewing(t, n, nil)
		require.Equal(t, one.done, several.done, n)
		require.Equal(t, one.starts, several.starts, n)
	}
	requireOnce(t, one)
	x := newRenewing(t, 6)
	x.works = newAlone(x)
	x.run()
	requireOnce(t, x)
	const second = 5 * time.Minute // when it comes
	require.Greater(t, len(renewals(one, second)), 80)
	require.Equal(t, renewals(x, second), renewals(one, second))
	require.Equal(t, byFunction(renewals(x, 0)), byFunction(renewals(one, 0)))
}

// halfway returns the moment between what was renewed first from a time on and what was renewed next.
func halfway(x *world, from prewarm.Time) prewarm.Time {
	r := renewals(x, from)
	return (r[0].at + r[1].at) / 2
}

// TestHeirsRenew checks that who gets a partition renews exactly what the one before would have, also while that goes on, and from what was written in the last minutes alone.
func TestHeirsRenew(t *testing.T) {
	want := renewing(t, 1, nil)
	for name, at := range map[string]prewarm.Time{
		"between renewals": halfway(want, 6*time.Minute), "and the second ones": halfway(want, 410*time.Second), "a moment before": renewals(want, 8*time.Minute)[0].at - time.Microsecond,
		"while it is answered": renewals(want, 8*time.Minute)[0].at + time.Millisecond/2, "before what comes first": 7 * time.Minute,
	} {
		for _, rebuild := range []time.Duration{1000 * time.Hour, 4 * time.Minute} {
			x := renewing(t, 2, func(m *memory) {
				m.rebuild = rebuild
				m.g.x.clock.AfterFunc(at, func() {
					m.inherit("new")
					m.g.x.after()
				})
			})
			require.Equal(t, want.done, x.done, "%s, %v", name, rebuild)
			require.Equal(t, want.starts, x.starts)
		}
	}
}

// TestHeirsKnowWhatWasRenewed checks that an heir knows containers by their renewals, which were warmed and used before what it reads.
func TestHeirsKnowWhatWasRenewed(t *testing.T) {
	at := renewals(renewing(t, 1, nil), 6*time.Minute)[0].at + 10*time.Second
	renewing(t, 1, func(m *memory) {
		m.rebuild = 20 * time.Second
		m.g.x.clock.AfterFunc(at, func() {
			heir := m.inherit("heir")
			renewed := 0
			for _, c := range heir.deciders.State().Containers {
				if c.State == "idle" && m.g.x.clock.Now().Sub(c.Since) < 11*time.Second {
					renewed++
				}
			}
			require.Equal(t, len(m.g.x.workload.Functions), renewed)
			m.g.x.after()
		})
	})
}

// TestHeirsNoteNothingOld checks that in a dry run who gets a partition says nothing of what would have been started or renewed before, as it has not decided on that.
func TestHeirsNoteNothingOld(t *testing.T) {
	renewals := func(i *instance) (all []controller.DecisionState) {
		for _, d := range i.deciders.State().Decisions {
			if d.Action == "hold" {
				all = append(all, d)
			}
		}
		return all
	}
	const at = 7 * time.Minute
	var heir *instance
	renewing(t, 1, func(m *memory) {
		first := m.g.instances[0]
		m.g.dry, first.deciders.core.Act = true, false
		for p := range m.demandsOf {
			first.deciders.Revoke(int32(p))
			require.NoError(t, first.deciders.Assign(int32(p)))
		}
		m.g.x.clock.AfterFunc(at, func() {
			require.NotEmpty(t, renewals(first))
			heir = m.g.add("heir")
			heir.deciders.Pass(at)
			for p := range m.demandsOf {
				m.assignDemands(p, heir)
			}
			m.pump()
			require.Empty(t, renewals(heir))
			m.g.x.after()
		})
	})
	require.NotEmpty(t, renewals(heir))
}

// TestLeavesWhileItAsks has an instance that has asked for a renewal lose the partition before it has read that: it says that nothing comes of it, and the heir renews, at the same
// nanosecond.
func TestLeavesWhileItAsks(t *testing.T) {
	want := renewing(t, 1, nil)
	asked := ""
	x := renewing(t, 2, func(m *memory) {
		m.whenWritten(6*time.Minute, isRenewal, func(function string, p int, _ *instance) {
			asked = function
			m.assignDemands(p, m.g.add("heir"))
		})
	})
	require.NotEmpty(t, asked)
	require.Equal(t, want.starts, x.starts)
	require.Equal(t, sorted(want.done), sorted(x.done))
}

// TestDeathWhileItAsks kills an instance that has asked for a renewal: nobody knows whether that has been done, and the heir does not do it once more. All that others have is renewed
// as if nothing had been.
func TestDeathWhileItAsks(t *testing.T) {
	want := renewing(t, 3, nil)
	var asked string
	var at prewarm.Time
	others := map[string]bool{}
	x := renewing(t, 3, func(m *memory) {
		m.whenWritten(6*time.Minute, isRenewal, func(function string, _ int, by *instance) {
			by.dead = true
			asked, at = function, m.g.x.now()
			for _, f := range m.g.x.workload.Functions {
				others[f.Name] = m.demandsOf[partitionOf(f.Name, len(m.demands))] != by
			}
			m.g.x.clock.AfterFunc(time.Second, func() { m.share(); m.g.x.after() }) // in time for a renewal
		})
	})
	requireOnce(t, x)
	alive := 0
	for _, f := range x.workload.Functions {
		of := func(w *world, from, to prewarm.Time) (all []done) {
			for _, d := range w.done {
				if d.function == f.Name && d.at >= from && d.at < to {
					all = append(all, d)
				}
			}
			return all
		}
		switch {
		case f.Name == asked:
			require.Empty(t, of(x, at, at+30*time.Second))
			require.NotEmpty(t, of(x, at+30*time.Second, at+40*time.Second), "it is warmed before the next request, as its container is taken to be gone")
		case others[f.Name]:
			alive++
			require.Equal(t, of(want, 0, at+30*time.Second), of(x, 0, at+30*time.Second), f.Name)
		default: // a second later
			require.Len(t, of(x, at, at+3*time.Second), 1, f.Name)
		}
	}
	require.Positive(t, alive)
}

// TestDeathBeforeRenewals kills an instance, whose part others have after ten seconds. What was to be renewed later is renewed as if nothing had been, and what should have been
// meanwhile, and is not gone yet, as soon as there is an heir.
func TestDeathBeforeRenewals(t *testing.T) {
	want := renewing(t, 3, nil)
	due := renewals(want, 8*time.Minute)[0].at
	killed := func(at prewarm.Time) *world {
		return renewing(t, 3, func(m *memory) {
			m.rebuild = 4 * time.Minute
			m.g.x.clock.AfterFunc(at, func() { m.g.instances[1].dead = true; m.g.x.after() })
			m.g.x.clock.AfterFunc(at+10*time.Second, func() { m.share(); m.g.x.after() })
		})
	}
	require.Equal(t, want.done, killed(due-30*time.Second).done)
	x := killed(due - 9*time.Second)
	requireOnce(t, x)
	late := 0
	wanted, have := sorted(renewals(want, 8*time.Minute)), sorted(renewals(x, 8*time.Minute))
	require.Len(t, have, len(wanted))
	for i := range wanted {
		require.Equal(t, wanted[i].function, have[i].function)
		require.InDelta(t, wanted[i].at.Seconds(), have[i].at.Seconds(), 1.001, wanted[i].function)
		if have[i].at > wanted[i].at {
			late++
		}
	}
	require.Positive(t, late)
	require.Equal(t, want.starts, x.starts)
}

// TestRenewalsAreFenced checks that one that has lost a partition, and does not know it, renews no more from the moment on at which another has claimed it.
func TestRenewalsAreFenced(t *testing.T) {
	want := runIn(t, newRenewing(t, 6), Limits{}, 1, 1, nil)
	at := halfway(want, 6*time.Minute)
	x := runIn(t, newRenewing(t, 6), Limits{}, 1, 1, func(m *memory) {
		m.g.x.clock.AfterFunc(at, func() {
			heir := m.g.add("heir")
			m.stale, m.staleAt = m.demandsOf[0], len(m.demands[0])
			m.demandsOf[0], m.demandsAt[0] = heir, 0
			require.NoError(t, heir.deciders.Assign(0))
			m.pump()
			m.g.x.after()
		})
	})
	require.Equal(t, want.done, x.done)
}

// TestRenewalsWithinLimits checks that what was renewed counts for the limits of all instances together, and what is being renewed, and that several do what one does under the same.
func TestRenewalsWithinLimits(t *testing.T) {
	free := renewing(t, 1, nil)
	require.Greater(t, free.most.Containers, 6)
	require.Greater(t, free.most.MemoryMB, 1280)
	for name, limits := range map[string]Limits{"containers": {Containers: 6}, "memory": {MemoryMB: 1300}, "of a function": {Containers: 100, PerFunction: 1}, "in flight": {InFlight: 1}} {
		limited := func(n int) *world { return runIn(t, newRenewing(t, 6), limits, n, 5, nil) }
		one := limited(1)
		require.Equal(t, one.done, limited(3).done, name)
		requireOnce(t, one)
		if limits.Containers > 0 {
			require.LessOrEqual(t, one.most.Containers, limits.Containers)
		}
		if limits.MemoryMB > 0 {
			require.LessOrEqual(t, one.most.MemoryMB, limits.MemoryMB)
		}
		if limits.InFlight > 0 {
			require.LessOrEqual(t, one.most.Starting, limits.InFlight)
		}
		require.Greater(t, len(renewals(one, 0)), 50, name)
	}
}

// TestKafkaRenews checks that instances with topics in Kafka warm and renew what one of them does, to the nanosecond, also if one joins and one is killed between renewals.
func TestKafkaRenews(t *testing.T) {
	const requests = 6
	run := func(n int, change func(f *fake)) *world { return runWithKafka(t, newRenewing(t, requests), n, change) }
	one := run(1, nil)
	requireOnce(t, one)
	alone := newRenewing(t, requests)
	alone.works = newAlone(alone)
	alone.run()
	const second = 5 * time.Minute // when it comes
	require.Equal(t, renewals(alone, second), renewals(one, second))
	instances := []int{2, 4}
	if testing.Short() {
		instances = nil
	}
	for _, n := range instances {
		several := run(n, nil)
		require.Equal(t, one.done, several.done, n)
		require.Equal(t, one.starts, several.starts, n)
	}
	changing := run(1, func(f *fake) {
		f.x.clock.AfterFunc(halfway(one, 350*time.Second), func() { f.set(); f.add("joined"); f.x.after() })
		f.x.clock.AfterFunc(halfway(one, 410*time.Second), func() { f.set(); f.kill(f.members[0]); f.x.after() })
	})
	require.Equal(t, one.done, changing.done)
}
