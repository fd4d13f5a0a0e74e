package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/policy"
)

// bookkeeper adds up the memory-time of containers by what its policy is told, between two times.
type bookkeeper struct {
	prewarm.Policy
	begin, end           prewarm.Time
	last                 prewarm.Time
	starting, idle, busy int        // MiB since then
	sums                 [3]float64 // MB·s
}

// until accounts for the time until at.
func (b *bookkeeper) until(at prewarm.Time) {
	passed := (min(at, b.end) - max(b.last, b.begin)).Seconds()
	b.last = at
	if passed > 0 {
		for i, n := range [3]int{b.starting, b.idle, b.busy} {
			b.sums[i] += passed * float64(n)
		}
	}
}

// Handle implements prewarm.Policy.
func (b *bookkeeper) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	b.until(e.At)
	b.starting, b.idle, b.busy = 0, 0, 0
	for f := range fleet.Functions {
		memory := fleet.Functions[f].MemoryMB
		for _, state := range []prewarm.State{prewarm.StateStarting, prewarm.StateIdle, prewarm.StateBusy, prewarm.StateReturning} {
			for _, c := range fleet.Containers(f, state) {
				switch {
				case !c.Ready:
					b.starting += memory
				case state == prewarm.StateIdle:
					b.idle += memory
				default:
					b.busy += memory
				}
			}
		}
	}
	b.Policy.Handle(e, fleet, d)
}

// TestNoMemoryIsLost checks, for every policy, that the memory which a run is charged is that of the containers that its policy was told of,
// from the first scored request to the end of the charge, in each state; and that no container is more than there is memory for.
func TestNoMemoryIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("much work in one goroutine")
	}
	for _, c := range []struct {
		app, load string
		options   lab.Options
		setting   lab.Setting
	}{
		{"tree_small", "poisson:30", lab.Options{Requests: 12}, lab.Setting{}},
		{"branch", "bursts:4:0.2:60", lab.Options{Requests: 12, MemoryMB: 1536}, lab.Setting{Own: true}},
		{"fanout_small", "poisson:0.5", lab.Options{Requests: 40, MemoryMB: 1024}, lab.Setting{FirstCall: true, WarmedLast: true}},
		{"memory+sequence", "gamma:20:0.3", lab.Options{Requests: 12, MemoryMB: 2048, Stock: true}, lab.Setting{NoGiveBack: true}},
	} {
		w, err := lab.NewWorkload(c.app, c.load, c.options)
		require.NoError(t, err)
		plan, err := w.Plan(t.Context(), 1)
		require.NoError(t, err)
		for _, k := range policy.Kinds() {
			spec := k.Name
			if spec == pricedKind {
				spec += ":2560:table" // which is trained at once
			}
			b := &bookkeeper{begin: plan.Begin, end: plan.End}
			most := 0
			run, err := w.Run(t.Context(), c.setting, 1, func(p prewarm.Platform, functions []prewarm.Function, knowledge prewarm.Knowledge, seed uint64) (prewarm.Policy, error) {
				most = p.MemoryMB
				b.Policy, err = policy.New(spec, policy.Options{Platform: p, Functions: functions, Knowledge: knowledge, Seed: seed})
				return b, err
			}, lab.Observer{Decided: func(prewarm.Time, *prewarm.Decision, bool) {
				require.LessOrEqual(t, b.starting+b.idle+b.busy, most)
			}})
			require.NoError(t, err, "%s on %s", spec, c.app)
			b.until(plan.End)
			for i, measured := range [3]float64{run.Measures.Starting, run.Measures.Idle, run.Measures.Busy} {
				require.InDelta(t, b.sums[i]/float64(plan.Scored), measured, 1e-6*(1+measured), "%s on %s: %s", spec, c.app, []string{"starting", "idle", "busy"}[i])
			}
			var by lab.Measures
			for _, f := range run.Functions {
				by.Starting, by.Idle, by.Busy = by.Starting+f.Starting, by.Idle+f.Idle, by.Busy+f.Busy
			}
			require.InDelta(t, run.Measures.Memory()+run.Measures.Busy, by.Memory()+by.Busy, 1e-6*(1+by.Memory()+by.Busy))
		}
	}
}
