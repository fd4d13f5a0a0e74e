// Package pngtest compares committed pictures with the output of the programs that draw them.
//
//	pngtest.Same(t, "../architecture.png", draws)
package pngtest

import (
	"bytes"
	"image/png"
	"io"
	"os"
	"testing"
)

// Same fails the test if the picture in a file differs from what the program draws. It tolerates small differences of a few pixels, which other
// processors cause by rounding at the edges of letters.
func Same(t testing.TB, file string, draw func(io.Writer) error) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := draw(&got); err != nil {
		t.Fatal(err)
	}
	drawn, err := png.Decode(&got)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := png.Decode(bytes.NewReader(want))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if drawn.Bounds() != committed.Bounds() {
		t.Fatalf("%s: drawn %v, committed %v", file, drawn.Bounds(), committed.Bounds())
	}
	different := 0
	for y := range drawn.Bounds().Dy() {
		for x := range drawn.Bounds().Dx() {
			r0, g0, b0, _ := drawn.At(x, y).RGBA()
			r1, g1, b1, _ := committed.At(x, y).RGBA()
			if max(r0, r1)-min(r0, r1) > 0x1000 || max(g0, g1)-min(g0, g1) > 0x1000 || max(b0, b1)-min(b0, b1) > 0x1000 {
				different++
			}
		}
	}
	if different > 100 {
		t.Errorf("%s: %d pixels differ: draw it again", file, different)
	}
}
