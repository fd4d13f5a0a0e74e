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
	Plot          *plot.Plot // axes and data, without title and legend
	Title         string     // what the picture shows
	Source        string     // what it is drawn from: model, dataset, sequence
	Width, Height vg.Length  // set to the size that suits the picture; may be changed

	suitsWidth, suitsHeight vg.Length
	key                     []keyEntry
	cuts                    []cut
	rowHeading              string   // above the labels of the rows
	columns                 []column // to the right of the axes
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
func Write(path string, f *Figure) error {
	format := format(path)
	if !Writable(path) {
		return fmt.Errorf("%s: a picture's name must end in .png, .svg or .pdf", path)
	}
	canvas, err := draw.NewFormattedCanvas(f.Width, f.Height, format)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if format == "png" {
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(f.Width, f.Height), vgimg.UseDPI(pngDPI))}
	}
	f.Draw(draw.New(canvas))
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := canvas.WriteTo(w)
		return err
	})
}
