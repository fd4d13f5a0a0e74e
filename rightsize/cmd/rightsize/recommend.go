package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

var recommendCommand = cli.Command{
	Name: "recommend", Arguments: "USAGE.csv...", Summary: "say which limits and requests a function should have, and why",
	Help: recommendUsage(), Define: runRecommend,
	Values: map[string][]string{"recommender": recommenderKinds(), "runtime": recommend.Runtimes()},
}

// recommendUsage returns the help of rightsize recommend.
func recommendUsage() string {
	return `Usage: rightsize recommend USAGE.csv... [OPTIONS]

Prints the requests and limits that a function should have from the end of its usage on, with the reason for each. Several files are one function: of
one resource each, or of different times.

-set says what is set now. Without a CPU limit none is recommended, except by fixed.

Examples:
  rightsize recommend usage.csv
  rightsize recommend memory_usage.csv cpu_usage.csv -set memory=64Mi,cpu=100m
  rightsize recommend usage.csv -runtime go -limit-range limits.yaml -json
  rightsize recommend usage.csv -set memory=64Mi,request-memory=32Mi -in-place

Recommenders:
` + list(recommend.Kinds()) + `
-json prints one object: function, recommender, memory_request, memory_limit, cpu_request, cpu_limit (as they are written in limits; "" is none), set (the
same four), reasons (memory, cpu), notes, heap.

Exit status: 0 done, 1 failed, 2 called wrongly.
`
}

type recommendOptions struct {
	recommender, set      string
	floorMemory, floorCPU string
	limitRange, runtime   string
	function              string
	restart, inPlace      bool
	json                  bool
}

func runRecommend(fs *flag.FlagSet) cli.Run {
	var o recommendOptions
	fs.StringVar(&o.recommender, "recommender", "forecast", "`name` of the recommender")
	fs.StringVar(&o.set, "set", "", "what is set: memory=, cpu= (limits), request-memory=, request-cpu=, with commas")
	fs.StringVar(&o.floorMemory, "floor-memory", "10Mi", "`least` memory")
	fs.StringVar(&o.floorCPU, "floor-cpu", "10m", "`least` CPU")
	fs.StringVar(&o.limitRange, "limit-range", "", "keep within the LimitRange of Kubernetes in `FILE`")
	fs.StringVar(&o.runtime, "runtime", "", "also print how to tell this `runtime` of the memory limit: "+strings.Join(recommend.Runtimes(), ", "))
	fs.StringVar(&o.function, "function", "", "`name` of the function (without: the file's)")
	fs.BoolVar(&o.restart, "restart", false, fmt.Sprintf("a change restarts the container: at most %d a day (as without)", recommend.RestartChanges))
	fs.BoolVar(&o.inPlace, "in-place", false, fmt.Sprintf("a change is made while the container runs: at most %d a day", recommend.InPlaceChanges))
	fs.BoolVar(&o.json, "json", false, "print an object")
	return func(ctx context.Context, args []string, stdout, _ io.Writer) error {
		return o.run(ctx, args, stdout)
	}
}

// recommendation is what -json prints.
type recommendation struct {
	Function    string `json:"function"`
	Recommender string `json:"recommender"`
	writtenLimits
	Set     writtenLimits `json:"set"`
	Reasons struct {
		Memory string `json:"memory"`
		CPU    string `json:"cpu"`
	} `json:"reasons"`
	Notes []string `json:"notes"`
	Heap  string   `json:"heap"`
}

// writtenLimits are limits as people write them; "" is none.
type writtenLimits struct {
	MemoryRequest string `json:"memory_request"`
	MemoryLimit   string `json:"memory_limit"`
	CPURequest    string `json:"cpu_request"`
	CPULimit      string `json:"cpu_limit"`
}

func written(l recommend.Limits) writtenLimits {
	text := func(v float64, format func(float64) string) string {
		if v == 0 {
			return ""
		}
		return format(v)
	}
	return writtenLimits{
		text(l.MemoryRequest, rightsize.FormatMemory), text(l.MemoryLimit, rightsize.FormatMemory),
		text(l.CPURequest, rightsize.FormatCPU), text(l.CPULimit, rightsize.FormatCPU),
	}
}

// parseSet reads what is set.
func parseSet(text string) (recommend.Limits, error) {
	var l recommend.Limits
	if text == "" {
		return l, nil
	}
	fields := map[string]*float64{"memory": &l.MemoryLimit, "cpu": &l.CPULimit, "request-memory": &l.MemoryRequest, "request-cpu": &l.CPURequest}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		field, known := fields[name]
		switch {
		case known && field == nil:
			return l, cli.Usagef("-set: %s is given twice", name)
		case !known:
			return l, cli.Usagef("-set: %q: want memory=64Mi, cpu=100m, request-memory=32Mi, request-cpu=50m, with commas", part)
		}
		v, err := rightsize.ParseQuantity(strings.TrimSpace(value))
		if err != nil {
			return l, cli.Usagef("-set: %s: %v", name, err)
		}
		*field, fields[name] = v, nil
	}
	if l.MemoryLimit > 0 && l.MemoryRequest > l.MemoryLimit || l.CPULimit > 0 && l.CPURequest > l.CPULimit {
		return l, cli.Usagef("-set: %s: a request is above its limit, which Kubernetes refuses", text)
	}
	if l.MemoryLimit > 0 && l.MemoryRequest == 0 {
		l.MemoryRequest = l.MemoryLimit // as Kubernetes takes it
	}
	if l.CPULimit > 0 && l.CPURequest == 0 {
		l.CPURequest = l.CPULimit
	}
	return l, nil
}

// options returns those of the recommender.
func (o *recommendOptions) options() (recommend.Options, error) {
	var options recommend.Options
	for _, floor := range []struct {
		option, text string
		value        *float64
	}{{"floor-memory", o.floorMemory, &options.MemoryFloor}, {"floor-cpu", o.floorCPU, &options.CPUFloor}} {
		v, err := rightsize.ParseQuantity(floor.text)
		if err != nil {
			return options, cli.Usagef("-%s: %v", floor.option, err)
		}
		if v == 0 {
			return options, cli.Usagef("-%s: it must be positive", floor.option)
		}
		*floor.value = v
	}
	var err error
	options.MaxChanges, err = changes(o.restart, o.inPlace)
	return options, err
}

func (o *recommendOptions) run(ctx context.Context, files []string, stdout io.Writer) error {
	if len(files) == 0 {
		return cli.Usagef("files of usage, please")
	}
	set, err := parseSet(o.set)
	if err != nil {
		return err
	}
	options, err := o.options()
	if err != nil {
		return err
	}
	r, err := recommend.New(o.recommender, options)
	if err != nil {
		return cli.Usagef("-recommender: %v: it is one of %s", err, recommenderNames())
	}
	if o.runtime != "" {
		if _, err := recommend.HeapHint(o.runtime, 0); err != nil {
			return cli.Usagef("-runtime: %v", err)
		}
	}
	var allowed recommend.LimitRange
	if o.limitRange != "" {
		if allowed, err = limitRangeIn(o.limitRange); err != nil {
			return err
		}
	}
	usage, err := usagecsv.ReadFiles(ctx, files, usagecsv.Options{Function: o.function})
	if err != nil {
		return err
	}
	for i := range usage.Len() {
		r.Observe(recommend.Sample{Time: usage.Times[i], Memory: usage.Memory[i], CPU: usage.CPU[i]})
	}
	if !slices.ContainsFunc(usage.Memory, func(v float64) bool { return !math.IsNaN(v) }) {
		return fmt.Errorf("%s: there is no usage of memory", strings.Join(files, ", "))
	}
	limits := r.Recommend(set)
	out := recommendation{Function: usage.Function, Recommender: o.recommender, Set: written(set), Notes: []string{}}
	if limits != set {
		limits = recommend.Round(limits)
	}
	limits, notes := allowed.Apply(limits)
	out.Notes = append(out.Notes, notes...)
	out.writtenLimits = written(limits)
	if reasoned, ok := r.(recommend.Reasoned); ok {
		reasons := reasoned.Reasons()
		out.Reasons.Memory, out.Reasons.CPU = reasons.Memory, reasons.CPU
	}
	if o.runtime != "" {
		if out.Heap, err = recommend.HeapHint(o.runtime, limits.MemoryLimit); err != nil {
			return err
		}
	}
	if o.json {
		return json.NewEncoder(stdout).Encode(out)
	}
	return out.text(stdout)
}

func limitRangeIn(path string) (recommend.LimitRange, error) {
	f, err := openFile(path)
	if err != nil {
		return recommend.LimitRange{}, err
	}
	defer f.Close()
	l, err := recommend.ReadLimitRange(f)
	if err != nil {
		return l, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// text writes a recommendation for people.
func (r *recommendation) text(w io.Writer) error {
	or := func(text, none string) string {
		if text == "" {
			return none
		}
		return text
	}
	fmt.Fprintf(w, "%s, by %s\n", r.Function, r.Recommender)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range []struct{ resource, request, limit, setRequest, setLimit, reason string }{
		{"memory", r.MemoryRequest, r.MemoryLimit, r.Set.MemoryRequest, r.Set.MemoryLimit, r.Reasons.Memory},
		{"cpu", r.CPURequest, r.CPULimit, r.Set.CPURequest, r.Set.CPULimit, r.Reasons.CPU},
	} {
		fmt.Fprintf(t, "%s\trequest %s\tlimit %s\t(set: %s, %s)\t%s\n", row.resource, or(row.request, "none"), or(row.limit, "none"), or(row.setRequest, "none"), or(row.setLimit, "none"), row.reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, note)
	}
	if r.Heap != "" {
		fmt.Fprintln(w, r.Heap)
	}
	return nil
}
