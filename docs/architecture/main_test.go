package main

import (
	"bytes"
	"image/png"
	"os"
	"testing"
)

// TestCommittedPictureIsDrawnByTheProgram: the picture in the documentation shows the parts as they stand in the code.
func TestCommittedPictureIsDrawnByTheProgram(t *testing.T) {
	want, err := os.ReadFile("../architecture.png")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := draws(&got); err != nil {
		t.Fatal(err)
	}
	drawn, err := png.Decode(&got)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := png.Decode(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if drawn.Bounds() != committed.Bounds() {
		t.Fatalf("drawn %v, committed %v", drawn.Bounds(), committed.Bounds())
	}
	// Rounding of another processor may move the edge of a letter by a shade.
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
		t.Errorf("%d pixels differ: draw it again", different)
	}
}
