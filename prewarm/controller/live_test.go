package controller

import (
	"fmt"
	"os"
	"slices"
	"strconv"
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
	gap        time.Duration
	dry        int // so many requests are looked on first
}

type liveResult struct {
	root, cold, invocations int
	warmups, wasted         uint64
	functions               map[string][3]int
}

func runLive(t testing.TB, o liveOptions) liveResult {
	told := prewarm.Platform{Warm: true, Arrivals: true, FirstCall: true, Late: prewarm.OwnContainer, IdleTimeout: o.idle}
	var before Totals
	var functionsBefore []FunctionState
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
				learner, err = learn.New(t.Context(), learn.Options{Price: o.price, EveryWait: true, Platform: told, Functions: functions, Seed: 1})
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
					functionsBefore = x.core.State().Functions
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
	var s *State
	x.clock.AfterFunc(lastArrival(x)+o.gap*88/100, func() { s = x.core.State() })
	x.run()
	for i, f := range s.Functions {
		if r.functions == nil {
			r.functions = map[string][3]int{}
		}
		b := functionsBefore[i]
		r.functions[f.Name] = [3]int{int(f.Invocations - b.Invocations), int(f.Cold - b.Cold), int(f.Wasted - b.Wasted)}
	}
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
		r := runLive(t, liveOptions{app: "tree_small", load: "uniform:10.8:13.2", idle: 7 * time.Second, price: 2560, requests: 60, skip: 20, seed: seed, gap: 12 * time.Second})
		t.Logf("%+v", r)
		sum.root += r.root
		sum.cold += r.cold
		sum.invocations += r.invocations
		sum.warmups += r.warmups
		sum.wasted += r.wasted
	}
	t.Logf("%+v cold %.1f %% wasted %.1f %%", sum, 100*float64(sum.cold)/float64(sum.invocations), 100*float64(sum.wasted)/float64(sum.warmups))
}

func envf(name string, d float64) float64 {
	if v := os.Getenv(name); v != "" {
		f, _ := strconv.ParseFloat(v, 64)
		return f
	}
	return d
}

func TestLiveCheckout(t *testing.T) {
	for _, capacity := range []int{1, 4} {
		var sum liveResult
		by := map[string][3]int{}
		seeds := uint64(5)
		if os.Getenv("LIVE") != "" {
			seeds = 1
		}
		for seed := uint64(1); seed <= seeds; seed++ {
			r := runLive(t, liveOptions{app: "checkout", load: fmt.Sprintf("uniform:%g:%g", envf("T", 9)*0.9, envf("T", 9)*1.1), idle: time.Duration(envf("IDLE", 5) * float64(time.Second)), standalone: true, capacity: capacity, price: envf("PRICE", 5120), requests: int(envf("N", 80)), skip: int(envf("SKIP", 20)), gap: time.Duration(envf("T", 9) * float64(time.Second)), seed: seed})
			t.Logf("%d %d %d %d", r.cold, r.invocations, r.warmups, r.wasted)
			for name, f := range r.functions {
				g := by[name]
				for i := range f {
					g[i] += f[i]
				}
				by[name] = g
			}
			sum.root += r.root
			sum.cold += r.cold
			sum.invocations += r.invocations
			sum.warmups += r.warmups
			sum.wasted += r.wasted
		}
		for name, f := range by {
			t.Logf("%-22s %4d invocations, cold %5.1f %%, wasted %5.1f %%", name, f[0], 100*float64(f[1])/float64(f[0]), 100*float64(f[2])/float64(f[0]))
		}
		t.Logf("capacity %d: %+v cold %.1f %% cold+wasted %.1f %%", capacity, sum, 100*float64(sum.cold)/float64(sum.invocations), 100*float64(sum.cold+int(sum.wasted))/float64(sum.invocations))
	}
}

func lastArrival(x *world) time.Duration { return x.last }
