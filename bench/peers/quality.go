package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
)

// qualityOrder is what -quality compares.
type qualityOrder struct {
	datasets     []string
	settings     []setting
	python, ours string // the interpreter, and the test of package neural
	threads      int
	limit        time.Duration
}

// setting is what a training here does not leave at its default.
type setting struct {
	epochs, batch int
	rate          float64
}

// parseSettings reads settings, separated by commas: EPOCHS, or EPOCHS:BATCH:RATE.
func parseSettings(list string) ([]setting, error) {
	var out []setting
	for text := range strings.SplitSeq(list, ",") {
		var s setting
		var err error
		parts := strings.Split(text, ":")
		if s.epochs, err = strconv.Atoi(parts[0]); err != nil || s.epochs < 1 {
			return nil, cli.Usagef("-cycles has %q: it must begin with a number of epochs", text)
		}
		if len(parts) > 1 {
			if len(parts) != 3 {
				return nil, cli.Usagef("-cycles has %q: it must be EPOCHS or EPOCHS:BATCH:RATE", text)
			}
			if s.batch, err = strconv.Atoi(parts[1]); err != nil || s.batch < 1 {
				return nil, cli.Usagef("-cycles has %q: %q is no number of sequences", text, parts[1])
			}
			if s.rate, err = strconv.ParseFloat(parts[2], 64); err != nil || !(s.rate > 0) {
				return nil, cli.Usagef("-cycles has %q: %q is no learning rate", text, parts[2])
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// course is how a training went: validation losses after each epoch, and the seconds since it began.
type course struct {
	Name    string    `json:"name"`
	Loss    string    `json:"loss"`    // of a training here: what Losses are
	Losses  []float64 `json:"losses"`  // of PyTorch: by the density
	Ticks   []float64 `json:"ticks"`   // of PyTorch: by the resolution of the clock
	Seconds []float64 `json:"seconds"` // since the training began
	Stopped string    `json:"stopped"` // of PyTorch: patience, epochs or time
}

// reached returns the first epoch, from 1, after which one of the losses is at most target; 0 if none is.
func reached(losses []float64, target float64) int {
	return 1 + slices.IndexFunc(losses, func(l float64) bool { return l <= target })
}

// compareQuality tells how long PyTorch and this project take to the validation loss that the paper's settings end with.
func compareQuality(ctx context.Context, stdout, stderr io.Writer, o qualityOrder) error {
	for i, data := range o.datasets {
		if i > 0 {
			fmt.Fprintln(stdout)
		}
		if err := o.compare(ctx, stdout, stderr, data); err != nil {
			return fmt.Errorf("%s: %w", data, err)
		}
	}
	return nil
}

func (o *qualityOrder) compare(ctx context.Context, stdout, stderr io.Writer, data string) error {
	folder, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	path, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	var ours []course
	for _, s := range o.settings {
		fmt.Fprintf(stderr, "%s: training here, %d epochs\n", data, s.epochs)
		out, err := output(ctx, o.threads, o.ours, "-test.run", "^TestPeersQuality$", "-peers", folder, "-peers-data", path,
			"-peers-workers", strconv.Itoa(o.threads), "-peers-epochs", strconv.Itoa(s.epochs), "-peers-batch", strconv.Itoa(s.batch),
			"-peers-rate", strconv.FormatFloat(s.rate, 'g', -1, 64))
		if err != nil {
			return err
		}
		for line := range bytes.Lines(out) {
			var c course
			if bytes.HasPrefix(line, []byte("{")) && json.Unmarshal(line, &c) == nil {
				ours = append(ours, c)
			}
		}
	}
	fmt.Fprintf(stderr, "%s: training in PyTorch\n", data)
	out, err := output(ctx, o.threads, o.python, filepath.Join("bench", "peers", "torch_quality.py"), folder, strconv.Itoa(o.threads),
		strconv.FormatFloat(o.limit.Seconds(), 'g', -1, 64))
	if err != nil {
		return err
	}
	var paper course
	if err := json.Unmarshal(out, &paper); err != nil || len(paper.Losses) == 0 {
		return fmt.Errorf("torch_quality.py printed %.200q", out)
	}
	return reportQuality(stdout, data, o.threads, &paper, ours)
}

// reportQuality prints one row for each training.
func reportQuality(w io.Writer, data string, threads int, paper *course, ours []course) error {
	best := slices.Index(paper.Losses, slices.Min(paper.Losses))
	last := len(paper.Losses) - 1
	fmt.Fprintf(w, "%s, %d threads. PyTorch with the paper's settings: best epoch %d after %.1f s, end after epoch %d and %.1f s (%s).\n", data, threads,
		best+1, paper.Seconds[best], last+1, paper.Seconds[last], map[string]string{"patience": "patience used up", "epochs": "no epochs left",
			"time": "cut by -limit"}[paper.Stopped])
	bound := ""
	if paper.Stopped == "time" {
		bound = "at least "
		fmt.Fprintln(w, "It was cut before its patience was used up: the ratio to its end is a lower bound, and its best loss may not be the one it would have had.")
	}
	fmt.Fprintf(w, "Losses per event on the same validation part: by the density, as published, %.4f; by the clock's resolution of 1 ms, %.4f.\n\n",
		paper.Losses[best], paper.Ticks[best])
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "training here\tloss\tas good as PyTorch at its best after\tPyTorch's time to that\tPyTorch's time to its end\tbest loss")
	for _, c := range ours {
		target := paper.Losses[best]
		if c.Loss == "resolution" {
			target = paper.Ticks[best]
		}
		fmt.Fprintf(tw, "%s\t%s\t", c.Name, c.Loss)
		if epoch := reached(c.Losses, target); epoch > 0 {
			s := c.Seconds[epoch-1]
			fmt.Fprintf(tw, "%.2f s (epoch %d)\t%.1f×\t%s%.1f×\t", s, epoch, paper.Seconds[best]/s, bound, paper.Seconds[last]/s)
		} else {
			fmt.Fprint(tw, "never\t\t\t")
		}
		fmt.Fprintf(tw, "%.4f\n", slices.Min(c.Losses))
	}
	return tw.Flush()
}
