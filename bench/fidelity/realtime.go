package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"gonum.org/v1/plot"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
)

// mostApart is the largest distance between the distributions of real and of virtual time.
const mostApart = 0.2

// realTime is a dataset that was sampled in real time beside what virtual time makes of the same sampling.
type realTime struct {
	name       string
	app        *apps.Application
	real, ours []*tpp.Sequence // those without cold starts
	distances  []distance
}

// distance is how far the inter times of a pair are apart.
type distance struct {
	pair
	sampled, simulated int // observations
	ks                 float64
}

// compareRealTime reads a dataset that the sampler wrote and named, and samples the same with other seeds in virtual time.
func compareRealTime(ctx context.Context, path string, overheads sampler.Overheads, memoryMB, seeds int) (*realTime, error) {
	name, config, err := sampler.ParseFileName(path)
	if err != nil {
		return nil, err
	}
	c := &realTime{name: filepath.Base(path)}
	if c.app, err = apps.Load(name); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d, err := readDataset(path, c.app)
	if err != nil {
		return nil, err
	}
	c.real = warm(d)
	for range seeds {
		config.Seed++
		target, err := sampler.NewLocalWith(sampler.LocalOptions{Overheads: overheads, MemoryMB: memoryMB, Seed: config.Seed})
		if err != nil {
			return nil, err
		}
		r, err := sampler.Sample(ctx, target, c.app, config, nil)
		if err != nil {
			return nil, fmt.Errorf("sampling for %s: %w", path, err)
		}
		c.ours = append(c.ours, warm(r.Dataset)...)
	}
	c.distances = distances(c.real, c.ours)
	if len(c.distances) == 0 {
		return nil, fmt.Errorf("%s: in its %d traces without cold starts no pair of marks comes %d times", path, len(c.real), enough)
	}
	return c, nil
}

// warm returns the sequences without cold starts.
func warm(d *tpp.Dataset) []*tpp.Sequence {
	return slices.DeleteFunc(pointers(d), func(s *tpp.Sequence) bool {
		for i := range s.Len() {
			if s.ColdStart(i) {
				return true
			}
		}
		return false
	})
}

// distances compares the pairs that were sampled often enough, the farthest first.
func distances(real, ours []*tpp.Sequence) []distance {
	sampled, simulated := gaps(real), gaps(ours)
	var all []distance
	for p, g := range sampled {
		if len(g) >= enough {
			all = append(all, distance{p, len(g), len(simulated[p]), kolmogorovSmirnov(g, simulated[p])})
		}
	}
	slices.SortFunc(all, func(a, b distance) int {
		return cmp.Or(cmp.Compare(b.ks, a.ks), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	return all
}

// kolmogorovSmirnov returns the largest difference between the distribution functions of ascending numbers, 1 if there are none of one
// kind. Both functions are compared where neither jumps: what is equal is passed on both sides at once.
func kolmogorovSmirnov(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	most := 0.0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x := min(a[i], b[j])
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		most = max(most, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return most
}

func (c *realTime) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s: without cold starts %d traces in real time, %d in virtual time\n", c.name, len(c.real), len(c.ours))
	near := 0
	for _, d := range c.distances {
		if d.ks <= mostApart {
			near++
		}
	}
	fmt.Fprintf(t, "  distributions at most %g apart\t%d of %d\n", mostApart, near, len(c.distances))
	real, ours := gaps(c.real), gaps(c.ours)
	for _, d := range c.distances {
		fmt.Fprintf(t, "  %s, %s\t%.3f\t%s\tmedians %.3g and %.3g ms\t%d and %d times\n", c.app.Functions[d.from].Name, c.app.Functions[d.to].Name,
			d.ks, mark(d.ks <= mostApart), quantile(real[d.pair], 0.5), quantile(ours[d.pair], 0.5), d.sampled, d.simulated)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

// panel draws the distribution functions of the inter times of each pair.
func (c *realTime) panel() (*plot.Plot, error) {
	p := figure.NewPanel("local platform, real time:\n"+c.app.Name+" without cold starts", "gap (ms)", "share of gaps")
	real, ours := gaps(c.real), gaps(c.ours)
	p.X.Min, p.X.Max = 0, 50
	for _, d := range c.distances {
		p.X.Max = max(p.X.Max, math.Ceil(quantile(real[d.pair], 0.98)/50)*50)
	}
	for _, d := range c.distances {
		if err := distribution(p, real[d.pair], 1, recordedInk); err != nil {
			return nil, err
		}
		if err := distribution(p, ours[d.pair], 1, ourInk); err != nil {
			return nil, err
		}
	}
	return p, nil
}
