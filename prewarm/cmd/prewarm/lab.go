package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/policy"
)

// labUsage returns the help of prewarm lab.
func labUsage() string {
	var loads, policies strings.Builder
	for _, l := range lab.Loads() {
		explainForm(&loads, l[0], l[1])
	}
	for _, k := range policy.Kinds() {
		explainForm(&policies, k.Form, k.Help)
	}
	for _, b := range lab.Bounds() {
		explainForm(&policies, b[0], "an oracle, computed: "+b[1])
	}
	return `Usage: prewarm lab -app APPLICATION... -load LOAD... -policy POLICY... [OPTIONS]

Runs each policy on each application under each load, in virtual time, and prints what requests waited and what that cost. Every policy
meets the same requests; differences are taken between runs with the same seed. -app, -load and -policy may be given several times, and a
number of a policy may be a list: keepalive:60,300,600 are three policies.

Examples:
  prewarm lab -app sequence -load poisson:1200 -policy keepalive:600 -policy none
  prewarm lab -app sequence -load poisson:30 -policy keepalive:60,300,600 -seeds 10 -n 200 -json
  prewarm lab -app 'long~0.6' -load poisson:1200 -policy keepalive:600 -markdown
  prewarm lab -app tree_small -load poisson:1200 -policy newsvendor -policy learning -warmup 200 -n 400
  prewarm lab -app sequence+tree_small+parallel_small -memory 5120 -load poisson:60 -policy keepalive:600
  prewarm lab -app sequence -load azure:invocations_per_function_md.anon.d01.csv:17 -policy keepalive:600

Applications: ` + strings.Join(lab.Applications(), ", ") + `, or the path of a folder with a
graph.yaml. NAME~S multiplies the durations of each request by a log-normal factor of median 1 and σ S. A+B share a platform and its
-memory; otherwise each application has one of its own.

Loads:
` + loads.String() + `
Policies:
` + policies.String() + `
Columns: added latency of a request in seconds (its time from arrival to the last end, less that of the same calls with everything warm);
MB·s a request of containers that are starting and idle; invocations of a request that had a container created for themselves (cold) or
waited for one that was being started (late); containers that were started for nobody and never used (wasted). The first ` + fmt.Sprint(lab.Unscored) + ` requests
of an application are not scored, or as many as -warmup says. Intervals of differences are those of Student's t over seeds, at 95 %.

Tables have the oracles O1 and O3 below the policies, and how far each policy is from them; -bounds=false leaves them out.

-json prints an object for each application, load, policy and seed: app, load, policy, seed, requests, p50, p95, p99, mean, starting, idle,
busy, cold, late, wasted. With -o each result is appended to a file as it comes; what the file has already, from whatever
version of this program, is not run again. Ctrl-C keeps what is complete.

Exit status: 0 done, 1 failed or interrupted, 2 called wrongly.
`
}

// explainForm writes a form and what it means: in a line, or in two if the form is long.
func explainForm(b *strings.Builder, form, help string) {
	const width = 22
	if len([]rune(form)) > width {
		fmt.Fprintf(b, "  %s\n  %*s %s\n", form, width, "", help)
		return
	}
	fmt.Fprintf(b, "  %-*s %s\n", width, form, help)
}

// list is an option that may be given several times.
type list []string

// String returns the values with commas between them.
func (l *list) String() string { return strings.Join(*l, ",") }

// Set adds a value.
func (l *list) Set(value string) error {
	if value == "" {
		return errors.New("it must not be empty")
	}
	*l = append(*l, value)
	return nil
}

// labOptions are what the line says.
type labOptions struct {
	apps, loads, policies list
	options               lab.Options
	setting               lab.Setting
	seeds, workers        int
	first                 uint64
	json, verbose         bool
	byFunction, bounds    bool
	markdown              bool
	output, csv, picture  string
	explain, traces       string
	price                 priceOptions
}

func runLab(fs *flag.FlagSet) cli.Run {
	var o labOptions
	fs.Var(&o.apps, "app", "`application`, or several that share a platform with + between them")
	fs.Var(&o.loads, "load", "`load`: when requests arrive")
	fs.Var(&o.policies, "policy", "`policy`")
	fs.IntVar(&o.options.Requests, "n", 200, "`requests` of each application in a run")
	fs.IntVar(&o.options.Warmup, "warmup", lab.Unscored, "`requests` of each application at the beginning of a run that are not scored")
	fs.IntVar(&o.seeds, "seeds", 10, "`number` of runs of each combination, with the same requests for all policies")
	fs.Uint64Var(&o.first, "seed", 1, "`seed` of the first run; those of the others follow")
	fs.IntVar(&o.options.MemoryMB, "memory", 0, "memory for containers in `MiB`, of which each takes 256 (13312)")
	fs.BoolVar(&o.options.Fixed, "fixed", false, "functions work for their durations, instead of random times")
	fs.BoolVar(&o.options.Stock, "stock", false, "the platform has a stock of stem cells, containers without a function that take any, for policies that fill it: openwhisk, fpc")
	fs.BoolVar(&o.setting.Own, "own", false, "an invocation never waits for a container that is started for nobody, but has one of its own created, as in OpenWhisk's classic pool")
	fs.BoolVar(&o.setting.NoGiveBack, "no-giveback", false, "the platform cannot give containers back or hold them: it keeps each idle one for -idle-timeout")
	fs.BoolVar(&o.setting.Renew, "renew", false, "with -no-giveback, the idle time of an idle container can be renewed by a warm-up that it runs, and containers are held so")
	fs.DurationVar(&o.setting.IdleTimeout, "idle-timeout", 0, "how `long` the platform keeps an idle container on which the policy has decided nothing (without: 10m)")
	fs.BoolVar(&o.setting.StartsOnly, "starts-only", false, "policies hear of an invocation when its run starts, not when it arrives")
	fs.BoolVar(&o.setting.FirstCall, "first-call", false, "containers that are started for nobody make their first outgoing call, which is slow, before they are idle")
	fs.BoolVar(&o.setting.WarmedLast, "warmed-last", false, "of the idle containers of a function those that have made their first call are used before the others")
	fs.BoolVar(&o.json, "json", false, "print an object for each run")
	fs.BoolVar(&o.markdown, "markdown", false, "print Markdown")
	fs.BoolVar(&o.byFunction, "functions", false, "also print a table by function")
	fs.BoolVar(&o.bounds, "bounds", true, "add the oracles O1 and O3 to tables and pictures")
	fs.BoolVar(&o.verbose, "v", false, "also print how much processor time each policy took for an arrival, on standard error; runs everything anew")
	fs.DurationVar(&o.price.target, "target-p95", 0, "choose the price λ of each newsvendor that is given none: the lowest at which p95 is at most this `time`, such as 1s")
	fs.Float64Var(&o.price.secondCosts, "second-costs", 0, "choose it by money: the `price` of a second of a request's waiting")
	fs.Float64Var(&o.price.gbsCosts, "gbs-costs", 0, "and the `price` of a GB of memory for a second")
	fs.StringVar(&o.output, "o", "", "append results to `FILE`, JSON lines, and take from it what it has")
	fs.StringVar(&o.csv, "csv", "", "write the results into `FILE`, a row for each run")
	fs.StringVar(&o.picture, "picture", "", "draw p95 over memory into `FILE`, a .png, .svg or .pdf")
	fs.StringVar(&o.explain, "explain", "", "write every decision with its reason into `FILE`, JSON lines; runs everything anew")
	fs.StringVar(&o.traces, "traces", "", "write every request into `FILE`, a dataset as JSON lines; runs everything anew")
	fs.IntVar(&o.workers, "workers", 0, "`runs` at once (without: as many as there are processors)")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if len(args) > 0 {
			return cli.Usagef("%q is left over on the line", args[0])
		}
		if err := o.price.check(cli.IsSet(fs, "second-costs"), cli.IsSet(fs, "gbs-costs")); err != nil {
			return err
		}
		return o.run(ctx, stdout, stderr)
	}
}

// check returns what is wrong with the options.
func (o *labOptions) check() error {
	for _, needed := range []struct {
		option string
		given  list
	}{{"app", o.apps}, {"load", o.loads}, {"policy", o.policies}} {
		if len(needed.given) == 0 {
			return cli.Usagef("-%s is missing", needed.option)
		}
	}
	switch {
	case o.options.Warmup < 1:
		return cli.Usagef("-warmup: at least one request")
	case o.options.Requests <= o.options.Warmup:
		return cli.Usagef("-n: at least %d, of which the first %d are not scored", o.options.Warmup+1, o.options.Warmup)
	case o.options.Requests > mostRequests:
		return cli.Usagef("-n: at most %d", mostRequests)
	case o.seeds < 1:
		return cli.Usagef("-seeds: at least one is needed")
	case o.seeds > mostSeeds:
		return cli.Usagef("-seeds: at most %d", mostSeeds)
	case o.setting.Renew && !o.setting.NoGiveBack:
		return cli.Usagef("-renew: is for platforms that cannot hold containers, with -no-giveback")
	case o.setting.IdleTimeout < 0:
		return cli.Usagef("-idle-timeout: it must not be negative")
	case o.workers < 0:
		return cli.Usagef("-workers: it must not be negative")
	case o.options.MemoryMB < 0:
		return cli.Usagef("-memory: it must not be negative")
	case o.picture != "" && !figure.Writable(o.picture):
		return cli.Usagef("-picture: %s must end in .png, .svg or .pdf", o.picture)
	case o.json && o.markdown:
		return cli.Usagef("-json and -markdown: only one of them")
	}
	files := []struct{ option, path string }{{"o", o.output}, {"csv", o.csv}, {"picture", o.picture}, {"explain", o.explain}, {"traces", o.traces}}
	for i, file := range files {
		if file.path == "" {
			continue
		}
		for _, other := range files[:i] {
			if filepath.Clean(other.path) == filepath.Clean(file.path) && file.path != os.DevNull {
				return cli.Usagef("-%s and -%s: both are %s", other.option, file.option, file.path)
			}
		}
		if file.option == "o" {
			continue // which is not replaced
		}
		if err := atomicfile.Check(file.path); err != nil {
			return err
		}
	}
	return nil
}

// Bounds that keep a slip of the hand from filling the memory.
const (
	mostRequests = 1_000_000
	mostSeeds    = 100_000
)

// expand returns the policies of a spec in which each argument may be a list.
func expand(spec string) []string {
	out := []string{""}
	for i, part := range strings.Split(spec, ":") {
		var next []string
		name, values, named := strings.Cut(part, "=")
		if !named {
			name, values = "", part
		} else {
			name += "="
		}
		for _, begun := range out {
			if i > 0 {
				begun += ":"
			}
			for value := range strings.SplitSeq(values, ",") {
				next = append(next, begun+name+value)
			}
		}
		out = next
	}
	return out
}

// specs returns the policies of the line, and the oracles. What is wrong with one shows with any workload, and without knowledge.
func (o *labOptions) specs(w *lab.Workload) ([]string, error) {
	var specs []string
	for _, spec := range o.policies {
		specs = append(specs, expand(spec)...)
	}
	if o.bounds && !o.json {
		for _, bound := range []string{"O1", "O3"} {
			if !slices.Contains(specs, bound) {
				specs = append(specs, bound)
			}
		}
	}
	for i, spec := range specs {
		if slices.Contains(specs[:i], spec) {
			return nil, fmt.Errorf("policy %s is given twice", spec)
		}
		priced := spec
		if o.price.chosen() && withoutPrice(spec) {
			priced = withPrice(spec, 1)
		}
		p, err := newPolicy(priced)
		if err != nil {
			return nil, err
		}
		if p.New != nil {
			if _, err := p.New(prewarm.Platform{}, w.Functions, prewarm.Knowledge{}, 1); err != nil {
				return nil, err
			}
		}
	}
	if o.price.chosen() && !slices.ContainsFunc(specs, withoutPrice) {
		return nil, fmt.Errorf("the price of a policy is to be chosen, but there is no %s without one", pricedKind)
	}
	return specs, nil
}

// newPolicy returns what makes a policy, or an oracle.
func newPolicy(spec string) (lab.NamedPolicy, error) {
	if lab.IsBound(spec) {
		bound, err := lab.ParseBound(spec)
		return lab.NamedPolicy{Name: spec, Bound: bound}, err
	}
	return lab.NamedPolicy{Name: spec, New: func(p prewarm.Platform, functions []prewarm.Function, k prewarm.Knowledge, seed uint64) (prewarm.Policy, error) {
		return policy.New(spec, policy.Options{Platform: p, Functions: functions, Knowledge: k, Seed: seed})
	}}, nil
}

// workloads returns all combinations of applications and loads.
func (o *labOptions) workloads() ([]*lab.Workload, error) {
	var out []*lab.Workload
	for _, app := range o.apps {
		for _, load := range o.loads {
			w, err := lab.NewWorkload(app, load, o.options)
			if err != nil {
				return nil, err
			}
			out = append(out, w)
		}
	}
	return out, nil
}

func (o *labOptions) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	workloads, err := o.workloads()
	if err != nil {
		return cli.Usagef("%v", err)
	}
	specs, err := o.specs(workloads[0])
	if err != nil {
		return cli.Usagef("%v", err)
	}
	m := lab.Matrix{
		Workloads: workloads, Setting: o.setting, Workers: o.workers,
		Explain: o.explain != "", Trace: o.traces != "", TimePolicy: o.verbose,
	}
	for i := range o.seeds {
		m.Seeds = append(m.Seeds, o.first+uint64(i))
	}
	policies := map[*lab.Workload][]lab.NamedPolicy{}
	for _, w := range workloads {
		chosen, err := o.price.specs(ctx, &m, w, specs, stderr)
		if err != nil {
			return err
		}
		for _, spec := range chosen {
			p, err := newPolicy(spec)
			if err != nil {
				return err
			}
			policies[w] = append(policies[w], p)
		}
	}
	m.Policies = func(w *lab.Workload) []lab.NamedPolicy { return policies[w] }
	if o.output != "" {
		if m.Journal, err = lab.OpenJournal(o.output, func(message string) { fmt.Fprintln(stderr, "prewarm lab: "+message) }); err != nil {
			return err
		}
		defer func() {
			if failed := m.Journal.Close(); err == nil {
				err = failed
			}
		}()
	}
	return o.results(ctx, &m, stdout, stderr)
}

// results runs the matrix, and writes what was asked for: of an interrupted run what is complete.
func (o *labOptions) results(ctx context.Context, m *lab.Matrix, stdout, stderr io.Writer) error {
	total := 0
	for _, w := range m.Workloads {
		total += len(m.Policies(w)) * len(m.Seeds)
	}
	show := progress.New(stderr, total, "runs")
	var results []*lab.StoredResult
	var timing timings
	var interrupted error
	err := writeBoth(o.explain, o.traces, func(explain, traces io.Writer) error {
		m.Progress = func(done int) { show.Set(done, "") }
		m.Each = func(c *lab.Cell) error {
			results = append(results, &c.StoredResult)
			timing.add(c)
			if explain != nil {
				if _, err := explain.Write(c.Explanations); err != nil {
					return err
				}
			}
			if traces != nil {
				if _, err := traces.Write(c.Traces); err != nil {
					return err
				}
			}
			if !o.json {
				return nil
			}
			line, err := json.Marshal(&c.Result)
			if err != nil {
				return err
			}
			_, err = stdout.Write(append(line, '\n'))
			return err
		}
		err := m.Run(ctx)
		if ctx.Err() != nil {
			interrupted, err = err, nil
		}
		return err
	})
	show.Done()
	if err != nil {
		return err
	}
	if o.verbose {
		timing.print(stderr)
	}
	if len(results) > 0 {
		if err := o.write(results, stdout); err != nil {
			return errors.Join(err, interrupted)
		}
	}
	return interrupted
}

// writeBoth writes two files, each of which may be "" for none. The writers are nil then.
func writeBoth(first, second string, write func(first, second io.Writer) error) error {
	open := func(path string, then func(io.Writer) error) error {
		if path == "" {
			return then(nil)
		}
		return atomicfile.Write(path, then)
	}
	return open(first, func(a io.Writer) error {
		return open(second, func(b io.Writer) error { return write(a, b) })
	})
}

// write writes the tables and files of results.
func (o *labOptions) write(results []*lab.StoredResult, stdout io.Writer) error {
	groups := lab.Groups(results)
	if o.csv != "" {
		if err := atomicfile.Write(o.csv, func(w io.Writer) error { return lab.WriteCSV(w, results) }); err != nil {
			return err
		}
	}
	if o.picture != "" {
		if err := figure.Write(o.picture, lab.Picture(groups)); err != nil {
			return err
		}
	}
	if o.json {
		return nil
	}
	var tables []*lab.Table
	for _, g := range groups {
		tables = append(tables, g.Table())
		if front := g.FrontTable(); front != nil {
			tables = append(tables, front)
		}
		if o.byFunction {
			tables = append(tables, g.FunctionTable())
		}
	}
	if o.markdown {
		return lab.WriteMarkdown(stdout, tables)
	}
	return lab.WriteText(stdout, tables)
}

// timings are the times that policies took.
type timings struct {
	names []string
	of    map[string]*policyTime
}

type policyTime struct {
	spent            time.Duration
	arrivals, events int
}

func (t *timings) add(c *lab.Cell) {
	if c.Run == nil {
		return
	}
	if t.of == nil {
		t.of = map[string]*policyTime{}
	}
	p := t.of[c.Policy]
	if p == nil {
		p = &policyTime{}
		t.names, t.of[c.Policy] = append(t.names, c.Policy), p
	}
	p.spent += c.Run.PolicyTime
	p.arrivals += c.Run.Arrivals
	p.events += c.Run.Events
}

func (t *timings) print(w io.Writer) {
	for _, name := range t.names {
		p := t.of[name]
		us := float64(p.spent) / float64(time.Microsecond)
		fmt.Fprintf(w, "%s: %.1f µs an arrival, %.2f µs an event\n", name, us/float64(max(p.arrivals, 1)), us/float64(max(p.events, 1)))
	}
}
