package main

import (
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/figure"
)

func TestPlotEveryPicture(t *testing.T) {
	history := filepath.Join(t.TempDir(), "history.jsonl")
	model, data := trained(t, "-history", history)
	raced, _ := trainedWith(t, quickly)
	for _, c := range []struct {
		name string
		args []string
	}{
		{"timeline", []string{model, data, "-what", "timeline", "-sequence", "2", "-first", "1", "-events", "2"}},
		{"due", []string{raced, data, "-what", "due", "-sequence", "1", "-event", "1"}},
		{"density", []string{model, data, "-what", "density", "-part", "test", "-seed", "2"}},
		{"density after a function", []string{model, data, "-what", "density", "-mark", "x-dev-f1"}},
		{"pit", []string{model, data, "-what", "pit"}},
		{"reliability", []string{model, data, "-what", "reliability"}},
		{"confusion", []string{model, data, "-what", "confusion", "-width", "10"}},
		{"history", []string{history, "-what", "history"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			picture := filepath.Join(t.TempDir(), "x.png")
			if status, out, errs := call(t, append([]string{"plot", "-o", picture}, c.args...)...); status != cli.OK || out != "" {
				t.Fatalf("status %d, %s", status, errs)
			}
			f, err := os.Open(picture)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			config, format, err := image.DecodeConfig(f)
			if err != nil || format != "png" || config.Width < 300 || config.Height < 100 {
				t.Errorf("a %s of %d by %d, %v", format, config.Width, config.Height, err)
			}
		})
	}
}

func TestPlotErrors(t *testing.T) {
	model, data := trainedPoint(t)
	broken := filepath.Join(t.TempDir(), "broken.jsonl")
	if err := os.WriteFile(broken, []byte("{\"epoch\": 1}\n\n{\"epoch\": \"two\"}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "x.png")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{model, data, "-what", "density"}, "predicts a single time, it has no density"},
		{[]string{model, data, "-what", "pit"}, "has no distribution of the time"},
		{[]string{model, data, "-what", "due"}, "predicts the next event alone"},
		{[]string{model, data, "-what", "due", "-event", "3"}, "no event 3, the sequence has 3"},
		{[]string{model, data, "-first", "2"}, "cannot begin at event 2 of 3"},
		{[]string{model, data, "-what", "density", "-mark", "y"}, `knows no function "y"`},
		{[]string{broken, "-what", "history"}, "broken.jsonl: line 3 is not an epoch"},
		{[]string{data, "-what", "history"}, "is not an epoch of a training"},
		{[]string{data + "x", "-what", "history"}, "no such file"},
	} {
		status, _, errs := call(t, append([]string{"plot", "-o", out}, c.args...)...)
		if status != cli.Failed || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: status %d, standard error %q, want it to say %q", c.args, status, errs, c.says)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%v: a file was written", c.args)
		}
	}
}

// FuzzParseHistory looks for a history that is drawn badly rather than refused.
func FuzzParseHistory(f *testing.F) {
	f.Add(`{"epoch":1,"training_loss":2.5,"validation_loss":3,"best_epoch":1,"best_loss":3}` + "\n\n" + `{"epoch":2,"training_loss":2}`)
	f.Add(`{"epoch":1e300}`)
	f.Add(`{"epoch":1,"training_loss":1e308,"validation_loss":-1e308}`)
	f.Add("null\n")
	f.Fuzz(func(t *testing.T, text string) {
		epochs, err := parseHistory(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, e := range epochs {
			if e.Epoch < 1 {
				t.Errorf("epoch %d was read", e.Epoch)
			}
		}
		f, err := figure.History(epochs, "")
		if err != nil {
			return
		}
		if p := f.Plot; !(p.Y.Max-p.Y.Min > 0 && p.Y.Max-p.Y.Min < 1e101 && p.X.Min < p.X.Max) {
			t.Errorf("axes from %v to %v and %v to %v", p.X.Min, p.X.Max, p.Y.Min, p.Y.Max)
		}
	})
}
