package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/tpp"
	_ "github.com/tppfaas/tppfaas/tpp/classical" // reads its models
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/live"
	_ "github.com/tppfaas/tppfaas/tpp/neural" // reads its models
	_ "github.com/tppfaas/tppfaas/tpp/race"   // reads its models
)

const usage = `Usage: live MODEL [options] < INVOCATIONS

Follows traces while they happen. After each invocation it prints the functions that are likely to be invoked within the
horizon, over all traces in flight: how likely, and when at the earliest. What it cannot use, such as an event that comes late or a
function that the model does not know, it names on standard error and leaves out.

Examples:
  live models/low_tree_small_rand.race.safetensors -replay data/low_tree_small_rand.json.gz -sequence 5      a trace at its own pace
  live model.safetensors -replay traces.json.gz -speed 10             all of them, one after the other, ten times as fast
  something | live model.safetensors -horizon 2s -json                JSON lines {"trace", "time" (ms), "function"}
  live model.safetensors -listen 127.0.0.1:4320                       the same over HTTP: POST /v1/arrivals, one or a list

With -listen it takes announcements of a collector too: POST /v1/traces, OTLP as JSON, of which it uses the spans invoke and start.
`

func main() {
	err := follow(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(1)
	}
}

// errUsage says that the program was called wrongly.
var errUsage = errors.New("live -h shows how it is called")

// invocation is one line of the input.
type invocation struct {
	Trace    string  `json:"trace"`
	Call     string  `json:"call,omitempty"`   // its id
	Parent   string  `json:"parent,omitempty"` // id of the call in which it was made
	Time     float64 `json:"time"`             // ms
	Function string  `json:"function"`
}

// need is a function that is likely to be invoked soon.
type need struct {
	Function    string  `json:"function"`
	Probability float64 `json:"probability"` // of an invocation within the horizon
	Earliest    float64 `json:"earliest"`    // ms from now: the 5 % quantile of the first
	Median      float64 `json:"median"`
}

// options are the options of the command line.
type options struct {
	model    string
	horizon  time.Duration
	least    float64
	replay   string
	sequence int
	speed    float64
	listen   string
	json     bool
}

// parse reads the command line: the model, then the options.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("live", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.DurationVar(&o.horizon, "horizon", 2*time.Second, "how far ahead: the `time` that it takes to warm a container")
	fs.Float64Var(&o.least, "least", 0.2, "least `probability` of a function that is printed")
	fs.StringVar(&o.replay, "replay", "", "take the invocations from a `dataset` instead of standard input")
	fs.IntVar(&o.sequence, "sequence", -1, "`index` of the only sequence to replay")
	fs.Float64Var(&o.speed, "speed", 1, "how many `times` as fast as it was")
	fs.StringVar(&o.listen, "listen", "", "take announcements over HTTP at this `address` instead of standard input")
	fs.BoolVar(&o.json, "json", false, "print one JSON object an invocation")
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		o.model, args = args[0], args[1:]
	}
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, usage, "\nOptions:\n")
		fs.SetOutput(stderr)
		fs.PrintDefaults()
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w; %w", err, errUsage)
	case o.model == "" || fs.NArg() > 0:
		return o, fmt.Errorf("one model, please, before the options; %w", errUsage)
	case o.horizon <= 0:
		return o, fmt.Errorf("-horizon is %v, it must be positive; %w", o.horizon, errUsage)
	case !(o.speed > 0):
		return o, fmt.Errorf("-speed is %v, it must be positive; %w", o.speed, errUsage)
	case o.listen != "" && o.replay != "":
		return o, fmt.Errorf("-listen or -replay, not both; %w", errUsage)
	}
	return o, nil
}

func follow(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	model, err := tpp.ReadModelFile(o.model)
	if err != nil {
		return err
	}
	f, err := newFollower(model, o.horizon, o.least)
	if err != nil {
		return err
	}
	skipped := 0
	// An invocation that cannot be used is left out: the next one may be of another trace.
	use := func(place string, i invocation, err error) error {
		var needs []need
		if err == nil {
			needs, err = f.observe(ctx, i)
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			skipped++
			_, err = fmt.Fprintf(stderr, "live: %s: left out: %v\n", place, err)
			return err
		}
		return write(stdout, i, needs, o.json)
	}
	switch {
	case o.listen != "":
		err = listen(ctx, o.listen, stderr, use)
	case o.replay != "":
		err = replayFile(ctx, o.replay, o.sequence, o.speed, use)
	default:
		err = readLines(stdin, use)
	}
	if skipped > 0 {
		fmt.Fprintf(stderr, "live: %d invocations were left out\n", skipped)
	}
	return err
}

// follower holds the states of the traces in progress.
type follower struct {
	forecaster *live.Forecaster[string]
	names      []string
	marks      map[string]int
	covariates []float64 // that every invocation is taken to have, such as a warm start
	horizon    float64   // ms
	least      float64
}

func newFollower(model tpp.Model, horizon time.Duration, least float64) (*follower, error) {
	forecaster, err := live.NewForecaster[string](model, live.ForecasterOptions{})
	if err != nil {
		return nil, err
	}
	f := &follower{
		forecaster: forecaster, names: model.MarkNames(), marks: map[string]int{},
		horizon: float64(horizon) / float64(time.Millisecond), least: least,
	}
	for i, name := range f.names {
		f.marks[name] = i
	}
	if state, ok := model.NewState(0).(tpp.TypicalState); ok {
		f.covariates = state.TypicalCovariates(nil)
	}
	return f, nil
}

// observe updates the trace of an invocation and returns the functions that are likely to be needed soon, the earliest first.
func (f *follower) observe(ctx context.Context, i invocation) ([]need, error) {
	mark, ok := f.marks[i.Function]
	if !ok {
		return nil, fmt.Errorf("the model knows no function %q; it knows %s", i.Function, strings.Join(f.names, ", "))
	}
	if err := f.forecaster.Observe(i.Trace, tpp.Event{Time: i.Time, Mark: mark, Covariates: f.covariates}); err != nil {
		return nil, err
	}
	f.forecaster.Expire(i.Time)
	outlook, err := f.forecaster.ForecastAll(ctx, i.Time, f.horizon, live.ForecastOptions{Seed: 1})
	if err != nil {
		return nil, err
	}
	var needs []need
	for mark, m := range outlook.Marks {
		if m.Probability >= f.least && len(m.When) == 3 {
			needs = append(needs, need{f.names[mark], m.Probability, m.When[0], m.When[1]})
		}
	}
	slices.SortStableFunc(needs, func(a, b need) int { return cmp.Compare(a.Median, b.Median) })
	return needs, nil
}

func write(w io.Writer, i invocation, needs []need, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(struct {
			invocation
			Needs []need `json:"needs"`
		}{i, needs})
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%s was invoked; soon", i.Function)
	for j, n := range needs {
		if j > 0 {
			line.WriteByte(',')
		}
		fmt.Fprintf(&line, " %s (%.0f %%, in %.0f ms, hardly before %.0f)", n.Function, 100*n.Probability, n.Median, n.Earliest)
	}
	if len(needs) == 0 {
		line.WriteString(" nothing")
	}
	_, err := fmt.Fprintln(w, line.String())
	return err
}

// user takes an invocation, or the error in its place, and says whether to go on.
type user func(place string, i invocation, err error) error

// readLines passes each line on as soon as it is read.
func readLines(r io.Reader, use user) error {
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			var i invocation
			wrong := json.Unmarshal(line, &i)
			if err := use(fmt.Sprintf("standard input, line %d", n), i, wrong); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// replayFile replays the events of a dataset in real time, one sequence after the other.
func replayFile(ctx context.Context, file string, only int, speed float64, use user) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	data, err := dataset.ReadFile(file)
	if err != nil {
		return err
	}
	if only >= len(data.Sequences) {
		return fmt.Errorf("%s has %d sequences, there is none with index %d", file, len(data.Sequences), only)
	}
	for index := range data.Sequences {
		if only >= 0 && index != only {
			continue
		}
		s := &data.Sequences[index]
		for i, at := range s.ArrivalTimes {
			if i > 0 {
				gap := time.Duration((at - s.ArrivalTimes[i-1]) / speed * float64(time.Millisecond))
				select {
				case <-time.After(gap):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			name := ""
			if len(data.MarkNames) > 0 {
				name = data.MarkNames[s.Mark(i)]
			}
			if err := use(fmt.Sprintf("%s, sequence %d, event %d", file, index, i), invocation{Trace: fmt.Sprint(index), Time: at, Function: name}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
