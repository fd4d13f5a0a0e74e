package lab

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Group has the results of one workload.
type Group struct {
	Settings, App, Load string
	// Seeds are in ascending order.
	Seeds []uint64
	// Policies are in the order in which their results came; differences are those to the first.
	Policies []*PolicyResults
}

// PolicyResults are those of a policy, in the order of their seeds.
type PolicyResults struct {
	Policy  string
	Results []*StoredResult
}

// Groups groups results by workload, in the order in which they come.
func Groups(results []*StoredResult) []*Group {
	var groups []*Group
	for _, r := range results {
		i := slices.IndexFunc(groups, func(g *Group) bool { return g.Settings == r.Settings && g.App == r.App && g.Load == r.Load })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &Group{Settings: r.Settings, App: r.App, Load: r.Load})
		}
		g := groups[i]
		k := slices.IndexFunc(g.Policies, func(p *PolicyResults) bool { return p.Policy == r.Policy })
		if k < 0 {
			k = len(g.Policies)
			g.Policies = append(g.Policies, &PolicyResults{Policy: r.Policy})
		}
		g.Policies[k].Results = append(g.Policies[k].Results, r)
		if s, found := slices.BinarySearch(g.Seeds, r.Seed); !found {
			g.Seeds = slices.Insert(g.Seeds, s, r.Seed)
		}
	}
	for _, g := range groups {
		for _, p := range g.Policies {
			slices.SortStableFunc(p.Results, func(a, b *StoredResult) int { return cmp.Compare(a.Seed, b.Seed) })
		}
	}
	return groups
}

// Estimate is a mean over seeds. Half is half of the width of its 95 % interval, that of Student's t distribution, as if what the seeds give
// were normally distributed; NaN for a single seed.
type Estimate struct {
	Mean, Half float64
}

// estimate returns the mean of values with its interval.
func estimate(values []float64) Estimate {
	n := float64(len(values))
	e := Estimate{Half: math.NaN()}
	for _, v := range values {
		e.Mean += v / n
	}
	if len(values) < 2 {
		if len(values) == 0 {
			e.Mean = math.NaN()
		}
		return e
	}
	squares := 0.0
	for _, v := range values {
		squares += (v - e.Mean) * (v - e.Mean)
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975)
	e.Half = t * math.Sqrt(squares/(n-1)/n)
	return e
}

// Mean returns the mean of a measure over the seeds, with its interval.
func (p *PolicyResults) Mean(of func(*Measures) float64) Estimate {
	values := make([]float64, len(p.Results))
	for i, r := range p.Results {
		values[i] = of(&r.Measures)
	}
	return estimate(values)
}

// Paired returns the mean of the relation of a measure to that of another policy with the same seed, over the seeds that both have.
func (p *PolicyResults) Paired(other *PolicyResults, of func(*Measures) float64, relation func(a, b float64) float64) Estimate {
	var values []float64
	for _, r := range p.Results {
		i, found := slices.BinarySearchFunc(other.Results, r.Seed, func(o *StoredResult, seed uint64) int { return cmp.Compare(o.Seed, seed) })
		if found {
			values = append(values, relation(of(&r.Measures), of(&other.Results[i].Measures)))
		}
	}
	return estimate(values)
}
