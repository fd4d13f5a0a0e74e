package policy

import (
	"errors"
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/policy/scaler"
)

// mostReplicas is the largest number of replicas that a spec may name.
const mostReplicas = 1e6

// leastPeriod is the shortest time between two decisions that a spec may name.
const leastPeriod = 100 * time.Millisecond

// noneAt0 returns the time for the options of package scaler, where 0 stands for the default: a spec that says 0 means none.
func noneAt0(d time.Duration) time.Duration { return max(d, 1) }

func init() {
	Register(Kind{
		Name: "openfaas-ce", Form: "openfaas-ce[:MAX[:FACTOR]][:OPTION=VALUE]...",
		Help: "OpenFaaS Community Edition: steps of FACTOR (10) percent of MAX (5, not more) replicas while more than rate (5) invocations a second complete, else min (1)",
		New: func(a *Args, _ Options) (prewarm.Policy, error) {
			o := scaler.CEOptions{
				Max: int(a.Number("MAX", 5, 1, mostReplicas)), Factor: int(a.Number("FACTOR", 10, 1, 100)),
				Min: int(a.Option("min", 1, 1, 5)), Rate: a.Option("rate", 5, 1e-6, 1e6),
			}
			return scaler.NewCE(o), atMost("min", o.Min, "MAX", o.Max)
		},
	})
	Register(Kind{
		Name: "openfaas-pro", Form: "openfaas-pro[:MODE[:TARGET[:PROPORTION]]][:OPTION=VALUE]...",
		Help: "OpenFaaS Pro: replicas for TARGET (50) times PROPORTION (0.9) of the load each, which is by MODE rps, capacity, cpu (thousandths of a core) or queue; options min (1; 0 begins with none), max (20), zero (none after such a time), down (window), loop",
		New: func(a *Args, _ Options) (prewarm.Policy, error) {
			mode := scaler.Mode(a.Word("MODE", string(scaler.RPS)))
			o := scaler.ProOptions{
				Mode: mode, Target: a.Number("TARGET", 50, 1e-6, 1e9), Proportion: a.Number("PROPORTION", 0.9, 1e-3, 1),
				Min: int(a.Option("min", 1, 0, mostReplicas)), Max: int(a.Option("max", 20, 1, mostReplicas)),
				ZeroDuration: a.Seconds("zero", 0), DownWindow: a.Seconds("down", 0), Loop: a.Period("loop", 0, leastPeriod),
			}
			o.Zero, o.FromZero = o.ZeroDuration > 0, o.Min == 0
			err := atMost("min", o.Min, "max", o.Max)
			switch {
			case mode != scaler.RPS && mode != scaler.Capacity && mode != scaler.CPU && mode != scaler.Queue:
				err = errors.Join(err, fmt.Errorf("MODE is %q, must be rps, capacity, cpu or queue", mode))
			case o.FromZero && !o.Zero:
				err = errors.Join(err, errors.New("min is 0, which needs zero"))
			}
			return scaler.NewPro(o), err
		},
	})
	Register(Kind{
		Name: "hpa", Form: "hpa[:TARGET][:OPTION=VALUE]...",
		Help: "horizontal pod autoscaler of Kubernetes: processor time at TARGET (80) percent of request (100 thousandths of a core); options request, min (1), max (10), path (behavior or legacy), tolerance, stabilization, sync",
		New: func(a *Args, _ Options) (prewarm.Policy, error) {
			o := scaler.HPAOptions{
				Target: int(a.Number("TARGET", 80, 1, 1e6)), Request: a.Option("request", 100, 1e-3, 1e9),
				Min: int(a.Option("min", 1, 1, mostReplicas)), Max: int(a.Option("max", 10, 1, mostReplicas)),
				Legacy: a.Choice("path", "behavior", "legacy") == "legacy", Tolerance: a.Option("tolerance", 0.1, 1e-9, 1),
				Stabilization: noneAt0(a.Seconds("stabilization", 5*time.Minute)), Sync: a.Period("sync", 0, leastPeriod),
			}
			return scaler.NewHPA(o), atMost("min", o.Min, "max", o.Max)
		},
	})
	Register(Kind{
		Name: "kpa", Form: "kpa[:TOTAL[:UTILIZATION]][:OPTION=VALUE]...",
		Help: "Knative pod autoscaler: concurrency at UTILIZATION (0.7) of TOTAL (100), with panics; options min (0), max (no limit), initial (1), burst (211), stable (60 s), grace, retention, delay",
		New: func(a *Args, _ Options) (prewarm.Policy, error) {
			o := scaler.KPAOptions{
				Total: a.Number("TOTAL", 100, 1e-3, 1e9), Utilization: a.Number("UTILIZATION", 0.7, 1e-3, 1),
				Min: int(a.Option("min", 0, 0, mostReplicas)), Max: int(a.Option("max", 0, 0, mostReplicas)), Initial: int(a.Option("initial", 1, 1, mostReplicas)),
				Burst: a.Option("burst", 211, -1, 1e9), StableWindow: a.Period("stable", 0, time.Second), Grace: noneAt0(a.Seconds("grace", 30*time.Second)),
				Retention: a.Seconds("retention", 0), DownDelay: a.Seconds("delay", 0),
			}
			o.NoBurst = o.Burst == 0
			if o.Max > 0 {
				return scaler.NewKPA(o), atMost("min", o.Min, "max", o.Max)
			}
			return scaler.NewKPA(o), nil
		},
	})
}

// atMost returns an error if the argument low is greater than the argument high.
func atMost(lowName string, low int, highName string, high int) error {
	if low > high {
		return fmt.Errorf("%s (%d) is more than %s (%d)", lowName, low, highName, high)
	}
	return nil
}
