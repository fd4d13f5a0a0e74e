package share

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// run runs a world that n instances share.
func run(t *testing.T, n, partitions int, app, load string, requests int, seed uint64) *world {
	x := newWorld(t, app, load, requests, seed)
	g := newTogether(x)
	m := newMemory(g, partitions)
	g.logs = m
	x.works = g
	for i := range n {
		g.add(fmt.Sprint("instance-", i))
	}
	m.share()
	x.run()
	return x
}

func TestTogetherAsOne(t *testing.T) {
	x := newWorld(t, "tree_small", "poisson:1200", 20, 1)
	x.works = newAlone(x)
	x.run()
	t.Logf("alone: %v %d %v", x.starts, len(x.done), x.done[:min(len(x.done), 30)])
	one := run(t, 1, 4, "tree_small", "poisson:1200", 20, 1)
	t.Logf("one: %v %d %v", one.starts, len(one.done), one.done[:min(len(one.done), 30)])
	for _, n := range []int{2, 3, 4} {
		several := run(t, n, 4, "tree_small", "poisson:1200", 20, 1)
		require.Equal(t, one.done, several.done)
		require.Equal(t, one.starts, several.starts)
	}
}
