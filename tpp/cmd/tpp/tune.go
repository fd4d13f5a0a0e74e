package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
	"github.com/tppfaas/tppfaas/tpp/tune"
)

const tuneUsage = `tpp tune searches for good options of train: it draws many settings, trains each for a few epochs, the best third of them for three times as
many, and so on, and prints the train command with the options whose validation loss was the lowest. Setting 0 are the defaults. Options of
train on the line stay as they are; of the others those that matter are searched, over ranges that -search changes. The test part is never
looked at. The same -seed finds the same, whatever the number of -workers. With -journal the same call goes on where it was interrupted.

Usage: tpp tune DATASET [OPTIONS]

Examples:
  tpp tune traces.json.gz -journal tune.jsonl
  tpp tune traces.json.gz -trials 81 -epochs 300 -encoder GRU
  tpp tune traces.json.gz -search rate=0.001..0.02 -search context=64,128,256
  tpp tune traces.json.gz -search mark-table=true,false
  tpp tune traces.json.gz -kind race -trials 9 -json
`

// notTuned are options of train that tune does not have: it writes no model, or has an option of its own.
var notTuned = []string{"o", "history", "checkpoint", "repeat", "folds", "budget", "workers", "json", "epochs", "stream", "decay-per-pair", "standard-errors"}

// searched are the options that are searched, by kind of model, and over which values.
var searched = map[string]tune.Space{
	string(neural.LogNormMix): append(recurrentSpace,
		tune.Parameter{Name: "components", Choices: []string{"8", "16", "32", "64"}},
		tune.Parameter{Name: "mark-time", Choices: []string{markTimeOff, markTimeOn}}),
	string(neural.TruncNorm): append(recurrentSpace, tune.Parameter{Name: "head", Choices: []string{string(neural.LogHead), string(neural.SoftplusHead)}}),
	race.Kind: {
		{Name: "context", Choices: []string{"16", "32", "64", "128"}},
		{Name: "components", Choices: []string{"4", "8", "16", "32"}},
		{Name: "batch", Choices: []string{"16", "32", "64"}},
		{Name: "rate", Low: 5e-4, High: 2e-2, Log: true},
	},
}

var recurrentSpace = tune.Space{
	{Name: "encoder", Choices: []string{string(neural.GRU), string(neural.LSTM), string(neural.SSM)}},
	{Name: "context", Choices: []string{"16", "32", "64", "128"}},
	{Name: "embedding", Choices: []string{"8", "16", "32", "64"}},
	{Name: "batch", Choices: []string{"16", "32", "64", "128"}},
	{Name: "rate", Low: 1e-3, High: 3e-2, Log: true},
	{Name: "l2", Low: 1e-6, High: 1e-2, Log: true},
}[:6:6]

// tuning is what a call of tune asks for.
type tuning struct {
	dataset string
	fixed   []string // options of train on the line
	base    *trainOrder
	space   tune.Space
	opts    tune.Options
	journal string
	json    bool
}

func tuneCommand(fs *flag.FlagSet) cli.Run {
	t := &tuning{}
	options := flag.NewFlagSet("train", flag.ContinueOnError)
	trainFlags(options)
	options.VisitAll(func(f *flag.Flag) {
		if !slices.Contains(notTuned, f.Name) {
			fs.Var(f.Value, f.Name, f.Usage)
		}
	})
	var ranges stringList
	fs.Var(&ranges, "search", "search an option over `NAME=A,B,C` or NAME=LOW..HIGH, in place of its usual values; may be repeated")
	fs.IntVar(&t.opts.Trials, "trials", 27, "`number` of settings to begin with")
	fs.IntVar(&t.opts.Factor, "factor", 3, "from rung to rung there are this `factor` fewer settings, and as many times the epochs")
	fs.IntVar(&t.opts.MaxBudget, "epochs", 200, "`epochs` of the last trainings; those before have fewer")
	fs.IntVar(&t.opts.Workers, "workers", 0, "`goroutines` that train (0: one a processor); the result does not depend on it")
	fs.StringVar(&t.journal, "journal", "", "keep the loss of each training in `FILE`, and go on from there")
	fs.BoolVar(&t.json, "json", false, "print one JSON object a training, rung by rung, and one with the best")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if err := positional(args, "dataset"); err != nil {
			return err
		}
		t.dataset = args[0]
		if err := t.check(fs, ranges); err != nil {
			return err
		}
		return t.run(ctx, stdout, stderr)
	}
}

// check checks the options, and chooses what is searched.
func (t *tuning) check(fs *flag.FlagSet, ranges []string) error {
	options := flag.NewFlagSet("train", flag.ContinueOnError)
	trainFlags(options)
	fs.Visit(func(f *flag.Flag) {
		if options.Lookup(f.Name) == nil || slices.Contains(notTuned, f.Name) {
			return
		}
		if list, ok := f.Value.(*stringList); ok {
			for _, v := range *list {
				t.fixed = append(t.fixed, "-"+f.Name+"="+v)
			}
			return
		}
		t.fixed = append(t.fixed, "-"+f.Name+"="+f.Value.String())
	})
	switch {
	case t.opts.Trials < 1:
		return cli.Usagef("-trials is %d, it must be at least 1", t.opts.Trials)
	case t.opts.Factor < 2:
		return cli.Usagef("-factor is %d, it must be at least 2", t.opts.Factor)
	case t.opts.MaxBudget < 1:
		return cli.Usagef("-epochs is %d, it must be at least 1", t.opts.MaxBudget)
	case t.opts.Workers < 0:
		return cli.Usagef("-workers must not be negative")
	}
	var err error
	if t.base, err = t.order(nil, 1); err != nil {
		return err
	}
	if isClassical(t.base.kind) {
		return cli.Usagef("a model of -kind %s has no options to search", t.base.kind)
	}
	t.opts.Seed = t.base.opts.Seed
	return t.chooseSpace(fs, options, ranges)
}

// chooseSpace sets the space to the options of the kind that are not fixed, with the ranges of the command line.
func (t *tuning) chooseSpace(fs, options *flag.FlagSet, ranges []string) error {
	own := map[string]tune.Parameter{}
	var names []string
	for _, text := range ranges {
		p, err := tune.ParseParameter(text)
		if err != nil {
			return cli.Usagef("-search %v", err)
		}
		f := options.Lookup(p.Name)
		switch {
		case f == nil || slices.Contains(notTuned, p.Name) || slices.Contains([]string{"kind", "seed", "split", "validation", "test"}, p.Name):
			return cli.Usagef("-search %s: that is no option to search", p.Name)
		case cli.IsSet(fs, p.Name):
			return cli.Usagef("-search %s: -%s stands on the line too", p.Name, p.Name)
		}
		if _, twice := own[p.Name]; twice {
			return cli.Usagef("-search %s stands twice", p.Name)
		}
		if getter, ok := f.Value.(flag.Getter); ok && len(p.Choices) == 0 {
			_, p.Integer = getter.Get().(int)
		}
		if err := (tune.Space{p}).Validate(); err != nil {
			return cli.Usagef("-search %v", err)
		}
		own[p.Name] = p
		names = append(names, p.Name)
	}
	t.opts.First = map[string]string{}
	for _, p := range searched[t.base.kind] {
		if q, ok := own[p.Name]; ok {
			t.space = append(t.space, q)
			names = slices.DeleteFunc(names, func(name string) bool { return name == p.Name })
			continue
		}
		if cli.IsSet(fs, p.Name) {
			continue
		}
		t.space = append(t.space, p)
		t.opts.First[p.Name] = "" // the default
	}
	for _, name := range names {
		t.space = append(t.space, own[name])
	}
	if len(t.space) == 0 {
		return cli.Usagef("all options that matter stand on the line: there is nothing to search")
	}
	return t.checkSpace()
}

// optionNumber returns a number as options take it: a whole one has no exponent.
func optionNumber(v float64) string {
	if v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// checkSpace refuses values that train would refuse: the choices, and the ends of ranges.
func (t *tuning) checkSpace() error {
	for _, p := range t.space {
		values := p.Choices
		if len(values) == 0 {
			values = []string{optionNumber(p.Low), optionNumber(p.High)}
		}
		for _, v := range values {
			if _, err := t.order(map[string]string{p.Name: v}, 1); err != nil {
				return cli.Usagef("-search %s: %v", p.Name, err)
			}
		}
	}
	return nil
}

// options returns the options of train for the values of a trial, in the order of the space. An empty value is the default.
func (t *tuning) options(values map[string]string) []string {
	var out []string
	for _, p := range t.space {
		if v, ok := values[p.Name]; ok && v != "" {
			out = append(out, "-"+p.Name+"="+v)
		}
	}
	return out
}

// order returns what train is to do with the values of a trial.
func (t *tuning) order(values map[string]string, epochs int) (*trainOrder, error) {
	fs := flag.NewFlagSet("train", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	parsed := trainFlags(fs)
	args := slices.Concat(t.fixed, t.options(values), []string{fmt.Sprintf("-epochs=%d", epochs), "-o=MODEL"})
	if _, err := cli.Parse(fs, args); err != nil {
		return nil, err
	}
	// A classical model has no epochs: its kind is refused by the caller.
	if kind := value[string](fs, "kind"); isClassical(kind) {
		return &trainOrder{kind: kind}, nil
	}
	return parsed([]string{t.dataset})
}

// command returns the train command of a trial.
func (t *tuning) command(values map[string]string, epochs int) string {
	words := []string{"tpp", "train", t.dataset, "-o", "model.safetensors"}
	for _, option := range slices.Concat(t.fixed, t.options(values), []string{fmt.Sprintf("-epochs=%d", epochs)}) {
		name, v, _ := strings.Cut(option, "=")
		if v == "true" { // switches
			words = append(words, name)
			continue
		}
		if v == "false" {
			words = append(words, option)
			continue
		}
		words = append(words, name, v)
	}
	for i, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@%", r))
		}) || w == "" {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

func (t *tuning) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := notRead("journal", t.journal, t.dataset, t.base.validation, t.base.test, t.base.graph); err != nil {
		return err
	}
	data, err := t.base.in.read(ctx, t.dataset, t.base.tick(), stderr)
	if err != nil {
		return err
	}
	p, err := t.base.parts(ctx, data, stderr)
	if err != nil {
		return err
	}
	if len(p.validation.Sequences) == 0 {
		return fmt.Errorf("%s: no sequence is left for validation, by which settings are told apart", t.dataset)
	}
	if t.base.kind == race.Kind {
		if err := t.base.chooseGraph(p.training, stderr); err != nil {
			return err
		}
	}
	s := tuneSearch{tuning: t, parts: p, known: map[tuneKey]float64{}, search: t.fingerprint(p)}
	if t.journal != "" {
		if s.journal, err = tuneLines.Open(t.journal, func(message string) { fmt.Fprintln(stderr, "warning: "+message) }); err != nil {
			return err
		}
		defer s.journal.Close()
	}
	found, err := s.run(ctx, stdout, stderr)
	if err != nil {
		switch {
		case ctx.Err() != nil && t.journal != "":
			return fmt.Errorf("interrupted; the same call goes on from %s", t.journal)
		case ctx.Err() != nil:
			return errors.New("interrupted; with -journal FILE the same call would go on from there")
		}
		return fmt.Errorf("%s: %w", t.dataset, err)
	}
	if s.journal != nil {
		if err := s.journal.Close(); err != nil { // a second time, in the deferred call, it does nothing
			return err
		}
	}
	return t.report(found, stdout)
}
