//go:build unix

package main

import (
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/tppfaas/tppfaas/apps"
)

// unforeseeable returns the least share of (cold + wasted) among the invocations beside the root that anybody can reach who knows the probability
// of every branch, and no outcome before the invocation arrives, and for whom no container is kept from one request to the next: who warms what is likelier than one half has a container wasted where it does not
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

// known is an invocation by whose arrival one can ask for the container of another that it leads to.
type known struct {
	chance         float64 // that it comes
	mean, variance float64 // of the time from its arrival to that of the other, in seconds
}

// leads returns what is known of what it leads to after runs of a function more.
func (k known) leads(mean, variance float64) known {
	return known{k.chance, k.mean + mean, k.variance + variance}
}

// missed returns what is missed, cold or wasted, of an invocation that comes with a probability if its container is asked for when k arrives, and takes start
// seconds: wasted where it does not come, cold and wasted where it comes before the container is ready.
func (k known) missed(chance, start float64) float64 {
	late := 0.0
	switch {
	case k.mean <= 0 && start > 0:
		late = 1
	case k.variance > 0:
		late = distuv.Gamma{Alpha: k.mean * k.mean / k.variance, Beta: k.mean / k.variance}.CDF(start)
	case k.mean < start:
		late = 1
	}
	return k.chance - chance + 2*chance*late
}

// kept returns how many containers have to be kept all the time for nothing to be missed, cold or wasted, of requests that come one after the other: one for each function, and
// two for one that is repeated while the run that calls it has not ended. Who can keep containers, or renew their idle times, is bound by their memory alone.
func kept(app *apps.Application) int {
	repeated := map[string]bool{}
	for i := range app.Functions {
		for _, v := range app.Functions[i].Invokes {
			if v.Choice == nil && v.Loop.Max > 1 {
				repeated[v.Function] = true
			}
		}
	}
	return len(app.Functions) + len(repeated)
}

// inTime is unforeseeable, with repetitions apart, for one who also knows how long runs take, and that a container takes start seconds: it has to be asked for before
// the request, which is foreseen, or as another invocation arrives, and may be late then. Each container is asked for at the best of these, or not at all. The
// time of several runs is taken to have a gamma distribution; the run of what starts cold begins later, and what it leads to.
func inTime(app *apps.Application, start float64) float64 {
	byName := map[string]*apps.Function{}
	for i := range app.Functions {
		byName[app.Functions[i].Name] = &app.Functions[i]
	}
	missed, invocations := 0.0, 0.0
	// ask returns for how long the invocation waits for its container: a whole start where that is not asked for.
	ask := func(chance float64, before []known) (wait float64) {
		least := 1 - chance // before the request
		for _, k := range before {
			least = min(least, k.missed(chance, start))
		}
		if chance < least {
			least, wait = chance, start
		}
		missed += least
		invocations += chance
		return wait
	}
	var runs func(f *apps.Function, before []known)
	// follow has f come with a probability, and again as a loop says.
	follow := func(f *apps.Function, chance float64, loop apps.Loop, before []known) {
		wait := ask(chance, before)
		mean, variance := f.Duration.Seconds(), 0.0
		if f.Gamma.Shape > 0 {
			mean = f.Gamma.Mean() / 1000
			variance = mean * mean / f.Gamma.Shape
		}
		n, square := 1.0, 1.0 // expected number of runs, and of its square
		behind := append(slices.Clone(before), known{chance: chance})
		for j := range behind {
			behind[j].mean += wait
		}
		after := slices.Clone(behind)
		again := chance
		for i := 1; i < loop.Max; i++ {
			for j := range behind {
				behind[j] = behind[j].leads(mean, variance)
			}
			again *= loop.Again
			ask(again, behind)
			n += again / chance
			square += float64(2*i+1) * again / chance
		}
		for j := range after {
			after[j] = after[j].leads(n*mean, n*variance+(square-n*n)*mean*mean)
		}
		runs(f, after)
	}
	runs = func(f *apps.Function, before []known) {
		for _, v := range f.Invokes {
			if v.Choice == nil {
				follow(byName[v.Function], before[len(before)-1].chance, v.Loop, before)
				continue
			}
			for _, o := range v.Choice {
				if o.Function != "" {
					follow(byName[o.Function], before[len(before)-1].chance*o.Probability, apps.Loop{}, before)
				}
			}
		}
	}
	runs(byName[apps.Main], []known{{chance: 1}})
	if invocations == 0 {
		return 0
	}
	return missed / invocations
}
