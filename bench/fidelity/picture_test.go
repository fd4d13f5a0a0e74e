package main

import (
	"image/color"
	"testing"

	"github.com/tppfaas/tppfaas/internal/pngtest"
)

// TestTextsOfTheSheetStandClear draws panels of two kinds, with values over the whole axes and beyond them.
func TestTextsOfTheSheetStandClear(t *testing.T) {
	medians := &comparison{source: &source{name: "high_parallel_large_rand"}}
	for _, ms := range []float64{0, 1, 15, 400, 5000} {
		medians.gaps = append(medians.gaps, medianGap{real: ms, ours: 1.2 * ms, alone: interval{0.8 * ms, 1.3 * ms}})
	}
	waits := &standalone{map[string][]float64{}, map[string][]float64{}}
	for i, load := range standaloneLoads {
		for ms := range 200 {
			waits.real[load.set] = append(waits.real[load.set], float64(10*i+ms))
			waits.ours[load.set] = append(waits.ours[load.set], float64(12*i+2*ms))
		}
	}
	for _, n := range []int{1, 5} {
		var all []drawing
		for range n {
			all = append(all, medians, waits)
		}
		s, err := sheet(all)
		if err != nil {
			t.Fatal(err)
		}
		width, height := s.Size()
		pngtest.Legible(t, pngtest.Record(width, height, s.Draw), color.White, color.NRGBA{0xe6, 0xe6, 0xe6, 0xff})
	}
}
