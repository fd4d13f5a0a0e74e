package localwhisk

import (
	"math"
	"testing"
	"time"
)

// TestDefaultsReproduceTraces simulates the sequence composition under the loads of two recordings, and compares the results with the recordings. Its
// log has a table of both.
func TestDefaultsReproduceTraces(t *testing.T) {
	sleeps := readGraphs(t)["sequence"]
	for i, ms := range sequenceSleeps {
		if got := sleeps[sequenceName(i+1)].Duration; got != int64(ms) {
			t.Fatalf("%s sleeps %d ms in the composition, %d here", sequenceName(i+1), got, ms)
		}
	}
	const seeds = 5
	low := func(seed uint64) []time.Duration {
		return uniformRequests(1000, 435*time.Millisecond, 742*time.Millisecond, seed)
	}
	batched := func(uint64) []time.Duration {
		return batchedRequests(500, 50, 112*time.Millisecond, 120*time.Second)
	}
	// A tolerance below 1 is a share of the recorded figure, otherwise it is in milliseconds.
	for _, tt := range []struct {
		dataset   string
		requests  func(seed uint64) []time.Duration
		tolerance map[string]float64
	}{
		{"low_sequence_det", low, map[string]float64{
			"cold share": 1.2, "stem cell share": 0.5,
			"cold wait mean": 700, "cold wait p50": 100, "cold wait p90": 1100, "init p50": 12, "init p90": 20,
			"warm wait p50": 1, "warm wait p90": 1, "warm gap p50": 2, "warm gap p90": 2, "cold gap p50": 12, "cold gap p90": 30,
		}},
		{"batched_sequence_det", batched, map[string]float64{
			"cold share": 0.1, "stem cell share": 0.4,
			"cold wait mean": 700, "cold wait p50": 500, "cold wait p90": 1100, "init p50": 8, "init p90": 15,
			"warm wait p50": 8, "warm wait p90": 20, "warm gap p50": 3, "warm gap p90": 5, "cold gap p50": 12, "cold gap p90": 20,
		}},
	} {
		t.Run(tt.dataset, func(t *testing.T) {
			real := newProfile()
			for _, tr := range readDatasets(t, tt.dataset)[0].traces {
				real.add(tr)
			}
			simulated := newProfile()
			for seed := range uint64(seeds) {
				for _, records := range runSequence(t, DefaultConfig(), seed, tt.requests(seed)) {
					tr := trace{}
					for _, a := range records {
						tr[a.Name] = event4{a.Arrival().UnixMilli(), a.WaitTime.Milliseconds(), a.InitTime.Milliseconds()}
					}
					simulated.add(tr)
				}
			}
			want, got := real.figures(), simulated.figures()
			for i, w := range want {
				g := got[i]
				tolerance, ok := tt.tolerance[w.name]
				if tolerance < 1 || w.value < 1 {
					tolerance *= w.value
				}
				t.Logf("%-16s real %8.4g  simulated %8.4g", w.name, w.value, g.value)
				if ok && math.Abs(g.value-w.value) > tolerance {
					t.Errorf("%s: simulated %.4g, real %.4g: further apart than %.4g", w.name, g.value, w.value, tolerance)
				}
			}
		})
	}
}

// profile has statistics of traces of the sequence composition.
type profile struct {
	events, cold, stem       int
	warmWait, coldWait, init sample
	warmGap, coldGap         sample
	coldOf                   map[string]int
}

func newProfile() *profile {
	return &profile{
		warmWait: sample{}, coldWait: sample{}, init: sample{}, warmGap: sample{}, coldGap: sample{}, coldOf: map[string]int{},
	}
}

func (p *profile) add(tr trace) {
	for i := range len(sequenceSleeps) + 1 {
		e := tr[sequenceName(i)]
		p.events++
		waits, gaps := p.warmWait, p.warmGap
		if e.init > 0 {
			waits, gaps = p.coldWait, p.coldGap
			p.cold++
			p.coldOf[sequenceName(i)]++
			p.init[observation{ms: e.init}]++
			if e.wait < fromStemCell {
				p.stem++
			}
		}
		waits[observation{ms: e.wait}]++
		if next, ok := tr[sequenceName(i+1)]; ok {
			gaps[observation{ms: next.arrival - e.start() - e.init - sleepOf(i).Milliseconds()}]++
		}
	}
}

type figure struct {
	name  string
	value float64
}

func (p *profile) figures() []figure {
	all := []figure{
		{"cold share", float64(p.cold) / float64(p.events)},
		{"stem cell share", float64(p.stem) / float64(p.cold)},
	}
	for _, s := range []struct {
		name string
		sample
	}{{"cold wait", p.coldWait}, {"init", p.init}, {"warm wait", p.warmWait}, {"warm gap", p.warmGap}, {"cold gap", p.coldGap}} {
		all = append(all, figure{s.name + " mean", s.mean()})
		for _, q := range []struct {
			name string
			p    float64
		}{{"p10", 0.1}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}} {
			all = append(all, figure{s.name + " " + q.name, float64(s.quantile(q.p).Milliseconds())})
		}
	}
	for i := range len(sequenceSleeps) + 1 {
		name := sequenceName(i)
		all = append(all, figure{"cold of " + name, float64(p.coldOf[name]) / float64(p.events) * float64(len(sequenceSleeps)+1)})
	}
	return all
}
