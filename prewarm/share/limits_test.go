package share

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// TestLimits checks that what all instances together have asked for is never more than the limits, while one joins and one dies, and that several decide what one does under
// the same limits.
func TestLimits(t *testing.T) {
	free := run(t, 1, 5, nil)
	t.Logf("without limits: %+v, %v", free.most, free.starts)
	for name, c := range map[string]struct {
		limits Limits
		want   controller.Standing
	}{
		"containers": {Limits{Containers: 6}, controller.Standing{Containers: 6}},
		"memory":     {Limits{MemoryMB: 1300}, controller.Standing{MemoryMB: 1280}},
		"in flight":  {Limits{InFlight: 3}, controller.Standing{Starting: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within := func(most controller.Standing) {
				t.Helper()
				if c.want.Containers > 0 {
					require.Equal(t, c.want.Containers, most.Containers)
				}
				if c.want.MemoryMB > 0 {
					require.Equal(t, c.want.MemoryMB, most.MemoryMB)
				}
				if c.want.Starting > 0 {
					require.Equal(t, c.want.Starting, most.Starting)
				}
			}
			limited := func(n int, change func(m *memory)) *world {
				x := newWorld(t, "tree_small", "poisson:1200", 20, 1)
				g := newTogether(x)
				g.limits = c.limits
				m := newMemory(g, 5)
				g.logs, x.works = m, g
				for i := range n {
					g.add(fmt.Sprint("instance-", i))
				}
				m.share()
				if change != nil {
					change(m)
				}
				x.run()
				t.Logf("%d: %d warmed, %+v, %v", n, len(x.done), x.most, x.starts)
				return x
			}
			one := limited(1, nil)
			within(one.most)
			three := limited(3, nil)
			within(three.most)
			require.Equal(t, one.done, three.done)
			require.Equal(t, one.starts, three.starts)
			at := (free.done[41].at + free.done[42].at) / 2
			changing := limited(2, func(m *memory) {
				m.rebuild = 15 * time.Minute
				m.g.x.clock.AfterFunc(at, func() {
					m.g.add("joined")
					m.share()
					m.g.x.after()
				})
				m.g.x.clock.AfterFunc(at+time.Second, func() {
					m.g.instances[0].dead = true
					m.g.x.after()
				})
				m.g.x.clock.AfterFunc(at+11*time.Second, func() {
					m.share()
					m.g.x.after()
				})
			})
			within(changing.most)
		})
	}
}

// TestKafkaLimits checks the same with Kafka, of whose topic of supplies only one partition is in an order for all.
func TestKafkaLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("instances with topics in kfake run in TestKafkaSeveralAreAsOne")
	}
	const most = 5
	x := newWorld(t, "tree_small", "poisson:1200", 6, 1)
	f := newFake(t, x)
	f.limits = Limits{Containers: most, PerFunction: 1, InFlight: 4}
	f.add("first")
	f.add("second")
	warmed := 0
	next := func() bool { // whether a container was warmed since
		before := warmed
		warmed = len(x.done)
		return warmed > before
	}
	steps := []func(){func() { f.add("joined") }, func() { f.kill(f.members[0]) }, func() { f.kill(f.members[1]) }}
	var step func()
	step = func() {
		if next() && warmed > 5 && len(steps) > 0 { // in the middle of a request
			do := steps[0]
			steps = steps[1:]
			f.set()
			do()
			f.x.after()
		}
		x.clock.AfterFunc(2*time.Second, step)
	}
	x.clock.AfterFunc(time.Second, step)
	x.run()
	require.Empty(t, steps)
	require.Greater(t, len(x.done), 20)
	require.Equal(t, most, x.most.Containers)
	require.LessOrEqual(t, x.most.Starting, 4)
}

// TestStatedStands checks of what was stated of a partition that the later claim counts, and that it is void in the end, whatever its time is.
func TestStatedStands(t *testing.T) {
	d, err := NewDeciders(Options{Epoch: virtualEpoch, Price: 2560, Platform: whisk, Limits: Limits{Containers: 10, MemoryMB: 2048}, Emit: func(Record) {}}, controller.Options{Act: true}, "x")
	require.NoError(t, err)
	room := func(n, memoryMB int) int {
		n, _ = d.room(0, controller.Standing{Containers: 2, MemoryMB: 512}, n, 0, memoryMB)
		return n
	}
	state := func(at prewarm.Time, claim int64, containers int) {
		d.Stand(time.Hour, &Message{At: virtualEpoch.Add(at).UnixNano(), Standing: &Standing{Partition: 7, Owner: "y", Claim: claim, Containers: containers}})
	}
	require.Equal(t, 8, room(9, 128))
	require.Equal(t, 6, room(9, 256), "memory")
	state(time.Hour, 5, 3)
	require.Equal(t, 5, room(9, 128))
	state(time.Hour, 4, 9)
	require.Equal(t, 5, room(9, 128), "it has lost the partition")
	state(1000*time.Hour, 6, 1e9)
	require.Zero(t, room(9, 128))
	d.Pass(time.Hour + d.holds())
	require.Equal(t, 8, room(9, 128))
}
