package scaler

import (
	"math"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// CEOptions are the parameters of OpenFaaS Community Edition, per function. The zero value of a field stands for its default.
//
// Sources: the gateway (openfaas/faas, gateway/handlers/alerthandler.go, gateway/scaling), the rules of Prometheus and the configuration of
// Alertmanager in the chart (openfaas/faas-netes, chart/openfaas/templates), and for what these two programs do with them prometheus/prometheus
// (rules/alerting.go) and prometheus/alertmanager (dispatch/dispatch.go, notify/notify.go).
//
// The rule: an alert fires for a function once the rate of its invocations that were completed with status 200 has been more than Rate for For,
// looked at every Evaluate. One group of Alertmanager has the alerts of all functions. It tells the gateway of the group GroupWait after its
// first alert; then every GroupInterval if an alert has begun to fire or was resolved, and otherwise RepeatInterval after it has told it
// last. Each time the gateway adds a step to the replicas of every function in the group that fires, and sets those that are resolved to
// Min.
type CEOptions struct {
	// Min is the least number of replicas, Max the largest (labels com.openfaas.scale.min and max; Community Edition allows 5 at most). Default 1
	// and 5.
	Min, Max int
	// Factor is the size of a step in percent of Max (com.openfaas.scale.factor). Default 10.
	Factor int
	// Rate is the completed invocations a second that must be exceeded. Default 5.
	Rate float64
	// Window is the time over which that is measured. Default 10 s.
	Window time.Duration
	// For is how long the rate must be exceeded. Default 5 s.
	For time.Duration
	// Scrape is the time between two looks at the gateway's counters. Default 5 s.
	Scrape time.Duration
	// Evaluate is the time between two evaluations of the rule. Default 15 s.
	Evaluate time.Duration
	// GroupWait, GroupInterval and RepeatInterval are those of Alertmanager. Default 5 s, 10 s, 30 s.
	GroupWait, GroupInterval, RepeatInterval time.Duration
}

// ceilingCE is the largest number of replicas that Community Edition sets.
const ceilingCE = 5

func (o CEOptions) withDefaults() CEOptions {
	orInt(&o.Min, 1)
	orInt(&o.Max, ceilingCE)
	o.Max = min(o.Max, ceilingCE)
	orInt(&o.Factor, 10)
	if o.Rate == 0 {
		o.Rate = 5
	}
	orTime(&o.Window, 10*time.Second)
	orTime(&o.For, 5*time.Second)
	orTime(&o.Scrape, 5*time.Second)
	orTime(&o.Evaluate, 15*time.Second)
	orTime(&o.GroupWait, 5*time.Second)
	orTime(&o.GroupInterval, 10*time.Second)
	orTime(&o.RepeatInterval, 30*time.Second)
	return o
}

// StepReplicas is the gateway's answer to an alert for a function that has current replicas: while it is firing a step of factor percent of
// most more, up to most, and otherwise least. A step of nothing sets least too.
func StepReplicas(firing bool, current, most, least, factor int) int {
	step := int(math.Ceil(float64(most) / 100 * float64(factor)))
	if !firing || step == 0 {
		return least
	}
	return min(current+step, most)
}

// CE is the policy of OpenFaaS Community Edition.
type CE struct {
	options   CEOptions
	functions []ceFunction
	group     alertGroup
	schedule  schedule
}

// ceFunction is a function as Prometheus and the gateway know it.
type ceFunction struct {
	replicas
	completed series
	pending   prewarm.Time // since when the rate is exceeded; Never if it is not
	firing    bool
}

// NewCE returns the policy for all functions of the fleet.
func NewCE(o CEOptions) *CE { return &CE{options: o.withDefaults()} }

// Handle scrapes, evaluates the rule, and lets Alertmanager's group tell the gateway.
func (p *CE) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if e.Kind != prewarm.Woken {
		return
	}
	switch e.Key {
	case 0:
		p.begin(e.At, fleet, d)
	case keyTick:
		p.schedule.tick(e.At, fleet, d)
	case keyGroup:
		// An alert that fires at this moment is in.
		p.schedule.tick(e.At, fleet, d)
		if p.group.flush(e.At, &p.options) {
			p.step(d)
			p.group.told(e.At)
		}
		d.Wake(p.group.next, keyGroup)
	}
}

// begin sets the least number of replicas of all functions, and starts the timers.
func (p *CE) begin(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	p.functions = []ceFunction{}
	p.group.next = prewarm.Never
	p.add(fleet, d)
	p.schedule = schedule{{period: p.options.Scrape, do: p.scrape}, {period: p.options.Evaluate, do: p.evaluateAll}}
	p.schedule.start(at, d)
}

// add sets the least number of replicas of the functions that there are not yet.
func (p *CE) add(fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for i := len(p.functions); i < len(fleet.Functions); i++ {
		p.functions = append(p.functions, ceFunction{replicas: replicas{function: i}, completed: series{keep: p.options.Window}, pending: prewarm.Never})
		p.functions[i].set(d, p.options.Min, "the least number of replicas")
	}
}

// Grown implements prewarm.Grower.
func (p *CE) Grown(fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if p.functions != nil {
		p.add(fleet, d)
	}
}

func (p *CE) scrape(at prewarm.Time, fleet *prewarm.Fleet, _ *prewarm.Decisions) {
	for i := range p.functions {
		load := &fleet.Loads[i]
		p.functions[i].completed.scrapeCounter(at, load.Ended-load.Failed)
	}
}

func (p *CE) evaluateAll(at prewarm.Time, _ *prewarm.Fleet, d *prewarm.Decisions) {
	for i := range p.functions {
		p.evaluate(&p.functions[i], at)
	}
	d.Wake(p.group.next, keyGroup)
}

// step is what the gateway does when it is told of the group.
func (p *CE) step(d *prewarm.Decisions) {
	o := &p.options
	for _, a := range p.group.alerts {
		rule := "the alert is resolved"
		if a.firing {
			rule = "a step, since the rate is high"
		}
		f := &p.functions[a.function]
		f.set(d, StepReplicas(a.firing, f.spec, o.Max, o.Min, o.Factor), rule)
	}
}

// evaluate evaluates the rule for a function, and hands what has changed to Alertmanager.
func (p *CE) evaluate(f *ceFunction, at prewarm.Time) {
	if f.completed.rate(at, p.options.Window) <= p.options.Rate {
		if f.firing {
			p.group.insert(at, f.function, false, &p.options)
		}
		f.pending, f.firing = prewarm.Never, false
		return
	}
	if f.pending == prewarm.Never {
		f.pending = at
	}
	if !f.firing && at-f.pending >= p.options.For {
		f.firing = true
		p.group.insert(at, f.function, true, &p.options)
	}
}

// alertGroup is a group of Alertmanager. It ends with its last resolved alert, once the gateway was told of that; Alertmanager keeps an empty
// group for up to 30 s, in which a new alert would wait for the next GroupInterval instead of GroupWait.
type alertGroup struct {
	alerts []groupAlert
	next   prewarm.Time // of the next flush; Never without alerts
	last   prewarm.Time // when the gateway was told last
}

type groupAlert struct {
	function     int
	firing, told bool // told: the gateway has been told that it is as firing says
}

// insert notes that an alert has begun to fire or was resolved.
func (g *alertGroup) insert(at prewarm.Time, function int, firing bool, o *CEOptions) {
	if len(g.alerts) == 0 {
		g.next = at + o.GroupWait
		g.last = -prewarm.Never
	}
	for i := range g.alerts {
		if g.alerts[i].function == function {
			g.alerts[i].firing, g.alerts[i].told = firing, false
			return
		}
	}
	g.alerts = append(g.alerts, groupAlert{function: function, firing: firing})
}

// flush reports whether the gateway must be told at a time of the group's timer, and sets the timer anew.
func (g *alertGroup) flush(at prewarm.Time, o *CEOptions) bool {
	g.next = at + o.GroupInterval
	for _, a := range g.alerts {
		if !a.told {
			return true
		}
	}
	// As Alertmanager compares: it must be longer ago, not just as long.
	return len(g.alerts) > 0 && at-o.RepeatInterval > g.last
}

// told notes that the gateway was told; alerts that were resolved are forgotten.
func (g *alertGroup) told(at prewarm.Time) {
	g.last = at
	firing := g.alerts[:0]
	for _, a := range g.alerts {
		if a.firing {
			a.told = true
			firing = append(firing, a)
		}
	}
	g.alerts = firing
	if len(g.alerts) == 0 {
		g.next = prewarm.Never
	}
}
