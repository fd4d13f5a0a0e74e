package main

import (
	"slices"
	"strings"
	"testing"
)

// TestParseSettings checks what -cycles may be.
func TestParseSettings(t *testing.T) {
	got, err := parseSettings("200,12:16:0.02")
	if want := []setting{{epochs: 200}, {12, 16, 0.02}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for list, want := range map[string]string{
		"": `"": it must begin`, "200,": `"": it must begin`, "0": `"0": it must begin`, "12:16": "EPOCHS or EPOCHS:BATCH:RATE", "12:0:0.1": `"0" is no number`,
		"12:16:-1": `"-1" is no learning rate`, "12:16:NaN": `"NaN" is no learning rate`, "1:2:3:4": "EPOCHS or EPOCHS:BATCH:RATE",
	} {
		if got, err := parseSettings(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, %v, want an error with %q", list, got, err, want)
		}
	}
}

// TestReportQuality checks when a training here was as good as PyTorch at its best, by the loss that it was trained on.
func TestReportQuality(t *testing.T) {
	paper := &course{
		Losses: []float64{3, 1, 2}, Ticks: []float64{4, 2, 3}, Seconds: []float64{10, 20, 30}, Stopped: "patience",
	}
	ours := []course{
		{Name: "a", Loss: "density", Losses: []float64{2, 1, 0.5}, Seconds: []float64{1, 2, 3}},
		{Name: "b", Loss: "resolution", Losses: []float64{2, 1}, Seconds: []float64{0.5, 1}},
		{Name: "c", Loss: "density", Losses: []float64{1.5}, Seconds: []float64{1}},
	}
	for stopped, bound := range map[string]string{"patience": "", "time": "at least "} {
		paper.Stopped = stopped
		var out strings.Builder
		if err := reportQuality(&out, "data.json", 2, paper, ours); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range []string{
			"best epoch 2 after 20.0 s, end after epoch 3 and 30.0 s",
			"a density 2.00 s (epoch 2) 10.0× " + bound + "15.0× 0.5000",
			"b resolution 0.50 s (epoch 1) 40.0× " + bound + "60.0× 1.0000",
			"c density never 1.5000",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("stopped by %s: no %q in\n%s", stopped, want, &out)
			}
		}
	}
}
