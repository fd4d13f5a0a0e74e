package localwhisk

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSharing checks how long jobs take that share the capacity.
func TestSharing(t *testing.T) {
	const second = time.Second
	type job struct{ at, work, took time.Duration }
	for _, tt := range []struct {
		name     string
		capacity float64
		jobs     []job
	}{
		{"alone", 2, []job{{0, 3 * second, 3 * second}}},
		{"as many as there is room for", 2, []job{{0, 3 * second, 3 * second}, {0, 5 * second, 5 * second}}},
		{"twice as many", 2, []job{{0, 3 * second, 6 * second}, {0, 3 * second, 6 * second}, {0, 3 * second, 6 * second}, {0, 3 * second, 6 * second}}},
		{"one that comes later slows both down", 1, []job{{0, 3 * second, 4 * second}, {2 * second, second, 2 * second}}},
		{"who has the room for itself again is fast again", 1, []job{{0, second, 2 * second}, {0, 3 * second, 4 * second}}},
		{"no limit", 0, []job{{0, 3 * second, 3 * second}, {0, 3 * second, 3 * second}, {0, 3 * second, 3 * second}}},
		{"nothing to do", 1, []job{{0, 0, 0}, {second, 0, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := NewVirtualClock(epoch)
			s := processorSharing{clock: clock, capacity: tt.capacity}
			over := 0
			for i, j := range tt.jobs {
				clock.AfterFunc(j.at, func() {
					s.add(j.work, func(took time.Duration) {
						over++
						if took.Round(time.Microsecond) != j.took {
							t.Errorf("job %d took %v, want %v", i, took, j.took)
						}
					})
				})
			}
			if err := clock.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			if over != len(tt.jobs) {
				t.Errorf("%d of %d jobs are over", over, len(tt.jobs))
			}
		})
	}
}

// TestSharingIsWorkConserving checks that the whole capacity is used while there are enough jobs.
func TestSharingIsWorkConserving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 5).Draw(t, "capacity")
		work := rapid.SliceOfN(rapid.IntRange(0, 5000), capacity, 40).Draw(t, "work")
		clock := NewVirtualClock(epoch)
		s := processorSharing{clock: clock, capacity: float64(capacity)}
		took := make([]time.Duration, len(work))
		sum := time.Duration(0)
		for i, w := range work {
			d := time.Duration(w) * time.Millisecond
			sum += d
			s.add(d, func(t time.Duration) { took[i] = t })
		}
		if err := clock.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		longest, least := clock.Now().Sub(epoch), sum/time.Duration(capacity)
		if longest < least-time.Microsecond {
			t.Errorf("all was done in %v, and takes at least %v", longest, least)
		}
		for i, w := range work {
			for j, v := range work {
				if w < v && took[i] > took[j] {
					t.Errorf("work of %d ms took %v, work of %d ms %v", w, took[i], v, took[j])
				}
			}
		}
		// While all jobs are running they have equal shares: the first ends after its work times the number of jobs per capacity.
		first := slices.Min(work)
		want := time.Duration(first) * time.Millisecond * time.Duration(len(work)) / time.Duration(capacity)
		if got := slices.Min(took); got > want+time.Microsecond || got < want-time.Microsecond {
			t.Errorf("the first was over after %v, want %v", got, want)
		}
	})
}

// TestCreationsUnderLoad simulates the creations of the recordings of low loads, at the recorded times, and compares how long they take. A creation
// when memory is full evicts another container.
func TestCreationsUnderLoad(t *testing.T) {
	config := DefaultConfig()
	room := config.MemoryMB/config.FunctionMemoryMB - config.StemCells
	for _, d := range readDatasets(t, complete...) {
		if strings.HasPrefix(d.name, "batched") {
			continue
		}
		type request struct{ at, wait int64 }
		var requests []request
		for _, tr := range d.traces {
			for _, e := range tr {
				if e.init > 0 {
					requests = append(requests, request{e.arrival, e.wait})
				}
			}
		}
		slices.SortFunc(requests, func(a, b request) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.wait, b.wait)) })
		begin := time.UnixMilli(requests[0].at)
		clock := NewVirtualClock(begin)
		s := newSimulation(clock, config, 1)
		rng := rand.New(rand.NewPCG(1, 2))
		var recorded, ours float64
		n := 0
		for i, r := range requests {
			clock.AfterFunc(time.UnixMilli(r.at).Sub(begin), func() {
				if i >= room {
					s.Remove(nil)
				}
				// A stem cell that was taken is replaced.
				s.Create(nil, 0, func(error) {
					if r.wait > fromStemCell {
						n++
						recorded += float64(r.wait)
						ours += float64((clock.Now().Sub(time.UnixMilli(r.at)) + config.Dispatch.draw(rng, 0)).Milliseconds())
					}
				})
			})
		}
		if err := clock.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		recorded, ours = recorded/float64(n), ours/float64(n)
		t.Logf("%-24s %4d creations: mean wait recorded %5.0f ms, ours %5.0f ms", d.name, n, recorded, ours)
		if ours < recorded/1.25 || ours > recorded*1.25 {
			t.Errorf("%s: a creation takes %.0f ms, recorded were %.0f", d.name, ours, recorded)
		}
	}
}

// TestCreationsInBursts compares how many containers a second are created in bursts, with the recordings.
func TestCreationsInBursts(t *testing.T) {
	d := readDatasets(t, "batched_sequence_det")[0]
	created, seconds := 0, 0
	for at := d.starts[0]; at < d.ends[len(d.ends)-1]; at += 1000 {
		if d.creating(at) < 30 {
			continue
		}
		from, _ := slices.BinarySearch(d.ends, at)
		to, _ := slices.BinarySearch(d.ends, at+1000)
		created += to - from
		seconds++
	}
	recorded := float64(created) / float64(seconds)

	config := DefaultConfig()
	const requests = 2000
	clock := NewVirtualClock(epoch)
	s := newSimulation(clock, config, 1)
	for range requests {
		s.Remove(nil)
		s.Create(nil, 0, func(error) {})
	}
	if err := clock.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	ours := requests / clock.Now().Sub(epoch).Seconds()
	t.Logf("in %d s with more than 30 creations at once %.2f a second were recorded, ours are %.2f", seconds, recorded, ours)
	if ours < recorded/1.15 || ours > recorded*1.15 {
		t.Errorf("%.2f creations a second, recorded were %.2f", ours, recorded)
	}
}
