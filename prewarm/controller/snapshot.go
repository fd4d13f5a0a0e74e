package controller

import (
	"cmp"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// How much a state has at most.
const (
	mostShownTraces     = 48
	mostShownContainers = 256
	mostShownDecisions  = 100
	mostShownFunctions  = 512
	mostShownCalls      = 128 // of a trace
)

// State returns the state, but for what only the runner knows: sources, the actuator's state, and how late decisions are made.
func (c *Core) State() *State {
	s := &State{
		Time: c.moment(c.now), Begun: c.moment(0), Version: c.o.Version, Mode: DryRun, Policy: c.o.Policy, Platform: c.o.Actuator,
		Functions: []FunctionState{}, Traces: []TraceState{}, Containers: []ContainerState{}, Decisions: []DecisionState{}, Models: []ModelState{}, Sources: []SourceState{},
		Notice: c.notice.Clone(), Lateness: NewHistogram(LatenessBounds),
	}
	switch {
	case c.paused:
		s.Mode = Paused
	case c.o.Act:
		s.Mode = Acting
		s.ModeReason = c.blocked
	}
	s.Totals = c.currentTotals()
	for _, q := range c.requests.list {
		if q != nil && q.running > 0 {
			s.InFlight++
		}
	}
	c.addFunctionStates(s)
	c.addTraces(s)
	c.addContainers(s)
	for _, d := range c.log.newest(mostShownDecisions) {
		s.Decisions = append(s.Decisions, d.state(c.functions[d.function].Name, c.o.Epoch))
	}
	for _, m := range c.models {
		expected, came := m.watch.totals()
		reason := m.reason(c.o.Stale)
		s.Models = append(s.Models, ModelState{
			Name: m.Name, Kind: m.Kind, Functions: slices.Clone(m.Functions), Since: m.Since, Traces: m.Traces,
			Predicted: expected, Came: came, Agrees: m.watch.disagree == "" && m.Disagrees == "", Reason: reason,
		})
	}
	return s
}

// currentTotals returns the totals as of now.
func (c *Core) currentTotals() Totals {
	t := c.totals
	t.SpentMBs, t.AloneMBs = c.spent, c.totals.AloneMBs+c.alone.total(c.now)
	t.KeptMBs = c.kept
	for _, b := range c.boxes {
		if b.spends {
			t.SpentMBs += b.memory * (c.now - b.since).Seconds()
		}
		t.KeptMBs += c.keptBy(b, c.now)
	}
	return t
}

func (c *Core) moment(t prewarm.Time) time.Time { return c.o.Epoch.Add(t) }

func (c *Core) addFunctionStates(s *State) {
	for i, f := range c.functions[:min(len(c.functions), mostShownFunctions)] {
		state := f.FunctionState
		state.Version = c.mirror.Version(i)
		state.Starting = len(c.fleet.Containers(i, prewarm.StateStarting))
		state.Busy = len(c.fleet.Containers(i, prewarm.StateBusy)) + len(c.fleet.Containers(i, prewarm.StateReturning))
		for _, is := range c.fleet.Containers(i, prewarm.StateIdle) {
			if b := c.boxes[is.ID]; b != nil && b.warmed && !b.used {
				state.Warmed++
			} else if b == nil || !b.dry {
				state.Idle++
			}
		}
		state.StartSeconds = c.starts.Quantile(i, 0, 0.5, 0).Seconds()
		s.Functions = append(s.Functions, state)
	}
}

// addTraces adds the requests in flight, the latest first, and then those that have just ended.
func (c *Core) addTraces(s *State) {
	add := func(q *request) {
		if len(s.Traces) < mostShownTraces {
			s.Traces = append(s.Traces, c.traceState(q))
		}
	}
	running := 0
	for _, over := range []bool{false, true} {
		for i := len(c.requests.list) - 1; i >= 0 && len(s.Traces) < mostShownTraces; i-- {
			if q := c.requests.list[i]; q != nil && over == (q.running == 0) {
				add(q)
				running++
			}
		}
	}
	for i := len(c.requests.over) - 1; i >= max(0, len(c.requests.over)-mostOver); i-- {
		add(c.requests.over[i])
	}
}

func (c *Core) traceState(q *request) TraceState {
	t := TraceState{Trace: q.name, Begun: c.moment(q.begun), Invocations: []InvocationState{}, Expected: []ExpectedState{}}
	t.Application = c.functions[q.invocations[0].function].Application
	if q.running == 0 {
		ended := c.moment(q.ended)
		t.Ended = &ended
	}
	for _, v := range q.invocations[:min(len(q.invocations), mostShownCalls)] {
		state := InvocationState{Function: c.functions[v.function].Name, Arrived: c.moment(v.arrived), Container: uint64(v.container)}
		if known, ok := c.mirror.Invocation(v.id); ok {
			state.Call = known.Call
		}
		if v.hasStarted {
			at := c.moment(v.started)
			state.Started = &at
			state.Start = v.start.String()
		}
		if v.hasEnded {
			at := c.moment(v.ended)
			state.Ended = &at
		}
		t.Invocations = append(t.Invocations, state)
	}
	if expecter, ok := c.policy.(prewarm.Expecter); ok && c.requests.byID[q.id] == q {
		c.expected = expecter.Expected(q.id, c.expected[:0])
		for _, x := range c.expected[:min(len(c.expected), mostShownCalls)] {
			t.Expected = append(t.Expected, ExpectedState{
				Function: c.functions[x.Function].Name, Probability: x.Probability, Lower: c.moment(x.Lower), Median: c.moment(x.Median), Upper: c.moment(x.Upper),
			})
		}
	}
	return t
}

// addContainers adds the containers, the latest first.
func (c *Core) addContainers(s *State) {
	ids := make([]prewarm.ID, 0, len(c.boxes))
	for id := range c.boxes {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b prewarm.ID) int { return cmp.Compare(b, a) })
	for _, id := range ids {
		b, is := c.boxes[id], c.fleet.Container(id)
		if is == nil || b.dry {
			continue
		}
		if len(s.Containers) == mostShownContainers {
			break
		}
		state := ContainerState{
			ID: uint64(id), Function: c.functions[b.function].Name, State: is.State.String(), Since: c.moment(is.Since), Warmed: b.warmed, Used: b.used, Renewals: b.renewals, Decision: b.decision,
		}
		until := b.until
		if known, ok := c.mirror.Container(id); ok {
			until = min(until, known.Until)
		}
		if until != prewarm.Never && is.State == prewarm.StateIdle {
			at := c.moment(until)
			state.Until = &at
		}
		s.Containers = append(s.Containers, state)
	}
}
