package scaler

import (
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
)

// HPA is the policy of the horizontal pod autoscaler.
type HPA struct {
	options   HPAOptions
	functions []hpaFunction
	schedule  schedule
	seen      []HPAPod
}

type hpaFunction struct {
	replicas
	limits HPALimits
	pods   []hpaPod // in the order of their creation, without those that are leaving
}

// hpaPod is what is known of a pod.
type hpaPod struct {
	id             prewarm.ID
	asked, readyAt prewarm.Time // readyAt is Never until it is ready
	// The processor time at the last sample, and the use between the last two, in thousandths of a core.
	sampled prewarm.Time // Never without a sample
	cpu     prewarm.Time
	use     float64
	samples int
}

// NewHPA returns the policy for all functions of the fleet.
func NewHPA(o HPAOptions) *HPA { return &HPA{options: o.withDefaults()} }

// Handle follows the pods, samples their processor time, and decides.
func (p *HPA) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	switch e.Kind {
	case prewarm.Woken:
		switch e.Key {
		case 0:
			p.begin(e.At, fleet, d)
		case keyTick:
			p.schedule.tick(e.At, fleet, d)
		}
	case prewarm.Starting, prewarm.Placed, prewarm.Idle:
		p.follow(e, fleet)
	case prewarm.Leaving, prewarm.Removed:
		if p.functions != nil {
			f := &p.functions[e.Function]
			f.pods = slices.DeleteFunc(f.pods, func(pod hpaPod) bool { return pod.id == e.Container })
		}
	}
}

// begin sets the least number of replicas of all functions, and starts the timers.
func (p *HPA) begin(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	o := &p.options
	p.functions = []hpaFunction{}
	p.add(at, fleet, d)
	p.schedule = schedule{{period: o.Metrics, do: p.sample}, {period: o.Sync, do: p.sync}}
	p.schedule.start(at, d)
}

// add sets the least number of replicas of the functions that there are not yet.
func (p *HPA) add(at prewarm.Time, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	o := &p.options
	for i := len(p.functions); i < len(fleet.Functions); i++ {
		p.functions = append(p.functions, hpaFunction{
			replicas: replicas{function: i},
			limits:   HPALimits{Min: o.Min, Max: o.Max, Legacy: o.Legacy, Stabilization: o.Stabilization},
		})
		f := &p.functions[i]
		f.set(d, o.Min, "the least number of replicas")
		f.limits.Start(at, f.spec)
	}
}

// Grown implements prewarm.Grower.
func (p *HPA) Grown(fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if p.functions != nil {
		p.add(fleet.Now, fleet, d)
	}
}

// follow notes pods that are new or have become ready.
func (p *HPA) follow(e *prewarm.Event, fleet *prewarm.Fleet) {
	c := fleet.Container(e.Container)
	if p.functions == nil || c == nil || c.Leaving {
		return
	}
	f := &p.functions[e.Function]
	i := slices.IndexFunc(f.pods, func(pod hpaPod) bool { return pod.id == c.ID })
	if i < 0 {
		i = len(f.pods)
		f.pods = append(f.pods, hpaPod{id: c.ID, asked: c.Asked, readyAt: prewarm.Never, sampled: prewarm.Never})
	}
	if pod := &f.pods[i]; c.Ready && pod.readyAt == prewarm.Never {
		pod.readyAt = e.At
	}
}

// sample reads the processor time of the pods that run.
func (p *HPA) sample(at prewarm.Time, fleet *prewarm.Fleet, _ *prewarm.Decisions) {
	for i := range p.functions {
		for k := range p.functions[i].pods {
			pod := &p.functions[i].pods[k]
			c := fleet.Container(pod.id)
			if c == nil || pod.readyAt == prewarm.Never {
				continue
			}
			if pod.samples++; pod.samples > 1 {
				pod.use = 1000 * (c.CPU - pod.cpu).Seconds() / (at - pod.sampled).Seconds()
			}
			pod.cpu, pod.sampled = c.CPU, at
		}
	}
}

// sync decides for all functions.
func (p *HPA) sync(at prewarm.Time, _ *prewarm.Fleet, d *prewarm.Decisions) {
	o := &p.options
	for i := range p.functions {
		f := &p.functions[i]
		p.seen = p.seen[:0]
		for _, pod := range f.pods {
			one := HPAPod{Use: pod.use, Request: o.Request, Missing: pod.samples < 2, Ignored: pod.readyAt == prewarm.Never}
			if at-pod.asked < o.CPUInitialization && !one.Ignored && !one.Missing {
				one.Ignored = pod.sampled-o.Metrics < pod.readyAt
			}
			p.seen = append(p.seen, one)
		}
		wanted, ok := HPAReplicas(f.spec, o.Target, o.Tolerance, p.seen)
		if !ok {
			continue // without a metric nothing is recommended
		}
		f.set(d, f.limits.Apply(at, f.spec, wanted), "use against its target")
	}
}
