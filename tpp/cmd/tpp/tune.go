package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/internal/resultfile"
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

// checkSpace refuses values that train would refuse: the choices, and the ends of ranges.
func (t *tuning) checkSpace() error {
	for _, p := range t.space {
		values := p.Choices
		if len(values) == 0 {
			values = []string{fmt.Sprint(p.Low), fmt.Sprint(p.High)}
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

// tuneKey tells runs of a search apart.
type tuneKey struct {
	search string
	trial  int
	epochs int
}

// tuneLine is a run in the journal.
type tuneLine struct {
	Search  string            `json:"search"` // the fingerprint of everything that a run depends on, but for the trial and the epochs
	Trial   int               `json:"trial"`
	Epochs  int               `json:"epochs"`
	Options map[string]string `json:"options"`
	Loss    *float64          `json:"loss"` // null if the training failed
}

// tuneLines is the format of a journal.
var tuneLines = resultfile.Format[tuneKey, tuneLine]{
	Begin: `{"search":"`,
	Key:   func(l *tuneLine) tuneKey { return tuneKey{l.Search, l.Trial, l.Epochs} },
	Check: func(l *tuneLine) error {
		switch {
		case l.Search == "":
			return errors.New("no run of a search")
		case l.Trial < 0 || l.Epochs < 1:
			return fmt.Errorf("trial %d of %d epochs", l.Trial, l.Epochs)
		}
		return nil
	},
}

// fingerprint returns a hash of what the losses of a search depend on, but for trials and epochs: data, fixed options, space and seed.
func (t *tuning) fingerprint(p *trainParts) string {
	h := sha256.New()
	fmt.Fprintln(h, p.training.Fingerprint(), p.validation.Fingerprint(), t.opts.Seed)
	for _, option := range t.fixed {
		fmt.Fprintf(h, "%q\n", option)
	}
	for _, p := range t.space {
		fmt.Fprintf(h, "%q %t\n", p.String(), p.Integer)
	}
	if len(t.opts.First) > 0 {
		fmt.Fprintf(h, "%q\n", t.opts.First)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// tuneSearch is a search under way.
type tuneSearch struct {
	*tuning
	parts   *trainParts
	search  string // fingerprint
	journal *resultfile.File[tuneKey, tuneLine]

	mu    sync.Mutex
	known map[tuneKey]float64 // losses of this call
	best  float64
}

func (s *tuneSearch) key(r tune.Run) tuneKey { return tuneKey{s.search, r.Trial, r.Budget} }

func (s *tuneSearch) run(ctx context.Context, stdout, stderr io.Writer) (*tune.Found, error) {
	trials, budgets := s.opts.Rungs()
	total := 0
	for _, n := range trials {
		total += n
	}
	show := progress.New(stderr, total, "trainings")
	defer show.Done()
	s.best = math.Inf(1)
	note := func() string {
		if math.IsInf(s.best, 1) {
			return ""
		}
		return fmt.Sprintf("best loss %.4f", s.best)
	}
	opts := s.opts
	opts.Recall = func(r tune.Run) (float64, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		loss, ok := s.known[s.key(r)]
		if !ok {
			line := s.journal.Find(s.key(r))
			if line == nil {
				return 0, false
			}
			if loss = math.Inf(1); line.Loss != nil {
				loss = *line.Loss
			}
		}
		s.best = min(s.best, loss)
		show.Add(1, note())
		return loss, true
	}
	opts.Done = func(r tune.Result) error {
		line := tuneLine{Search: s.search, Trial: r.Trial, Epochs: r.Budget, Options: r.Values}
		if !math.IsInf(r.Loss, 0) {
			line.Loss = &r.Loss
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.known[s.key(r.Run)] = r.Loss
		s.best = min(s.best, r.Loss)
		show.Add(1, note())
		return s.journal.Add(&line)
	}
	var failed error
	opts.Rung = func(rung int, results []tune.Result) {
		if err := s.printRung(rung, budgets[rung], results, stdout); err != nil && failed == nil {
			failed = err
		}
	}
	found, err := tune.Search(ctx, s.space, opts, s.train)
	if err != nil {
		return nil, err
	}
	return found, failed
}

// train trains a model with the values of a trial, and returns its validation loss.
func (s *tuneSearch) train(ctx context.Context, r tune.Run) (float64, error) {
	o, err := s.order(r.Values, r.Budget)
	if err != nil {
		return 0, err
	}
	o.opts.Workers, o.raceOpts.Workers = r.Workers, r.Workers
	o.race.Graph = s.base.race.Graph
	loss := math.NaN()
	_, err = o.trainNetwork(ctx, s.parts.training, s.parts.validation, o.opts.Seed, func(e neural.Epoch) {
		if !(e.BestLoss >= loss) { // also of several trainings of which the best is kept
			loss = e.BestLoss
		}
	})
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil && math.IsNaN(loss) && r.Trial == 0 {
		return 0, err // the defaults fail only where all would
	}
	return loss, nil
}

// tuneReport is a training for machines.
type tuneReport struct {
	Rung    int               `json:"rung"`
	Trial   int               `json:"trial"`
	Epochs  int               `json:"epochs"`
	Options map[string]string `json:"options"`
	Loss    *float64          `json:"loss"` // of validation, per event; null if the training failed
}

// given returns the values that are not the default.
func given(values map[string]string) map[string]string {
	out := map[string]string{}
	for name, v := range values {
		if v != "" {
			out[name] = v
		}
	}
	return out
}

// printed is the number of trainings of a rung that are printed for people.
const printed = 5

// printRung prints the results of a rung.
func (s *tuneSearch) printRung(rung, epochs int, results []tune.Result, stdout io.Writer) error {
	if s.json {
		for _, r := range results {
			report := tuneReport{rung, r.Trial, r.Budget, given(r.Values), nil}
			if !math.IsInf(r.Loss, 0) {
				report.Loss = &r.Loss
			}
			if err := printJSON(stdout, report); err != nil {
				return err
			}
		}
		return nil
	}
	tw := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%d settings, %d epochs each\nsetting\tloss\toptions\n", len(results), epochs)
	for i, r := range results {
		if i == printed {
			break
		}
		loss := "failed"
		if !math.IsInf(r.Loss, 0) {
			loss = fmt.Sprintf("%.4f", r.Loss)
		}
		options := strings.Join(s.options(r.Values), " ")
		if options == "" {
			options = "the defaults"
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\n", r.Trial, loss, options)
	}
	fmt.Fprintln(tw)
	return tw.Flush()
}

// report prints the best setting.
func (t *tuning) report(found *tune.Found, stdout io.Writer) error {
	command := t.command(found.Best.Values, found.Best.Budget)
	if t.json {
		return json.NewEncoder(stdout).Encode(struct {
			Best    tuneReport `json:"best"`
			Command string     `json:"command"`
		}{tuneReport{found.Best.Rung, found.Best.Trial, found.Best.Budget, given(found.Best.Values), &found.Best.Loss}, command})
	}
	_, err := fmt.Fprintf(stdout, "The lowest validation loss is %.4f, of setting %d:\n\n  %s\n", found.Best.Loss, found.Best.Trial, command)
	return err
}
