package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/race"
)

const inspectUsage = `tpp inspect says what is in datasets and models, which it tells apart by their content: of a dataset the format, the sequences and
events, how often each mark occurs, the quantiles of the gaps between events, cold starts, windows, covariates and parents; of a model
its kind, marks and configuration, how it was trained, and its parameters; of a race also which events make which others due, and how
often nothing came; of a Hawkes process its kernels and branching matrix, with standard errors if it was trained with them. The whole file is read and checked.

The options say how to read a dataset; "tpp convert -h" says more about them.

Usage: tpp inspect FILE... [OPTIONS]

Examples:
  tpp inspect traces.json.gz
  tpp inspect log.csv -unit s -mark activity
  tpp inspect otlp.jsonl -spans server
  tpp inspect model.safetensors -json
`

func inspect(fs *flag.FlagSet) cli.Run {
	asJSON := fs.Bool("json", false, "print one JSON object a file")
	in := inputOptions(fs, true)
	return func(ctx context.Context, paths []string, stdout, stderr io.Writer) error {
		if len(paths) == 0 {
			return cli.Usagef("the file is missing")
		}
		for i, path := range paths {
			report, err := inspectFile(ctx, in, path, stderr)
			if err != nil {
				return err
			}
			if *asJSON {
				err = printJSON(stdout, report)
			} else {
				if i > 0 {
					fmt.Fprintln(stdout)
				}
				err = report.print(stdout)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// fileReport is a *datasetReport or a *modelReport.
type fileReport interface{ print(w io.Writer) error }

func inspectFile(ctx context.Context, in *input, path string, stderr io.Writer) (fileReport, error) {
	f, err := openInput(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	counted := &countingReader{r: f.r}
	if f.model {
		content, err := io.ReadAll(counted)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return inspectModel(path, content)
	}
	if f.regular {
		info, err := f.file.Stat()
		if err != nil {
			return nil, err
		}
		return inspectDataset(ctx, in, f, func() int64 { return info.Size() }, stderr)
	}
	f.r = counted
	return inspectDataset(ctx, in, f, func() int64 { return counted.n }, stderr)
}

// countingReader counts what is read.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

type datasetReport struct {
	File             string            `json:"file"`
	Type             string            `json:"type"`
	Bytes            int64             `json:"bytes"`
	Format           dataset.Format    `json:"format"`
	Gzipped          bool              `json:"gzipped"`
	Sequences        int               `json:"sequences"`
	Events           int               `json:"events"`
	ShortestSequence int               `json:"shortest_sequence"`
	LongestSequence  int               `json:"longest_sequence"`
	First            float64           `json:"first"`
	Last             float64           `json:"last"`
	WholeTimes       bool              `json:"whole_times"`
	Marks            []markCount       `json:"marks"`
	Gaps             gapReport         `json:"gaps"`
	WaitTimes        int               `json:"with_wait_times"`
	InitTimes        int               `json:"with_init_times"`
	ColdStarts       int               `json:"cold_starts"`
	ColdStartShare   *float64          `json:"cold_start_share,omitempty"`
	Parents          int               `json:"with_parents"`
	TStart           int               `json:"with_t_start"`
	TEnd             int               `json:"with_t_end"`
	Covariates       []covariateReport `json:"covariates"`
}

type markCount struct {
	Mark  string `json:"mark"`
	Count int    `json:"count"`
}

type gapReport struct {
	Count     int        `json:"count"`
	Zeros     int        `json:"zeros"`
	Mean      float64    `json:"mean"`
	Quantiles []quantile `json:"quantiles"`
	Sample    int        `json:"quantiles_from"`
}

type quantile struct {
	P   float64 `json:"p"`
	Gap float64 `json:"gap"`
}

type covariateReport struct {
	Name      string  `json:"name"`
	Sequences int     `json:"sequences"`
	Min       float64 `json:"min"`
	Mean      float64 `json:"mean"`
	Max       float64 `json:"max"`
}

func inspectDataset(ctx context.Context, in *input, f *inputFile, size func() int64, stderr io.Writer) (fileReport, error) {
	path := f.path
	r, err := in.reader(f, nil)
	if err != nil {
		return nil, err
	}
	show := progress.New(stderr, 0, "sequences")
	defer show.Done()
	var m dataset.Summary
	for s, err := range sequencesOf(ctx, f, r) {
		if err != nil {
			return nil, err
		}
		m.Add(s)
		show.Set(m.Sequences, path)
	}
	show.Done()
	if err := in.warn(path, r, stderr); err != nil {
		return nil, err
	}
	d := &datasetReport{
		File: path, Type: "dataset", Bytes: size(), Format: r.Format(), Gzipped: r.Gzipped(),
		Sequences: m.Sequences, Events: m.Events, ShortestSequence: m.ShortestSequence, LongestSequence: m.LongestSequence,
		First: m.First, Last: m.Last, WholeTimes: m.FractionalTimes == 0,
		Gaps:      gapReport{Count: m.Gaps, Zeros: m.ZeroGaps, Mean: m.MeanGap, Sample: m.GapSample(), Quantiles: []quantile{}},
		WaitTimes: m.WithWaitTimes, InitTimes: m.WithInitTimes, ColdStarts: m.ColdStarts, Parents: m.WithParents,
		TStart: m.WithTStart, TEnd: m.WithTEnd, Marks: []markCount{}, Covariates: []covariateReport{},
	}
	if m.Gaps > 0 {
		for _, p := range []float64{0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1} {
			d.Gaps.Quantiles = append(d.Gaps.Quantiles, quantile{p, m.GapQuantile(p)})
		}
	}
	if m.ColdStartable > 0 {
		d.ColdStartShare = new(float64(m.ColdStarts) / float64(m.ColdStartable))
	}
	for i, name := range r.MarkNames() {
		count := 0
		if i < len(m.MarkCounts) {
			count = m.MarkCounts[i]
		}
		d.Marks = append(d.Marks, markCount{name, count})
	}
	for _, c := range m.Covariates {
		d.Covariates = append(d.Covariates, covariateReport{c.Name, c.Sequences, c.Min, c.Mean, c.Max})
	}
	return d, nil
}

// sequencesOf returns the sequences of a file one by one, but for a document from a pipe, whose mapping may come last.
func sequencesOf(ctx context.Context, f *inputFile, r *dataset.SequenceReader) func(yield func(*tpp.Sequence, error) bool) {
	if r.Format() != dataset.FormatJSON || f.regular {
		return r.All(ctx)
	}
	return func(yield func(*tpp.Sequence, error) bool) {
		d, err := r.ReadAll(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		sequencesIn(d)(yield)
	}
}

func (d *datasetReport) print(w io.Writer) error {
	format := map[dataset.Format]string{
		dataset.FormatJSON: "JSON document", dataset.FormatJSONLines: "JSON lines", dataset.FormatCSV: "CSV",
		dataset.FormatZipkin: "spans of Zipkin as JSON", dataset.FormatOTLP: "spans in OTLP as JSON",
	}[d.Format]
	if d.Gzipped {
		format += ", gzipped"
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(tw, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(tw, "%s: dataset, %s, %d bytes\n", d.File, format, d.Bytes)
	row("sequences", "%d, of %d to %d events", d.Sequences, d.ShortestSequence, d.LongestSequence)
	row("events", "%d", d.Events)
	if d.Events > 0 {
		kind := "not all whole"
		if d.WholeTimes {
			kind = "all whole"
		}
		row("times", "%s to %s ms, %s", plain(d.First), plain(d.Last), kind)
		if from, to := stamp(d.First), stamp(d.Last); from != "" && to != "" {
			row("", "%s to %s", from, to)
		}
	}
	if d.Gaps.Count > 0 {
		row("gaps", "mean %.6g ms; exactly 0: %d of %d (%.1f %%)", d.Gaps.Mean, d.Gaps.Zeros, d.Gaps.Count, share(d.Gaps.Zeros, d.Gaps.Count))
		var text []string
		for _, q := range d.Gaps.Quantiles {
			text = append(text, fmt.Sprintf("%g %%: %s", 100*q.P, plain(q.Gap)))
		}
		if d.Gaps.Sample < d.Gaps.Count {
			text = append(text, fmt.Sprintf("(of a sample of %d)", d.Gaps.Sample))
		}
		row("gap quantiles", "%s", strings.Join(text, "  "))
	}
	of := func(n int) string { return fmt.Sprintf("%d of %d sequences", n, d.Sequences) }
	row("wait times", "%s", of(d.WaitTimes))
	if d.ColdStartShare != nil {
		row("init times", "%s; cold starts: %d events (%.1f %%)", of(d.InitTimes), d.ColdStarts, 100**d.ColdStartShare)
	} else {
		row("init times", "%s", of(d.InitTimes))
	}
	row("parents", "%s", of(d.Parents))
	row("windows", "t_start of %s, t_end of %s; the others are complete", of(d.TStart), of(d.TEnd))
	for _, c := range d.Covariates {
		row("covariate "+strconv.Quote(c.Name), "%s, %g to %g, mean %.6g", of(c.Sequences), c.Min, c.Max, c.Mean)
	}
	if len(d.Marks) == 0 {
		row("marks", "none")
	} else {
		row("marks", "%d", len(d.Marks))
	}
	for _, m := range d.Marks {
		row("  "+printable(m.Mark), "%d (%.1f %%)", m.Count, share(m.Count, d.Events))
	}
	return tw.Flush()
}

// printable returns a name as it is, or quoted if it would upset a terminal or a table.
func printable(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` || name == "" {
		return quoted
	}
	return name
}

func share(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

// plain returns a number in full where it is short enough to be read.
func plain(v float64) string {
	if size := math.Abs(v); size != 0 && (size < 1e-3 || size >= 1e15) {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}

// stamp returns a time as a date, if it can be meant as milliseconds since 1970: one from 1990 to 2100.
func stamp(ms float64) string {
	if ms < 631152000000 || ms > 4102444800000 {
		return ""
	}
	return time.UnixMilli(int64(ms)).UTC().Format("2006-01-02 15:04:05.000 UTC")
}

type modelReport struct {
	File       string         `json:"file"`
	Type       string         `json:"type"`
	Bytes      int64          `json:"bytes"`
	Kind       string         `json:"kind"`
	Parameters int            `json:"parameters"`
	Tensors    []tensorReport `json:"tensors"`
	Marks      []string       `json:"marks"`
	Covariates []string       `json:"covariates"`
	// Slots are what events make due in a race.
	Slots []slotReport `json:"slots,omitempty"`
	// Hawkes are the parameters of a Hawkes process.
	Hawkes      *hawkesReport   `json:"hawkes,omitempty"`
	Description json.RawMessage `json:"description"`
	// TrainingData says what the model was trained on, nil if its file does not.
	TrainingData *tpp.TrainingData `json:"training_data,omitempty"`
}

type tensorReport struct {
	Name       string `json:"name"`
	Shape      []int  `json:"shape"`
	Parameters int    `json:"parameters"`
}

func inspectModel(path string, content []byte) (fileReport, error) {
	// The library checks the model; its tensors and its description are the file's.
	model, data, err := tpp.ReadTrainedModel(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file, err := safetensors.Read(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m := &modelReport{
		File: path, Type: "model", Bytes: int64(len(content)), Kind: model.Kind(), Tensors: []tensorReport{},
		Marks: append([]string{}, model.MarkNames()...), Covariates: append([]string{}, model.CovariateNames()...),
		Description: json.RawMessage(file.Metadata["tpp"]), TrainingData: data,
	}
	switch model := model.(type) {
	case *race.Race:
		m.Slots = slotsOf(model)
	case *classical.Hawkes:
		m.Hawkes = hawkesOf(model)
	}
	for _, name := range slices.Sorted(maps.Keys(file.Tensors)) {
		t := file.Tensors[name]
		m.Tensors = append(m.Tensors, tensorReport{name, t.Shape, len(t.Data)})
		m.Parameters += len(t.Data)
	}
	return m, nil
}

func (m *modelReport) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%s: model, %s, %d bytes\n", m.File, m.Kind, m.Bytes)
	marks := "none"
	if len(m.Marks) > 0 {
		marks = fmt.Sprintf("%d: %s", len(m.Marks), strings.Join(printables(m.Marks), ", "))
	}
	fmt.Fprintf(tw, "  marks\t%s\n", marks)
	above := []string{"marks", "kind", "num_marks"} // what stands elsewhere
	if m.Slots != nil {
		printSlots(tw, m.Slots)
		above = append(above, raceDescription...)
	}
	if m.Hawkes != nil {
		m.Hawkes.print(tw)
		above = append(above, "standard_errors")
	}
	if err := printDescription(tw, "", m.Description, above); err != nil {
		return fmt.Errorf("%s: description: %w", m.File, err)
	}
	if d := m.TrainingData; d != nil {
		how := "all of it"
		if d.Split {
			how = fmt.Sprintf("without the test part (%s)", splitOf(d))
		}
		fmt.Fprintf(tw, "  trained on\t%s, %d sequences, %s (fingerprint %s)\n", printable(d.Name), d.Sequences, how, d.Fingerprint)
	}
	fmt.Fprintf(tw, "  parameters\t%d\n", m.Parameters)
	for _, t := range m.Tensors {
		shape := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(t.Shape)), " × "), "[]")
		fmt.Fprintf(tw, "    %s\t%s = %d\n", printable(t.Name), shape, t.Parameters)
	}
	return tw.Flush()
}

// printDescription prints the members of an object in the order of the file, those of objects within under dotted names, without those
// that are left out.
func printDescription(w io.Writer, prefix string, text json.RawMessage, without []string) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		name := prefix + fmt.Sprint(key)
		switch {
		case slices.Contains(without, name):
		case value[0] == '{':
			if err := printDescription(w, name+".", value, without); err != nil {
				return err
			}
		default:
			shown := []rune(strings.Trim(string(value), `"`))
			if len(shown) > 100 {
				shown = append(shown[:100], '…')
			}
			fmt.Fprintf(w, "  %s\t%s\n", printable(name), string(shown))
		}
	}
	return nil
}
