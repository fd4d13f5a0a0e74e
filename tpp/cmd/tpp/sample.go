package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/live"
)

const sampleUsage = `tpp sample draws sequences from a model and writes them as a dataset, in the format that the ending of OUT asks for (see convert).
A sequence goes on until the model says that it is over, or to the end of the -window. How it begins the model knows only if it was
trained on sequences that have a t_start; for any other, -given takes the first events from a dataset.

Usage: tpp sample MODEL -o OUT [OPTIONS]

Examples:
  tpp sample model.safetensors -n 1000 -given traces.json.gz -o more.json.gz -seed 1
  tpp sample model.safetensors -n 10 -given traces.json.gz -events 5 -o goes-on.json     how ten traces may go on
  tpp sample watched.safetensors -n 100 -start 1620831914775 -window 60000 -o minutes.jsonl
`

// sampling is what a call of sample asks for.
type sampling struct {
	model, output, given string
	n, events            int
	opts                 live.SimulateOptions
	resolutionIsSet      bool
	json                 bool
	in                   *input
}

func sample(fs *flag.FlagSet) cli.Run {
	var s sampling
	fs.StringVar(&s.output, "o", "", "write the dataset to `OUT`")
	fs.IntVar(&s.n, "n", 100, "`number` of sequences")
	fs.StringVar(&s.given, "given", "", "`DATASET` whose sequences, one after another, give the first events")
	fs.IntVar(&s.events, "events", 1, "how many first `events` of a sequence -given gives")
	fs.Float64Var(&s.opts.Start, "start", 0, "`time` in ms at which the watch over a sequence begins")
	fs.Float64Var(&s.opts.Window, "window", 0, "`length` in ms of the window that is watched (default: until the sequence is over)")
	fs.Float64Var(&s.opts.Resolution, "resolution", 0, "`tick` in ms to which gaps are rounded, 0 for none (default: of the clock that the model was trained for)")
	fs.IntVar(&s.opts.MaxEvents, "max-events", 100_000, "`number` of events that a sequence may have: with more of them sampling fails")
	fs.Uint64Var(&s.opts.Seed, "seed", 0, "`seed`: the same one draws the same sequences")
	fs.BoolVar(&s.json, "json", false, "print what was written as a JSON object")
	s.in = inputOptions(fs, false)
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if err := s.check(fs, args); err != nil {
			return err
		}
		return s.run(ctx, stdout, stderr)
	}
}

// check takes the arguments and checks the options.
func (s *sampling) check(fs *flag.FlagSet, args []string) error {
	if err := positional(args, "model"); err != nil {
		return err
	}
	s.model = args[0]
	s.resolutionIsSet = cli.IsSet(fs, "resolution")
	for _, name := range s.in.optionNames() {
		if s.given == "" && cli.IsSet(fs, name) {
			return cli.Usagef("-%s says how to read -given, which is missing", name)
		}
	}
	switch {
	case s.output == "":
		return cli.Usagef("-o OUT is missing")
	case s.n < 1:
		return cli.Usagef("-n is %d, it must be at least 1", s.n)
	case s.events < 1:
		return cli.Usagef("-events is %d, it must be at least 1", s.events)
	case cli.IsSet(fs, "events") && s.given == "":
		return cli.Usagef("-events says how much of -given to take, which is missing")
	case cli.IsSet(fs, "start") && s.given != "":
		return cli.Usagef("with -given sequences start when those do: -start means nothing")
	case cli.IsSet(fs, "window") && !(s.opts.Window > 0):
		return cli.Usagef("-window is %v, it must be above 0", s.opts.Window)
	case !(s.opts.Resolution >= 0):
		return cli.Usagef("-resolution is %v, it must not be negative", s.opts.Resolution)
	case s.opts.MaxEvents < 1:
		return cli.Usagef("-max-events is %d, it must be at least 1", s.opts.MaxEvents)
	}
	return nil
}

func (s *sampling) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := notRead("o", s.output, s.model, s.given); err != nil {
		return err
	}
	if err := atomicfile.Check(s.output); err != nil {
		return err
	}
	model, _, err := readModel(s.model, s.given)
	if err != nil {
		return err
	}
	if err := s.complete(ctx, model, stderr); err != nil {
		return err
	}
	sequences, err := live.Simulate(ctx, model, s.n, s.opts)
	if err != nil {
		return fmt.Errorf("%s: %w", s.model, err)
	}
	data := &tpp.Dataset{MarkNames: model.MarkNames()}
	empty := 0
	for _, one := range sequences {
		if one.Len() == 0 {
			empty++
		}
		if one.Len() > 0 || one.TEnd != nil {
			data.Sequences = append(data.Sequences, one)
		}
	}
	if empty == s.n {
		return errors.New("no sequence has an event: a longer -window may help")
	}
	if err := dataset.WriteFile(s.output, data); err != nil {
		return err
	}
	if empty > 0 {
		fmt.Fprintf(stderr, "%d of %d sequences have no event within the window\n", empty, s.n)
	}
	stdout = messagesBeside(s.output, stdout, stderr)
	if s.json {
		return printJSON(stdout, struct {
			Model     string `json:"model"`
			Output    string `json:"output"`
			Sequences int    `json:"sequences"`
			Events    int    `json:"events"`
			Empty     int    `json:"empty"`
		}{s.model, s.output, len(data.Sequences), data.NumEvents(), empty})
	}
	_, err = fmt.Fprintf(stdout, "%s: %d sequences, %d events\n", s.output, len(data.Sequences), data.NumEvents())
	return err
}

// complete adds to the options what only the model and the dataset know.
func (s *sampling) complete(ctx context.Context, model tpp.Model, stderr io.Writer) error {
	if !s.resolutionIsSet {
		s.opts.Resolution = 1
		if m, ok := model.(tpp.Clocked); ok {
			s.opts.Resolution = m.Resolution()
		}
	}
	if s.given == "" {
		if m, ok := model.(interface{ KnowsStart() bool }); ok && !m.KnowsStart() {
			return fmt.Errorf("%s was trained on sequences whose first event is given: -given DATASET says how they begin", s.model)
		}
		return nil
	}
	data, err := s.in.read(ctx, s.given, tickOf(model), stderr)
	if err != nil {
		return err
	}
	if data, err = data.WithMarks(model.MarkNames()); err != nil {
		return fmt.Errorf("%s with %s: %w", s.given, s.model, err)
	}
	if data, err = starts.SeenDataset(model, data); err != nil {
		return fmt.Errorf("%s with %s: %w", s.given, s.model, err)
	}
	for i := range data.Sequences {
		if data.Sequences[i].Len() == 0 {
			continue // a window in which nothing came begins nothing
		}
		s.opts.Beginnings = append(s.opts.Beginnings, data.Sequences[i].First(s.events))
	}
	if len(s.opts.Beginnings) == 0 {
		return fmt.Errorf("%s has no sequence to begin with", s.given)
	}
	return nil
}
