package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
)

// scoresOf evaluates and returns the lines of JSON.
func scoresOf(t *testing.T, args ...string) []map[string]any {
	t.Helper()
	status, out, errs := call(t, append([]string{"evaluate", "-json"}, args...)...)
	if status != cli.OK {
		t.Fatalf("%v: %s", args, errs)
	}
	var results []map[string]any
	for line := range strings.Lines(out) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	return results
}

func TestEvaluateScoresWhatTheModelHasNotSeen(t *testing.T) {
	for _, kind := range []string{"lognormmix", "poisson"} {
		options := []string{"-kind", kind, "-seed", "7"}
		if kind == "lognormmix" {
			options = append(options, quick...)
		}
		model, data := trainedWith(t, options)
		other := chain(t, "other.json", inOrder, 31)
		csv := filepath.Join(t.TempDir(), "same.csv.gz")
		if status, _, errs := call(t, "convert", data, "-o", csv); status != cli.OK {
			t.Fatal(errs)
		}
		shuffled := chain(t, "shuffled.jsonl", []string{"x-dev-f2", "unused", "x-dev-main", "x-dev-f1"}, 30)
		test := scoresOf(t, model, data, "-part", "test", "-seed", "7")[0]
		all := scoresOf(t, model, data, "-part", "all")[0]
		if test["sequences"] != 6.0 || all["sequences"] != 30.0 || test["part"] != "test" || all["part"] != "all" {
			t.Fatalf("-part test: %v, -part all: %v", test, all)
		}
		for _, same := range []string{data, csv, shuffled} {
			got := scoresOf(t, model, same)[0]
			got["dataset"] = data
			if fmt.Sprint(got) != fmt.Sprint(test) {
				t.Errorf("%s: %s is scored as %v, its test part as %v", kind, same, got, test)
			}
		}
		both := scoresOf(t, model, other, data)
		if both[0]["sequences"] != 31.0 || both[0]["part"] != "all" || both[1]["sequences"] != 6.0 {
			t.Errorf("%s: another dataset is scored as %v, its own as %v", kind, both[0], both[1])
		}
		if val := scoresOf(t, model, data, "-part", "train", "-seed", "7")[0]; val["sequences"] != 18.0 {
			t.Errorf("%s: -part train is scored as %v", kind, val)
		}
		_, out, _ := call(t, "evaluate", model, data, other)
		for _, want := range []string{
			data + ": the test part (seed 7), as " + model + " was trained on the rest", other + ": all of it, as its fingerprint is not that of the data that " + model + " was trained on",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: the text is\n%s\nwithout %q", kind, out, want)
			}
		}
		if _, out, _ := call(t, "inspect", model); !strings.Contains(out, "chain.json, 30 sequences, without the test part (seed 7)") {
			t.Errorf("inspect says\n%s", out)
		}

		// A model without a memory of its data is scored on all of it, as before.
		m, err := tpp.ReadModelFile(model)
		if err != nil {
			t.Fatal(err)
		}
		old := filepath.Join(t.TempDir(), "old.safetensors")
		if err := tpp.WriteModelFile(old, m.(tpp.FileModel)); err != nil {
			t.Fatal(err)
		}
		pair := scoresOf(t, old, model, data)
		pair[0]["model"] = model
		if fmt.Sprint(pair[0]) != fmt.Sprint(all) || fmt.Sprint(pair[1]) != fmt.Sprint(test) {
			t.Errorf("%s: a model without a memory is scored as %v, one with as %v", kind, pair[0], pair[1])
		}
		if _, out, _ := call(t, "evaluate", old, data); strings.Contains(out, "all of it") {
			t.Errorf("the note says what the model does not know:\n%s", out)
		}
	}
}

func TestFilesInPlaceOfParts(t *testing.T) {
	data, validation, test := chain(t, "a.json", inOrder, 30), chain(t, "b.json", inOrder, 7), chain(t, "c.csv", inOrder, 9)
	for _, c := range []struct {
		options                    []string
		training, validation, test int
		title                      string
		scored                     float64 // sequences of the training file that evaluate scores
	}{
		{nil, 18, 6, 6, "Test part of a.json", 6},
		{[]string{"-validation", validation}, 24, 7, 6, "Test part of a.json", 6},
		{[]string{"-test", test}, 24, 6, 9, "c.csv", 30},
		{[]string{"-validation", validation, "-test", test}, 30, 7, 9, "c.csv", 30},
	} {
		model := filepath.Join(t.TempDir(), "m.safetensors")
		status, out, errs := call(t, append(append([]string{"train", data, "-o", model}, quick...), c.options...)...)
		if status != cli.OK || !strings.Contains(out, fmt.Sprintf("\n%s, %d sequences with", c.title, c.test)) {
			t.Fatalf("%v: status %d, %s%s", c.options, status, out, errs)
		}
		_, described, _ := call(t, "inspect", model, "-json")
		var report struct {
			Description struct {
				Training struct {
					Training   int `json:"training_sequences"`
					Validation int `json:"validation_sequences"`
				} `json:"training"`
			} `json:"description"`
			Data tpp.TrainingData `json:"training_data"`
		}
		if err := json.Unmarshal([]byte(described), &report); err != nil {
			t.Fatal(err)
		}
		if how := report.Description.Training; how.Training != c.training || how.Validation != c.validation || report.Data.Split == (c.scored == 30) {
			t.Errorf("%v: trained on %+v", c.options, report)
		}
		if got := scoresOf(t, model, data)[0]; got["sequences"] != c.scored {
			t.Errorf("%v: of the training file %v sequences are scored, want %v", c.options, got["sequences"], c.scored)
		}
		if got := scoresOf(t, model, test)[0]; got["sequences"] != 9.0 {
			t.Errorf("%v: of the test file %v sequences are scored", c.options, got["sequences"])
		}
	}
	model := filepath.Join(t.TempDir(), "p.safetensors")
	status, out, errs := call(t, "train", data, "-o", model, "-kind", "poisson", "-test", test, "-json")
	var got map[string]any
	decodeOne(t, out, &got)
	if status != cli.OK || got["dataset"] != test || got["sequences"] != 9.0 || got["part"] != "test" {
		t.Errorf("a classical model: status %d, %s%s", status, out, errs)
	}
	if _, out, _ := call(t, "evaluate", model, data); !strings.Contains(out, "all of it, which "+model+" was trained on") {
		t.Errorf("the training file is scored without a word:\n%s", out)
	}
	if status, _, errs := call(t, "train", data, "-repeat", "2", "-test", test); status != cli.Usage || !strings.Contains(errs, "-repeat") {
		t.Errorf("-repeat with -test: status %d, %s", status, errs)
	}
	if status, _, errs := call(t, "train", data, "-o", model, "-validation", write(t, "e.json", `{"sequences": []}`)); status != cli.Failed || !strings.Contains(errs, "no sequence") {
		t.Errorf("an empty validation file: status %d, %s", status, errs)
	}
}

func TestFewSequencesAreSaid(t *testing.T) {
	for n, want := range map[int]string{
		2:  "1 for training, 0 for validation and 1 for the test; scores are left to chance, and nothing shows",
		20: "12 for training, 4 for validation",
		30: "",
	} {
		data := chain(t, "d.json", inOrder, n)
		status, _, errs := call(t, append([]string{"train", data, "-o", filepath.Join(t.TempDir(), "m")}, quick...)...)
		if status != cli.OK || !strings.Contains(errs, want) || strings.Contains(errs, "few sequences") == (want == "") {
			t.Errorf("%d sequences: status %d, %q, want it to say %q", n, status, errs, want)
		}
	}
	if _, _, errs := call(t, "train", chain(t, "d.json", inOrder, 2), "-o", filepath.Join(t.TempDir(), "m"), "-kind", "poisson"); !strings.Contains(errs, "few sequences") {
		t.Errorf("a classical model of 2 sequences: %q", errs)
	}
}

func TestPicturesShowWhatTheModelHasNotSeen(t *testing.T) {
	model, data := trained(t)
	dir := t.TempDir()
	draw := func(name string, options ...string) string {
		path := filepath.Join(dir, name+".svg")
		if status, _, errs := call(t, append([]string{"plot", model, data, "-what", "pit", "-o", path}, options...)...); status != cli.OK {
			t.Fatal(errs)
		}
		picture, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(picture)
	}
	if got, want := draw("default"), draw("test", "-part", "test", "-seed", "1"); got != want || !strings.Contains(got, "test part (seed 1)") {
		t.Error("the picture is not that of the test part, or does not say so")
	}
	if strings.Contains(draw("all", "-part", "all"), "part (") {
		t.Error("the picture of all says that it is of a part")
	}
}
