package workers

import (
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEveryItemOnce checks that, in many loops of changing sizes on one pool, each item is processed once by a worker of the
// pool, and Run returns after the last.
func TestEveryItemOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := New(rapid.IntRange(0, 5).Draw(t, "workers"))
		defer p.Close()
		for range rapid.IntRange(0, 50).Draw(t, "loops") {
			n := rapid.IntRange(0, 100).Draw(t, "items")
			counts := make([]int, n) // without atomics: an item worked on twice is a race too
			busy := make([]atomic.Bool, p.Size())
			p.Run(n, func(worker, item int) {
				if !busy[worker].CompareAndSwap(false, true) {
					t.Errorf("worker %d works on two items at once", worker)
				}
				counts[item]++
				busy[worker].Store(false)
			})
			for item, count := range counts {
				if count != 1 {
					t.Fatalf("item %d of %d was worked on %d times", item, n, count)
				}
			}
		}
	})
}

func TestMoreItemsThanParts(t *testing.T) {
	p := New(3)
	defer p.Close()
	n := 300*maxParts + 5
	counts := make([]atomic.Int32, n)
	p.Run(n, func(_, item int) { counts[item].Add(1) })
	for item := range counts {
		if got := counts[item].Load(); got != 1 {
			t.Fatalf("item %d was worked on %d times", item, got)
		}
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	p := New(2)
	defer p.Close()
	var sum atomic.Int64
	work := func(_, item int) { sum.Add(int64(item)) }
	if n := testing.AllocsPerRun(100, func() { p.Run(8, work) }); n != 0 {
		t.Errorf("%v allocations a loop", n)
	}
}

// BenchmarkRun measures the overhead of a loop whose items do nothing.
func BenchmarkRun(b *testing.B) {
	p := New(2)
	defer p.Close()
	work := func(_, _ int) {}
	for b.Loop() {
		p.Run(4, work)
	}
}
