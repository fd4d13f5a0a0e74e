package scaler

import (
	"math"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// KPAOptions are the parameters of the Knative pod autoscaler on concurrency, per function. The zero value of a field stands for its default.
//
// Source: knative/serving, pkg/autoscaler (config, scaling/autoscaler.go, aggregation) and pkg/reconciler/autoscaling/kpa/scaler.go;
// documentation "Configuring target burst capacity" for what the excess burst capacity is for.
//
// The rule: every 2 s the mean concurrency over StableWindow and over its PanicShare is divided by Total · Utilization and rounded up, from half the
// ready replicas up to a thousand times. Where the second is twice the ready replicas or more, a panic begins: until StableWindow after the
// last such moment the number only grows. Without any request in the stable window there are no replicas, once the activator has been in
// the path of the requests for Grace; the next request is held by the activator and brings the first one back.
type KPAOptions struct {
	// Total is the concurrency that a replica can have (containerConcurrency, or the annotation target if that is smaller). Default 100.
	Total float64
	// Utilization is the part of Total that is aimed at. Default 0.7.
	Utilization float64
	// Min and Max are the limits of the number of replicas; 0 for Max is no limit. Default 0 and 0.
	Min, Max int
	// Initial is the number at the beginning. Default 1.
	Initial int
	// StableWindow is the long window, in whole seconds, and one at least. Default 60 s.
	StableWindow time.Duration
	// PanicShare is the length of the short window as a part of the long one; it has a second at least. Default 0.1.
	PanicShare float64
	// PanicThreshold is how many times the ready replicas must be wanted for a panic. Default 2.
	PanicThreshold float64
	// MaxUp and MaxDown are the largest factors of a change in one decision. Default 1000 and 2.
	MaxUp, MaxDown float64
	// Burst is the target burst capacity: the concurrency that must be free for the activator to leave the path. 0 stands for the default, 211;
	// NoBurst takes it out of the path always.
	Burst float64
	// NoBurst is a target burst capacity of 0.
	NoBurst bool
	// Grace is how long the activator must have been in the path before the last replica goes. Default 30 s.
	Grace time.Duration
	// Retention is how long the last replica is kept after it could go. Default 0.
	Retention time.Duration
	// DownDelay is the time whose largest number limits scaling down. Default 0.
	DownDelay time.Duration
	// Tick is the time between decisions. Default 2 s.
	Tick time.Duration
}

func (o KPAOptions) withDefaults() KPAOptions {
	for v, otherwise := range map[*float64]float64{
		&o.Total: 100, &o.Utilization: 0.7, &o.PanicShare: 0.1, &o.PanicThreshold: 2, &o.MaxUp: 1000, &o.MaxDown: 2, &o.Burst: 211,
	} {
		if *v == 0 {
			*v = otherwise
		}
	}
	if o.NoBurst {
		o.Burst = 0
	}
	orInt(&o.Initial, 1)
	o.Initial = max(o.Initial, o.Min)
	orTime(&o.StableWindow, time.Minute)
	o.StableWindow = max(o.StableWindow, time.Second)
	orTime(&o.Grace, 30*time.Second)
	orTime(&o.Tick, 2*time.Second)
	return o
}

// panicWindow is the short window.
func (o *KPAOptions) panicWindow() time.Duration {
	return max(time.Duration(o.PanicShare*float64(o.StableWindow)).Round(time.Second), time.Second)
}

// KPADecider decides how many replicas there should be; it remembers a panic and, for a delay, its last decisions.
type KPADecider struct {
	options  KPAOptions
	panicAt  prewarm.Time // when it was last over the threshold; Never if there is no panic
	most     int          // in this panic
	computed series       // for DownDelay
}

// NewKPADecider returns a decider that finds a number of ready replicas. With more than one it begins in a panic at a time, so that it takes
// none away before it has seen the load.
func NewKPADecider(o KPAOptions, at prewarm.Time, ready int) *KPADecider {
	o = o.withDefaults()
	k := &KPADecider{options: o, panicAt: prewarm.Never, computed: series{keep: o.DownDelay}}
	if ready > 1 {
		k.panicAt, k.most = at, ready
	}
	return k
}

// Decide returns the number of replicas for the mean concurrencies in the stable and in the panic window, and the excess burst capacity: the
// concurrency that is free beyond the target burst capacity. While it is negative the activator stays in the path, and buffers.
func (k *KPADecider) Decide(at prewarm.Time, stable, panicked float64, ready int) (n, excess int) {
	o := &k.options
	target := o.Total * o.Utilization
	r := math.Max(1, float64(ready))
	up, down := math.Ceil(o.MaxUp*r), math.Floor(r/o.MaxDown)
	wanted := math.Ceil(panicked / target)
	limited := func(n float64) int { return int(min(max(n, down), up)) }

	if wanted/r >= o.PanicThreshold {
		k.panicAt = at
	} else if k.panicAt != prewarm.Never && at-k.panicAt > o.StableWindow {
		k.panicAt, k.most = prewarm.Never, 0
	}
	n = limited(math.Ceil(stable / target))
	if k.panicAt != prewarm.Never {
		k.most = max(k.most, n, limited(wanted))
		n = k.most
	}
	if o.DownDelay > 0 {
		k.computed.scrape(at, float64(n))
		n = int(k.computed.maxOver(at, o.DownDelay))
	}

	switch {
	case o.Burst < 0:
		excess = -1
	case o.Burst > 0:
		excess = int(math.Floor(float64(ready)*o.Total - o.Burst - panicked))
	}
	return n, excess
}

// KPAZero decides on the last replica.
type KPAZero struct {
	// Active is since when the function is active: since it was last brought back from zero, or created.
	Active prewarm.Time
	// Proxied is since when the activator has been in the path; Never if it is not.
	Proxied prewarm.Time
	// Idle is since when no replica was wanted; Never if one is.
	Idle prewarm.Time
}

// Apply returns the number of replicas to set where n are wanted: 1 instead of none while the function has been active for less than the stable
// window, or the activator in the path for less than the grace.
func (z *KPAZero) Apply(at prewarm.Time, n, excess int, o *KPAOptions) int {
	if n > 0 {
		z.Idle = prewarm.Never
		if excess >= 0 {
			z.Proxied = prewarm.Never
		} else if z.Proxied == prewarm.Never {
			z.Proxied = at
		}
		return n
	}
	if at-z.Active < o.StableWindow {
		return 1
	}
	if z.Idle == prewarm.Never {
		z.Idle = at
	}
	if z.Proxied == prewarm.Never {
		z.Proxied = at // an inactive function is behind the activator
	}
	if at-z.Proxied < o.Grace || at-z.Idle < o.Retention {
		return 1
	}
	return 0
}
