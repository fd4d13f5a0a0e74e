package controller

import (
	"errors"
	"testing"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
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
