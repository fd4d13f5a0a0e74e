package main

import (
	"flag"
	"image/color"
	"testing"

	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/internal/pngtest"
)

var keep = flag.String("keep", "", "`file` to keep the picture in, for looking at it")

// TestPictureIsLegible draws measurements over the whole ranges.
func TestPictureIsLegible(t *testing.T) {
	var all []*series
	for _, s := range quantities(1e7, 1e8) {
		for i, v := range s.values {
			s.points = append(s.points, point{value: v, median: 300 * float64(1+i*i)})
		}
		all = append(all, s)
	}
	s, err := sheet(all, 2)
	if err != nil {
		t.Fatal(err)
	}
	if *keep != "" {
		if err := figure.Write(*keep, s); err != nil {
			t.Fatal(err)
		}
	}
	width, height := s.Size()
	pngtest.Legible(t, pngtest.Record(width, height, s.Draw), color.White, color.NRGBA{0xe6, 0xe6, 0xe6, 0xff})
	for _, p := range s.Panels[1:] {
		if p.Y.Min != s.Panels[0].Y.Min || p.Y.Max != s.Panels[0].Y.Max {
			t.Errorf("%s: times from %v to %v, in the first panel from %v to %v", p.X.Label.Text, p.Y.Min, p.Y.Max, s.Panels[0].Y.Min, s.Panels[0].Y.Max)
		}
	}
}
