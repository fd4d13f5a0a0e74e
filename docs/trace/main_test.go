package main

import (
	"image/color"
	"io"
	"math"
	"testing"

	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/pngtest"
)

// TestCommittedPictureIsDrawnByTheProgram checks that the picture in the documentation shows what the platform does now.
func TestCommittedPictureIsDrawnByTheProgram(t *testing.T) {
	traces, err := sampled(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pngtest.Same(t, "../trace.png", func(w io.Writer) error { return write(w, traces) })
}

// TestOneTimeScale compares the widths of the bars with the times for which they stand: in both halves a second is as wide.
func TestOneTimeScale(t *testing.T) {
	traces, err := sampled(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := pngtest.Record(width, height(traces), func(c draw.Canvas) { paint(c, traces) })
	pngtest.Legible(t, l, grid)

	var drawn, times [2]float64 // widths of the running phases in points, and their times in seconds, by half
	middle := float64(bottom + len(traces[1])*(rowHeight+rowGap) + rowGap)
	for _, s := range l.Shapes {
		if !s.Filled || s.Color != color.Color(execs) || s.Points[0].Y > height(traces)-top { // the key's
			continue
		}
		half := 0
		if float64(s.Points[0].Y) < middle {
			half = 1
		}
		drawn[half] += float64(s.Points[1].X - s.Points[0].X)
	}
	for half, trace := range traces {
		for _, a := range trace {
			times[half] += a.End.Sub(a.Arrival.Add(a.Wait + a.Init)).Seconds()
		}
	}
	first, second := drawn[0]/times[0], drawn[1]/times[1]
	if !(first > 1) || math.Abs(first/second-1) > 1e-3 {
		t.Errorf("a second is %v points wide in the first half and %v in the second", first, second)
	}
}
