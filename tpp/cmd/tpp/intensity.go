package main

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/live"
)

const intensityUsage = `tpp intensity says at which rate a model expects events of each mark at each time of a sequence, given what had come by then: the conditional
intensity. It prints a table as CSV: the time; how many events had come; the intensity of all marks together; the compensator, its integral from
the start of observation; and the intensity of each mark, all per unit of the model's time. At the time of an event there are two lines, of just
before it and of just after. It works for every model whose next event has a density.

Usage: tpp intensity MODEL DATASET [-sequence N] [-o FILE] [-picture FILE] [OPTIONS]

Examples:
  tpp intensity model.safetensors traces.json.gz -sequence 3
  tpp intensity hawkes.safetensors quakes.json.gz -sequence 0 -o intensity.csv -picture intensity.png
  tpp intensity model.safetensors traces.json.gz -json           one JSON object a time
`

// intensityOptions is what a call of intensity asks for.
type intensityOptions struct {
	output, picture string
	sequence        int
	opts            live.IntensityOptions
	json            bool
	in              *input
}

func intensity(fs *flag.FlagSet) cli.Run {
	var o intensityOptions
	fs.IntVar(&o.sequence, "sequence", 0, "`index` of the sequence, counted from 0")
	fs.IntVar(&o.opts.Points, "points", 1000, "`number` of times at equal distances, beside those of the events")
	fs.StringVar(&o.output, "o", "", "write the table to `FILE` (default: to the standard output, unless there is a picture)")
	fs.StringVar(&o.picture, "picture", "", "draw the intensities into `FILE`, a .png, .svg or .pdf")
	fs.BoolVar(&o.json, "json", false, "write one JSON object a time instead of CSV")
	o.in = inputOptions(fs, false)
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if err := positional(args, "model", "dataset"); err != nil {
			return err
		}
		switch {
		case o.sequence < 0:
			return cli.Usagef("-sequence is %d, sequences count from 0", o.sequence)
		case o.opts.Points < 2:
			return cli.Usagef("-points is %d, it must be at least 2", o.opts.Points)
		case o.picture != "" && !figure.Writable(o.picture):
			return cli.Usagef("-picture is %s, a picture's name must end in .png, .svg or .pdf", o.picture)
		}
		return o.run(ctx, args[0], args[1], stdout, stderr)
	}
}

func (o *intensityOptions) run(ctx context.Context, modelPath, dataPath string, stdout, stderr io.Writer) error {
	if err := notRead("o", o.output, modelPath, dataPath, o.picture); err != nil {
		return err
	}
	if err := notRead("picture", o.picture, modelPath, dataPath); err != nil {
		return err
	}
	for _, path := range []string{o.output, o.picture} {
		if path == "" {
			continue
		}
		if err := atomicfile.Check(path); err != nil {
			return err
		}
	}
	model, data, err := readBoth(ctx, o.in, modelPath, dataPath, stderr)
	if err != nil {
		return err
	}
	if o.sequence >= len(data.Sequences) {
		return fmt.Errorf("%s has %d sequences, there is no number %d", dataPath, len(data.Sequences), o.sequence)
	}
	s := &data.Sequences[o.sequence]
	points, err := live.Intensity(ctx, model, s, o.opts)
	if err != nil {
		return fmt.Errorf("%s: sequence %d: %w", dataPath, o.sequence, err)
	}
	if o.picture != "" {
		source := fmt.Sprintf("%s on %s, sequence %d", filepath.Base(modelPath), filepath.Base(dataPath), o.sequence)
		f, err := figure.Intensity(model, s, points, source)
		if err != nil {
			return fmt.Errorf("%s: sequence %d: %w", dataPath, o.sequence, err)
		}
		if err := figure.Write(o.picture, f); err != nil {
			return err
		}
	}
	write := func(w io.Writer) error { return writeIntensities(w, model, points, o.json) }
	switch {
	case o.output != "":
		return atomicfile.Write(o.output, write)
	case o.picture == "" || o.json:
		return write(stdout)
	}
	return nil
}

// intensityReport is the intensity at a time, for machines.
type intensityReport struct {
	Time        float64            `json:"time"`
	Events      int                `json:"events"`
	Total       float64            `json:"total"`
	Compensator float64            `json:"compensator"`
	Marks       map[string]float64 `json:"marks"`
}

// writeIntensities writes points as CSV, or as one JSON object a line.
func writeIntensities(w io.Writer, model tpp.Model, points []live.IntensityPoint, asJSON bool) error {
	names := model.MarkNames()
	name := func(mark int) string {
		if mark < len(names) {
			return names[mark]
		}
		return strconv.Itoa(mark)
	}
	if asJSON {
		for _, p := range points {
			r := intensityReport{p.Time, p.Events, p.Total, p.Compensator, make(map[string]float64, len(p.Marks))}
			for mark, v := range p.Marks {
				r.Marks[name(mark)] = v
			}
			if err := printJSON(w, r); err != nil {
				return err
			}
		}
		return nil
	}
	out := csv.NewWriter(w)
	row := []string{"time", "events", "total", "compensator"}
	for mark := range points[0].Marks {
		row = append(row, "intensity of "+name(mark))
	}
	if err := out.Write(row); err != nil {
		return err
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, p := range points {
		row = append(row[:0], number(p.Time), strconv.Itoa(p.Events), number(p.Total), number(p.Compensator))
		for _, v := range p.Marks {
			row = append(row, number(v))
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
