// Package figure draws pictures of models and their predictions, as PNG, SVG or PDF.
//
//	f, err := figure.Timeline(model, &data.Sequences[0], 0, 40, "model.safetensors on traces.json.gz, sequence 0")
//	err = figure.Write("timeline.png", f)
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

// Figure is a picture: axes with data, and the words around them. The key stands above the axes and the notes on rows to the right of
// them, so that no text lies on the data, whatever their lengths and the size of the picture.
type Figure struct {
	Header
	Plot          *plot.Plot // axes and data, without title and legend
	Width, Height vg.Length  // set to the size that suits the picture; may be changed

	suitsWidth, suitsHeight vg.Length

	cuts       []cut
	rowHeading string   // above the labels of the rows
	columns    []column // to the right of the axes
}

// Size returns the width and the height of the picture.
func (f *Figure) Size() (width, height vg.Length) { return f.Width, f.Height }

// Drawing is what Write writes: a Figure or a Sheet.
type Drawing interface {
	Size() (width, height vg.Length)
	Draw(draw.Canvas)
}

// The usual size of a picture.
const (
	usualWidth  = 18 * vg.Centimeter
	usualHeight = 13 * vg.Centimeter
)

const pngDPI = 144

// format returns the format that a file's name asks for, such as png.
func format(path string) string { return strings.ToLower(strings.TrimPrefix(filepath.Ext(path), ".")) }

// Writable reports whether Write knows the format that a file's name asks for.
func Writable(path string) bool {
	switch format(path) {
	case "png", "svg", "pdf":
		return true
	}
	return false
}

// Write draws the picture into a file, in the format that its name ends in: .png, .svg or .pdf.
func Write(path string, d Drawing) error {
	format := format(path)
	if !Writable(path) {
		return fmt.Errorf("%s: a picture's name must end in .png, .svg or .pdf", path)
	}
	width, height := d.Size()
	canvas, err := draw.NewFormattedCanvas(width, height, format)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if format == "png" {
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(pngDPI))}
	}
	d.Draw(draw.New(canvas))
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := canvas.WriteTo(w)
		return err
	})
}
