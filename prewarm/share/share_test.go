package share

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// run runs a world that n instances share, with topics in memory. What changes meanwhile does the last parameter.
func run(t *testing.T, n, partitions int, change func(m *memory)) *world {
	t.Helper()
	return runIn(t, newWorld(t, "tree_small", "poisson:1200", 20, 1), Limits{}, n, partitions, change)
}

// runIn is run in a world, under limits.
func runIn(t *testing.T, x *world, limits Limits, n, partitions int, change func(m *memory)) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("much work in one goroutine")
	}
	g := newTogether(x)
	g.limits = limits
	m := newMemory(g, partitions)
	g.logs, x.works = m, g
	for i := range n {
		g.add(fmt.Sprint("instance-", i))
	}
	m.share()
	if change != nil {
		change(m)
	}
	x.run()
	return x
}

// TestSeveralAreAsOne checks that instances decide together what one of them does, to the nanosecond, and about what a controller does that has no log.
func TestSeveralAreAsOne(t *testing.T) {
	const partitions = 5
	one := run(t, 1, partitions, nil)
	for _, n := range []int{2, 3, 6} {
		several := run(t, n, partitions, nil)
		require.Equal(t, one.done, several.done, n)
		require.Equal(t, one.starts, several.starts, n)
	}
	x := newWorld(t, "tree_small", "poisson:1200", 20, 1)
	x.works = newAlone(x)
	x.run()
	require.Greater(t, len(x.done), 100)
	require.Equal(t, byFunction(x.done), byFunction(one.done), "containers that were warmed")
	require.Equal(t, x.starts[localwhisk.Cold], one.starts[localwhisk.Cold])
	require.InDelta(t, x.starts[localwhisk.Late], one.starts[localwhisk.Late], 4)
}

// byFunction returns how many containers were warmed of each function.
func byFunction(all []done) map[string]int {
	n := map[string]int{}
	for _, d := range all {
		n[d.function] += d.n
	}
	return n
}

// inherit gives all partitions of demands to a new instance, which reads them.
func (m *memory) inherit(name string) (heir *instance) {
	heir = m.g.add(name)
	for p := range m.demandsOf {
		m.assignDemands(p, heir)
	}
	m.pump()
	return heir
}

// whenWritten calls do, in place of reading on, when a message is written first from a time on that is like this, in a partition by an instance.
func (m *memory) whenWritten(from prewarm.Time, like func(message *Message) bool, do func(function string, p int, by *instance)) {
	m.written = func(p int, r *Record) {
		message, err := Parse(r.Value)
		if err != nil || !like(message) || m.g.x.now() < from {
			return
		}
		by := m.demandsOf[p]
		m.written, m.demandsOf[p] = nil, nil
		m.g.x.clock.AfterFunc(0, func() {
			m.demandsOf[p] = by
			do(r.Key, p, by)
			m.pump()
			m.g.x.after()
		})
	}
}

// isRenewal and isAsked report whether a renewal, or containers, are asked for.
func isRenewal(message *Message) bool { return message.Renewal != nil }
func isAsked(message *Message) bool   { return message.Asked != nil }

// TestHeirsGoOn checks that who gets a partition of demands decides exactly as who had it before would have, also in the middle of requests, while containers start.
func TestHeirsGoOn(t *testing.T) {
	want := run(t, 1, 3, nil).done
	for _, between := range []int{3, 41, 77} {
		at := (want[between].at + want[between+1].at) / 2
		x := run(t, 2, 3, func(m *memory) {
			m.g.x.clock.AfterFunc(at, func() {
				m.inherit("new")
				m.g.x.after()
			})
		})
		require.Equal(t, want, x.done)
	}
}

// TestDeath kills an instance in the middle of a request, of which a part is written twice, and gives what it had to others after ten seconds. Those know its
// containers: no function is warmed twice for one request, and after the outage everything is as if nothing had been.
func TestDeath(t *testing.T) {
	undisturbed := run(t, 3, 5, nil)
	for _, between := range []int{3, 41, 77} {
		at := (undisturbed.done[between].at + undisturbed.done[between+1].at) / 2
		x := run(t, 3, 5, func(m *memory) {
			m.rebuild = 15 * time.Minute
			m.g.x.clock.AfterFunc(at, func() {
				m.g.instances[1].dead = true
				m.g.x.after()
			})
			m.g.x.clock.AfterFunc(at+10*time.Second, func() {
				for p, i := range m.tracesOf {
					if i.dead {
						for k := 0; k < 3 && m.tracesAt[p] > 0 && m.traces[p][m.tracesAt[p]-1].at.Sub(virtualEpoch) > at-10*time.Second; k++ {
							m.tracesAt[p]-- // it has not committed that
						}
					}
				}
				m.share()
				m.g.x.after()
			})
		})
		for _, perFunction := range perRequest(x) {
			for function, n := range perFunction {
				require.Equal(t, 1, n, "%s at %v", function, at)
			}
		}
		outage := func(all []done) (outside []done) {
			for _, d := range all {
				if d.at < at-time.Minute || d.at > at+20*time.Minute {
					outside = append(outside, d)
				}
			}
			return outside
		}
		require.Equal(t, byFunction(outage(undisturbed.done)), byFunction(outage(x.done)))
		require.LessOrEqual(t, x.starts[localwhisk.Cold], undisturbed.starts[localwhisk.Cold]+10)
	}
}

// TestStopped stops an instance in the middle of a request, so that others have its part after ten seconds, and has it go on in the middle of another one, as if it still had all
// that it had, until it is told. It reads what was written meanwhile, and tells what it expects, which has come; no function is warmed twice for a request.
func TestStopped(t *testing.T) {
	undisturbed := run(t, 3, 5, nil)
	halt := (undisturbed.done[19].at + undisturbed.done[20].at) / 2
	wake := undisturbed.done[27].at + 2750*time.Millisecond // when what it reads last has told of calls that have come since
	for which := range 3 {
		x := run(t, 3, 5, func(m *memory) {
			i := m.g.instances[which]
			m.g.x.clock.AfterFunc(halt, func() { m.halt(i); m.g.x.after() })
			m.g.x.clock.AfterFunc(halt+10*time.Second, func() { m.share(); m.g.x.after() })
			m.g.x.clock.AfterFunc(wake, func() { m.wake(); i.predictors.Pass(wake); i.deciders.Pass(wake); m.pump(); m.g.x.after() })
			m.g.x.clock.AfterFunc(wake+2*time.Second, func() { m.lose(); m.share(); m.g.x.after() })
		})
		for at, perFunction := range perRequest(x) {
			for function, n := range perFunction {
				require.Equal(t, 1, n, "%s at %v, instance %d", function, at, which)
			}
		}
		require.InDelta(t, len(undisturbed.done), len(x.done), 10)
	}
}

// perRequest returns how many containers of each function were warmed for each request: those of one minute.
func perRequest(x *world) map[time.Duration]map[string]int {
	all := map[time.Duration]map[string]int{}
	begun := time.Duration(-1)
	for _, d := range x.done {
		if begun < 0 || d.at-begun > time.Minute {
			begun = d.at
			all[begun] = map[string]int{}
		}
		all[begun][d.function] += d.n
	}
	return all
}

// TestOutage has the logs away for 18 s in the middle of a request. When they are there again, what was written before comes in pieces, so that what is known is
// old at first: nothing is warmed for what has run meanwhile.
func TestOutage(t *testing.T) {
	undisturbed := run(t, 3, 5, nil)
	for _, between := range []int{3, 41, 77} {
		at := (undisturbed.done[between].at + undisturbed.done[between+1].at) / 2
		for share := range 4 {
			again := at + 18*time.Second
			x := run(t, 3, 5, func(m *memory) {
				m.g.x.clock.AfterFunc(at, func() { m.away = true })
				m.g.x.clock.AfterFunc(18*time.Second+at, func() { m.back(len(m.heldSpans)*share/4, []int{len(m.heldWrites), 5, 20, 0}[share]) })
			})
			for _, d := range x.done {
				require.False(t, d.at >= again && d.at < again+time.Minute, "%v, of an outage at %v %d", d, at, share)
			}
			require.Equal(t, 20*len(x.workload.Functions), x.starts[localwhisk.Warm]+x.starts[localwhisk.Late]+x.starts[localwhisk.Cold])
			require.LessOrEqual(t, x.starts[localwhisk.Cold], undisturbed.starts[localwhisk.Cold]+10)
		}
	}
}

// TestFence checks that one that has lost a partition, and does not know it, acts no more from the moment on at which another has claimed it.
func TestFence(t *testing.T) {
	undisturbed := run(t, 1, 1, nil)
	at := (undisturbed.done[3].at + undisturbed.done[4].at) / 2
	var stale, heir *instance
	x := run(t, 1, 1, func(m *memory) {
		stale = m.g.instances[0]
		m.g.x.clock.AfterFunc(at, func() {
			heir = m.g.add("heir")
			m.demandsOf[0] = heir
			m.demandsAt[0] = 0
			require.NoError(t, heir.deciders.Assign(0))
			m.stale, m.staleAt = stale, len(m.demands[0])-1 // it goes on reading, and would go on deciding
			m.pump()
			m.g.x.after()
		})
	})
	require.Equal(t, undisturbed.done, x.done)
	_, rebuilding := stale.deciders.Partitions()
	require.Equal(t, []int32{0}, rebuilding, "it follows")
	_, rebuilding = heir.deciders.Partitions()
	require.Empty(t, rebuilding)
}

// fuzzed returns deciders of one function that have a partition.
func fuzzed(t *testing.T) *Deciders {
	t.Helper()
	d, err := NewDeciders(Options{
		Epoch: virtualEpoch, Price: 2560, Platform: whisk, Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}, Emit: func(Record) {},
	}, controller.Options{Act: true}, "x")
	require.NoError(t, err)
	require.NoError(t, d.Assign(0))
	return d
}
