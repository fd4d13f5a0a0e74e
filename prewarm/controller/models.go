package controller

import (
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// checkEvery is how often models are checked for being stale, and requests for being forgotten.
const checkEvery = 5 * time.Second

// modelUse is a model in use.
type modelUse struct {
	Model
	watch *watch
	place map[int]int // of a function in the watch
	stale bool
	told  string // the reason why it is not used, as was logged
}

// reason returns why a model is not used, "" if it is.
func (m *modelUse) reason(stale time.Duration) string {
	switch {
	case m.watch.disagree != "":
		return m.watch.disagree
	case m.Disagrees != "":
		return m.Disagrees
	case m.stale:
		return "stale: nothing was observed of its functions for " + stale.String()
	}
	return ""
}

// refreshModels asks which models there are, and decides which functions are served.
func (c *Core) refreshModels() {
	var models []Model
	if c.o.Models != nil {
		models = c.o.Models()
	}
	var uses []*modelUse
	by := map[int]*modelUse{}
	for _, model := range models {
		if model.Functions == nil {
			for _, i := range model.Indices {
				if i >= 0 && i < len(c.functions) {
					model.Functions = append(model.Functions, c.functions[i].Name)
				}
			}
		}
		var m *modelUse
		for _, old := range c.models {
			if old.Name == model.Name && old.Since.Equal(model.Since) && len(old.Functions) == len(model.Functions) {
				m = old
			}
		}
		if m == nil {
			m = &modelUse{watch: newWatch(len(model.Functions))}
		}
		m.Model, m.place = model, map[int]int{}
		heard := prewarm.Time(-1 << 62)
		for i, name := range model.Functions {
			f := c.mirror.Function(name)
			if f < 0 || f >= len(c.functions) {
				continue
			}
			m.place[f] = i
			by[f] = m
			heard = max(heard, c.functions[f].heard)
		}
		m.stale = c.o.Stale > 0 && c.now-heard > c.o.Stale && len(m.place) > 0
		uses = append(uses, m)
	}
	c.models = uses
	for _, m := range uses {
		reason := m.reason(c.o.Stale)
		switch {
		case reason == m.told:
		case reason == "":
			c.o.Log.Info("a model is used again", "model", m.Name)
		case m.told == "":
			c.o.Log.Warn("a model is not used: nothing is done for its functions", "model", m.Name, "reason", reason)
		}
		m.told = reason
	}
	for i, f := range c.functions {
		f.model = by[i]
		served, reason := true, ""
		switch {
		case f.model != nil:
			reason = f.model.reason(c.o.Stale)
			served = reason == ""
		case !c.o.ServesAll:
			served, reason = false, "no model"
		}
		if f.Served && !served {
			c.touch(f)
		}
		f.Served, f.Reason = served, reason
	}
}

// mostNames bounds how many functions a line of the log names.
const mostNames = 10

// tellUnserved warns of functions that were observed and that no model is for, once of each: whoever has given the model of another application, or of
// functions that were deployed under other names, would see nothing happen.
func (c *Core) tellUnserved() {
	if c.o.ServesAll || c.o.Learns {
		return
	}
	var names []string
	for _, f := range c.functions {
		if f.model == nil && !f.unserved {
			f.unserved = true
			names = append(names, f.Name)
		}
	}
	if n := len(names); n > 0 {
		c.o.Log.Warn("functions were observed that no model is for: nothing is done for them", "functions", strings.Join(names[:min(n, mostNames)], ","), "more", max(n-mostNames, 0))
	}
}

// foretell notes what the policy expects of a request that has just begun.
func (c *Core) foretell(e *prewarm.Event) {
	expecter, ok := c.policy.(prewarm.Expecter)
	q := c.requests.owner[e.Invocation]
	if !ok || q == nil || !q.whole || len(q.invocations) != 1 || c.functions[e.Function].model == nil {
		return
	}
	c.expected = expecter.Expected(e.Trace, c.expected[:0])
	for _, x := range c.expected {
		p := x.Probability
		at := -1
		for i := range q.forecast {
			if q.forecast[i].function == x.Function {
				at = i
			}
		}
		if at < 0 {
			at = len(q.forecast)
			q.forecast = append(q.forecast, forecast{function: x.Function, lower: x.Lower, upper: x.Upper})
		}
		f := &q.forecast[at]
		f.expected += p
		f.variance += p * (1 - p)
		f.lower, f.upper = min(f.lower, x.Lower), max(f.upper, x.Upper)
	}
	q.foretold = true
}

// closeLater has requests closed once nothing of them has run for a while, and for longer where observations come late.
func (c *Core) closeLater() {
	if r := c.requests; r.closed < len(r.closing) {
		c.agenda.set(entry{purpose: closeTraces}, r.closing[r.closed].at+c.quiet())
	}
}

// mostQuiet bounds by how much longer a request is waited for where observations come late: what is later by more than a minute is of no use to the mirror.
const mostQuiet = 2 * time.Minute

// quiet is for how long nothing of a request must run before it counts as over.
func (c *Core) quiet() time.Duration { return quiet + min(2*c.behind.Get(), mostQuiet) }

// Disturbed notes that something was refused, which may come later or not at all: nothing is concluded from what has not come of the requests in flight.
func (c *Core) Disturbed() {
	for _, q := range c.requests.byID {
		q.doubtful = true
	}
}

// closeRequests closes requests that are over.
func (c *Core) closeRequests() {
	r := c.requests
	for r.closed < len(r.closing) && r.closing[r.closed].at+c.quiet() <= c.now {
		q, at := r.closing[r.closed].request, r.closing[r.closed].at
		r.closing[r.closed].request = nil
		r.closed++
		if q.running == 0 && q.ended == at && r.byID[q.id] == q {
			c.compare(q)
			r.close(q)
		}
	}
	if 2*r.closed >= len(r.closing) {
		r.closing = slices.Delete(r.closing, 0, r.closed)
		r.closed = 0
	}
	c.closeLater()
}

// forgetRequests closes requests of which nothing was heard for long.
func (c *Core) forgetRequests() {
	r := c.requests
	for i := 0; i < len(r.list); i++ {
		q := r.list[i]
		if q == nil {
			continue
		}
		if c.now-q.begun < forgotten {
			return
		}
		if c.now-q.last >= forgotten {
			r.close(q)
			i = -1 // the list may have moved
		}
	}
}

// compare compares what was expected of a request with what has come.
func (c *Core) compare(q *request) {
	m := c.functions[q.invocations[0].function].model
	if !q.foretold || q.doubtful || q.orphans > 0 || m == nil {
		return
	}
	for _, v := range q.invocations {
		if v.caller != nil {
			v.free = v.caller.free + max(v.arrived-max(v.caller.started, v.caller.arrived), 0)
		}
	}
	for function, place := range m.place {
		var f forecast
		for i := range q.forecast {
			if q.forecast[i].function == function {
				f = q.forecast[i]
			}
		}
		var came, outside float64
		for _, v := range q.invocations[1:] {
			if v.function == function {
				if came++; f.expected > 0 && c.outside(q, &f, v) {
					outside = 1
				}
			}
		}
		m.watch.add(place, f.expected, f.variance, came)
		if f.expected > 0 && came > 0 {
			m.watch.addTime(place, outside)
		}
	}
	if m.watch.close(m.Functions) {
		c.refreshModels()
	}
}

// outside reports whether an invocation came at quite another time than was foretold: outside of the times between which nine of ten should come, by more than
// the containers of it and of those before it take to start. Where it came later because those before it have waited for theirs, that is no error of the model.
func (c *Core) outside(q *request, f *forecast, v *invocation) bool {
	var slack time.Duration
	for u := v; u != nil; u = u.caller {
		slack += c.starts.Quantile(u.function, 0, 0.9, c.o.StartTime)
	}
	return v.arrived < f.lower-slack || f.upper != prewarm.Never && q.invocations[0].arrived+v.free > f.upper+slack
}
