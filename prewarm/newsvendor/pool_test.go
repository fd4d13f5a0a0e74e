package newsvendor

import (
	"testing"

	"pgregory.net/rapid"
)

// TestPool grows lists and gives them back, in any order: they keep what they hold, no two share memory, and of what is free no more is kept than may be.
func TestPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := pool[int]{most: 40}
		lists := make([][]int, 5)
		number := 0
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				i := rapid.IntRange(0, len(lists)-1).Draw(t, "list")
				for range rapid.IntRange(1, 9).Draw(t, "elements") {
					number++
					lists[i] = append(p.grow(lists[i], len(lists[i])+1), number)
				}
			},
			"give": func(t *rapid.T) {
				i := rapid.IntRange(0, len(lists)-1).Draw(t, "list")
				p.give(lists[i])
				lists[i] = nil
			},
			"": func(t *rapid.T) {
				seen := map[int]bool{}
				for _, list := range lists {
					for i, v := range list {
						if v == 0 || seen[v] || i > 0 && v <= list[i-1] {
							t.Fatalf("the lists are %v", lists)
						}
						seen[v] = true
					}
				}
				kept := 0
				for _, free := range p.free {
					for _, list := range free {
						kept += cap(list)
					}
				}
				if kept != p.kept || kept > p.most {
					t.Fatalf("%d elements are free, it counts %d of at most %d", kept, p.kept, p.most)
				}
			},
		})
	})
}

// TestPoolGivesOutWhatItHas grows and gives back without an allocation.
func TestPoolGivesOutWhatItHas(t *testing.T) {
	p := pool[int]{most: 1000}
	use := func() {
		var list []int
		for i := range 100 {
			list = append(p.grow(list, i+1), i)
		}
		p.give(list)
	}
	use()
	if n := testing.AllocsPerRun(10, use); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
