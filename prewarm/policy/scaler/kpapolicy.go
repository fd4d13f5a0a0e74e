package scaler

import (
	"math"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// KPA is the policy of the Knative pod autoscaler.
type KPA struct {
	options   KPAOptions
	functions []kpaFunction
	schedule  schedule
}

type kpaFunction struct {
	replicas
	concurrency
	decider *KPADecider
	zero    KPAZero
	excess  int
}

// NewKPA returns the policy for all functions of the fleet.
func NewKPA(o KPAOptions) *KPA { return &KPA{options: o.withDefaults()} }

// ExcessBurst returns the excess burst capacity of a function at the last decision.
func (p *KPA) ExcessBurst(function int) int { return p.functions[function].excess }

// Handle measures the concurrency and decides; an arrival ends a time without replicas at once.
func (p *KPA) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	switch e.Kind {
	case prewarm.Woken:
		switch e.Key {
		case 0:
			p.begin(e.At, fleet, d)
		case keyTick:
			p.schedule.tick(e.At, fleet, d)
		}
	case prewarm.Arrived, prewarm.Started, prewarm.Ended, prewarm.Refused:
		if p.functions == nil {
			return
		}
		f := &p.functions[e.Function]
		if arrived(e, fleet) && f.spec == 0 {
			// The activator reports what it holds at once, and all that was measured before is forgotten.
			now := float64(fleet.Loads[e.Function].InFlight())
			f.concurrency = concurrency{last: e.At, window: p.options.StableWindow, inFlight: fleet.Loads[e.Function].InFlight()}
			f.zero = KPAZero{Active: e.At, Proxied: e.At, Idle: prewarm.Never}
			p.decide(f, e.At, now, now, 0, d)
			return
		}
		f.measure(e.At, fleet.Loads[e.Function].InFlight())
	}
}

// begin sets the initial number of replicas of all functions, and starts the timer.
func (p *KPA) begin(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	p.functions = []kpaFunction{}
	p.add(at, fleet, d)
	p.schedule = schedule{{period: p.options.Tick, do: p.tick}}
	p.schedule.start(at, d)
}

// add sets the initial number of replicas of the functions that there are not yet.
func (p *KPA) add(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for i := len(p.functions); i < len(fleet.Functions); i++ {
		p.functions = append(p.functions, kpaFunction{
			replicas: replicas{function: i}, concurrency: concurrency{last: at, window: p.options.StableWindow},
			decider: NewKPADecider(p.options, at, 0), zero: KPAZero{Active: at, Proxied: at, Idle: prewarm.Never},
		})
		p.functions[i].set(d, p.options.Initial, "the initial number of replicas")
	}
}

// Grown implements prewarm.Grower.
func (p *KPA) Grown(fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if p.functions != nil {
		p.add(fleet.Now, fleet, d)
	}
}

func (p *KPA) tick(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for i := range p.functions {
		f := &p.functions[i]
		f.measure(at, fleet.Loads[i].InFlight())
		if f.spec > 0 {
			p.decide(f, at, f.mean(p.options.StableWindow), f.mean(p.options.panicWindow()), ready(fleet, i), d)
		}
	}
}

func (p *KPA) decide(f *kpaFunction, at prewarm.Time, stable, panicked float64, ready int, d *prewarm.Decisions) {
	o := &p.options
	n, excess := f.decider.Decide(at, stable, panicked, ready)
	f.excess = excess
	n = max(n, o.Min)
	if o.Max > 0 {
		n = min(n, o.Max)
	}
	if o.Min == 0 {
		n = f.zero.Apply(at, n, excess, o)
	}
	rule := "concurrency against its target"
	if f.decider.panicAt != prewarm.Never {
		rule = "panic: " + rule
	}
	f.set(d, n, rule)
}

// ready returns the number of replicas that can be sent requests.
func ready(fleet *prewarm.Fleet, function int) int {
	n := 0
	for _, state := range [...]prewarm.State{prewarm.StateIdle, prewarm.StateBusy, prewarm.StateReturning} {
		for _, c := range fleet.Containers(function, state) {
			if c.Ready && !c.Leaving {
				n++
			}
		}
	}
	return n
}

// concurrency measures the mean number of invocations in flight in each second.
type concurrency struct {
	window   time.Duration
	last     prewarm.Time // up to when it has measured
	inFlight int          // since then
	area     float64      // invocations · seconds in the second that has begun
	seconds  []float64    // means of the last seconds, the newest last; as many as the window has, or fewer since the beginning
}

// measure accounts for the time until now, and notes how many are in flight from now on.
func (c *concurrency) measure(at prewarm.Time, inFlight int) {
	for c.last < at {
		second := (c.last/time.Second + 1) * time.Second
		to := min(at, second)
		c.area += float64(c.inFlight) * (to - c.last).Seconds()
		if c.last = to; to == second {
			if len(c.seconds) == int(c.window/time.Second) {
				c.seconds = append(c.seconds[:0], c.seconds[1:]...)
			}
			c.seconds = append(c.seconds, c.area)
			c.area = 0
		}
	}
	c.inFlight = inFlight
}

// mean returns the mean over the last seconds of a window, or over those that there are; 0 if there are none.
func (c *concurrency) mean(window time.Duration) float64 {
	in := c.seconds[max(len(c.seconds)-int(window/time.Second), 0):]
	if len(in) == 0 {
		return float64(c.inFlight)
	}
	sum := 0.0
	for _, s := range in {
		sum += s
	}
	return math.Round(1e6*sum/float64(len(in))) / 1e6 // as Knative does, so that 70.0000000001 is not more than 70
}
