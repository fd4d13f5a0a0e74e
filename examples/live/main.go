package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	_ "github.com/tppfaas/tppfaas/tpp/classical" // reads its models
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/live"
	_ "github.com/tppfaas/tppfaas/tpp/neural" // reads its models
)

const usage = `Usage: live MODEL [options] < INVOCATIONS

Follows traces while they happen. After each invocation it prints the functions that are likely to be invoked within the
horizon, over all traces in flight: how likely, and when at the earliest.

Examples:
  live model.safetensors -replay traces.json.gz -sequence 3           one trace of a dataset, at its own pace
  live model.safetensors -replay traces.json.gz -speed 10             all of them, one after the other, ten times as fast
  something | live model.safetensors -horizon 2s -json                JSON lines {"trace", "time" (ms), "function"}
`

func main() {
	cli.Main(func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
		return cli.Exit(stderr, "live", follow(ctx, args, os.Stdin, stdout))
	})
}

// invocation is one line of the input.
type invocation struct {
	Trace    string  `json:"trace"`
	Time     float64 `json:"time"` // ms
	Function string  `json:"function"`
}

// need is a function that is likely to be invoked soon.
type need struct {
	Function    string  `json:"function"`
	Probability float64 `json:"probability"` // of an invocation within the horizon
	Earliest    float64 `json:"earliest"`    // ms from now: the 5 % quantile of the first
	Median      float64 `json:"median"`
}

func follow(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	fs := cli.NewFlagSet("live", stdout, usage)
	horizon := fs.Duration("horizon", 2*time.Second, "how far ahead: the `time` that it takes to warm a container")
	least := fs.Float64("least", 0.2, "least `probability` of a function that is printed")
	replay := fs.String("replay", "", "take the invocations from a `dataset` instead of standard input")
	sequence := fs.Int("sequence", -1, "`index` of the only sequence to replay")
	speed := fs.Float64("speed", 1, "how many `times` as fast as it was")
	asJSON := fs.Bool("json", false, "print one JSON object an invocation")
	rest, err := cli.Parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(rest) != 1:
		return cli.Usagef("one model, please, and not %d", len(rest))
	case *horizon <= 0:
		return cli.Usagef("-horizon is %v, it must be positive", *horizon)
	case !(*speed > 0):
		return cli.Usagef("-speed is %v, it must be positive", *speed)
	}
	model, err := tpp.ReadModelFile(rest[0])
	if err != nil {
		return err
	}
	f, err := newFollower(model, *horizon, *least)
	if err != nil {
		return err
	}
	print := func(i invocation) error {
		needs, err := f.observe(ctx, i)
		if err != nil {
			return err
		}
		return write(stdout, i, needs, *asJSON)
	}
	if *replay != "" {
		return replayFile(ctx, *replay, *sequence, *speed, print)
	}
	return readLines(stdin, print)
}

// follower holds the states of the traces in progress.
type follower struct {
	forecaster *live.Forecaster[string]
	names      []string
	marks      map[string]int
	horizon    float64 // ms
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
	return f, nil
}

// observe updates the trace of an invocation and returns the functions that are likely to be needed soon, the earliest first.
func (f *follower) observe(ctx context.Context, i invocation) ([]need, error) {
	mark, ok := f.marks[i.Function]
	if !ok {
		return nil, fmt.Errorf("the model knows no function %q; it knows %s", i.Function, strings.Join(f.names, ", "))
	}
	if err := f.forecaster.Observe(i.Trace, tpp.Event{Time: i.Time, Mark: mark}); err != nil {
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

// readLines calls the function for each line as soon as it is read.
func readLines(r io.Reader, use func(invocation) error) error {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		var i invocation
		if err := json.Unmarshal(lines.Bytes(), &i); err != nil {
			return fmt.Errorf("standard input, line %d: %w", n, err)
		}
		if err := use(i); err != nil {
			return fmt.Errorf("standard input, line %d: %w", n, err)
		}
	}
	return lines.Err()
}

// replayFile replays the events of a dataset in real time, one sequence after the other.
func replayFile(ctx context.Context, file string, only int, speed float64, use func(invocation) error) error {
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
			if err := use(invocation{fmt.Sprint(index), at, data.MarkNames[s.Mark(i)]}); err != nil {
				return fmt.Errorf("%s, sequence %d: %w", file, index, err)
			}
		}
	}
	return nil
}
