package newsvendor

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm"
)

// TestDemandsAreThoseOfAMap adds and removes demands of traces, of what is foreseen, and runs, in any order, and compares a decider's lists, and the
// counts in its ring, with those of plain maps.
func TestDemandsAreThoseOfAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Price: 2304, Functions: []prewarm.Function{{Name: "f", MemoryMB: 256}}}
		d := newDecider(0, o.Functions[0].MemoryMB, o.Price, o.Platform, prewarm.NewStartTimes(1), &work{})
		d.busy = timesBetween(0.5, 3)
		now := 0.0
		inFlight, foreseen, runs := map[prewarm.ID][]Demand{}, map[uint32][]Demand{}, map[prewarm.ID]float64{}
		number := uint32(0) // makes demands differ
		var ends ringEnds
		draw := func(t *rapid.T, trace prewarm.ID) Demand {
			number++
			from := now + rapid.Float64Range(-2, 12).Draw(t, "from")
			return Demand{
				Trace: trace, Key: number, Probability: rapid.Float64Range(0.05, 1).Draw(t, "probability"),
				Times: timesBetween(from, from+rapid.Float64Range(0.1, 4).Draw(t, "width")), Busy: rapid.Float64Range(0, 3).Draw(t, "busy"),
			}
		}
		traces, containers := rapid.Uint64Range(1, 6), rapid.Uint64Range(1, 4)
		foresee := func(t *rapid.T) {
			v := draw(t, 0)
			v.Key = uint32(rapid.IntRange(0, 3).Draw(t, "key"))
			v.Notice = rapid.Float64Range(0, 4).Draw(t, "notice")
			foreseen[v.Key] = append(foreseen[v.Key], v)
			d.foresee(&v)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				trace := prewarm.ID(traces.Draw(t, "trace"))
				for range rapid.IntRange(1, 4).Draw(t, "demands") {
					v := draw(t, trace)
					inFlight[trace] = append(inFlight[trace], v)
					d.add(&v)
					ends.set(d, v.Key)
				}
			},
			"remove": func(t *rapid.T) {
				trace := prewarm.ID(traces.Draw(t, "trace"))
				if _, want := inFlight[trace]; d.remove(trace) != want {
					t.Fatalf("trace %d had demands: %v", trace, want)
				}
				delete(inFlight, trace)
			},
			"foresee": foresee,
			"came": func(t *rapid.T) {
				key := uint32(rapid.IntRange(0, 3).Draw(t, "key"))
				d.came(key)
				delete(foreseen, key)
			},
			"forget": func(t *rapid.T) {
				d.forget(0)
				clear(foreseen)
				foresee(t)
			},
			"begin": func(t *rapid.T) {
				c := prewarm.ID(containers.Draw(t, "container"))
				runs[c] = now + rapid.Float64Range(-1, 1).Draw(t, "began")
				d.begin(c, runs[c])
				ends.set(d, c)
			},
			"finish": func(t *rapid.T) {
				c := prewarm.ID(containers.Draw(t, "container"))
				d.finish(c)
				delete(runs, c)
			},
			"count": func(t *rapid.T) {
				now += rapid.Float64Range(0, 2).Draw(t, "seconds")
				d.count(now)
			},
			"": func(t *rapid.T) {
				ends.update(d)
				checkDemands(t, d, inFlight, foreseen, runs, &ends)
			},
		})
	})
}

// ringEnds are the ends of the ring when each was added to it: by the key of a demand of a trace, and by container.
type ringEnds struct {
	ringed bool
	begin  int64 // the end of the ring when it came into use, for all that was there
	later  map[any]int64
}

// set notes what was added.
func (r *ringEnds) set(d *decider, key any) {
	if d.ringed {
		r.later[key] = d.ring.first + bins
	}
}

// update notes that the ring has come into use.
func (r *ringEnds) update(d *decider) {
	if d.ringed && !r.ringed {
		r.begin, r.later = d.ring.first+bins, map[any]int64{}
	}
	r.ringed = d.ringed
}

func (r *ringEnds) of(key any) int64 {
	if end, ok := r.later[key]; ok {
		return end
	}
	return r.begin
}

// checkDemands compares what a decider knows with what it should.
func checkDemands(t *rapid.T, d *decider, inFlight map[prewarm.ID][]Demand, foreseen map[uint32][]Demand, runs map[prewarm.ID]float64, ends *ringEnds) {
	left := len(d.entries)
	for trace, want := range inFlight {
		var got []Demand
		for at, _ := d.heads.Get(trace); at >= 0 && len(got) <= len(want); at = d.entries[at].next {
			got = append(got, d.entries[at].Demand)
		}
		slices.SortFunc(got, func(a, b Demand) int { return cmp.Compare(a.Key, b.Key) })
		if !slices.Equal(got, want) {
			t.Fatalf("the demands of trace %d are %v, want %v", trace, got, want)
		}
		left -= len(got)
	}
	if left != 0 || d.heads.Len() != len(inFlight) {
		t.Fatalf("%d demands are of no trace; there are %d traces, want %d", left, d.heads.Len(), len(inFlight))
	}
	order := func(a, b Demand) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Times[0], b.Times[0])) }
	got, want := slices.SortedFunc(slices.Values(d.foreseen), order), slices.SortedFunc(slices.Values(slices.Concat(slices.Collect(maps.Values(foreseen))...)), order)
	if !slices.Equal(got, want) {
		t.Fatalf("foreseen are %v, want %v", got, want)
	}
	if len(d.runs.list) != len(runs) {
		t.Fatalf("there are %d runs, want %d", len(d.runs.list), len(runs))
	}
	if !d.ringed {
		return
	}
	r := ring{first: d.ring.first}
	for i := range d.entries {
		e := &d.entries[i]
		r.add(e.Probability, &e.Times, e.Busy, ends.of(e.Key), 1)
	}
	for c, began := range runs {
		r.run(began, &d.busy, ends.of(c), 1)
	}
	for i := range bins {
		if !near(d.ring.arriving[i], r.arriving[i]) || !nearCumulants(d.ring.needed[i], r.needed[i]) {
			t.Fatalf("bin %d has %v arriving, %+v needed, want %v and %+v", i, d.ring.arriving[i], d.ring.needed[i], r.arriving[i], r.needed[i])
		}
	}
	const notice = 2
	d.ring.foresee(d.foreseen, notice)
	var late, all counts
	for i := range d.foreseen {
		v := &d.foreseen[i]
		all.add(d.ring.first, v.Probability, &v.Times, v.Busy, d.ring.foreseenEnd, 1)
		if v.Notice < notice {
			late.add(d.ring.first, v.Probability, &v.Times, v.Busy, d.ring.foreseenEnd, 1)
		}
	}
	for b := d.ring.first; b < d.ring.end(); b++ {
		i, before := place(b), place(max(b-1, d.ring.first))
		for k, c := range []*counts{&late, &all} {
			arriving, needed := d.ring.arrivingAt(b, k == 1), d.ring.tailBefore(b, k == 1).of
			want := r.needed[before]
			if b < d.ring.foreseenEnd {
				want.sum(&c.needed[before])
			}
			if !near(arriving, r.arriving[i]+c.arriving[i]) || !nearCumulants(needed, want) {
				t.Fatalf("with what is foreseen bin %d has %v arriving, %+v needed before, want %v and %+v", b, arriving, needed, r.arriving[i]+c.arriving[i], want)
			}
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9 }

func nearCumulants(a, b cumulants) bool {
	return near(a.mean, b.mean) && near(a.variance, b.variance) && near(a.third, b.third)
}
