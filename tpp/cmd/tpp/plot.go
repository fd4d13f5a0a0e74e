package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

const plotUsage = `tpp plot draws a picture; -what says which:

  timeline     one sequence with what the model predicted at each step: on the row of an event, when it expects the next one (blue,
               with the 90 % interval below), when that came (orange), and at the right how much of the prediction lies after the
               end of the axis, and what came with the probability that the model gave it, in orange with the likeliest if that was another
  due          one sequence as the model saw it at -event: a lane for each function with what had come, when all that was yet to come
               was expected and how probably, and when it came; for models that know what is due, such as a race
  density      how the gaps are distributed, predicted against observed; -mark draws those after one function
  pit          histogram of the probability integral transform of the gaps: flat if the model is calibrated
  reliability  how often the likeliest function came, against the probability it was given
  confusion    which function came where which was predicted
  history      the losses of a training, from the file that tpp train -history wrote

Usage: tpp plot MODEL DATASET -o PICTURE [-what PICTURE] [OPTIONS]
       tpp plot HISTORY -what history -o PICTURE

Examples:
  tpp plot model.safetensors traces.json.gz -sequence 3 -o trace.png
  tpp plot race.safetensors traces.json.gz -what due -sequence 3 -event 2 -o due.png
  tpp plot model.safetensors traces.json.gz -what density -part test -seed 1 -o density.svg
  tpp plot model.safetensors traces.json.gz -what confusion -o confusion.pdf
  tpp plot history.jsonl -what history -o history.png
`

// The kinds of pictures.
const (
	timelinePicture    = "timeline"
	duePicture         = "due"
	densityPicture     = "density"
	pitPicture         = "pit"
	reliabilityPicture = "reliability"
	confusionPicture   = "confusion"
	historyPicture     = "history"
)

var pictures = []string{timelinePicture, duePicture, densityPicture, pitPicture, reliabilityPicture, confusionPicture, historyPicture}

// plotOptions says which option is for which picture; the others are for all of them.
var plotOptions = map[string][]string{
	"sequence":   {timelinePicture, duePicture},
	"event":      {duePicture},
	"first":      {timelinePicture},
	"events":     {timelinePicture},
	"mark":       {densityPicture},
	"resolution": {densityPicture, pitPicture},
	"part":       {densityPicture, pitPicture, reliabilityPicture, confusionPicture},
	"seed":       {densityPicture, pitPicture, reliabilityPicture, confusionPicture},
	"split":      {densityPicture, pitPicture, reliabilityPicture, confusionPicture},
}

// plotter draws the picture that the options ask for.
type plotter struct {
	what, out               string
	sequence, first, events int
	event                   int
	mark, part              string
	split                   split
	resolution              float64
	width, height           float64 // cm, 0: by the picture
	in                      *input
}

func plotSequence(fs *flag.FlagSet) cli.Run {
	var o plotter
	fs.StringVar(&o.out, "o", "", "write the picture to `FILE`, a .png, .svg or .pdf")
	fs.StringVar(&o.what, "what", timelinePicture, "`picture` to draw: "+strings.Join(pictures, ", "))
	fs.IntVar(&o.sequence, "sequence", 0, "timeline, due: `index` of the sequence, counted from 0")
	fs.IntVar(&o.event, "event", 0, "due: `index` of the last event that the model has seen, counted from 0")
	fs.IntVar(&o.first, "first", 0, "timeline: `index` of the first event drawn")
	fs.IntVar(&o.events, "events", 40, "timeline: `events` drawn at most")
	fs.StringVar(&o.mark, "mark", "", "density: only the gaps after the `function` of this name")
	fs.Float64Var(&o.resolution, "resolution", 1, "density, pit: tick of the clock in `ms`")
	fs.StringVar(&o.part, "part", "", "`part` of the dataset: all, or train, validation or test of the split by -seed (default: test of the dataset that the model was trained on, all of others)")
	o.split.flags(fs)
	fs.Float64Var(&o.width, "width", 0, "width in `cm` (0: by the picture)")
	fs.Float64Var(&o.height, "height", 0, "height in `cm` (0: by the picture)")
	o.in = inputOptions(fs, false)
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		return o.run(ctx, fs, args, stderr)
	}
}

func (o *plotter) run(ctx context.Context, fs *flag.FlagSet, rest []string, stderr io.Writer) error {
	if !slices.Contains(pictures, o.what) {
		return cli.Usagef("-what is %q, it must be %s", o.what, strings.Join(pictures, ", "))
	}
	names := []string{"model", "dataset"}
	if o.what == historyPicture {
		names = []string{"history"}
	}
	if err := positional(rest, names...); err != nil {
		return err
	}
	for name, pictures := range plotOptions {
		if cli.IsSet(fs, name) && !slices.Contains(pictures, o.what) {
			return cli.Usagef("-%s is for -what %s", name, strings.Join(pictures, ", "))
		}
	}
	if err := o.check(); err != nil {
		return err
	}
	if err := o.split.check(fs, o.part); err != nil {
		return err
	}
	if err := notRead("o", o.out, rest...); err != nil {
		return err
	}
	if err := atomicfile.Check(o.out); err != nil {
		return err
	}
	picture, err := o.draw(ctx, rest, stderr)
	if err != nil {
		return err
	}
	if o.width > 0 {
		picture.Width = vg.Length(o.width) * vg.Centimeter
	}
	if o.height > 0 {
		picture.Height = vg.Length(o.height) * vg.Centimeter
	}
	return figure.Write(o.out, picture)
}

func (o *plotter) check() error {
	switch {
	case o.out == "":
		return cli.Usagef("-o PICTURE is missing")
	case !figure.Writable(o.out):
		return cli.Usagef("-o is %s, a picture's name must end in .png, .svg or .pdf", o.out)
	case o.sequence < 0:
		return cli.Usagef("-sequence is %d, sequences count from 0", o.sequence)
	case o.event < 0:
		return cli.Usagef("-event is %d, events count from 0", o.event)
	case o.first < 0:
		return cli.Usagef("-first is %d, events count from 0", o.first)
	case o.events < 2 || o.events > maxTimelineEvents:
		return cli.Usagef("-events is %d, it must be from 2 to %d", o.events, maxTimelineEvents)
	case !(o.resolution > 0 && o.resolution < 1e12):
		return cli.Usagef("-resolution is %v, it must be above 0", o.resolution)
	case o.part != "" && !validPart(o.part):
		return cli.Usagef("-part is %q, it must be all, train, validation or test", o.part)
	case !(o.width >= 0 && o.width <= 200) || !(o.height >= 0 && o.height <= 200):
		return cli.Usagef("-width and -height are lengths up to 200 cm")
	}
	return nil
}

// maxTimelineEvents is the number of rows that make a picture of 2 m.
const maxTimelineEvents = 170

// draw draws the picture that the options ask for.
func (o *plotter) draw(ctx context.Context, paths []string, stderr io.Writer) (*figure.Figure, error) {
	if o.what == historyPicture {
		epochs, err := readHistory(paths[0])
		if err != nil {
			return nil, err
		}
		f, err := figure.History(epochs, filepath.Base(paths[0]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", paths[0], err)
		}
		return f, nil
	}
	model, data, trained, err := readAll(ctx, o.in, paths[0], paths[1], stderr)
	if err != nil {
		return nil, err
	}
	source := filepath.Base(paths[0]) + " on " + filepath.Base(paths[1])
	if o.what == timelinePicture || o.what == duePicture {
		return o.drawSequence(model, data, paths[1], source)
	}
	part, how := cmp.Or(o.part, "all"), o.split
	if o.part == "" && trained != nil && trained.Split {
		part, how = "test", splitOf(trained)
	}
	data = how.part(data, part)
	if part != "all" {
		source += fmt.Sprintf(", %s part (%s)", part, how)
	}
	f, err := o.drawDataset(ctx, model, data, source)
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", paths[0], paths[1], err)
	}
	return f, nil
}

// drawDataset draws one of the pictures of a whole dataset.
func (o *plotter) drawDataset(ctx context.Context, model tpp.Model, data *tpp.Dataset, source string) (*figure.Figure, error) {
	if o.what == densityPicture {
		after := figure.AfterAnyMark
		if o.mark != "" {
			if after = slices.Index(model.MarkNames(), o.mark); after < 0 {
				return nil, fmt.Errorf("the model knows no function %q", o.mark)
			}
			source += ", gaps after " + o.mark
		}
		return figure.Density(ctx, model, data, after, o.resolution, source)
	}
	d, err := eval.Diagnose(ctx, model, data, eval.EvaluateOptions{Resolution: o.resolution})
	if err != nil {
		return nil, err
	}
	switch o.what {
	case pitPicture:
		return figure.PIT(d, source)
	case reliabilityPicture:
		return figure.Reliability(d, source)
	default:
		return figure.Confusion(d.Confusion, source)
	}
}

// drawSequence draws one of the pictures of a sequence.
func (o *plotter) drawSequence(model tpp.Model, data *tpp.Dataset, path, source string) (*figure.Figure, error) {
	if o.sequence >= len(data.Sequences) {
		return nil, fmt.Errorf("%s has %d sequences, there is no number %d", path, len(data.Sequences), o.sequence)
	}
	s := &data.Sequences[o.sequence]
	source += fmt.Sprintf(", sequence %d", o.sequence)
	if o.what == duePicture {
		if o.event < s.Len() {
			source += fmt.Sprintf(", as seen when %d of %d events had come", o.event+1, s.Len())
		}
	} else if end := min(s.Len(), o.first+o.events); o.first > 0 || end < s.Len() {
		source += fmt.Sprintf(", events %d to %d of %d", o.first, end-1, s.Len())
	}
	f, err := o.figureOf(model, s, source)
	if err != nil {
		return nil, fmt.Errorf("%s: sequence %d: %w", path, o.sequence, err)
	}
	return f, nil
}

func (o *plotter) figureOf(model tpp.Model, s *tpp.Sequence, source string) (*figure.Figure, error) {
	if o.what == duePicture {
		return figure.Due(model, s, o.event, source)
	}
	return figure.Timeline(model, s, o.first, o.events, source)
}

// readHistory reads the epochs of a training. The error names the file.
func readHistory(path string) ([]neural.Epoch, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	epochs, err := parseHistory(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return epochs, nil
}

// parseHistory reads epochs, one JSON object a line. The error names the line.
func parseHistory(r io.Reader) ([]neural.Epoch, error) {
	var epochs []neural.Epoch
	lines := bufio.NewScanner(r)
	n := 0
	for lines.Scan() {
		n++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		var e neural.Epoch
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("line %d is not an epoch of a training: %w", n, err)
		}
		if e.Epoch < 1 {
			return nil, fmt.Errorf("line %d is not an epoch of a training", n)
		}
		epochs = append(epochs, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return epochs, nil
}
