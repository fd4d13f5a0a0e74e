package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// resolution is an option that takes a duration such as 1ms or 10us, or a number of milliseconds.
type resolution struct{ ms *float64 }

func (r resolution) String() string {
	if r.ms == nil || *r.ms == 0 {
		return ""
	}
	return strconv.FormatFloat(*r.ms, 'g', -1, 64) + "ms"
}

func (r resolution) Set(text string) error {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		d, derr := time.ParseDuration(text)
		if derr != nil {
			return fmt.Errorf("%q is not a duration like 1ms", text)
		}
		v = float64(d) / float64(time.Millisecond)
	}
	if !(v > 0) || v > 1e300 {
		return fmt.Errorf("%s is not above 0", text)
	}
	*r.ms = v
	return nil
}

// unit is an option that takes a unit of time.
type unit struct{ name *string }

func (u unit) String() string {
	if u.name == nil {
		return ""
	}
	return *u.name
}

func (u unit) Set(text string) (err error) {
	*u.name, err = dataset.ParseTimeUnit(text)
	return err
}

// Get makes it a flag.Getter.
func (u unit) Get() any { return u.String() }

// spanRules are the values of -spans.
var spanRules = func() (names []string) {
	for _, r := range dataset.SpanRules() {
		names = append(names, string(r))
	}
	return names
}()

// spanRule is an option that says which spans are events.
type spanRule struct{ rule *dataset.SpanRule }

func (r spanRule) String() string {
	if r.rule == nil {
		return ""
	}
	return string(*r.rule)
}

func (r spanRule) Set(text string) error {
	if *r.rule = dataset.SpanRule(text); !slices.Contains(spanRules, text) {
		return fmt.Errorf("%q is not %s", text, oneOf(spanRules))
	}
	return nil
}

// Get makes it a flag.Getter.
func (r spanRule) Get() any { return r.String() }

// input reads datasets as the options of a command say.
type input struct {
	fs         *flag.FlagSet
	opts       dataset.ReadOptions
	covariates string
	grouped    bool
	told       map[string]bool // files about which Choices have been printed
	// names are the options by what they are for: a command that has another option called sequence has sequence-column.
	names map[string]string
}

// formatOptions are the options that say something about files of some formats alone.
var formatOptions = []struct {
	name    string
	formats []dataset.Format
	what    string
}{
	{"sequence", csvFile, "CSV file"}, {"time", csvFile, "CSV file"}, {"covariates", csvFile, "CSV file"}, {"grouped", csvFile, "CSV file"},
	{"mark", append(csvFile, spanFiles...), "CSV file and has no spans"}, {"spans", spanFiles, "file of spans"},
	{"unit", []dataset.Format{dataset.FormatJSON, dataset.FormatJSONLines, dataset.FormatCSV}, "file whose times are plain numbers"},
}

var (
	csvFile   = []dataset.Format{dataset.FormatCSV}
	spanFiles = []dataset.Format{dataset.FormatZipkin, dataset.FormatOTLP}
)

// inputOptions declares the options about reading datasets, after those of the command: an option that the command has already is
// declared with -column behind its name, and the tick to which times are rounded only if the command has no other -resolution. A
// command that streams its datasets also takes -grouped.
func inputOptions(fs *flag.FlagSet, streams bool) *input {
	in := &input{fs: fs, names: map[string]string{}, told: map[string]bool{}}
	in.opts.Unit = "ms"
	in.names["unit"] = "unit"
	column := func(p *string, name, usage string) {
		in.names[name] = name
		if fs.Lookup(name) != nil {
			in.names[name] = name + "-column"
		}
		fs.StringVar(p, in.names[name], "", usage)
	}
	fs.Var(unit{&in.opts.Unit}, "unit", "`unit` of a time in the dataset that is a number: "+oneOf(dataset.TimeUnits()))
	if fs.Lookup("resolution") == nil {
		in.names["resolution"] = "resolution"
		fs.Var(resolution{&in.opts.Resolution}, "resolution", "`tick` of the clock, such as 1ms: round times to it")
	}
	fs.BoolVar(&in.opts.Sort, "sort", false, "put the events of each sequence in the order of their times, instead of an error")
	column(&in.opts.SequenceColumn, "sequence", "CSV: `column` with the name of the sequence")
	column(&in.opts.TimeColumn, "time", "CSV: `column` with the time")
	column(&in.opts.MarkColumn, "mark", "CSV: `column` with the mark; spans: name, service, service/name or the key of an attribute")
	in.names["covariates"] = "covariates"
	fs.StringVar(&in.covariates, "covariates", "", "CSV: further `columns` that are covariates, separated by commas")
	in.names["spans"] = "spans"
	fs.Var(spanRule{&in.opts.Spans}, "spans", "spans: `which` are events: "+oneOf(spanRules)+" (without: the first that finds one)")
	if streams {
		in.names["grouped"] = "grouped"
		fs.BoolVar(&in.grouped, "grouped", false, "CSV: the lines of a sequence stand together: hold one sequence in memory, not all")
	}
	return in
}

// optionNames returns the names of the options that inputOptions declared.
func (in *input) optionNames() []string {
	names := []string{"sort"}
	for _, name := range in.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// options returns what the options say.
func (in *input) options() dataset.ReadOptions {
	opts := in.opts
	if in.covariates != "" {
		opts.CovariateColumns = strings.Split(in.covariates, ",")
	}
	opts.Scattered = !in.grouped
	return opts
}

// open opens a dataset and refuses options that mean nothing to its format.
func (in *input) open(path string) (*dataset.SequenceReader, error) {
	opts := in.options()
	r, err := dataset.OpenSequences(path, opts)
	if err != nil {
		return nil, in.remedy(err)
	}
	if err := in.check(path, r); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// reader reads a dataset from a file that is open already, which the caller closes. The marks are numbered like the names, if there
// are any.
func (in *input) reader(f *inputFile, marks []string) (*dataset.SequenceReader, error) {
	opts := in.options()
	opts.Name, opts.MarkNames = f.path, marks
	r, err := dataset.NewSequenceReader(f.r, opts)
	if err != nil {
		return nil, in.remedy(err)
	}
	return r, in.check(f.path, r)
}

// check refuses options that mean nothing to the format of a dataset.
func (in *input) check(path string, r *dataset.SequenceReader) error {
	for _, o := range formatOptions {
		if option := in.names[o.name]; option != "" && !slices.Contains(o.formats, r.Format()) && cli.IsSet(in.fs, option) {
			return cli.Usagef("%s is no %s: -%s means nothing to it", path, o.what, option)
		}
	}
	return nil
}

// read reads a whole dataset, and warns of what looks wrong with it. Gaps are compared with the tick, in ms; 0 is the default.
func (in *input) read(ctx context.Context, path string, tick float64, stderr io.Writer) (*tpp.Dataset, error) {
	in.opts.Tick = tick
	r, err := in.open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	d, err := r.ReadAll(ctx)
	if err != nil {
		return nil, err
	}
	return d, in.warn(path, r, stderr)
}

// remedy adds to an error which option mends it.
func (in *input) remedy(err error) error {
	if errors.Is(err, dataset.ErrNoTimeColumn) && in.opts.TimeColumn == "" {
		return fmt.Errorf("%w (-%s COLUMN says which one has the times, -%s COLUMN which one the sequences)", err, in.names["time"], in.names["sequence"])
	}
	return err
}

// warn prints what looks wrong with a dataset that has been read, and which option mends it. A CSV file or a file of spans without an event
// is an error: nobody keeps one on purpose. What was decided about a file of spans by its content is printed too.
func (in *input) warn(path string, r *dataset.SequenceReader, stderr io.Writer) error {
	if choices := r.Choices(); choices != "" && !in.told[path] {
		fmt.Fprintf(stderr, "%s: %s\n", path, choices)
		in.told[path] = true
	}
	for _, w := range r.Warnings() {
		var remedy string
		switch w.Kind {
		case dataset.WarningEmpty:
			if r.Format() == dataset.FormatCSV || isSpans(r.Format()) {
				return fmt.Errorf("%s %s", path, w.Text)
			}
		case dataset.WarningNoSequences:
			remedy = fmt.Sprintf("-%s COLUMN says which one tells sequences apart", in.names["sequence"])
		case dataset.WarningSingleEvents:
			remedy = fmt.Sprintf("-%s COLUMN takes another one", in.names["sequence"])
		case dataset.WarningUnit:
			if w.Unit == "" { // -unit means nothing to spans
				break
			}
			remedy = fmt.Sprintf("-unit %s reads them so", w.Unit)
		case dataset.WarningTick:
			if isSpans(r.Format()) {
				break // the unit is known, and calls within one machine may be that fast
			}
			remedy = fmt.Sprintf("-unit says what its numbers count (now %s)", in.opts.Unit)
			if in.fs.Lookup("resolution") != nil {
				remedy += ", -resolution the tick of a finer clock"
			}
		}
		if remedy != "" {
			remedy = "; " + remedy
		}
		fmt.Fprintf(stderr, "warning: %s %s%s\n", path, w.Text, remedy)
	}
	return nil
}

// isSpans reports whether a format is one of spans.
func isSpans(f dataset.Format) bool { return slices.Contains(spanFiles, f) }
