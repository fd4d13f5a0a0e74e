package main

import (
	"flag"
	"fmt"
	"image/color"
	"testing"

	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/internal/pngtest"
)

var keep = flag.String("keep", "", "`file` to keep the picture in, for looking at it")

// TestPictureIsLegible draws one dataset, and many with scores beyond the axes.
func TestPictureIsLegible(t *testing.T) {
	for _, n := range []int{1, 20} {
		var results []result
		p := &publishedResults{{}, {}}
		for i := range n {
			name := fmt.Sprintf("high_parallel_large_rand_%d", i)
			p[0][name], p[1][name] = published{120, 0.8}, published{110, 0.81}
			for j, model := range names(candidates(0)) {
				for split := range uint64(3) {
					r := made(name, model, split, 100+float64(i*j*j)+float64(split), 0.9-0.02*float64(j))
					r.Scores["nll_resolution"] = 3 + 0.5*float64(j%7) + 0.1*float64(split)
					results = append(results, r)
				}
			}
		}
		all, models := compareAll(results, names(candidates(0)))
		s := sheet(all, models, p)
		if *keep != "" {
			if err := figure.Write(*keep, s); err != nil {
				t.Fatal(err)
			}
		}
		width, height := s.Size()
		layout := pngtest.Record(width, height, s.Draw)
		pngtest.Legible(t, layout, color.White, color.NRGBA{0xe6, 0xe6, 0xe6, 0xff})
		_, found := layout.Find("beyond the axis")
		if want := n > 1 || len(models) > 6; found != want {
			t.Errorf("%d datasets: beyond the axis is explained: %t, want %t", n, found, want)
		}
	}
}

// TestPictureOfNoNumbers draws results without any score.
func TestPictureOfNoNumbers(t *testing.T) {
	r := made("low", "truncnorm", 1, 0, 0)
	r.Scores = scores{"nll": 1}
	all, models := compareAll([]result{r}, names(candidates(0)))
	s := sheet(all, models, nil)
	width, height := s.Size()
	pngtest.Legible(t, pngtest.Record(width, height, s.Draw), color.White, color.NRGBA{0xe6, 0xe6, 0xe6, 0xff})
}
