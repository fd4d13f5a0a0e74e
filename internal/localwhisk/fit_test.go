package localwhisk

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/optimize"
)

// complete has the datasets with every trace of their load, so that the load at each moment is known. The high_* datasets are mixtures of parts of
// other recordings.
var complete = []string{
	"low_fanout_large_rand", "low_parallel_large_rand", "low_parallel_small_det", "low_sequence_det", "low_sequence_rand",
	"low_tree_large_det", "low_tree_small_rand", "batched_sequence_det",
}

// TestDefaultDelaysFitTraces fits each delay to the real traces by maximum likelihood, starting from its default, and checks that no fit has a
// noticeably higher likelihood than the default. Its log has the fits, from which the defaults are taken.
func TestDefaultDelaysFitTraces(t *testing.T) {
	config := DefaultConfig()
	data := measure(t, config)
	for _, tt := range []struct {
		name   string
		sample sample
		delay  Delay
		before []Delay // other delays that are included in the measurement
	}{
		{"Dispatch", data.warmWait, config.Dispatch, nil},
		{"Creation", data.steps, config.Creation, nil},
		{"StemCell", data.stemWait, config.StemCell, []Delay{config.Dispatch}},
		{"Init", data.init, config.Init, nil},
		{"Call", data.warmCall, config.Call, []Delay{config.RunStart}},
		{"FirstCall", data.coldCall, config.FirstCall, []Delay{config.RunStart, config.Call}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			others := drawSums(tt.before)
			resolution := time.Millisecond
			if tt.delay.Step > 0 {
				// The random part of a creation is the number of steps; the milliseconds around a multiple are the dispatch.
				resolution = tt.delay.Step
			}
			keys := tt.sample.sorted()
			score := func(d Delay) float64 {
				return meanLogLikelihood(tt.sample, keys, d, others, resolution, config.ParallelCreations)
			}
			fit := maximise(t, score, tt.delay)
			now, best := score(tt.delay), score(fit)
			t.Logf("%d measured; log likelihood per measurement: default %.4f, fit %.4f; fit %+v", tt.sample.size(), now, best, fit)
			tolerance := 0.02
			if tt.name == "Creation" {
				// The default is a compromise with the waits under load, when creations slow each other down.
				tolerance = 0.05
			}
			if best-now > tolerance {
				t.Errorf("the default %+v explains the traces worse than the fit by %.3f per measurement", tt.delay, best-now)
			}
		})
	}
}

// measured has the samples of the delays in the real traces.
type measured struct {
	warmWait, stemWait, coldWait, init sample
	// steps are the waits for creations under light load minus Creation.Min, rounded to Creation.Step, which removes the dispatch.
	steps sample
	// warmCall and coldCall are the times from the end of a function's sleep to the arrival of its first successor, in warm and in cold
	// containers; from the latter the share FirstCallPerInit of the initTime is subtracted.
	warmCall, coldCall sample
	// siblings are the times between the arrivals of two successors whose invocations were sent 15 ms apart.
	siblings sample
}

func measure(t *testing.T, config Config) measured {
	m := measured{sample{}, sample{}, sample{}, sample{}, sample{}, sample{}, sample{}, sample{}}
	graphs := readGraphs(t)
	for _, d := range readDatasets(t, complete...) {
		_, app, _ := strings.Cut(d.name, "_")
		app, fixed := strings.CutSuffix(app, "_det")
		g := graphs[app]
		for _, tr := range d.traces {
			for name, e := range tr {
				at := observation{e.wait, d.creating(e.arrival)}
				switch {
				case e.init == 0:
					m.warmWait[at]++
				case e.wait < fromStemCell:
					m.stemWait[at]++
				default:
					m.coldWait[at]++
					n := math.Round(float64(e.wait)*msf/float64(config.Creation.Step) - 0.15)
					at.ms = (config.Creation.Min + time.Duration(n)*config.Creation.Step).Milliseconds()
					if at.creating <= config.ParallelCreations && d.name != "batched_sequence_det" && d.name != "low_tree_large_det" {
						m.steps[at]++
					}
				}
				if e.init > 0 {
					m.init[observation{e.init, d.creating(e.start())}]++
				}
				// The random sleeps were not recorded.
				if fixed && (name == "main" || g.single(name)) {
					m.calls(d, tr, e, g[name].Duration, g, g[name].Invokes, config.FirstCallPerInit)
				}
			}
		}
	}
	return m
}

func (m *measured) calls(d *dataset, tr trace, e event4, sleep int64, g graph, invokes []string, perInit float64) {
	end := e.start() + e.init + sleep
	n := d.creating(end)
	for j, name := range invokes {
		to, ok := tr[name]
		if !ok || !g.single(name) {
			return
		}
		switch after := to.arrival - end; {
		case j > 0 && e.init == 0:
			m.siblings[observation{to.arrival - tr[invokes[j-1]].arrival, n}]++
		case j == 0 && e.init == 0:
			m.warmCall[observation{after, n}]++
		case j == 0:
			m.coldCall[observation{after - int64(perInit*float64(e.init)), n}]++
		}
	}
}

const msf = float64(time.Millisecond)

// drawSums returns a function that returns, for a load, a few draws from the sum of the delays; nil if there are no delays.
func drawSums(delays []Delay) func(load int) []time.Duration {
	if len(delays) == 0 {
		return func(int) []time.Duration { return []time.Duration{0} }
	}
	var known [100][]time.Duration
	return func(load int) []time.Duration {
		if known[load] == nil {
			src := rand.New(rand.NewPCG(1, uint64(load)))
			sums := make([]time.Duration, 300)
			for i := range sums {
				for _, d := range delays {
					sums[i] += d.draw(src, load)
				}
			}
			slices.Sort(sums)
			for i := range 10 {
				known[load] = append(known[load], sums[15+30*i])
			}
		}
		return known[load]
	}
}

// meanLogLikelihood returns the mean logarithm of the probability of the measurements, which are rounded to the resolution, as sums of d and others.
func meanLogLikelihood(s sample, keys []observation, d Delay, others func(load int) []time.Duration, resolution time.Duration, parallel int) float64 {
	sum, n := 0.0, 0
	for _, o := range keys {
		at, load := time.Duration(o.ms)*time.Millisecond, max(o.creating-parallel, 0)
		p := 0.0
		sums := others(load)
		for _, other := range sums {
			p += d.CDF(at-other+resolution/2, load) - d.CDF(at-other-resolution/2, load)
		}
		// The floor limits the weight of times that no delay explains, such as those of unpausing.
		sum += float64(s[o]) * math.Log(max(p/float64(len(sums)), 1e-7))
		n += s[o]
	}
	return sum / float64(n)
}

// maximise returns the delay near start with the highest score, by the Nelder–Mead method.
func maximise(t *testing.T, score func(Delay) float64, start Delay) Delay {
	t.Helper()
	var fields []func(d *Delay, factor float64)
	duration := func(value func(*Delay) *time.Duration) {
		if *value(&start) > 0 {
			fields = append(fields, func(d *Delay, factor float64) { *value(d) = time.Duration(float64(*value(&start)) * factor) })
		}
	}
	number := func(value func(*Delay) *float64) {
		if *value(&start) > 0 {
			fields = append(fields, func(d *Delay, factor float64) { *value(d) = *value(&start) * factor })
		}
	}
	if start.Step == 0 {
		duration(func(d *Delay) *time.Duration { return &d.Min })
	}
	duration(func(d *Delay) *time.Duration { return &d.Median })
	duration(func(d *Delay) *time.Duration { return &d.MedianPerLoad })
	duration(func(d *Delay) *time.Duration { return &d.TailMedian })
	duration(func(d *Delay) *time.Duration { return &d.TailMedianPerLoad })
	number(func(d *Delay) *float64 { return &d.Sigma })
	number(func(d *Delay) *float64 { return &d.TailShare })
	number(func(d *Delay) *float64 { return &d.TailSharePerLoad })
	number(func(d *Delay) *float64 { return &d.TailSigma })
	at := func(x []float64) Delay {
		d := start
		for i, set := range fields {
			set(&d, math.Exp(max(-20, min(x[i], 5))))
		}
		return d
	}
	r, err := optimize.Minimize(
		optimize.Problem{Func: func(x []float64) float64 { return -score(at(x)) }}, make([]float64, len(fields)),
		&optimize.Settings{FuncEvaluations: 250}, &optimize.NelderMead{SimplexSize: 0.1})
	if r == nil {
		t.Fatal(err)
	}
	return at(r.X)
}
