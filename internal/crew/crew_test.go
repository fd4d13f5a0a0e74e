package crew

import (
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEveryItemOnce runs many loops of changing sizes on one crew: each item is worked on once, by a member of the crew,
// and Run returns after the last.
func TestEveryItemOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New(rapid.IntRange(0, 5).Draw(t, "members"))
		defer c.Close()
		for range rapid.IntRange(0, 50).Draw(t, "loops") {
			n := rapid.IntRange(0, 20).Draw(t, "items")
			counts := make([]int, n) // without atomics: an item worked on twice is a race too
			busy := make([]atomic.Bool, c.Members())
			c.Run(n, func(member, item int) {
				if !busy[member].CompareAndSwap(false, true) {
					t.Errorf("member %d works on two items at once", member)
				}
				counts[item]++
				busy[member].Store(false)
			})
			for item, count := range counts {
				if count != 1 {
					t.Fatalf("item %d of %d was worked on %d times", item, n, count)
				}
			}
		}
	})
}

func TestMoreItemsThanALoopHolds(t *testing.T) {
	c := New(3)
	defer c.Close()
	n := 3*maxItems + 5
	counts := make([]atomic.Int32, n)
	c.Run(n, func(_, item int) { counts[item].Add(1) })
	for item := range counts {
		if got := counts[item].Load(); got != 1 {
			t.Fatalf("item %d was worked on %d times", item, got)
		}
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	c := New(2)
	defer c.Close()
	var sum atomic.Int64
	work := func(_, item int) { sum.Add(int64(item)) }
	if n := testing.AllocsPerRun(100, func() { c.Run(8, work) }); n != 0 {
		t.Errorf("%v allocations a loop", n)
	}
}

// BenchmarkRun is what a loop of nothing costs.
func BenchmarkRun(b *testing.B) {
	c := New(2)
	defer c.Close()
	work := func(_, _ int) {}
	for b.Loop() {
		c.Run(4, work)
	}
}
