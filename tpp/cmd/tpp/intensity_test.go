package main

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
)

// TestIntensityCommand checks the table against a Hawkes process by hand, as CSV and as JSON, and that there is a picture.
func TestIntensityCommand(t *testing.T) {
	folder := t.TempDir()
	model, table, picture := filepath.Join(folder, "m.safetensors"), filepath.Join(folder, "t.csv"), filepath.Join(folder, "p.svg")
	if status, _, errs := call(t, "define", write(t, "p.yaml", hawkesText), "-o", model); status != cli.OK {
		t.Fatal(errs)
	}
	data := write(t, "d.json", `{"sequences": [{"arrival_times": [5], "marks": [0], "t_start": 0, "t_end": 9}, {"arrival_times": [100], "marks": [1], "t_start": 0, "t_end": 200}],
		"mapping": {"aftershock": 0, "quake": 1}}`)
	if status, out, errs := call(t, "intensity", model, data, "-sequence", "1", "-points", "3", "-o", table, "-picture", picture); status != cli.OK || out != "" {
		t.Fatalf("status %d, %s%s", status, out, errs)
	}
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if head := strings.Join(rows[0], ","); head != "time,events,total,compensator,intensity of quake,intensity of aftershock" {
		t.Errorf("the head is %s", head)
	}
	left := math.Exp(-0.05 * 100)
	want := [][]float64{
		{0, 0, 0.002, 0, 0.002, 0}, {100, 0, 0.002, 0.2, 0.002, 0}, {100, 1, 0.042, 0.2, 0.002, 0.04},
		{200, 1, 0.002 + 0.04*left, 0.4 + 0.8*(1-left), 0.002, 0.04 * left},
	}
	if len(rows) != 1+len(want) {
		t.Fatalf("%d rows: %s", len(rows), text)
	}
	for i, row := range want {
		for j, w := range row {
			if v, err := strconv.ParseFloat(rows[i+1][j], 64); err != nil || math.Abs(v-w) > 1e-6 {
				t.Errorf("row %d: %s is %s, want %v", i, rows[0][j], rows[i+1][j], w)
			}
		}
	}
	if info, err := os.Stat(picture); err != nil || info.Size() == 0 {
		t.Errorf("no picture: %v", err)
	}
	status, out, errs := call(t, "intensity", model, data, "-json")
	if status != cli.OK || strings.Count(out, "\n") < 1000 {
		t.Fatalf("status %d, %d lines, %s", status, strings.Count(out, "\n"), errs)
	}
	var first intensityReport
	decodeOne(t, out[:strings.Index(out, "\n")+1], &first)
	if len(first.Marks) != 2 || math.Abs(first.Marks["quake"]-0.002) > 1e-8 {
		t.Errorf("-json says %+v", first)
	}
	if status, out, errs := call(t, "intensity", model, data, "-points", "2"); status != cli.OK || !strings.HasPrefix(out, "time,") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
}

// TestIntensityCommandRefuses checks the errors.
func TestIntensityCommandRefuses(t *testing.T) {
	point, data := trainedPoint(t)
	for _, c := range []struct {
		options string
		status  int
		want    string
	}{
		{"", cli.Failed, "sequence 0: intensity: event 1: a truncnorm predicts a single time"},
		{"-sequence 1000", cli.Failed, "there is no number 1000"},
		{"-sequence -1", cli.Usage, "-sequence is -1"},
		{"-points 1", cli.Usage, "-points is 1"},
		{"-picture x.gif", cli.Usage, "-picture is x.gif"},
		{"-o " + data, cli.Usage, "that would be lost"},
		{"-o x.png -picture x.png", cli.Usage, "x.png"},
	} {
		status, _, errs := call(t, append([]string{"intensity", point, data}, strings.Fields(c.options)...)...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("%s: status %d, %s, want %q", c.options, status, errs, c.want)
		}
	}
}
