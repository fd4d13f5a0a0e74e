package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPublishedIsTheBestOfBothModels(t *testing.T) {
	path := filepath.Join(t.TempDir(), "published.csv")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(`dataset,model,coldstart_feature,splits,accuracy,mae_ms
high,LogNormMix,False,10,0.91,
high,TruncNorm,False,10,0.90,700
high,LogNormMix,True,10,0.92,650
high,TruncNorm,True,10,0.93,660
low,LogNormMix,False,10,1.0,
`)
	p, err := readPublished(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		with    int
		dataset string
		want    published
	}{
		{0, "high", published{700, 0.91}}, {1, "high", published{650, 0.93}}, {0, "low", published{math.NaN(), 1}}, {1, "low", published{math.NaN(), math.NaN()}},
	} {
		got := published{p.score(c.with, c.dataset, "mae"), p.score(c.with, c.dataset, "accuracy")}
		same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
		if !same(got.mae, c.want.mae) || !same(got.accuracy, c.want.accuracy) {
			t.Errorf("%s, %s: %v, want %v", publishedNames[c.with], c.dataset, got, c.want)
		}
	}
	if v := p.score(0, "high", "nll_resolution"); !math.IsNaN(v) {
		t.Errorf("nll_resolution is %v, though none was published", v)
	}
	for text, want := range map[string]string{
		"":                                     "no column dataset",
		"dataset,coldstart_feature,accuracy\n": "no column mae_ms",
		"dataset,coldstart_feature,accuracy,mae_ms\nlow,False,high,1\n":  `line 2: accuracy is "high", not a number`,
		"dataset,coldstart_feature,accuracy,mae_ms\nlow,perhaps,0.5,1\n": `line 2: coldstart_feature is "perhaps"`,
	} {
		write(text)
		if _, err := readPublished(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
