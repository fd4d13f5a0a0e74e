//go:build unix

package main

import "github.com/tppfaas/tppfaas/apps"

// unforeseeable returns the least share of (cold + wasted) among the invocations beside the root that anybody can reach who knows the probability
// of every branch, and no outcome before the invocation arrives: who warms what is likelier than one half has a container wasted where it does not
// come, and a cold start where the less likely comes. Repetitions of a loop count as invocations that are warm, as where they use the container again;
// with apart they find it busy, because the run that calls them has not ended yet, and are a branch like others.
func unforeseeable(app *apps.Application, apart bool) float64 {
	byName := map[string]*apps.Function{}
	for i := range app.Functions {
		byName[app.Functions[i].Name] = &app.Functions[i]
	}
	missed, invocations := 0.0, 0.0
	var runs func(f *apps.Function, expected float64)
	runs = func(f *apps.Function, expected float64) {
		for _, v := range f.Invokes {
			if v.Choice == nil {
				n := expected // of first runs; each of a loop may be followed by another
				for i, again := 1, expected*v.Loop.Again; i < v.Loop.Max; i, again = i+1, again*v.Loop.Again {
					n += again
					if apart {
						missed += again / v.Loop.Again * min(v.Loop.Again, 1-v.Loop.Again)
					}
				}
				invocations += n
				runs(byName[v.Function], expected)
				continue
			}
			for _, o := range v.Choice {
				if o.Function == "" {
					continue
				}
				missed += expected * min(o.Probability, 1-o.Probability)
				invocations += expected * o.Probability
				runs(byName[o.Function], expected*o.Probability)
			}
		}
	}
	runs(byName[apps.Main], 1)
	if invocations == 0 {
		return 0
	}
	return missed / invocations
}
