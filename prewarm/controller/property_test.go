package controller

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// TestDeterministic checks that the same observations lead to the same commands.
func TestDeterministic(t *testing.T) {
	run := func() []actuator.Command {
		x := newWorld(t, worldOptions{app: "checkout", load: "poisson:60", requests: 60, seed: 3, policy: "newsvendor:2560:table", act: true})
		x.run()
		return x.commands
	}
	a, b := run(), run()
	if len(a) == 0 || !reflect.DeepEqual(a, b) {
		t.Errorf("%d and %d commands, which differ", len(a), len(b))
	}
}

// TestAnything tells a core anything, in any order, with any results, pauses and restarts, and checks that what it counts adds up, that it knows the
// containers which the fleet knows, and that what it leaves to the next process is taken up.
func TestAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scales := rapid.Bool().Draw(t, "scales")
		act := rapid.Bool().Draw(t, "act")
		platform := whisk
		if scales {
			platform = replicas
		}
		platform.IdleTimeout = 20 * time.Second
		started := 0
		make := func(epoch time.Time, saved *Saved, now prewarm.Time) *Core {
			m, err := saved.NewMirror(mirror.Options{Epoch: epoch, Platform: platform, Functions: ab}, epoch.Add(now), nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := NewCore(Options{
				Epoch: epoch, Platform: platform, Functions: ab, Act: act, ServesAll: true, Scales: scales,
				NewPolicy: func([]prewarm.Function) (prewarm.Policy, error) {
					return prewarm.PolicyFunc(func(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
						if e.Kind == prewarm.Arrived {
							started++
							d.Start((e.Function+1)%len(fleet.Functions), 1+started%3, prewarm.Why{Rule: "any", Trace: e.Trace})
							d.Wake(e.At+time.Duration(started%5)*time.Second, uint64(started%4))
						}
						if e.Kind == prewarm.Woken {
							for f := range fleet.Functions {
								for i, c := range fleet.Containers(f, prewarm.StateIdle) {
									if (i+started)%2 == 0 {
										d.GiveBack(c, prewarm.Why{})
									} else {
										d.Hold(c, e.At+3*time.Second, prewarm.Why{})
									}
								}
							}
							if scales && started%7 == 0 {
								d.Scale(started%len(fleet.Functions), started%5, prewarm.Why{})
							}
						}
					}), nil
				},
			}, m)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c := make(virtualEpoch, nil, 0)
		c.Begin(0, nil)
		now := prewarm.Time(0)
		var open []actuator.Command
		seen := map[uint64]bool{}
		take := func() {
			for _, command := range c.Commands() {
				if seen[command.ID] {
					t.Fatalf("command %d came twice", command.ID)
				}
				if !act || c.paused {
					t.Fatalf("a command although nothing is to be done: %+v", command)
				}
				if command.Kind == actuator.Scale != scales {
					t.Fatalf("a command of the wrong kind: %+v", command)
				}
				seen[command.ID] = true
				open = append(open, command)
			}
			c.Releases()
			c.Records()
		}
		functions := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		t.Repeat(map[string]func(*rapid.T){
			"observe": func(t *rapid.T) {
				o := source.Observation{
					Kind: source.Kind(rapid.IntRange(0, 2).Draw(t, "kind")), Function: functions.Draw(t, "function"), Trace: fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "trace")),
					Call: fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "call")), Time: virtualEpoch.Add(now + time.Duration(rapid.Int64Range(-2e9, 1e9).Draw(t, "offset"))), Wait: -1, Init: -1,
					Temperature: source.Temperature(rapid.IntRange(0, 2).Draw(t, "temperature")), Version: rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "version"),
					Instance: rapid.SampledFrom([]string{"", "i1", "i2"}).Draw(t, "instance"),
				}
				if parent := rapid.IntRange(-1, 5).Draw(t, "parent"); parent >= 0 {
					o.ParentCall = fmt.Sprint(parent)
				}
				_ = c.Observe(now, &o) // what is of no use is left out
				take()
			},
			"pass": func(t *rapid.T) {
				now += time.Duration(rapid.Int64Range(0, 3e10).Draw(t, "for"))
				c.Pass(now)
				take()
			},
			"act": func(t *rapid.T) {
				if len(open) == 0 {
					t.Skip("nothing was asked for")
				}
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				var results []actuator.Result
				for range rapid.IntRange(0, open[i].N).Draw(t, "results") {
					results = append(results, actuator.Result{
						Outcome: actuator.Outcome(rapid.IntRange(0, 5).Draw(t, "outcome")), Instance: rapid.SampledFrom([]string{"", "i1", "i3"}).Draw(t, "instance"),
					})
				}
				c.Acted(now, open[i].ID, results)
				open = append(open[:i], open[i+1:]...)
				take()
			},
			"pause": func(t *rapid.T) {
				c.Pass(now)
				take()
				c.Pause(now)
				take()
			},
			"resume": func(t *rapid.T) { c.Resume(now); take() },
			"restart": func(t *rapid.T) {
				text, err := json.Marshal(c.Saved())
				if err != nil {
					t.Fatal(err)
				}
				var saved Saved
				if err := json.Unmarshal(text, &saved); err != nil {
					t.Fatal(err)
				}
				before := c.totals.Invocations
				now = max(now, saved.Last) + time.Duration(rapid.SampledFrom([]int64{0, 1e9, 15e9, 60e9}).Draw(t, "down"))
				containers := 0
				for _, b := range c.boxes {
					if !b.dry {
						containers++
					}
				}
				down := now - c.now
				c, open = make(saved.Epoch, &saved, now), nil
				if saved.restored == nil {
					t.Fatal("what was known of the platform is not used")
				}
				c.Begin(now, &saved)
				if n := len(c.boxes); act && !scales && (down == 0 && n != containers || n > containers) {
					t.Fatalf("%d containers are known after a restart of %v, and were %d", n, down, containers)
				}
				if c.totals.Invocations != before {
					t.Fatalf("%d invocations are counted after a restart, and were %d", c.totals.Invocations, before)
				}
				take()
			},
			"": func(t *rapid.T) {
				if n := c.totals.Warm + c.totals.Late + c.totals.Cold; n > c.totals.Invocations {
					t.Fatalf("%d have started of %d", n, c.totals.Invocations)
				}
				if c.totals.Hits > c.totals.Warm || c.totals.Wasted+c.totals.Hits > c.totals.Warmups+8*uint64(len(seen)) {
					t.Fatalf("totals are %+v", c.totals)
				}
				standing, of := Standing{}, map[int]int{}
				for _, b := range c.boxes {
					if b.warmed && !b.used || b.kept {
						standing.Containers++
						standing.MemoryMB += int(b.memory)
						of[b.function]++
					}
				}
				if s := c.Standing(); s.Containers != standing.Containers || s.MemoryMB != standing.MemoryMB || c.StandingOf(0) != of[0] || c.StandingOf(99) != 0 {
					t.Fatalf("%+v and %d of a function stand, and should %+v and %d", s, c.StandingOf(0), standing, of[0])
				}
				for id, b := range c.boxes {
					if is := c.fleet.Container(id); is == nil || is.Function != b.function {
						t.Fatalf("container %d is not in the fleet", id)
					}
				}
				if c.faults > 0 {
					t.Fatal("the mirror contradicts itself")
				}
				if s := c.State(); s.Totals.SpentMBs < 0 || s.Totals.AloneMBs < 0 || len(s.Functions) < 2 {
					t.Fatalf("state is %+v", s)
				}
			},
		})
	})
}
