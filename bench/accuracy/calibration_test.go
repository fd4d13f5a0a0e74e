package main

import (
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/pngtest"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// uneven is a calibration whose transforms have a share in the lowest bin, and the rest evenly in the others.
func uneven(lowest, coverage float64, came int) eval.ArrivalCalibration {
	c := eval.ArrivalCalibration{Expected: float64(came), Came: came, Coverage50: coverage, Coverage90: coverage + 0.4}
	for b := range c.PIT {
		c.PIT[b] = (1 - lowest) / (eval.PITBins - 1)
	}
	c.PIT[0] = lowest
	return c
}

// TestCalibrationTable checks the means over splits by hand, and that the picture can be read.
func TestCalibrationTable(t *testing.T) {
	var results []result
	for split := range uint64(2) {
		r := made("low_tree_small_rand", "race", split+1, 10, 0.9)
		up := float64(split) / 10
		r.Calibration = []eval.ArrivalCalibration{uneven(0.05+up, 0.5+up, 100), uneven(0.05, 0.5, 10), {}}
		results = append(results, r, made("low_tree_small_rand", "lookup-mark", split+1, 10, 0.9))
	}
	all, models := compareAll(results, []string{"lookup-mark", "race"})
	got := calibrationsOf(all, models)
	if len(got) != 1 || got[0].model != "race" || got[0].splits != 2 {
		t.Fatalf("got %+v", got)
	}
	if s := got[0].steps[0]; s.came != 200 || math.Abs(s.pit[0]-0.1) > 1e-12 || math.Abs(s.deviation-0.05) > 1e-12 {
		t.Errorf("got %+v, want a mean deviation of 0.05", s)
	}
	rows := calibrationTable(got).rows
	for i, want := range []string{
		"low_tree_small_rand race next 200 0.550 ± 0.071 0.950 ± 0.071 0.050 ± 0.071 0.050",
		"low_tree_small_rand race second 20 0.500 ± 0.000 0.900 ± 0.000 0.000 ± 0.000 0.000",
		"low_tree_small_rand race third or later 0 – – – –",
	} {
		if row := strings.Join(rows[i], " "); row != want {
			t.Errorf("row %d is %q, want %q", i, row, want)
		}
	}
	s := calibrationSheet(got)
	width, height := s.Size()
	pngtest.Legible(t, pngtest.Record(width, height, s.Draw), color.White, color.NRGBA{0xe6, 0xe6, 0xe6, 0xff})
}

// TestCalibrationOfRaces trains a race and a table, prints the calibration of the one that has it, and draws it from the results.
func TestCalibrationOfRaces(t *testing.T) {
	low := few(t, "low_tree_small_det.json.gz", 40)
	folder := t.TempDir()
	results, picture := filepath.Join(folder, "results.jsonl"), filepath.Join(folder, "calibration.svg")
	out, _ := called(t, 0, "-splits", "1", "-models", "race,lookup-mark", "-calibration", "-workers", "1", "-o", results, low)
	if !strings.Contains(out, "calibration of forecasts of all events to come") || !strings.Contains(out, "third or later") {
		t.Errorf("the output lacks the calibration:\n%s", out)
	}
	if again, _ := called(t, 0, "-from", results, "-calibration-picture", picture); !strings.Contains(again, "calibration of forecasts") {
		t.Errorf("from the results it is\n%s", again)
	}
	if text, err := os.ReadFile(picture); err != nil || !strings.Contains(string(text), "</svg>") {
		t.Errorf("the picture: %v", err)
	}
	if _, errs := called(t, 1, "-from", results, "-models", "lookup-mark", "-calibration"); !strings.Contains(errs, "no model here has distributions") {
		t.Errorf("without a race: %s", errs)
	}
	if _, errs := called(t, 2, "-from", results, "-calibration-picture", "x.gif"); !strings.Contains(errs, "-calibration-picture") {
		t.Errorf("a gif: %s", errs)
	}
}
