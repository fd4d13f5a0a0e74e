package share

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
)

// run runs a world that n instances share, with topics in memory. What changes meanwhile does the last parameter.
func run(t *testing.T, n, partitions int, change func(m *memory)) *world {
	t.Helper()
	x := newWorld(t, "tree_small", "poisson:1200", 20, 1)
	g := newTogether(x)
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
	for n := 2; n <= 6; n++ {
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

// TestHeirsGoOn checks that who gets a partition goes on exactly as who had it before would have: instances join, leave and die in the middle of requests.
func TestHeirsGoOn(t *testing.T) {
	want := run(t, 1, 3, nil).done
	// A moment at which nothing is under way: what becomes of a command dies with who has sent it.
	for _, between := range []int{3, 40, 41, 77} {
		at := (want[between].at + want[between+1].at) / 2
		for name, change := range map[string]func(m *memory){
			"joins": func(m *memory) {
				heir := m.g.add("new")
				m.assignDemands(1, heir)
				m.pump()
			},
			"leaves": func(m *memory) {
				heir := m.g.add("new")
				for p := range m.demandsOf {
					m.assignDemands(p, heir)
				}
				m.pump()
			},
		} {
			t.Run(fmt.Sprint(name, " after ", between), func(t *testing.T) {
				x := run(t, 2, 3, func(m *memory) {
					m.g.x.clock.AfterFunc(at, func() { change(m); m.g.x.after() })
				})
				for i := range want {
					if i < len(x.done) && want[i] != x.done[i] {
						t.Logf("%d: %v, want %v", i, x.done[i], want[i])
						break
					}
				}
				require.Equal(t, byFunction(want), byFunction(x.done))
				require.True(t, slices.Equal(want, x.done))
			})
		}
	}
	_ = time.Second
}
