// Command fidelity compares the platform in virtual time with recordings of a real cluster: what it makes of the same load. It
// prints a table for each recording and draws the distributions of both worlds.
//
//	make chain
//	for app in tree_small fanout_small; do
//	    bin/chain -memory 8192 -- -d $app -n 220 -l 0.4 -u 0.7 -r -o build/${app}_n220_l0.4_u0.7_r_openwhisk.json
//	done
//	go run ./bench/fidelity -o docs/fidelity.png -seeds 20 -timings recorded/timings.csv recorded/*.json.gz \
//	    -memory 8192 -local build/tree_small_n220_l0.4_u0.7_r_openwhisk.json -local build/fanout_small_n220_l0.4_u0.7_r_openwhisk.json
//
// The recorded datasets and timings are not in this repository.
package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

const usage = `fidelity samples the applications of recorded datasets in virtual time, under the same load, and compares.

Usage: fidelity [DATASET...] [OPTIONS]

The name of a dataset says what it is: low_, high_ or batched_, the application, _det or _rand, .json.gz. Under low load the
median inter time of every pair of consecutive marks is compared; of bursts, which batched_ and high_ datasets hold, the
share of cold starts and the waits.

Datasets of -local are of the local platform in real time (sampler platform), and named by the sampler: what was sampled in real
time is sampled in virtual time, and of every pair of consecutive marks the distributions of the inter times are compared.

Examples:
  fidelity recorded/*.json.gz
  fidelity -o docs/fidelity.png -seeds 5 recorded/low_*.json.gz
  fidelity -local build/tree_small_n220_l0.4_u0.7_openwhisk.json
  fidelity -fit data/tree_small_n50_l1_u2_openwhisk.json    the overheads of the platform that a dataset was sampled on
`

func main() { cli.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Exit(stderr, "fidelity", compare(ctx, args, stdout))
}

func compare(ctx context.Context, args []string, stdout io.Writer) error {
	fs := cli.NewFlagSet("fidelity", stdout, usage)
	seeds := fs.Int("seeds", 3, "`samplings` of each load, each with a seed of its own")
	output := fs.String("o", "", "draw a picture into `FILE`, PNG")
	overheads := fs.String("overheads", string(sampler.Cluster), "`preset` of the platform's overheads, see sampler -h")
	timings := fs.String("timings", "", "draw waits of a standalone OpenWhisk too, from a CSV `file` with the columns set and wait_ms")
	var local []string
	fs.Func("local", "compare a dataset of the local platform in real time too, from a `file`; can be repeated", func(path string) error {
		local = append(local, path)
		return nil
	})
	memory := fs.Int("memory", 4096, "memory for containers of the platform of -local in `MiB`")
	fit := fs.Bool("fit", false, "compare nothing: fit Dispatch, Creation and Init of a platform without load to the datasets, whatever they are called")
	paths, err := cli.Parse(fs, args)
	if err != nil {
		return err
	}
	if len(paths)+len(local) == 0 || *seeds < 1 {
		return cli.Usagef("give at least one DATASET and one seed")
	}
	if *fit {
		return fitFiles(paths, stdout)
	}
	if err := sampler.Overheads(*overheads).Validate(); err != nil {
		return cli.Usagef("-overheads: %v", err)
	}
	var all []drawing
	for _, path := range paths {
		c, err := compareFile(ctx, path, sampler.Overheads(*overheads), *seeds)
		if err != nil {
			return err
		}
		if err := c.print(stdout); err != nil {
			return err
		}
		all = append(all, c)
	}
	if *timings != "" {
		s, err := compareStandalone(ctx, *timings)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	for _, path := range local {
		c, err := compareRealTime(ctx, path, sampler.RealTime, *memory, *seeds)
		if err != nil {
			return err
		}
		if err := c.print(stdout); err != nil {
			return err
		}
		all = append(all, c)
	}
	if *output == "" {
		return nil
	}
	picture, err := sheet(all)
	if err != nil {
		return err
	}
	return figure.Write(*output, picture)
}

// fitFiles prints the overheads that fit the waits and inits of the datasets.
func fitFiles(paths []string, stdout io.Writer) error {
	var timings []localwhisk.Timing
	for _, path := range paths {
		d, err := dataset.ReadFile(path)
		if err != nil {
			return err
		}
		for i := range d.Sequences {
			s := &d.Sequences[i]
			if s.WaitTimes == nil || s.InitTimes == nil {
				return fmt.Errorf("%s: sequence %d has no wait or no init times", path, i)
			}
			for k := range s.Len() {
				ms := float64(time.Millisecond)
				timings = append(timings, localwhisk.Timing{Wait: time.Duration(s.WaitTimes[k] * ms), Init: time.Duration(s.InitTimes[k] * ms)})
			}
		}
	}
	var unknown localwhisk.Config
	c, err := unknown.Fit(timings)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d invocations\n", len(timings))
	for _, d := range []struct {
		name string
		localwhisk.Delay
	}{{"Dispatch", c.Dispatch}, {"Creation", c.Creation}, {"Init", c.Init}} {
		if d.Delay == (localwhisk.Delay{}) {
			fmt.Fprintf(stdout, "%s: not to be seen\n", d.name)
			continue
		}
		fmt.Fprintf(stdout, "%s: Delay{Min: %v, Median: %v, Sigma: %.3f}\n", d.name, d.Min.Round(10*time.Microsecond), d.Median.Round(10*time.Microsecond), d.Sigma)
	}
	return nil
}

// comparison is a recording beside what virtual time makes of the same load.
type comparison struct {
	source     *source
	real, ours []*tpp.Sequence // of the low load, or of the bursts
	gaps       []medianGap     // of a low load
	statistics []statistic
}

func compareFile(ctx context.Context, path string, overheads sampler.Overheads, seeds int) (*comparison, error) {
	s, err := readSource(path)
	if err != nil {
		return nil, err
	}
	c := &comparison{source: s}
	inBursts := s.load != "low"
	if inBursts {
		for _, b := range s.bursts {
			c.real = append(c.real, b...)
		}
	} else {
		c.real = pointers(s.dataset)
	}
	for seed := range uint64(seeds) {
		d, err := s.simulate(ctx, overheads, seed, inBursts)
		if err != nil {
			return nil, err
		}
		c.ours = append(c.ours, pointers(d)...)
	}
	if !inBursts {
		c.gaps = compareGaps(c.real, c.ours)
	}
	c.statistics = statistics(delaysOf(c.real), delaysOf(c.ours))
	return c, nil
}

func (c *comparison) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s: %d traces recorded, %d simulated\n", c.source.name, len(c.real), len(c.ours))
	for _, f := range c.statistics {
		fmt.Fprintf(t, "  %s\t%.6g\t%.6g\t%s\n", f.name, f.real, f.ours, mark(f.ok))
	}
	if len(c.gaps) > 0 {
		good, alone := 0, 0
		for _, g := range c.gaps {
			if g.ok() {
				good++
			}
			if g.okAlone() {
				alone++
			}
		}
		fmt.Fprintf(t, "  median gaps within bounds\t%d of %d\t(%d with an interval for each alone)\n", good, len(c.gaps), alone)
		for _, g := range c.gaps {
			if g.okAlone() {
				continue
			}
			verdict := mark(g.ok())
			if g.ok() {
				verdict = fmt.Sprintf("outside alone, together %.0f to %.0f", g.together.lower, g.together.upper)
			}
			fmt.Fprintf(t, "  %s, %s\t%.0f (%.0f to %.0f)\t%.0f\t%s\t%d recorded, %d simulated\n", c.source.app.Functions[g.from].Name,
				c.source.app.Functions[g.to].Name, g.real, g.alone.lower, g.alone.upper, g.ours, verdict, g.recorded, g.simulated)
		}
	}
	fmt.Fprintln(t)
	return t.Flush()
}

func mark(ok bool) string {
	if ok {
		return ""
	}
	return "too far apart"
}
