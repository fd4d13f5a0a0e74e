package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"gonum.org/v1/plot/vg"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp/internal/figure"
)

const plotUsage = `tpp plot draws one sequence with what the model predicted at each step: on the row of an event, when it expects the next one
(blue, with the 90 % interval below), when that came (red), and at the right the function that came with the probability that the
model gave it, red with the model's own favourite if that was another.

Usage: tpp plot MODEL DATASET -o PICTURE [OPTIONS]

Examples:
  tpp plot model.safetensors traces.json.gz -sequence 3 -o trace.png
  tpp plot model.safetensors traces.json.gz -o trace.svg -width 30 -height 20
`

func plotSequence(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := cli.NewFlagSet("plot", stdout, plotUsage)
	out := fs.String("o", "", "write the picture to `FILE`, a .png, .svg or .pdf")
	index := fs.Int("sequence", 0, "`index` of the sequence, counted from 0")
	width := fs.Float64("width", 24, "width in `cm`")
	height := fs.Float64("height", 0, "height in `cm` (0: by the number of events)")
	rest, err := positional(fs, args, "model", "dataset")
	if err != nil {
		return err
	}
	if *out == "" {
		return cli.Usagef("-o PICTURE is missing")
	}
	if *index < 0 {
		return cli.Usagef("-sequence is %d, sequences count from 0", *index)
	}
	if !(*width > 0 && *width <= 200) || !(*height >= 0 && *height <= 200) {
		return cli.Usagef("-width and -height are lengths up to 200 cm")
	}
	model, data, err := readBoth(rest[0], rest[1])
	if err != nil {
		return err
	}
	if *index >= len(data.Sequences) {
		return fmt.Errorf("%s has %d sequences, there is no number %d", rest[1], len(data.Sequences), *index)
	}
	s := &data.Sequences[*index]
	picture, err := figure.Timeline(model, s, fmt.Sprintf("%s, sequence %d: when is the next invocation due?", filepath.Base(rest[1]), *index))
	if err != nil {
		return fmt.Errorf("%s: sequence %d: %w", rest[1], *index, err)
	}
	if *height == 0 {
		*height = 3 + 1.1*float64(min(s.Len(), 100))
	}
	return figure.Write(*out, picture, vg.Length(*width)*vg.Centimeter, vg.Length(*height)*vg.Centimeter)
}
