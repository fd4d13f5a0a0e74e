package controller

import (
	"slices"
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
			q.forecast = append(q.forecast, forecast{function: x.Function})
		}
		q.forecast[at].expected += p
		q.forecast[at].variance += p * (1 - p)
	}
	q.foretold = true
}

// closeLater has requests closed once nothing of them has run for a while.
func (c *Core) closeLater() {
	if r := c.requests; r.closed < len(r.closing) {
		c.agenda.set(entry{purpose: closeTraces}, r.closing[r.closed].at+quiet)
	}
}

// closeRequests closes requests that are over.
func (c *Core) closeRequests() {
	r := c.requests
	for r.closed < len(r.closing) && r.closing[r.closed].at+quiet <= c.now {
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
	if !q.foretold || m == nil {
		return
	}
	for function, place := range m.place {
		var expected, variance, came float64
		for _, f := range q.forecast {
			if f.function == function {
				expected, variance = f.expected, f.variance
			}
		}
		for _, v := range q.invocations[1:] {
			if v.function == function {
				came++
			}
		}
		m.watch.add(place, expected, variance, came)
	}
	if m.watch.close(m.Functions) {
		c.refreshModels()
	}
}
