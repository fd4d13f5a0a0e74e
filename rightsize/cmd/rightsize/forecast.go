package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/forecast"
	"github.com/tppfaas/tppfaas/rightsize/synthetic"
	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

var forecastCommand = cli.Command{
	Name: "forecast", Arguments: "USAGE.csv [USAGE.csv]", Summary: "forecast quantiles of what a function will use, and the largest of it",
	Help: forecastUsage, Define: runForecast, Values: map[string][]string{"unit": timeUnits},
}

var forecastUsage = `Usage: rightsize forecast USAGE.csv [USAGE.csv] | -synthetic KIND [OPTIONS]

Forecasts what a function will use: quantiles of the next sample, and of the largest sample within 5, 15, 60 and 240 minutes, of memory and CPU.
For each horizon it takes the forecaster that did best on the samples so far, each forecast made from those before it alone; where none is surely
better, by 2 % at least, than the last value with the residuals of a week, it is that ("conservative"). Reads one file with both resources, or a file of each.

Forecasters:
` + forecasterHelp() + `
-score holds back the last third of the samples, chooses by those before, and prints how all do on it. Loss is the mean pinball loss of the quantiles 0.5, 0.9,
0.95 and 0.99, as a multiple of persistence's; covered is the share of samples at most the quantile. A horizon is scored where the third holds ten of it.

-paper trains the published model (an LSTM of 64 units on the last three samples of both resources) on the first 67 % of the samples, and prints the errors of its
forecasts of the next sample beside those of repeating the last one.

Examples:
  rightsize forecast usage.csv
  rightsize forecast memory_usage.csv cpu_usage.csv -score
  rightsize forecast usage.csv -picture forecast.png
  rightsize forecast usage.csv -paper -epochs 50
  rightsize forecast -synthetic daily:101 -score
  rightsize forecast usage.csv -json -forecasters conservative,conditional
`

func forecasterHelp() string {
	var b strings.Builder
	for _, c := range forecast.Candidates(time.Minute, 0) {
		fmt.Fprintf(&b, "  %-12s %s\n", c.Name, c.Help)
	}
	return b.String()
}

var timeUnits = []string{"s", "ms", "us", "ns"}

// forecastOptions are what the line says.
type forecastOptions struct {
	score, paper, json bool
	picture            string
	function, unit     string
	synthetic          string
	forecasters        string
	seed               uint64
	epochs, batch      int
}

// runForecast is the subcommand forecast.
func runForecast(fs *flag.FlagSet) cli.Run {
	var o forecastOptions
	fs.BoolVar(&o.score, "score", false, "print how all forecasters do on the last third of the samples")
	fs.BoolVar(&o.paper, "paper", false, "print how the published model does on the last third of the samples")
	fs.BoolVar(&o.json, "json", false, "print one JSON object a line instead of a table")
	fs.StringVar(&o.picture, "picture", "", "draw usage and forecasts into a `file`: .png, .svg or .pdf")
	fs.StringVar(&o.function, "function", "", "`name` of the function in what is printed (without: that of the file)")
	fs.StringVar(&o.synthetic, "synthetic", "", "instead of a file: ten days made of a `KIND[:SEED]`, to see what forecasters can do: daily, leak, bursts, deploy, idle")
	fs.StringVar(&o.unit, "unit", "", "`unit` of the times in the file: s, ms, us or ns (without: found out)")
	fs.StringVar(&o.forecasters, "forecasters", "", "choose among these `names`, with commas between them (without: all)")
	fs.Uint64Var(&o.seed, "seed", 0, "`number` that the weights of networks are drawn by")
	fs.IntVar(&o.epochs, "epochs", 50, "with -paper: `number` of epochs of the training; that of the published one is not known")
	fs.IntVar(&o.batch, "batch", 32, "with -paper: `number` of windows in a batch, as Keras has it by default")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if err := o.check(fs, args); err != nil {
			return err
		}
		u, err := o.read(ctx, args)
		if err != nil {
			return err
		}
		if o.paper {
			return o.runPaper(ctx, u, stdout, stderr)
		}
		return o.run(ctx, u, stdout, stderr)
	}
}

// read reads the usage, or makes it.
func (o *forecastOptions) read(ctx context.Context, args []string) (*rightsize.Usage, error) {
	if o.synthetic == "" {
		return usagecsv.ReadFiles(ctx, args, usagecsv.Options{Function: o.function, Unit: o.unit})
	}
	kind, from, err := seriesOf(o.synthetic)
	if err != nil {
		return nil, err
	}
	u, err := synthetic.New(kind, from, synthetic.Options{})
	if err == nil && o.function != "" {
		u.Function = o.function
	}
	return u, err
}

// seriesOf returns the kind and the seed of a synthetic series: KIND:SEED, or KIND, whose seed is 1.
func seriesOf(text string) (kind string, from uint64, err error) {
	kind, number, given := strings.Cut(text, ":")
	known := false
	var names []string
	for _, k := range synthetic.Kinds() {
		known = known || k[0] == kind
		names = append(names, k[0])
	}
	if !known {
		return "", 0, fmt.Errorf("no kind of series is called %q: there are %s", kind, strings.Join(names, ", "))
	}
	if !given {
		return kind, 1, nil
	}
	from, err = strconv.ParseUint(number, 10, 64)
	if err != nil {
		return "", 0, fmt.Errorf("%q is no seed", number)
	}
	return kind, from, nil
}

// check says what is wrong with the line.
func (o *forecastOptions) check(fs *flag.FlagSet, args []string) error {
	switch {
	case o.synthetic != "" && len(args) > 0:
		return cli.Usagef("%s and -synthetic: give one of them", args[0])
	case o.synthetic != "" && o.unit != "":
		return cli.Usagef("-unit is not for -synthetic")
	case len(args) == 0 && o.synthetic == "":
		return cli.Usagef("the file of the USAGE is missing")
	case len(args) > 2:
		return cli.Usagef("%q is left over on the line", args[2])
	case o.score && o.paper:
		return cli.Usagef("-score and -paper: give one of them")
	case o.paper && o.picture != "":
		return cli.Usagef("-picture is not for -paper")
	case o.paper && o.forecasters != "":
		return cli.Usagef("-forecasters is not for -paper")
	case o.picture != "" && !figure.Writable(o.picture):
		return cli.Usagef("-picture: a picture's name must end in .png, .svg or .pdf")
	case o.unit != "" && !slices.Contains(timeUnits, o.unit):
		return cli.Usagef("-unit: must be %s, not %q", strings.Join(timeUnits, ", "), o.unit)
	case o.epochs < 1 || o.batch < 1:
		return cli.Usagef("-epochs and -batch must be at least 1")
	}
	for _, name := range []string{"epochs", "batch"} {
		if cli.IsSet(fs, name) && !o.paper {
			return cli.Usagef("-%s is for -paper", name)
		}
	}
	if o.synthetic != "" {
		if _, _, err := seriesOf(o.synthetic); err != nil {
			return cli.Usagef("-synthetic: %v", err)
		}
	}
	if _, err := o.candidates(time.Minute); err != nil {
		return cli.Usagef("-forecasters: %v", err)
	}
	return nil
}

// candidates returns the forecasters to choose among; the first and the fallback always are.
func (o *forecastOptions) candidates(step time.Duration) ([]forecast.Candidate, error) {
	all := forecast.Candidates(step, o.seed)
	if o.forecasters == "" {
		return all, nil
	}
	names := strings.Split(o.forecasters, ",")
	var known []string
	for _, c := range all {
		known = append(known, c.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no forecaster is called %q: there are %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(c forecast.Candidate) bool {
		return c.Name != all[0].Name && !c.Fallback && !slices.Contains(names, c.Name)
	}), nil
}

// run chooses forecasters, and prints what they forecast or how they did.
func (o *forecastOptions) run(ctx context.Context, u *rightsize.Usage, stdout, stderr io.Writer) error {
	grid, step, err := forecast.Regular(u)
	if err != nil {
		return err
	}
	show := progress.New(stderr, len(rightsize.Resources)*grid.Len(), "samples")
	defer show.Done()
	candidates, err := o.candidates(step)
	if err != nil {
		return err
	}
	var choices [2]*forecast.Choice
	var seen [2]atomic.Int64
	var failed [2]error
	var group sync.WaitGroup
	for _, r := range rightsize.Resources {
		group.Go(func() {
			choices[r], failed[r] = forecast.Choose(ctx, grid.Of(r), step, forecast.ChooseOptions{
				Candidates: candidates, Test: o.score,
				Progress: func(samples int) {
					seen[r].Store(int64(samples))
					show.Set(int(seen[rightsize.Memory].Load()+seen[rightsize.CPU].Load()), "")
				},
			})
		})
	}
	group.Wait()
	if err := cmp.Or(failed[:]...); err != nil {
		return err
	}
	show.Done()
	report := forecastReport{usage: grid, step: step, samples: u.Len(), choices: choices}
	if o.picture != "" {
		if err := figure.Write(o.picture, report.draw()); err != nil {
			return err
		}
	}
	switch {
	case o.score && o.json:
		return report.writeScoresJSON(stdout)
	case o.score:
		return report.writeScores(stdout)
	case o.json:
		return report.writeJSON(stdout)
	}
	return report.write(stdout)
}

// forecastReport is what was found out about usage.
type forecastReport struct {
	usage   *rightsize.Usage // regular
	step    time.Duration
	samples int // that were read
	choices [2]*forecast.Choice
}

// amount returns a value of a resource as tables show it, in Mi or m.
func amount(r rightsize.Resource, v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case r == rightsize.CPU:
		return fmt.Sprintf("%.2fm", v*1000)
	}
	return fmt.Sprintf("%.2fMi", v/(1<<20))
}

// lastKnown returns the last known value, NaN where there is none.
func lastKnown(values []float64) float64 {
	for i := len(values) - 1; i >= 0; i-- {
		if !math.IsNaN(values[i]) {
			return values[i]
		}
	}
	return math.NaN()
}

// writeHead says what the samples are.
func (p *forecastReport) writeHead(w io.Writer) {
	u := p.usage
	fmt.Fprintf(w, "%s: %d samples, one every %s, %s until %s", u.Function, p.samples, p.step,
		u.Time(0).Format("2006-01-02 15:04:05"), u.Time(u.Len()-1).Format("2006-01-02 15:04:05"))
	if missing := u.Len() - p.samples; missing > 0 {
		fmt.Fprintf(w, ", %d missing", missing)
	}
	fmt.Fprintln(w)
}

// quantiles returns the forecast of a resource within horizon j.
func (p *forecastReport) quantiles(r rightsize.Resource, j int) []float64 {
	out := make([]float64, len(forecast.Levels))
	c := p.choices[r]
	c.Forecaster.Quantiles(c.Horizons[j].Steps, forecast.Levels, out)
	return out
}

// write prints the forecasts.
func (p *forecastReport) write(stdout io.Writer) error {
	w := &bytes.Buffer{}
	p.writeHead(w)
	for _, r := range rightsize.Resources {
		c := p.choices[r]
		fmt.Fprintf(w, "\n%s, now %s\n", r, amount(r, lastKnown(p.usage.Of(r))))
		fmt.Fprintf(w, "  %-11s %10s %10s %10s %10s  %-12s  %s\n", "largest in", "50 %", "90 %", "95 %", "99 %", "by", "loss / persistence's")
		for j, h := range c.Horizons {
			fmt.Fprintf(w, "  %-11s", horizonName(h))
			for _, q := range p.quantiles(r, j) {
				fmt.Fprintf(w, " %10s", amount(r, q))
			}
			fmt.Fprintf(w, "  %-12s  %s\n", c.Candidates[c.Best[j]].Name, p.why(c, j))
		}
	}
	_, err := w.WriteTo(stdout)
	return err
}

// why says why a forecaster was chosen.
func (p *forecastReport) why(c *forecast.Choice, j int) string {
	scores := c.Validation[j]
	switch {
	case scores == nil:
		return "too few samples to choose by"
	case !better(c, c.Best[j]):
		return "nothing else is surely better"
	}
	return fmt.Sprintf("%.2f", forecast.Relative(scores[c.Best[j]], scores[0]))
}

// better reports whether candidate k is more than the last value and its residuals.
func better(c *forecast.Choice, k int) bool { return k > 0 && !c.Candidates[k].Fallback }

// horizonName is how tables call a horizon.
func horizonName(h forecast.Horizon) string {
	if h.Span == 0 {
		return "next sample"
	}
	return fmt.Sprintf("%d min", h.Span/time.Minute)
}

// forecastLine is a forecast as -json prints it.
type forecastLine struct {
	Function   string     `json:"function"`
	Resource   string     `json:"resource"`
	Time       time.Time  `json:"time"`    // of the last sample
	Seconds    float64    `json:"seconds"` // how far ahead
	Horizon    string     `json:"horizon"`
	Last       *float64   `json:"last"` // null where nothing is known
	Levels     []float64  `json:"levels"`
	Quantiles  []*float64 `json:"quantiles"` // bytes or cores
	Forecaster string     `json:"forecaster"`
	Validated  bool       `json:"validated"` // whether the samples sufficed to choose by
	Relative   *float64   `json:"relative_loss"`
}

// known returns a number for JSON, null where it is none.
func known(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func (p *forecastReport) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	for _, r := range rightsize.Resources {
		c := p.choices[r]
		for j, h := range c.Horizons {
			l := forecastLine{
				Function: p.usage.Function, Resource: r.String(), Time: p.usage.Time(p.usage.Len() - 1), Seconds: float64(h.Steps) * p.step.Seconds(),
				Horizon: h.String(), Last: known(lastKnown(p.usage.Of(r))), Levels: forecast.Levels, Forecaster: c.Candidates[c.Best[j]].Name,
			}
			for _, q := range p.quantiles(r, j) {
				l.Quantiles = append(l.Quantiles, known(q))
			}
			if scores := c.Validation[j]; scores != nil {
				l.Validated, l.Relative = true, known(forecast.Relative(scores[c.Best[j]], scores[0]))
			}
			if err := e.Encode(l); err != nil {
				return err
			}
		}
	}
	return nil
}
