package newsvendor

import "slices"

// table predicts by counts alone: by caller, callee and how often the same run has called that already, how often it came and when.
type table struct {
	edges [][]edge // by the mark of the caller, in the order of time
	root  int      // the mark of roots
	// certain says, by the marks of caller and callee, that each run of the caller has called it, or another in its place.
	certain [][]bool
	// groups are the slots of calls, by the marks of caller and callee; −1 where calls of one function are in several.
	groups [][]int
}

// edge is a call that a function makes.
type edge struct {
	mark, occurrence int
	probability      float64
	slot             int
	gap              Times
}

// maxExpected bounds how many invocations a trace is expected to have still.
const maxExpected = 256

// newTable counts.
func newTable(h *history) *table {
	n := len(h.app.Functions)
	type key struct{ caller, mark, occurrence int }
	gaps := map[key][]float64{}
	came := make([]int, n)
	sets := make([][]map[[2]int]bool, n) // by caller and run: what it called
	for i := range h.traces {
		t := &h.traces[i]
		calls := make([]map[[2]int]bool, len(t.marks))
		for k, m := range t.marks {
			calls[k] = map[[2]int]bool{}
			came[m]++
			p := t.parents[k]
			if p < 0 {
				continue
			}
			o := 0
			for calls[p][[2]int{m, o}] {
				o++
			}
			calls[p][[2]int{m, o}] = true
			gaps[key{t.marks[p], m, o}] = append(gaps[key{t.marks[p], m, o}], t.times[k]-t.times[p])
		}
		for k, m := range t.marks {
			sets[m] = append(sets[m], calls[k])
		}
	}
	t := &table{edges: make([][]edge, n), root: h.root}
	for k, values := range gaps {
		e := edge{mark: k.mark, occurrence: k.occurrence, probability: float64(len(values)) / float64(came[k.caller])}
		e.gap = timesOf(values)
		t.edges[k.caller] = append(t.edges[k.caller], e)
	}
	for m := range t.edges {
		slices.SortFunc(t.edges[m], func(a, b edge) int {
			switch x, y := a.gap.Mean(), b.gap.Mean(); {
			case x < y:
				return -1
			case x > y:
				return 1
			case a.mark != b.mark:
				return a.mark - b.mark
			}
			return a.occurrence - b.occurrence
		})
		t.group(m, sets[m])
		t.certain = append(t.certain, t.certainOf(m, n))
		t.groups = append(t.groups, t.groupsOf(m, n))
	}
	return t
}

// certainOf returns, by mark, whether a function is called for certain by another one.
func (t *table) certainOf(caller, marks int) []bool {
	certain, called := make([]bool, marks), make([]bool, marks)
	for _, e := range t.edges[caller] {
		total := 0.0
		for _, other := range t.edges[caller] {
			if other.slot == e.slot {
				total += other.probability
			}
		}
		always := total > 1-1e-9
		certain[e.mark] = always && (certain[e.mark] || !called[e.mark])
		called[e.mark] = true
	}
	return certain
}

// groupsOf returns, by mark, the slot of the calls of a function by another one.
func (t *table) groupsOf(caller, marks int) []int {
	groups := slices.Repeat([]int{-1}, marks)
	for i, e := range t.edges[caller] {
		groups[e.mark] = e.slot
		for _, other := range t.edges[caller][:i] {
			if other.mark == e.mark && other.slot != e.slot {
				groups[e.mark] = -1
				break
			}
		}
	}
	return groups
}

// group puts those calls of a function into one slot of which no run made two.
func (t *table) group(caller int, runs []map[[2]int]bool) {
	edges := t.edges[caller]
	slots := 0
	for i := range edges {
		edges[i].slot = -1
	}
	for i := range edges {
		if edges[i].slot >= 0 {
			continue
		}
		edges[i].slot = slots
		members := []int{i}
		for j := i + 1; j < len(edges) && edges[i].probability < 1; j++ {
			if edges[j].slot >= 0 || edges[j].probability == 1 {
				continue
			}
			apart := true
			for _, set := range runs {
				both := false
				for _, k := range members {
					both = both || set[[2]int{edges[k].mark, edges[k].occurrence}]
				}
				if both && set[[2]int{edges[j].mark, edges[j].occurrence}] {
					apart = false
					break
				}
			}
			if apart {
				edges[j].slot = slots
				members = append(members, j)
			}
		}
		slots++
	}
}

func (t *table) newFollower() follower { return &tableFollower{t: t} }

// tableFollower is a trace followed by a table.
type tableFollower struct {
	t     *table
	marks []int
	came  []tableCall
}

// tableCall is what an invocation of the trace has called: its caller, and which of the caller's edges it was, −1 for none.
type tableCall struct{ caller, edge int }

func (f *tableFollower) reset() { f.marks, f.came = f.marks[:0], f.came[:0] }

func (f *tableFollower) observe(mark, caller int, _ float64) error {
	call := tableCall{caller, -1}
	if caller >= 0 {
		occurrence := 0
		for _, c := range f.came {
			if c.caller == caller && c.edge >= 0 && f.t.edges[f.marks[caller]][c.edge].mark == mark {
				occurrence++
			}
		}
		for i, e := range f.t.edges[f.marks[caller]] {
			if e.mark == mark && e.occurrence == occurrence {
				call.edge = i
			}
		}
	}
	f.marks, f.came = append(f.marks, mark), append(f.came, call)
	return nil
}

func (f *tableFollower) expect(list []expected) []expected {
	for i, m := range f.marks {
		edges := f.t.edges[m]
		var gone uint64 // slots that are filled
		for _, c := range f.came {
			if c.caller == i && c.edge >= 0 {
				gone |= 1 << min(edges[c.edge].slot, 63)
			}
		}
		for k := range edges {
			if e := &edges[k]; gone>>min(e.slot, 63)&1 == 0 {
				list = f.add(list, e, k, i, -1, 1)
			}
		}
	}
	return list
}

// leastReach is how likely an invocation must be to come, so that what it calls is looked at: functions may call themselves.
const leastReach = 1e-3

// add appends a call, which is reached with a probability, and all that follows from it.
func (f *tableFollower) add(list []expected, e *edge, order, cause, parent int, reach float64) []expected {
	reach *= e.probability
	if len(list) >= maxExpected || reach < leastReach {
		return list
	}
	at := len(list)
	list = append(list, expected{
		mark: int32(e.mark), cause: int32(cause), parent: int32(parent), slot: int32(e.slot), order: int32(order),
		probability: e.probability, gap: e.gap,
	})
	edges := f.t.edges[e.mark]
	for k := range edges {
		list = f.add(list, &edges[k], k, -1, at, reach)
	}
	return list
}
