package scaler

import (
	"math"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// HPAOptions are the parameters of the horizontal pod autoscaler of Kubernetes on the processor time of pods, per function. The zero value of
// a field stands for its default.
//
// Sources: kubernetes/kubernetes, pkg/controller/podautoscaler (horizontal.go, replica_calculator.go, metrics/utilization.go) and its
// config/v1alpha1/defaults.go, of v1.23; documentation "Horizontal Pod Autoscaling".
//
// The rule: every Sync the number of replicas is the present one times their mean use in percent of Request (cut to a whole number) ÷ Target,
// rounded up, unless that is within Tolerance of the present one; see [HPAReplicas] for pods that have no metric or are not ready. How fast it may
// change depends on whether the object has a field behavior ([HPALimits]): with it, up by 4 pods or to twice as many in 15 s, whichever
// is more; without it (kubectl autoscale, autoscaling/v1) in one Sync to twice as many, or 4. Both go down only to the largest number of the
// last Stabilization.
type HPAOptions struct {
	// Target is the use that is aimed at, in percent of Request. Default 80.
	Target int
	// Request is the processor time that a pod requests, in thousandths of a core. Default 100.
	Request float64
	// Min and Max are the limits of the number of replicas. Default 1 and 10.
	Min, Max int
	// Legacy takes the path of an object without the field behavior.
	Legacy bool
	// Sync is the time between decisions. Default 15 s.
	Sync time.Duration
	// Tolerance is the relative difference from the target at which nothing is done. Default 0.1.
	Tolerance float64
	// Stabilization is the time whose largest number limits scaling down. Default 300 s.
	Stabilization time.Duration
	// CPUInitialization is the age up to which the metrics of a pod count only if it was ready for the whole time that they are of. Default 5 min.
	CPUInitialization time.Duration
	// Metrics is the time between two samples of the processor time of a pod, and so what a metric is over. Default 15 s, as metrics-server.
	Metrics time.Duration
}

func (o HPAOptions) withDefaults() HPAOptions {
	orInt(&o.Target, 80)
	if o.Request == 0 {
		o.Request = 100
	}
	orInt(&o.Min, 1)
	orInt(&o.Max, 10)
	orTime(&o.Sync, 15*time.Second)
	if o.Tolerance == 0 {
		o.Tolerance = 0.1
	}
	orTime(&o.Stabilization, 300*time.Second)
	orTime(&o.CPUInitialization, 5*time.Minute)
	orTime(&o.Metrics, 15*time.Second)
	return o
}

// HPAPod is a pod as the autoscaler sees it.
type HPAPod struct {
	// Use and Request are in the same unit, such as thousandths of a core.
	Use, Request float64
	// Missing says that there is no metric of the pod, so that Use says nothing.
	Missing bool
	// Ignored says that the pod is pending, or not ready, or was not for all of the time that its metric is of.
	Ignored bool
}

// HPAReplicas returns the number of replicas for pods whose use should be target percent of what they request; current if that is within the
// tolerance. Pods without a metric count as using nothing if more replicas would be needed, and all of their request if fewer, ignored ones
// as using nothing if more; what would turn the direction round changes nothing. It returns false if no pod has a metric that counts.
func HPAReplicas(current, target int, tolerance float64, pods []HPAPod) (n int, ok bool) {
	var use, request float64
	counted, missing, ignored := 0, 0, 0
	for _, p := range pods {
		switch {
		case p.Ignored:
			ignored++
		case p.Missing:
			missing++
		default:
			counted++
			use += p.Use
			request += p.Request
		}
	}
	if counted == 0 || request <= 0 {
		return current, false
	}
	ratio := hpaRatio(use, request, target)
	addIgnored := ignored > 0 && ratio > 1
	if missing == 0 && !addIgnored {
		if math.Abs(1-ratio) <= tolerance {
			return current, true
		}
		return int(math.Ceil(ratio * float64(counted))), true
	}
	for _, p := range pods {
		switch {
		case p.Ignored && addIgnored, !p.Ignored && p.Missing && ratio > 1:
			request += p.Request
			counted++
		case !p.Ignored && p.Missing && ratio < 1:
			use += p.Request
			request += p.Request
			counted++
		}
	}
	again := hpaRatio(use, request, target)
	if math.Abs(1-again) <= tolerance || ratio < 1 && again > 1 || ratio > 1 && again < 1 {
		return current, true
	}
	n = int(math.Ceil(again * float64(counted)))
	if again < 1 && n > current || again > 1 && n < current {
		return current, true
	}
	return n, true
}

// hpaRatio returns use ÷ request ÷ target percent, where the percentage of use is cut to a whole number.
func hpaRatio(use, request float64, target int) float64 {
	return math.Trunc(100*use/request) / float64(target)
}

// HPALimits is what limits how an autoscaler changes the number of replicas: its memory of what it has recommended and done.
type HPALimits struct {
	// Min and Max are the limits of the number.
	Min, Max int
	// Legacy: without the field behavior.
	Legacy bool
	// Stabilization is the time whose largest recommendation limits scaling down.
	Stabilization time.Duration

	recommended []hpaNumber
	up          []hpaNumber // changes of the last hpaPeriod
}

type hpaNumber struct {
	at prewarm.Time
	n  int
}

// The policies for scaling up that an object with the field behavior has by default: 4 pods or 100 percent in 15 s. Down there is no limit but
// that of the stabilization.
const (
	hpaPeriod  = 15 * time.Second
	hpaUpPods  = 4
	hpaUpTimes = 2
)

// Start notes the number of replicas that the autoscaler finds at first, as if it had recommended it.
func (l *HPALimits) Start(at prewarm.Time, current int) {
	l.recommended = append(l.recommended, hpaNumber{at, current})
}

// Apply returns the number of replicas to set where current are set and wanted are recommended.
func (l *HPALimits) Apply(at prewarm.Time, current, wanted int) int {
	l.recommended = append(l.recommended, hpaNumber{at, wanted})
	l.forget(at)
	highest := wanted
	for _, r := range l.recommended {
		highest = max(highest, r.n)
	}
	if l.Legacy {
		return min(max(highest, l.Min), l.Max, max(2*current, 4))
	}
	// A recommendation to go up is followed at once.
	n := min(max(current, wanted), highest)
	if n > current {
		before := current
		for _, e := range l.up {
			before -= e.n
		}
		limit := max(before+hpaUpPods, hpaUpTimes*before, current)
		n = min(n, limit)
	}
	n = min(max(n, l.Min), l.Max)
	if n > current {
		l.up = append(l.up, hpaNumber{at, n - current})
	}
	return n
}

// forget drops what is too old to count. A recommendation exactly as old as the stabilization counts without behavior only.
func (l *HPALimits) forget(at prewarm.Time) {
	kept := l.recommended[:0]
	for _, r := range l.recommended {
		if age := at - r.at; age < l.Stabilization || l.Legacy && age == l.Stabilization {
			kept = append(kept, r)
		}
	}
	l.recommended = kept
	up := l.up[:0]
	for _, e := range l.up {
		if at-e.at < hpaPeriod {
			up = append(up, e)
		}
	}
	l.up = up
}
