package share

import (
	"cmp"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// Bounds of what is shown, of all partitions together.
const (
	mostShownTraces     = 50
	mostShownDecisions  = 100
	mostShownContainers = 2000
)

// State implements controller.Engine: it is that of all partitions together, without what was counted before this instance had them.
func (d *Deciders) State() *controller.State {
	s := &controller.State{
		Time: d.o.Epoch.Add(d.now), Begun: d.o.Epoch.Add(d.began), Version: d.core.Version, Mode: controller.DryRun, Policy: d.core.Policy, Platform: d.core.Actuator,
		Functions: []controller.FunctionState{}, Traces: []controller.TraceState{}, Containers: []controller.ContainerState{},
		Decisions: []controller.DecisionState{}, Models: []controller.ModelState{}, Sources: []controller.SourceState{},
		Notice: controller.NewHistogram(controller.NoticeBounds), Lateness: controller.NewHistogram(controller.LatenessBounds), Totals: d.past,
	}
	switch {
	case d.paused:
		s.Mode = controller.Paused
	case d.core.Act:
		s.Mode, s.ModeReason = controller.Acting, d.blocked
	}
	for _, partition := range d.partitions() {
		if u := d.units[partition]; u.begun {
			u.addTo(s)
		}
	}
	slices.SortStableFunc(s.Functions, func(a, b controller.FunctionState) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(s.Traces, func(a, b controller.TraceState) int { return b.Begun.Compare(a.Begun) })
	slices.SortStableFunc(s.Decisions, func(a, b controller.DecisionState) int { return b.Time.Compare(a.Time) })
	s.Traces = s.Traces[:min(len(s.Traces), mostShownTraces)]
	s.Decisions = s.Decisions[:min(len(s.Decisions), mostShownDecisions)]
	s.Containers = s.Containers[:min(len(s.Containers), mostShownContainers)]
	all, rebuilding := d.Partitions()
	if d.shares != nil {
		s.Shares = d.shares()
	}
	s.Shares = append(s.Shares, controller.ShareState{Of: "demands", Partitions: all, Rebuilding: rebuilding})
	return s
}

// addTo adds what there is of the partition to a state.
func (u *decider) addTo(s *controller.State) {
	own := u.core.State()
	addTotals(&s.Totals, u.since(own.Totals))
	s.InFlight += own.InFlight
	for _, f := range own.Functions {
		if i := u.mirror.Function(f.Name); !u.owned[i] {
			continue
		}
		b := u.bases[f.Name]
		f.Invocations, f.Warm, f.Late, f.Cold = less(f.Invocations, b.invocations), less(f.Warm, b.warm), less(f.Late, b.late), less(f.Cold, b.cold)
		f.Hits, f.Wasted = less(f.Hits, b.hits), less(f.Wasted, b.wasted)
		s.Functions = append(s.Functions, f)
	}
	for _, t := range own.Traces {
		for i := range t.Invocations {
			if t.Invocations[i].Container != 0 {
				t.Invocations[i].Container = u.global(t.Invocations[i].Container)
			}
		}
		s.Traces = append(s.Traces, t)
	}
	for _, c := range own.Containers {
		c.ID = u.global(c.ID)
		if c.Decision != 0 {
			c.Decision = u.global(c.Decision)
		}
		s.Containers = append(s.Containers, c)
	}
	for _, v := range own.Decisions {
		v.ID = u.global(v.ID)
		s.Decisions = append(s.Decisions, v)
	}
	for _, m := range own.Models {
		if !slices.ContainsFunc(s.Models, func(o controller.ModelState) bool { return o.Name == m.Name }) {
			s.Models = append(s.Models, m)
		}
	}
	s.Notice.Add(&own.Notice)
}

// totals returns what was counted since the partition is decided on here.
func (u *decider) totals() controller.Totals {
	if !u.begun {
		return controller.Totals{}
	}
	return u.since(u.core.State().Totals)
}

// since returns what was counted since the partition is decided on here; nothing as long as it is not.
func (u *decider) since(t controller.Totals) controller.Totals {
	if !u.live {
		return controller.Totals{}
	}
	b := &u.base
	return controller.Totals{
		Requests:    u.requests, // of which a core sees parts only
		Invocations: less(t.Invocations, b.Invocations), Warm: less(t.Warm, b.Warm), Late: less(t.Late, b.Late),
		Cold: less(t.Cold, b.Cold), Hits: less(t.Hits, b.Hits), Warmups: less(t.Warmups, b.Warmups), Wasted: less(t.Wasted, b.Wasted),
		Collapsed: less(t.Collapsed, b.Collapsed), Failed: less(t.Failed, b.Failed), SavedSeconds: t.SavedSeconds - b.SavedSeconds,
		SpentMBs: max(t.SpentMBs-b.SpentMBs, 0), AloneMBs: max(t.AloneMBs-b.AloneMBs, 0),
		Renewals: less(t.Renewals, b.Renewals), RenewalsFailed: less(t.RenewalsFailed, b.RenewalsFailed), KeptMBs: max(t.KeptMBs-b.KeptMBs, 0),
	}
}

// less returns the difference, 0 if it would be negative.
func less(a, b uint64) uint64 { return a - min(a, b) }

func addTotals(t *controller.Totals, o controller.Totals) {
	t.Requests += o.Requests
	t.Invocations += o.Invocations
	t.Warm += o.Warm
	t.Late += o.Late
	t.Cold += o.Cold
	t.Hits += o.Hits
	t.Warmups += o.Warmups
	t.Wasted += o.Wasted
	t.Collapsed += o.Collapsed
	t.Failed += o.Failed
	t.SavedSeconds += o.SavedSeconds
	t.SpentMBs += o.SpentMBs
	t.AloneMBs += o.AloneMBs
	t.Renewals += o.Renewals
	t.RenewalsFailed += o.RenewalsFailed
	t.KeptMBs += o.KeptMBs
}
