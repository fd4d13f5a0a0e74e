package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/internal/callgraph"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// raceOnly are the options that only a race has.
var raceOnly = []string{"graph", "regime"}

// raceFlags are the options that have a meaning for a race, beside those of the input.
var raceFlags = append([]string{
	"o", "kind", "seed", "resolution", "json", "repeat", "folds", "split", "validation", "test", "history", "budget", "workers", "coldstart", "covariate",
	"context", "components", "batch", "rate", "epochs",
}, raceOnly...)

// regimes are the values of -regime.
var regimes = func() (names []string) {
	for _, r := range race.Regimes() {
		names = append(names, string(r))
	}
	return names
}()

// checkRace refuses options that a race does not have, and values that none has.
func checkRace(fs *flag.FlagSet, input []string) error {
	var wrong error
	fs.Visit(func(f *flag.Flag) {
		switch {
		case wrong != nil || slices.Contains(input, f.Name) || slices.Contains(raceFlags, f.Name):
		case f.Name == "checkpoint":
			wrong = cli.Usagef("-checkpoint is not for -kind race, which trains in seconds")
		default:
			wrong = cli.Usagef("-%s is not for -kind race", f.Name)
		}
	})
	if wrong != nil {
		return wrong
	}
	if v := value[string](fs, "regime"); !slices.Contains(regimes, v) {
		return cli.Usagef("-regime is %q, it must be %s", v, oneOf(regimes))
	}
	return checkNumbers(fs)
}

// value returns the value of an option.
func value[T any](fs *flag.FlagSet, name string) T {
	v, _ := fs.Lookup(name).Value.(flag.Getter).Get().(T)
	return v
}

// setRace sets the configuration and the training of a race to what is on the line.
func (o *trainOrder) setRace(fs *flag.FlagSet) error {
	if err := checkRace(fs, o.in.optionNames()); err != nil {
		return err
	}
	o.raceOpts = race.TrainOptions{MaxDuration: o.opts.MaxDuration, Workers: o.opts.Workers}
	o.race.Regime = race.Regime(value[string](fs, "regime"))
	for name, set := range map[string]func(){
		"resolution": func() { o.race.Resolution = value[float64](fs, "resolution") },
		"context":    func() { o.race.ContextSize = value[int](fs, "context") },
		"components": func() { o.race.Components = value[int](fs, "components") },
		"batch":      func() { o.raceOpts.BatchSize = value[int](fs, "batch") },
		"rate":       func() { o.raceOpts.LearningRate = value[float64](fs, "rate") },
		"epochs":     func() { o.raceOpts.Epochs = value[int](fs, "epochs") },
	} {
		if cli.IsSet(fs, name) { // what is not keeps the default of the library
			set()
		}
	}
	if value[bool](fs, "coldstart") {
		o.race.Covariates = append(o.race.Covariates, tpp.ColdStartCovariate)
	}
	for _, name := range value[[]string](fs, "covariate") {
		if strings.Contains(name, ":") {
			return cli.Usagef("-covariate %s: a race takes the number as it is, without levels", name)
		}
		o.race.Covariates = append(o.race.Covariates, name)
	}
	return nil
}

// chooseGraph sets the graph of a race to the one of -graph or, unless the training part has parents, the one that is estimated from its
// times, and says how sure that is. With -repeat or -folds each training part has a graph of its own, which training estimates.
func (o *trainOrder) chooseGraph(training *tpp.Dataset, stderr io.Writer) (err error) {
	o.noteStarts(training, stderr)
	if o.graph != "" {
		if o.race.Graph, err = callgraph.Read(o.graph, training.MarkNames); err != nil {
			return fmt.Errorf("-graph: %w", err)
		}
		return nil
	}
	if slices.ContainsFunc(training.Sequences, func(s tpp.Sequence) bool { return s.Parents != nil }) {
		return nil // training reads them
	}
	if o.many() {
		fmt.Fprintf(stderr, "note: %s has no parents: which events make which others due is estimated from the times of each training part; -graph FILE says it for certain\n", o.dataset)
		return nil
	}
	graph, report, err := race.EstimateGraph(training)
	if err != nil {
		return fmt.Errorf("%s: it has no parents, and %w; -graph FILE says which events make which others due", o.dataset, err)
	}
	o.race.Graph = graph
	fmt.Fprintf(stderr, "note: %s has no parents: %s; -graph FILE says it for certain\n", o.dataset, estimated(&report, training.MarkNames))
	return nil
}

// muchUnexplained is the share of events that a graph does not explain from which on it is said.
const muchUnexplained = 0.2

// noteUnexplained says so where a race's graph does not explain much of the data.
func noteUnexplained(m tpp.Model, o *trainOrder, stderr io.Writer) {
	r, ok := m.(*race.Race)
	if !ok || r.Unexplained() < muchUnexplained {
		return
	}
	from := "the parents in " + o.dataset + " do"
	switch {
	case o.graph != "":
		from = "the graph in " + o.graph + " does"
	case o.race.Graph != nil:
		from = "the estimated graph does"
	}
	fmt.Fprintf(stderr, "note: %s not explain up to %.0f %% of the events: a model of another kind, or another graph (-graph FILE), may do better\n",
		from, 100*r.Unexplained())
}

// noteStarts says so where a race that hears of starts alone takes times for starts since nothing says that they are not.
func (o *trainOrder) noteStarts(d *tpp.Dataset, stderr io.Writer) {
	if o.race.Regime != race.OnlyStarts {
		return
	}
	without := 0
	for i := range d.Sequences {
		if s := &d.Sequences[i]; s.Len() > 0 && s.WaitTimes == nil {
			without++
		}
	}
	if without > 0 {
		fmt.Fprintf(stderr, "note: %s: %d of %d sequences for training have no wait times: their times are taken for those of starts\n", o.dataset, without, len(d.Sequences))
	}
}

// estimated says what an estimated graph rests on, and where it is not sure.
func estimated(r *race.GraphReport, markNames []string) string {
	short, _ := eval.ShortNames(markNames)
	name := func(m int) string {
		if m < len(short) {
			return printable(short[m])
		}
		return fmt.Sprint(m)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "which events make which others due is estimated from the times of %d events", r.Events)
	if r.Unexplained > 0 {
		fmt.Fprintf(&b, ", of which %d (%.1f %%) are explained by nothing", r.Unexplained, share(r.Unexplained, r.Events))
	}
	var unsure []string
	for m, own := range r.Marks {
		if len(own.Ambiguous) == 0 || len(own.Parents) == 0 {
			continue
		}
		var others []string
		for _, other := range own.Ambiguous {
			others = append(others, name(other))
		}
		unsure = append(unsure, fmt.Sprintf("%s (after %s, or after %s)", name(m), name(own.Parents[0]), strings.Join(others, ", ")))
	}
	const most = 4
	switch n := len(unsure); {
	case n > most:
		fmt.Fprintf(&b, "; not sure is what makes due %s and %d more", strings.Join(unsure[:most], ", "), n-most)
	case n > 0:
		fmt.Fprintf(&b, "; not sure is what makes due %s", strings.Join(unsure, ", "))
	}
	if !r.Waits {
		b.WriteString("; without wait times two events that one event caused may be taken for parent and child")
	}
	return b.String()
}
