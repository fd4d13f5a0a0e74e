package scaler

import (
	"math"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Mode is the load that OpenFaaS Pro scales by (label com.openfaas.scale.type).
type Mode string

// The modes.
const (
	// Capacity: invocations in flight.
	Capacity Mode = "capacity"
	// RPS: completed invocations a second, whatever their status.
	RPS Mode = "rps"
	// CPU: processor time of the replicas, in thousandths of a core.
	CPU Mode = "cpu"
	// Queue: messages in the queue of asynchronous invocations.
	Queue Mode = "queue"
)

// ProOptions are the parameters of the autoscaler of OpenFaaS Pro, per function. The zero value of a field stands for its default, if
// it has one.
//
// Sources: the documentation ("Auto-scaling", "Scale to Zero", "Queue Worker", docs.openfaas.com), since the program is closed; the recording
// rules of the chart (openfaas/faas-netes, chart/openfaas/templates/prometheus-cfg.yaml); the gateway for the way from zero.
//
// The rule: every Loop the number of replicas is set to load ÷ (Target · Proportion), rounded up, from Min to Max. The load is a recording
// rule of Prometheus, evaluated every Evaluate: in mode Capacity the largest number in flight in the last 45 s, looked at every 5 s; RPS the
// rate over 30 s; CPU the rate between the last two samples, 10 s apart; Queue the number of messages. RPS and CPU need a Target above 1.
// With DownWindow replicas are taken away only down to the largest number that was computed within it. With Zero there are none once no
// invocation has begun for ZeroDuration; the next one brings Min back (at least one), and waits.
type ProOptions struct {
	Mode Mode
	// Target is the load that a replica should have: invocations, invocations a second, thousandths of a core, or messages. Default 50.
	Target float64
	// Proportion of the target that is aimed at. Default 0.9.
	Proportion float64
	// Min and Max are the limits of the number of replicas. Default 1 and 20. Where they are equal the number does not change.
	Min, Max int
	// Zero scales to no replicas.
	Zero bool
	// ZeroDuration is how long no invocation must have begun for that. Default 15 min.
	ZeroDuration time.Duration
	// FromZero begins without replicas; it needs Zero.
	FromZero bool
	// DownWindow is the time whose largest number of replicas limits scaling down, 0 for none; at most 5 min.
	DownWindow time.Duration
	// Evaluate is the time between evaluations of the recording rules. Default 15 s.
	Evaluate time.Duration
	// Loop is the time between the decisions. It is not published. Default 15 s.
	Loop time.Duration
}

// What the recording rules and the scrapes are set to.
const (
	proScrape         = 5 * time.Second
	proScrapeCPU      = 10 * time.Second
	proCapacityWindow = 45 * time.Second
	proRateWindow     = 30 * time.Second
	proCPUWindow      = time.Minute
)

func (o ProOptions) withDefaults() ProOptions {
	if o.Mode == "" {
		o.Mode = RPS
	}
	if o.Target == 0 {
		o.Target = 50
	}
	if o.Proportion == 0 {
		o.Proportion = 0.9
	}
	orInt(&o.Min, 1)
	orInt(&o.Max, 20)
	orTime(&o.ZeroDuration, 15*time.Minute)
	orTime(&o.Evaluate, 15*time.Second)
	orTime(&o.Loop, 15*time.Second)
	return o
}

// ProReplicas returns the number of replicas for a load: load ÷ (target · proportion), rounded up, from least to most. The present number of
// replicas has no part in it: the mean load of a replica is multiplied by it and divided by it.
func ProReplicas(load, target, proportion float64, least, most int) int {
	// Without the subtraction 21 ÷ (3 · 0.7) would be 11: the product is a little less than 2.1.
	n := math.Ceil(load/(target*proportion) - 1e-9)
	return int(min(max(n, float64(least)), float64(most)))
}

// DownWindow returns the number of replicas for the number wanted now: not fewer than the largest number that was computed within the window,
// unless there are fewer already. recent are the numbers in the window.
func DownWindow(current, wanted int, recent []int) int {
	if wanted >= current {
		return wanted
	}
	for _, n := range recent {
		wanted = max(wanted, n)
	}
	return min(wanted, current)
}

// Pro is the policy of OpenFaaS Pro.
type Pro struct {
	options   ProOptions
	functions []proFunction
	schedule  schedule
}

// proFunction is a function as Prometheus and the autoscaler know it.
type proFunction struct {
	replicas
	inFlight, completed, cpu series
	load                     float64      // the recording rule
	computed                 series       // numbers of replicas, for DownWindow
	started                  uint64       // invocations that had begun at the last loop
	active                   prewarm.Time // when some were last seen to have begun
	recent                   []int
}

// NewPro returns the policy for all functions of the fleet.
func NewPro(o ProOptions) *Pro { return &Pro{options: o.withDefaults()} }

// Handle scrapes, evaluates the recording rules, and decides; an arrival ends a time without replicas at once.
func (p *Pro) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	switch {
	case arrived(e, fleet) && p.functions != nil:
		if f := &p.functions[e.Function]; f.spec == 0 {
			f.set(d, max(p.options.Min, 1), "an invocation found no replicas")
		}
	case e.Kind == prewarm.Woken && e.Key == 0:
		p.begin(e.At, fleet, d)
	case e.Kind == prewarm.Woken && e.Key == keyTick:
		p.schedule.tick(e.At, fleet, d)
	}
}

// begin sets the first number of replicas of all functions, and starts the timers.
func (p *Pro) begin(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	o := &p.options
	p.functions = []proFunction{}
	p.add(at, fleet, d)
	p.scrape(at, fleet, d)
	p.scrapeCPU(at, fleet, d)
	p.schedule = schedule{
		{period: proScrape, do: p.scrape}, {period: proScrapeCPU, do: p.scrapeCPU}, {period: o.Evaluate, do: p.record}, {period: o.Loop, do: p.decideAll},
	}
	p.schedule.start(at, d)
}

// add sets the first number of replicas of the functions that there are not yet.
func (p *Pro) add(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	o := &p.options
	for i := len(p.functions); i < len(fleet.Functions); i++ {
		p.functions = append(p.functions, proFunction{
			replicas: replicas{function: i}, inFlight: series{keep: proCapacityWindow}, completed: series{keep: proRateWindow},
			cpu: series{keep: proCPUWindow}, computed: series{keep: o.DownWindow}, active: at,
		})
		if !o.Zero || !o.FromZero {
			p.functions[i].set(d, max(o.Min, 1), "the least number of replicas")
		}
	}
}

// Grown implements prewarm.Grower.
func (p *Pro) Grown(fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if p.functions != nil {
		p.add(fleet.Now, fleet, d)
	}
}

func (p *Pro) scrape(at prewarm.Time, fleet *prewarm.Fleet, _ *prewarm.Decisions) {
	for i := range p.functions {
		load := &fleet.Loads[i]
		p.functions[i].inFlight.scrape(at, float64(load.InFlight()))
		p.functions[i].completed.scrapeCounter(at, load.Ended+load.Refused)
	}
}

func (p *Pro) scrapeCPU(at prewarm.Time, fleet *prewarm.Fleet, _ *prewarm.Decisions) {
	for i := range p.functions {
		p.functions[i].cpu.scrape(at, fleet.Loads[i].CPU.Seconds())
	}
}

// record evaluates the recording rule of the mode.
func (p *Pro) record(at prewarm.Time, fleet *prewarm.Fleet, _ *prewarm.Decisions) {
	for i := range p.functions {
		f := &p.functions[i]
		switch {
		case p.options.Mode == Capacity:
			f.load = f.inFlight.maxOver(at, proCapacityWindow)
		case p.options.Mode == Queue:
			f.load = float64(fleet.Loads[i].Queued)
		case p.options.Target <= 1:
			f.load = 0
		case p.options.Mode == CPU:
			f.load = math.Ceil(1000*f.cpu.irate(at, proCPUWindow) - 1e-6)
		default:
			f.load = math.Ceil(f.completed.rate(at, proRateWindow) - 1e-9)
		}
	}
}

func (p *Pro) decideAll(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for i := range p.functions {
		p.decide(&p.functions[i], at, fleet.Loads[i].Arrived, d)
	}
}

// decide sets the number of replicas of a function that has some. started counts its invocations.
func (p *Pro) decide(f *proFunction, at prewarm.Time, started uint64, d *prewarm.Decisions) {
	o := &p.options
	if started != f.started {
		f.started, f.active = started, at
	}
	if f.spec == 0 {
		return
	}
	if o.Zero && at-f.active >= o.ZeroDuration {
		f.set(d, 0, "no invocation has begun for zero-duration")
		return
	}
	if o.Min == o.Max {
		return
	}
	wanted := ProReplicas(f.load, o.Target, o.Proportion, max(o.Min, 1), o.Max)
	if o.DownWindow > 0 {
		f.computed.scrape(at, float64(wanted))
		f.recent = f.recent[:0]
		for _, s := range f.computed.samples {
			f.recent = append(f.recent, int(s.value))
		}
		wanted = DownWindow(f.spec, wanted, f.recent)
	}
	f.set(d, wanted, string(o.Mode)+" against its target")
}
