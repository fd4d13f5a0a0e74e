package localwhisk

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// TestMemoryExplainsColdStarts replays the recorded arrivals and ends with room for a given number of containers: an invocation without an idle
// container of its function must have been a cold start. It checks that the default MemoryMB explains nearly all recorded cold starts, and
// that more memory would not.
func TestMemoryExplainsColdStarts(t *testing.T) {
	config := DefaultConfig()
	room := config.MemoryMB / config.FunctionMemoryMB
	graphs := readGraphs(t)
	for _, tt := range []struct {
		dataset           string
		missed, surprised float64 // the maximum shares of cold starts that are not explained, and of warm starts that should be cold
	}{
		{"batched_sequence_det", 0.02, 0.13},
		{"low_sequence_rand", 0.01, 0.001}, {"low_sequence_det", 0.05, 0.001}, {"low_parallel_large_rand", 0.01, 0.001},
		{"low_fanout_large_rand", 0.05, 0.001}, {"low_tree_large_det", 0.12, 0.001},
	} {
		d := readDatasets(t, tt.dataset)[0]
		_, app, _ := strings.Cut(tt.dataset, "_")
		app, fixed := strings.CutSuffix(app, "_det")
		app = strings.TrimSuffix(app, "_rand")
		runs := busyTimes(d, graphs[app], fixed)
		for _, containers := range []int{room, room + 1, room + 4} {
			cold, missed, surprised := replay(runs, containers-config.StemCells)
			m, s := float64(missed)/float64(cold), float64(surprised)/float64(len(runs)-cold)
			t.Logf("%-24s room for %d: %.1f %% of %d cold starts not explained, %.2f %% of the warm ones expected cold", tt.dataset, containers, 100*m, cold, 100*s)
			if containers == room && (m > tt.missed || s > tt.surprised) {
				t.Errorf("%s: %.4f of the cold starts are not explained, and %.4f of the warm ones; want %v and %v", tt.dataset, m, s, tt.missed, tt.surprised)
			}
			if containers == room+1 && strings.HasPrefix(tt.dataset, "batched") && m < 0.1 {
				t.Errorf("%s: room for one more explains the cold starts as well", tt.dataset)
			}
		}
	}
}

// busyTime is the time from an invocation's arrival until its container is free again, in milliseconds.
type busyTime struct {
	function          string
	arrival, run, end int64
	cold              bool
}

func busyTimes(d *dataset, g graph, fixed bool) []busyTime {
	// What a run invokes arrives some 10 ms after its container is free again.
	const travel = 10
	var all []busyTime
	for _, tr := range d.traces {
		for name, e := range tr {
			b := busyTime{name, e.arrival, e.start(), e.start() + e.init, e.init > 0}
			if fixed {
				b.end += g[name].Duration
			}
			for _, next := range g[name].Invokes {
				if to, ok := tr[next]; ok && g.single(next) {
					b.end = max(b.end, to.arrival)
				}
			}
			b.end -= travel
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b busyTime) int {
		return cmp.Or(cmp.Compare(a.arrival, b.arrival), cmp.Compare(a.function, b.function), cmp.Compare(a.run, b.run))
	})
	return all
}

// replay places the runs on containers, with room for the given number of them. It returns how many runs were recorded as cold, how many of those
// find an idle container, and how many of the others do not.
func replay(runs []busyTime, room int) (cold, missed, surprised int) {
	var busy, idle []busyTime // by their ends, idle by the starts of their runs
	for _, r := range runs {
		for len(busy) > 0 && busy[0].end <= r.arrival {
			i, _ := slices.BinarySearchFunc(idle, busy[0], func(a, b busyTime) int { return cmp.Compare(a.run, b.run) })
			idle = slices.Insert(idle, i, busy[0])
			busy = busy[1:]
		}
		found := -1
		for i, c := range idle {
			if c.function == r.function && (found < 0 || c.end > idle[found].end) {
				found = i
			}
		}
		switch {
		case r.cold && found >= 0:
			cold++
			missed++
		case r.cold:
			cold++
		case found < 0:
			surprised++
		}
		if !r.cold && found >= 0 {
			idle = slices.Delete(idle, found, found+1)
		} else if len(idle) > 0 && len(idle)+len(busy) >= room {
			idle = slices.Delete(idle, 0, 1)
		}
		i, _ := slices.BinarySearchFunc(busy, r, func(a, b busyTime) int { return cmp.Compare(a.end, b.end) })
		busy = slices.Insert(busy, i, r)
	}
	return cold, missed, surprised
}
