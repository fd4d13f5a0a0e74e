package controller

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/learn"
)

// liveOptions describe the conditions of prewarm/cmd/live in virtual time.
type liveOptions struct {
	app, load  string
	idle       time.Duration
	standalone bool
	capacity   int
	price      float64
	requests   int
	skip       int
	seed       uint64
	dry        int // so many requests are looked on first
}

type liveResult struct {
	root, cold, invocations int
	warmups, wasted         uint64
}

func runLive(t testing.TB, o liveOptions) liveResult {
	told := prewarm.Platform{Warm: true, Arrivals: true, FirstCall: true, Late: prewarm.OwnContainer, IdleTimeout: o.idle}
	var before Totals
	var learner *learn.Policy
	var r liveResult
	root := ""
	counting := false
	verbose := os.Getenv("LIVE") != ""
	x := newWorld(t, worldOptions{
		app: o.app, load: o.load, requests: o.requests, seed: o.seed, policy: "newsvendor", act: true, ignorant: true, platform: &told,
		config: func(c *localwhisk.Config) {
			if o.standalone {
				*c = localwhisk.StandaloneConfig()
				c.MemoryMB = 8192
				c.Capacity = o.capacity
				c.Logs = localwhisk.Delay{Min: time.Millisecond}
			}
			c.StemCells, c.TakesStarting, c.WarmFirstCall, c.IdleTimeout = 0, false, true, o.idle
		},
		options: func(p *Options) {
			p.NewPolicy = func(functions []prewarm.Function) (prewarm.Policy, error) {
				var err error
				learner, err = learn.New(t.Context(), learn.Options{Price: o.price, Platform: told, Functions: functions, Seed: 1})
				return learner, err
			}
			p.Models = func() (models []Model) {
				for _, m := range learner.Models() {
					models = append(models, Model{Name: m.Name, Kind: m.Kind, Since: virtualEpoch.Add(m.Since), Traces: m.Traces, Indices: m.Functions})
				}
				return models
			}
		},
	})
	requests, cold, n, rootCold := 0, 0, 0, false
	x.platform.Watch(func(e localwhisk.Event) {
		c, ok := e.Params.(*worldCall)
		if !ok {
			x.event(e)
			return
		}
		switch e.Kind {
		case localwhisk.Arrived:
			if c.parent < 0 {
				if verbose && requests > 0 {
					t.Logf("%3d %8.2f: root cold %v, %d of %d cold, warmups %d wasted %d", requests, x.now().Seconds(), rootCold, cold, n, x.core.totals.Warmups, x.core.totals.Wasted)
				}
				cold, n = 0, 0
				requests++
				root = e.Function
				if requests == o.skip+1 {
					before = x.core.State().Totals
					counting = true
				}
			}
		case localwhisk.Placed:
			isCold := e.Start == localwhisk.Cold
			if c.parent < 0 {
				rootCold = isCold
				if counting && isCold {
					r.root++
				}
				break
			}
			n++
			if isCold {
				cold++
				if verbose {
					t.Logf("      %8.2f cold %s", x.now().Seconds(), e.Function)
				}
			}
			if counting {
				r.invocations++
				if isCold {
					r.cold++
				}
			}
		}
		x.event(e)
	})
	_ = root
	x.run()
	s := x.core.State()
	r.warmups, r.wasted = s.Totals.Warmups-before.Warmups, s.Totals.Wasted-before.Wasted
	if verbose {
		for _, f := range s.Functions {
			t.Logf("%+v", f)
		}
		ds := s.Decisions
		slices.Reverse(ds)
		for _, d := range ds {
			t.Logf("%8.2f %s %s %d p=%.2f gain=%.0f %s: %s", d.Time.Sub(virtualEpoch).Seconds(), d.Function, d.Action, d.N, d.Probability, d.GainMBs, d.Rule, d.Outcome)
		}
	}
	return r
}

func TestLiveTree(t *testing.T) {
	var sum liveResult
	seeds := uint64(5)
	if os.Getenv("LIVE") != "" {
		seeds = 1
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		r := runLive(t, liveOptions{app: "tree_small", load: "uniform:10.8:13.2", idle: 7 * time.Second, price: 2560, requests: 60, skip: 20, seed: seed})
		t.Logf("%+v", r)
		sum.root += r.root
		sum.cold += r.cold
		sum.invocations += r.invocations
		sum.warmups += r.warmups
		sum.wasted += r.wasted
	}
	t.Logf("%+v cold %.1f %% wasted %.1f %%", sum, 100*float64(sum.cold)/float64(sum.invocations), 100*float64(sum.wasted)/float64(sum.warmups))
}

func TestLiveCheckout(t *testing.T) {
	for _, capacity := range []int{1, 4} {
		var sum liveResult
		seeds := uint64(5)
		if os.Getenv("LIVE") != "" {
			seeds = 1
		}
		for seed := uint64(1); seed <= seeds; seed++ {
			r := runLive(t, liveOptions{app: "checkout", load: "uniform:8.1:9.9", idle: 5 * time.Second, standalone: true, capacity: capacity, price: 5120, requests: 80, skip: 20, seed: seed})
			t.Logf("%+v", r)
			sum.root += r.root
			sum.cold += r.cold
			sum.invocations += r.invocations
			sum.warmups += r.warmups
			sum.wasted += r.wasted
		}
		t.Logf("capacity %d: %+v cold %.1f %% cold+wasted %.1f %%", capacity, sum, 100*float64(sum.cold)/float64(sum.invocations), 100*float64(sum.cold+int(sum.wasted))/float64(sum.invocations))
	}
}
