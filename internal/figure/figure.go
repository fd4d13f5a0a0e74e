// Package figure draws pictures of models and their predictions, as PNG, SVG or PDF.
//
//	p, err := figure.Timeline(model, &data.Sequences[0], 0, 40, "tree_small, trace 0")
//	err = figure.Write("timeline.png", p, 22*vg.Centimeter, 14*vg.Centimeter)
package figure

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
)

const (
	pngDPI = 144
	margin = vg.Length(10) // points around a picture
)

// format is what a file's name asks for.
func format(path string) string { return strings.ToLower(strings.TrimPrefix(filepath.Ext(path), ".")) }

// Writable says whether Write knows the format that a file's name asks for.
func Writable(path string) bool {
	switch format(path) {
	case "png", "svg", "pdf":
		return true
	}
	return false
}

// Write draws the picture into a file, in the format that its name ends in: .png, .svg or .pdf.
func Write(path string, p *plot.Plot, width, height vg.Length) error {
	format := format(path)
	if !Writable(path) {
		return fmt.Errorf("%s: a picture's name must end in .png, .svg or .pdf", path)
	}
	canvas, err := draw.NewFormattedCanvas(width, height, format)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if format == "png" {
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(pngDPI))}
	}
	c := draw.New(canvas)
	p.Draw(draw.Crop(c, margin, -margin, margin, -margin))
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := canvas.WriteTo(w)
		return err
	})
}
