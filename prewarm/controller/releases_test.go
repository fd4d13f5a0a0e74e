package controller

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// TestReleasesOnlyWhatStands checks that limits are told once of each container that it does not stand any more: of a command that has come to something in part, what has
// failed is taken off with the result, as guard.Guard does, and is not released beside.
func TestReleasesOnlyWhatStands(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  actuator.Kind
		world func(*testing.T) *world
		first actuator.Outcome // of the first container of each command; the others fail
		other actuator.Outcome
	}{
		{"warmed and failed", actuator.Warm, warmingWorld, actuator.Created, actuator.Failed},
		{"warmed and held", actuator.Warm, warmingWorld, actuator.Created, actuator.Held},
		{"warmed and collapsed", actuator.Warm, warmingWorld, actuator.Created, actuator.Collapsed},
		{"renewed and failed", actuator.Renew, severalIdle, actuator.Collapsed, actuator.Failed},
		{"renewed and held", actuator.Renew, severalIdle, actuator.Collapsed, actuator.Held},
		{"renewed and created", actuator.Renew, severalIdle, actuator.Collapsed, actuator.Created},
		{"all created", actuator.Renew, severalIdle, actuator.Created, actuator.Created},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := c.world(t)
			stands, several := map[uint64]int{}, 0
			x.act = func(command actuator.Command) []actuator.Result {
				if command.Kind == c.kind && command.N > 1 {
					several++
				}
				results := make([]actuator.Result, command.N)
				for i := range results {
					results[i].Outcome = c.other
					if i == 0 {
						results[i].Outcome = c.first
					}
					if o := results[i].Outcome; o == actuator.Failed || o == actuator.Held {
						results[i].Err = errors.New("no route")
					} else if o == actuator.Created || command.Kind == actuator.Renew {
						stands[command.ID]++
					}
				}
				return results
			}
			x.released = func(releases []Release) {
				for _, r := range releases {
					if stands[r.Command] -= r.N; stands[r.Command] < 0 {
						t.Errorf("of command %d more is released than stands", r.Command)
					}
				}
			}
			x.run()
			if several == 0 {
				t.Error("no command was for several containers")
			}
			if c.kind == actuator.Renew && c.other != actuator.Created { // after the last request all go
				for command, n := range stands {
					if n > 0 {
						t.Errorf("of command %d there stand %d in the end", command, n)
					}
				}
			}
		})
	}
}

// warmingWorld returns a world in which three containers of a function are warmed at once when another function is invoked.
func warmingWorld(t *testing.T) *world {
	return newWorld(t, worldOptions{
		app: "tree_small", load: "periodic:60", requests: 20, seed: 1, policy: "none", act: true,
		config: func(c *localwhisk.Config) { c.TakesStarting = false },
		options: func(o *Options) {
			o.NewPolicy = func([]prewarm.Function) (prewarm.Policy, error) {
				return prewarm.PolicyFunc(func(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
					if f := (e.Function + 1) % len(fleet.Functions); e.Kind == prewarm.Arrived && len(fleet.Containers(f, prewarm.StateIdle)) == 0 {
						d.Start(f, 3, prewarm.Why{Rule: "any", Trace: e.Trace})
					}
				}), nil
			}
		},
	})
}

// severalIdle returns a world in which several containers of a function are idle, and are renewed at once.
func severalIdle(t *testing.T) *world {
	return renewingWorld(t, func(o *worldOptions) { o.load = "bursts:3:0.1:16" })
}

// TestReleasesWhatIsUsedInFlight checks that of a container which was used before the result of its command came, limits are told with the result: if that says that it has failed, it does
// not stand, and another one of the command does.
func TestReleasesWhatIsUsedInFlight(t *testing.T) {
	for results, want := range map[[2]actuator.Outcome]string{
		{actuator.Created, actuator.Created}: "1 of 2 stands", {actuator.Unknown, actuator.Failed}: "0 of 1 stands", {actuator.Failed, actuator.Created}: "1 of 1 stands",
		{actuator.Collapsed, actuator.Created}: "1 of 1 stands", {actuator.Failed, actuator.Failed}: "0 of 0 stands",
	} {
		platform := prewarm.Platform{Warm: true, Arrivals: true, Late: prewarm.TakesStarting, IdleTimeout: time.Minute}
		m, err := mirror.New(mirror.Options{Epoch: virtualEpoch, Platform: platform, Functions: ab})
		if err != nil {
			t.Fatal(err)
		}
		core, err := NewCore(Options{
			Epoch: virtualEpoch, Platform: platform, Functions: ab, ServesAll: true, Act: true,
			NewPolicy: func([]prewarm.Function) (prewarm.Policy, error) {
				return prewarm.PolicyFunc(func(e *prewarm.Event, _ *prewarm.Fleet, d *prewarm.Decisions) {
					if e.Kind == prewarm.Arrived && e.Function == 0 {
						d.Start(1, 2, prewarm.Why{Rule: "any"})
					}
				}), nil
			},
		}, m)
		if err != nil {
			t.Fatal(err)
		}
		core.Begin(0, nil)
		comes := func(at prewarm.Time, kind source.Kind, function, call string) {
			o := source.Observation{Kind: kind, Function: function, Trace: "t", Call: call, Time: virtualEpoch.Add(at), Wait: -1, Init: -1}
			if err := core.Observe(at, &o); err != nil {
				t.Fatal(err)
			}
		}
		comes(time.Second, source.Invoked, "a", "1")
		commands := core.Commands()
		if len(commands) != 1 || commands[0].N != 2 {
			t.Fatalf("commands are %+v", commands)
		}
		command := commands[0].ID
		comes(2*time.Second, source.Invoked, "b", "2")
		comes(2500*time.Millisecond, source.Started, "b", "2")
		if early := core.Releases(); len(early) > 0 {
			t.Errorf("%v: released %+v while it is not known what stands", results, early)
		}
		core.Acted(3*time.Second, command, []actuator.Result{{Outcome: results[0]}, {Outcome: results[1]}})
		came, stands := 0, 0
		for _, o := range results {
			if o == actuator.Created || o == actuator.Unknown {
				came++
			}
		}
		stands = came
		for _, r := range core.Releases() {
			stands -= r.N
		}
		if got := fmt.Sprintf("%d of %d stands", stands, came); got != want {
			t.Errorf("%v: %s, want %s", results, got, want)
		}
	}
}
