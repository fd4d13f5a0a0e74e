package share

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLeavesWhileItWarms has an instance that has asked for containers lose the partition before it has read that: the heir asks for them once the newsvendor asks again, and what all
// count together is what was started.
func TestLeavesWhileItWarms(t *testing.T) {
	handed := ""
	var at time.Duration
	var g *together
	x := run(t, 2, 4, func(m *memory) {
		g = m.g
		m.whenWritten(time.Minute, isAsked, func(function string, p int, _ *instance) {
			handed, at = function, m.g.x.now()
			m.assignDemands(p, m.g.add("heir"))
		})
	})
	counted, started, first := uint64(0), 0, time.Duration(-1)
	for _, i := range g.instances {
		counted += i.deciders.State().Totals.Warmups
	}
	for _, d := range x.done {
		started += d.n
		if d.function == handed && d.at >= at && first < 0 {
			first = d.at
		}
	}
	require.NotEmpty(t, handed)
	require.EqualValues(t, started, counted)
	require.LessOrEqual(t, first-at, answered+10*time.Millisecond)
	require.GreaterOrEqual(t, first, at)
}
