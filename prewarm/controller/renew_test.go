package controller

import (
	"errors"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// renewingWorld returns a world in which a request comes every 16 s and what is idle is removed after 10 s, if its idle time is not renewed; the policy keeps
// everything for 25 s.
func renewingWorld(t *testing.T, change func(*worldOptions)) *world {
	t.Helper()
	told := prewarm.Platform{Warm: true, Arrivals: true, FirstCall: true, Late: prewarm.OwnContainer, Renew: true, IdleTimeout: 10 * time.Second}
	o := worldOptions{
		app: "tree_small", load: "periodic:16", requests: 20, seed: 1, policy: "keepalive:25", act: true, ignorant: true, platform: &told,
		config:  func(c *localwhisk.Config) { c.TakesStarting, c.IdleTimeout = false, told.IdleTimeout },
		options: func(o *Options) { o.ServesAll = true },
	}
	if change != nil {
		change(&o)
	}
	return newWorld(t, o)
}

// TestHoldsByRenewing checks that a hold is carried out by renewals where the platform can do no better: of requests that come every 16 s only the first finds containers cold
// although the platform removes them after 10 s, and the memory that is kept so is counted.
func TestHoldsByRenewing(t *testing.T) {
	x := renewingWorld(t, nil)
	x.run()
	total := x.core.State().Totals
	if total.Requests != 20 || total.Cold != total.Invocations/20 || total.Cold != uint64(x.starts[localwhisk.Cold]) {
		t.Errorf("%d cold of %d; there were %v", total.Cold, total.Invocations, x.starts)
	}
	functions := total.Cold
	// In each gap each container once, and once more after the last request, until it is over.
	if low, high := 19*functions, 22*functions; total.Renewals < low || total.Renewals > high || total.RenewalsFailed != 0 || total.Warmups != 0 || total.Wasted != 0 {
		t.Errorf("totals are %+v, want %d to %d renewals", total, low, high)
	}
	// Beyond the 10 s of their own they are kept for less than 10 s in each gap.
	if most := float64(functions) * 256 * 10 * 21; total.KeptMBs < most/4 || total.KeptMBs > most || total.KeptMBs > total.SpentMBs {
		t.Errorf("%v MB·s were kept, %v spent", total.KeptMBs, total.SpentMBs)
	}
	for _, d := range x.core.State().Decisions {
		if d.Action != "hold" || d.Outcome != "renewed" {
			t.Errorf("decision is %+v", d)
		}
	}
	if n := x.core.faults; n > 0 {
		t.Errorf("%d events contradict each other", n)
	}
}

// TestRenewalsAreHeld checks that nothing is renewed in a dry run or in a pause, which are said, nor by one that looks on, which says nothing, and that the platform then does as by
// itself.
func TestRenewalsAreHeld(t *testing.T) {
	for _, c := range []struct {
		name, outcome string
		change        func(*worldOptions)
	}{
		{"dry run", "dry", func(o *worldOptions) { o.act = false }},
		{"pause", "held: paused", func(o *worldOptions) {
			o.world = func(x *world) { x.clock.AfterFunc(time.Second, func() { x.core.Pause(x.now()); x.after() }) }
		}},
		{"it looks on", "", func(o *worldOptions) {
			o.act, o.world = false, func(x *world) { x.core.LookOn(true) }
		}},
		{"a platform that cannot", "", func(o *worldOptions) { o.platform.Renew = false }},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := renewingWorld(t, c.change)
			x.run()
			s := x.core.State()
			if s.Totals.Cold != s.Totals.Invocations || s.Totals.Renewals != 0 || s.Totals.KeptMBs != 0 || len(x.commands) > 0 {
				t.Errorf("totals are %+v, %d commands", s.Totals, len(x.commands))
			}
			if len(s.Decisions) == 0 && c.outcome != "" {
				t.Error("there is no decision")
			}
			for _, d := range s.Decisions {
				if d.Outcome != c.outcome {
					t.Errorf("decision is %+v", d)
				}
			}
		})
	}
}

// TestRenewalsFail checks that a renewal that fails is not tried again and again, and that the container is then gone as the platform's rule says.
func TestRenewalsFail(t *testing.T) {
	for _, outcome := range []actuator.Outcome{actuator.Failed, actuator.Held} {
		x := renewingWorld(t, nil)
		x.act = func(c actuator.Command) []actuator.Result {
			if c.Kind != actuator.Renew || c.N != 1 || c.Idle != 1 || c.There != 1 {
				t.Errorf("%+v", c)
			}
			return []actuator.Result{{Outcome: outcome, Err: errors.New("no route")}}
		}
		x.run()
		total := x.core.State().Totals
		if total.Cold != total.Invocations || total.Renewals != total.Invocations || total.RenewalsFailed != total.Renewals {
			t.Errorf("%v: totals are %+v", outcome, total)
		}
		for _, d := range x.core.State().Decisions {
			if d.Outcome != outcome.String()+": no route" {
				t.Errorf("decision is %+v", d)
			}
		}
	}
}

// TestRenewalsThatCreate checks that a container which a renewal has made, because none was idle in fact, counts as one that was warmed, and as wasted if nothing uses it.
func TestRenewalsThatCreate(t *testing.T) {
	x := renewingWorld(t, func(o *worldOptions) {
		o.requests, o.load = 6, "periodic:100"
		o.config = func(c *localwhisk.Config) { c.TakesStarting, c.IdleTimeout = false, 5*time.Second } // sooner than was said
	})
	x.run()
	total := x.core.State().Totals
	if total.Renewals == 0 || total.RenewalsFailed == 0 || total.Warmups != total.RenewalsFailed || total.Wasted == 0 || total.Wasted > total.Warmups {
		t.Errorf("totals are %+v", total)
	}
	if total.Cold != total.Invocations || total.Hits != 0 {
		t.Errorf("totals are %+v", total)
	}
}

// TestRenewedOnceMore checks that containers which somebody else has asked to be renewed twice are there until it is known what has become of both, though nothing came of the first,
// and that they are kept by the second.
func TestRenewedOnceMore(t *testing.T) {
	const idle = 10 * time.Second
	told := prewarm.Platform{Warm: true, Arrivals: true, Renew: true, Late: prewarm.OwnContainer, IdleTimeout: idle}
	functions := []prewarm.Function{{Name: "f", MemoryMB: 256}}
	for _, unknown := range []bool{false, true} {
		m, err := mirror.New(mirror.Options{Epoch: virtualEpoch, Platform: told, Functions: functions})
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewCore(Options{
			Epoch: virtualEpoch, Platform: told, Functions: functions, Act: true, ServesAll: true, Intend: func(*prewarm.Decision, int) {},
			NewPolicy: func([]prewarm.Function) (prewarm.Policy, error) {
				return prewarm.PolicyFunc(func(*prewarm.Event, *prewarm.Fleet, *prewarm.Decisions) {}), nil
			},
		}, m)
		if err != nil {
			t.Fatal(err)
		}
		c.Begin(0, nil)
		warmed := c.Grant(0, &prewarm.Decision{Action: prewarm.StartContainers}, 1, false)
		c.Acted(time.Second, warmed, []actuator.Result{{Outcome: actuator.Created, Instance: "a"}})
		hold := &prewarm.Decision{Action: prewarm.HoldContainer, Container: 1}
		first := c.Grant(idle-2*time.Second, hold, 1, false)
		second := c.Grant(idle, hold, 1, false)
		results := []actuator.Result{{Outcome: actuator.Held}}
		if unknown {
			results = nil
		}
		c.Acted(idle+time.Millisecond, first, results)
		c.Pass(idle + 3*time.Second/2)
		if s := c.State(); len(s.Containers) != 1 || s.Containers[0].ID != 1 || c.Standing().Containers != 1 {
			t.Fatalf("while the second is under way there are %+v, and %+v stands", s.Containers, c.Standing())
		}
		c.Acted(idle+3*time.Second/2, second, []actuator.Result{{Outcome: actuator.Collapsed}})
		c.Pass(2*idle + time.Second)
		if s := c.State(); len(s.Containers) != 1 || s.Containers[0].Renewals != 1 {
			t.Errorf("after it there are %+v", s.Containers)
		}
	}
}

// TestRenewalsSurvive checks that what was renewed is known to the process that comes next: how often, and until when its containers are there.
func TestRenewalsSurvive(t *testing.T) {
	x := renewingWorld(t, nil)
	var saved *Saved
	renewals := 0
	var at prewarm.Time
	x.observed = func(*source.Observation) bool { // what was there a moment before
		if at == 0 {
			saved = canonical(t, x.core.Saved())
		}
		return true
	}
	x.acted = func() {
		for _, r := range x.core.Records() {
			if r.Kind == recordRenewed && (at == 0 || at == x.now()) {
				saved.Add(&r)
				renewals += r.N
				at = x.now()
			}
		}
	}
	x.run()
	if saved == nil || renewals == 0 {
		t.Fatalf("nothing was renewed")
	}
	if got := int(saved.Totals.Renewals); got != renewals {
		t.Errorf("%d renewals are known, there were %d", got, renewals)
	}
	m, err := saved.NewMirror(mirror.Options{Epoch: virtualEpoch, Platform: x.core.o.Platform}, virtualEpoch.Add(at), nil)
	if err != nil {
		t.Fatal(err)
	}
	until := prewarm.Time(0)
	for id := prewarm.ID(1); id < 1000; id++ {
		if c, ok := m.Container(id); ok && c.Until != prewarm.Never {
			until = max(until, c.Until)
		}
	}
	if until < at+9*time.Second {
		t.Errorf("at %v containers are taken to be there until %v", at, until)
	}
}

// TestRenewalsCountTheSame checks that the process that comes next counts renewals, and those that came to nothing, as the one before did, whatever came of them.
func TestRenewalsCountTheSame(t *testing.T) {
	for _, outcome := range []actuator.Outcome{actuator.Created, actuator.Collapsed, actuator.Failed, actuator.Unknown, actuator.Held} {
		x := renewingWorld(t, func(o *worldOptions) { o.load = "bursts:3:0.1:16" })
		saved := &Saved{}
		x.act = func(c actuator.Command) []actuator.Result {
			results := make([]actuator.Result, c.N)
			for i := range results {
				results[i].Outcome = outcome
			}
			results[0].Outcome = actuator.Collapsed
			return results
		}
		x.acted = func() {
			for _, r := range x.core.Records() {
				saved.Add(&r)
			}
		}
		x.run()
		now := x.core.State().Totals
		if now.Renewals == 0 || saved.Totals.Renewals != now.Renewals || saved.Totals.RenewalsFailed != now.RenewalsFailed {
			t.Errorf("%v: %d of %d renewals are known to have come to nothing, there were %d of %d", outcome, saved.Totals.RenewalsFailed, saved.Totals.Renewals, now.RenewalsFailed, now.Renewals)
		}
	}
}

// TestRenewalsAreToldAgain checks that somebody else, who is told of a renewal and has not had it done, is told of it again every half second until the container is gone, though nothing
// happens meanwhile.
func TestRenewalsAreToldAgain(t *testing.T) {
	told := map[int][]prewarm.Time{}
	var x *world
	x = renewingWorld(t, func(o *worldOptions) {
		o.requests, o.load, o.policy, o.platform.IdleTimeout = 6, "periodic:200", "keepalive:150", time.Minute
		serves := o.options
		o.options = func(o *Options) {
			serves(o)
			o.Intend = func(d *prewarm.Decision, n int) {
				if d.Action != prewarm.HoldContainer || n != 1 {
					t.Errorf("%d of %+v", n, d)
				}
				told[d.Function] = append(told[d.Function], x.now())
			}
		}
	})
	x.run()
	if len(told) == 0 {
		t.Error("nobody was told of anything")
	}
	for function, times := range told {
		if len(times)%6 != 0 { // from 3 s before a container is removed
			t.Errorf("function %d: told at %v", function, times)
			continue
		}
		for i := range times {
			if i%6 > 0 && times[i]-times[i-1] != intendedAgain {
				t.Errorf("function %d: told at %v", function, times)
			}
		}
	}
}

// TestRenewalsThatCreateSome checks that a function whose renewals find some containers idle, and make others, over and over, is left alone for longer and longer: each makes containers that
// nobody needs.
func TestRenewalsThatCreateSome(t *testing.T) {
	times := map[string][]prewarm.Time{}
	x := renewingWorld(t, func(o *worldOptions) { o.requests, o.load = 60, "bursts:3:0.1:16" })
	x.act = func(c actuator.Command) []actuator.Result {
		results := make([]actuator.Result, c.N)
		results[0].Outcome = actuator.Collapsed
		for i := 1; i < c.N; i++ {
			results[i].Outcome = actuator.Created
		}
		if c.N > 1 {
			times[c.Function] = append(times[c.Function], x.now())
		}
		return results
	}
	x.run()
	looked := 0
	for function, at := range times {
		for i, wait := range []time.Duration{20 * time.Second, 40 * time.Second, 80 * time.Second} {
			if i+3 >= len(at) {
				break
			}
			looked++
			if pause := at[i+3] - at[i+2]; pause < wait {
				t.Errorf("%s: renewal %d comes %v after the one before, want %v at least", function, i+4, pause, wait)
			}
		}
	}
	if looked < 3 {
		t.Errorf("renewals were at %v", times)
	}
}
