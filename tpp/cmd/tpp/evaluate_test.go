package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// trained trains a small model on a chain and returns the paths of both.
func trained(t *testing.T, options ...string) (model, data string) {
	t.Helper()
	return trainedWith(t, append(quick, options...))
}

// trainedPoint is trained with a model that predicts a single time.
func trainedPoint(t *testing.T) (model, data string) {
	t.Helper()
	return trainedWith(t, []string{"-kind", "truncnorm", "-epochs", "3", "-context", "8", "-embedding", "2"})
}

func trainedWith(t *testing.T, options []string) (model, data string) {
	t.Helper()
	data = chain(t, "chain.json", inOrder, 30)
	model = filepath.Join(t.TempDir(), "model.safetensors")
	args := append([]string{"train", data, "-o", model}, options...)
	if status, _, errs := call(t, args...); status != cli.OK {
		t.Fatal(errs)
	}
	return model, data
}

func TestEvaluateNamesItsScores(t *testing.T) {
	model, data := trained(t)
	status, out, errs := call(t, "evaluate", model, data, "-part", "all", "-json", "-confusion", "-otd", "2")
	if status != cli.OK {
		t.Fatalf("status %d, %s", status, errs)
	}
	var got map[string]any
	decodeOne(t, out, &got)
	for _, key := range []string{
		"nll_time", "nll_mark", "nll", "nll_resolution", "nll_sequence", "nll_end", "mae", "rmse", "crps", "accuracy", "macro_f1", "ece",
		"coverage_50", "coverage_90", "ks", "ks_pvalue", "otd",
	} {
		if v, ok := got[key].(float64); !ok || math.IsNaN(v) {
			t.Errorf("%s is %v", key, got[key])
		}
	}
	text, err := json.Marshal(got["confusion"])
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Counts []struct{ Count int }
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	events := 0
	for _, c := range table.Counts {
		events += c.Count
	}
	if events != 60 {
		t.Errorf("the confusion table has %d events of 60: %s", events, text)
	}

	status, out, _ = call(t, "evaluate", model, data, "-all", "-confusion")
	if status != cli.OK || !strings.Contains(out, "coverage_90") || !strings.Contains(out, "came \\ predicted (x-dev-…)") {
		t.Errorf("status %d, -all -confusion says\n%s", status, out)
	}
}

func TestEvaluateLeavesOutWhatAModelDoesNotHave(t *testing.T) {
	model, data := trainedPoint(t)
	status, out, errs := call(t, "evaluate", model, data, "-json")
	if status != cli.OK {
		t.Fatalf("status %d, %s", status, errs)
	}
	for _, want := range []string{`"nll_time":null`, `"nll_resolution":null`, `"ks":null`, `"coverage_50":null`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
	if strings.Contains(out, `"mae":null`) || strings.Contains(out, `"crps":null`) || strings.Contains(out, "otd") {
		t.Errorf("got %s", out)
	}
	if _, out, _ = call(t, "evaluate", model, data); !strings.Contains(out, "–") {
		t.Errorf("the table has no dash:\n%s", out)
	}
}

func TestEvaluateReadsEveryFormat(t *testing.T) {
	model, data := trained(t)
	_, want, _ := call(t, "evaluate", model, data, "-json")
	d, err := dataset.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	lines := filepath.Join(t.TempDir(), "chain.jsonl")
	if status, _, errs := call(t, "convert", data, "-o", lines); status != cli.OK {
		t.Fatal(errs)
	}
	status, got, errs := call(t, "evaluate", model, lines, "-json")
	if status != cli.OK || strings.Replace(got, lines, data, 1) != want {
		t.Errorf("status %d %s, JSON lines score\n%s, the document\n%s", status, errs, got, want)
	}
	// The same in seconds, with columns for people.
	csv := filepath.Join(t.TempDir(), "chain.csv")
	var text strings.Builder
	fmt.Fprintln(&text, "trace,timestamp,function")
	for i, s := range d.Sequences {
		for j := range s.Len() {
			fmt.Fprintf(&text, "%d,%v,%s\n", i, s.ArrivalTimes[j]/1000, d.MarkNames[s.Mark(j)])
		}
	}
	if err := os.WriteFile(csv, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	status, got, errs = call(t, "evaluate", model, csv, "-unit", "s", "-json")
	var a, b map[string]any
	if status != cli.OK {
		t.Fatal(errs)
	}
	decodeOne(t, got, &a)
	decodeOne(t, want, &b)
	for _, key := range []string{"mae", "nll_resolution", "crps"} {
		// Seconds are not exact in milliseconds.
		if x, y := a[key].(float64), b[key].(float64); math.Abs(x-y) > 1e-3*math.Abs(y) {
			t.Errorf("%s of the CSV file is %v, of the document %v", key, x, y)
		}
	}
}

func TestEvaluateUsage(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"evaluate m d -otd -1", "must not be negative"},
		{"evaluate m d -otd-cost 5", "-otd-cost needs -horizon or -otd"},
		{"evaluate m d -prefix 5", "-prefix needs -horizon or -otd"},
		{"evaluate m d -prefix-step 5", "-prefix-step needs -horizon or -otd"},
		{"evaluate m d -otd 5 -tolerance 5", "-tolerance needs -horizon"},
		{"evaluate m d -horizon far", `-horizon is "far", it must be a number of ms above 0, or auto`},
		{"evaluate m d -horizon 0", "above 0"},
		{"evaluate m d -horizon NaN", "above 0"},
		{"evaluate m d -horizon Inf", "above 0"},
		{"evaluate m d -horizon auto -tolerance -1", "-tolerance is -1, it must be above 0"},
		{"evaluate m d -horizon auto -prefix 0", "-prefix is 0, it must be at least 1"},
		{"evaluate m d -horizon auto -prefix-step 0", "-prefix-step is 0, it must be at least 1"},
		{"evaluate m d -otd 5 -otd-cost 0", "must be above 0"},
		{"evaluate m d -resolution 0", "must be above 0"},
		{"evaluate m d -resolution NaN", "must be above 0"},
		{"plot m -o x.png", "the dataset is missing"},
		{"plot -what history -o x.png", "the history is missing"},
		{"plot h d -what history -o x.png", "left over"},
		{"plot m d -what pie -o x.png", `-what is "pie"`},
		{"plot m d -o x.gif", ".png, .svg or .pdf"},
		{"plot m d -what pit", "-o PICTURE is missing"},
		{"plot m d -what pit -o x.png -sequence 3", "-sequence is for -what timeline"},
		{"plot m d -what pit -o x.png -seed 3", "-seed needs -part"},
		{"plot m d -o x.png -part test", "-part is for -what density"},
		{"plot m d -o x.png -events 1", "-events is 1"},
		{"plot m d -o x.png -first -1", "-first is -1"},
		{"plot m d -what due -o x.png -event -1", "-event is -1"},
		{"plot m d -o x.png -event 1", "-event is for -what due"},
		{"plot m d -o x.png -what density -resolution 0", "-resolution is 0"},
	} {
		status, out, errs := call(t, strings.Fields(c.args)...)
		if status != cli.Usage || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("%s: status %d, standard error %q, want it to say %q", c.args, status, errs, c.says)
		}
	}
}
