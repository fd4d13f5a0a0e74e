package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// write writes a file into a folder of its own and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConvertThroughAllFormats(t *testing.T) {
	first := chain(t, "chain.json.gz", inOrder, 30)
	dir := t.TempDir()
	in := first
	for _, step := range []struct {
		name string
		opts []string
	}{
		{"a.csv", nil}, {"b.jsonl.gz", []string{"-grouped"}}, {"c.csv.gz", nil}, {"d.ndjson", nil}, {"e.json", nil},
	} {
		out := filepath.Join(dir, step.name)
		status, text, errs := call(t, append([]string{"convert", in, "-o", out}, step.opts...)...)
		if status != cli.OK || text != out+": 30 sequences, 90 events, 3 marks\n" {
			t.Fatalf("%s: status %d, %q, %s", step.name, status, text, errs)
		}
		in = out
	}
	want, err := os.ReadFile(filepath.Join(dir, "e.json"))
	if err != nil {
		t.Fatal(err)
	}
	direct := filepath.Join(dir, "direct.json")
	if status, _, errs := call(t, "convert", first, "-o", direct, "-json"); status != cli.OK {
		t.Fatal(errs)
	}
	if got, err := os.ReadFile(direct); err != nil || string(got) != string(want) {
		t.Errorf("the way through all formats changed the dataset (error %v):\n%s\n%s", err, got, want)
	}
}

func TestConvertReadsEventLogs(t *testing.T) {
	log := write(t, "log.csv", "Case ID;when;activity;cost\nb;2.0015;pay;7\na;1;order;1\nb;3;ship;8\na;0.5;ask;2\n")
	out := filepath.Join(t.TempDir(), "out.jsonl")
	status, text, errs := call(t, "convert", log, "-o", out, "-time", "when", "-unit", "s", "-resolution", "1ms", "-sort", "-covariates", "cost", "-json")
	if status != cli.OK {
		t.Fatal(errs)
	}
	if want := `{"output":"` + out + `","format":"jsonl","sequences":2,"events":4,"marks":["pay","order","ship","ask"]}` + "\n"; text != want {
		t.Errorf("printed %s, want %s", text, want)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"mapping": {"pay": 0, "order": 1, "ship": 2, "ask": 3}}
{"arrival_times": [2002, 3000], "marks": ["pay", "ship"], "covariates": {"cost": [7, 8]}}
{"arrival_times": [500, 1000], "marks": ["ask", "order"], "covariates": {"cost": [2, 1]}}
`
	if string(got) != want {
		t.Errorf("wrote\n%swant\n%s", got, want)
	}
}

func TestConvertRefuses(t *testing.T) {
	json := write(t, "d.json", `{"sequences": [{"arrival_times": [1, 2]}, {"arrival_times": [2, 1]}]}`)
	scattered := write(t, "s.csv", "id,time\na,1\nb,1\na,2\n")
	old := write(t, "old.csv", "precious")
	for _, c := range []struct {
		name   string
		status int
		args   []string
		says   string
	}{
		{"nothing to read", cli.Usage, []string{"-o", old}, "the dataset is missing"},
		{"nothing to write", cli.Usage, []string{json}, "-o OUT is missing"},
		{"a unit", cli.Usage, []string{json, "-o", old, "-unit", "fortnights"}, `"fortnights"`},
		{"a resolution", cli.Usage, []string{json, "-o", old, "-resolution", "0"}, "-resolution: 0 is not above 0"},
		{"no resolution", cli.Usage, []string{json, "-o", old, "-resolution", "fine"}, `"fine" is not a duration`},
		{"CSV options on JSON", cli.Usage, []string{json, "-o", old, "-mark", "x"}, "-mark means nothing"},
		{"no file", cli.Failed, []string{"nowhere.csv", "-o", old}, "nowhere.csv"},
		{"a model", cli.Failed, []string{"main.go", "-o", old}, "main.go: neither JSON nor a CSV file"},
		{"an invalid sequence", cli.Failed, []string{json, "-o", old}, json + ": sequence 1: arrival_times[1] = 1 is before"},
		{"scattered lines", cli.Failed, []string{scattered, "-o", old, "-grouped"}, `line 4: sequence "a" goes on`},
		{"no column", cli.Failed, []string{scattered, "-o", old, "-mark", "kind"}, `no column is called "kind"`},
		{"no folder", cli.Failed, []string{json, "-o", filepath.Join(old, "x.csv")}, "old.csv"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out, errs := call(t, append([]string{"convert"}, c.args...)...)
			if status != c.status || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 || out != "" {
				t.Errorf("status %d, want %d; %q, want it to say %q; output %q", status, c.status, errs, c.says, out)
			}
			if text, err := os.ReadFile(old); err != nil || string(text) != "precious" {
				t.Errorf("the old file holds %q, error %v", text, err)
			}
		})
	}
}

func TestInspectDataset(t *testing.T) {
	path := write(t, "d.jsonl", `{"mapping": {"a": 0, "unused": 1, "b": 2}}
{"arrival_times": [1620831914775, 1620831914775, 1620831914975], "marks": ["a", "b", "a"], "init_times": [3, 0, 0], "t_end": 1620831915000, "covariates": {"load": [1, 2, 3]}}
{"arrival_times": [1620831914776.5], "marks": ["b"]}
`)
	status, out, errs := call(t, "inspect", path, "-json")
	if status != cli.OK {
		t.Fatal(errs)
	}
	var r datasetReport
	decodeOne(t, out, &r)
	if r.Type != "dataset" || r.Format != dataset.FormatJSONLines || r.Gzipped || r.Sequences != 2 || r.Events != 4 || r.WholeTimes ||
		r.Gaps.Count != 2 || r.Gaps.Zeros != 1 || r.Gaps.Mean != 100 || r.ColdStarts != 1 || *r.ColdStartShare != 1./3 || r.TEnd != 1 || r.TStart != 0 {
		t.Errorf("%+v", r)
	}
	if len(r.Marks) != 3 || r.Marks[0] != (markCount{"a", 2}) || r.Marks[1] != (markCount{"unused", 0}) || r.Marks[2] != (markCount{"b", 2}) {
		t.Errorf("marks %v", r.Marks)
	}
	if len(r.Covariates) != 1 || r.Covariates[0] != (covariateReport{"load", 1, 1, 2, 3}) {
		t.Errorf("covariates %v", r.Covariates)
	}
	if status, out, errs = call(t, "inspect", path, chain(t, "chain.json.gz", inOrder, 4)); status != cli.OK {
		t.Fatal(errs)
	}
	lines, document, ok := strings.Cut(out, "\n\n")
	if want := path + `: dataset, JSON lines, 271 bytes
  sequences         2, of 1 to 3 events
  events            4
  times             1620831914775 to 1620831914975 ms, not all whole
                    2021-05-12 15:05:14.775 UTC to 2021-05-12 15:05:14.975 UTC
  gaps              mean 100 ms; exactly 0: 1 of 2 (50.0 %)
  gap quantiles     0 %: 0  5 %: 0  25 %: 0  50 %: 0  75 %: 200  95 %: 200  99 %: 200  100 %: 200
  wait times        0 of 2 sequences
  init times        1 of 2 sequences; cold starts: 1 events (33.3 %)
  parents           0 of 2 sequences
  windows           t_start of 0 of 2 sequences, t_end of 1 of 2 sequences; the others are complete
  covariate "load"  1 of 2 sequences, 1 to 3, mean 2
  marks             3
    a               2 (50.0 %)
    unused          0 (0.0 %)
    b               2 (50.0 %)`; lines != want {
		t.Errorf("it says\n%s\nwant\n%s", lines, want)
	}
	if !ok || !strings.Contains(document, "JSON document, gzipped") || !strings.Contains(document, "x-dev-main") {
		t.Errorf("it says of the document\n%s", document)
	}
}

func TestInspectModel(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	model := filepath.Join(t.TempDir(), "m.safetensors")
	if status, _, errs := call(t, append([]string{"train", data, "-o", model}, quick...)...); status != cli.OK {
		t.Fatal(errs)
	}
	status, out, errs := call(t, "inspect", model, "-json")
	if status != cli.OK {
		t.Fatal(errs)
	}
	var r modelReport
	decodeOne(t, out, &r)
	sum := 0
	for _, tensor := range r.Tensors {
		n := 1
		for _, s := range tensor.Shape {
			n *= s
		}
		if n != tensor.Parameters {
			t.Errorf("%s of shape %v has %d parameters", tensor.Name, tensor.Shape, tensor.Parameters)
		}
		sum += n
	}
	info, err := os.Stat(model)
	if err != nil {
		t.Fatal(err)
	}
	if r.Type != "model" || r.Kind != "lognormmix" || r.Parameters != sum || sum == 0 || r.Bytes != info.Size() || strings.Join(r.Marks, " ") != strings.Join(inOrder, " ") {
		t.Errorf("%+v", r)
	}
	status, out, _ = call(t, "inspect", model)
	for _, says := range []string{"model, lognormmix", "3: x-dev-main, x-dev-f1, x-dev-f2", "training.", "mean_log_inter_time", "rnn.weight_ih_l0"} {
		if status != cli.OK || !strings.Contains(out, says) {
			t.Errorf("it does not say %q:\n%s", says, out)
		}
	}
}

func TestInspectRefuses(t *testing.T) {
	json := write(t, "d.json", `{"sequences": [{"arrival_times": [1, 2]}]}`)
	cut := write(t, "m.safetensors", "\x40\x00\x00\x00\x00\x00\x00\x00{\"a\"")
	for _, c := range []struct {
		status int
		args   []string
		says   string
	}{
		{cli.Usage, nil, "the file is missing"},
		{cli.Usage, []string{json, "-grouped"}, "-grouped means nothing"},
		{cli.Failed, []string{"nowhere"}, "nowhere"},
		{cli.Failed, []string{cut}, cut + ": "},
		{cli.Failed, []string{write(t, "e.json", "")}, "it is empty"},
	} {
		status, out, errs := call(t, append([]string{"inspect"}, c.args...)...)
		if status != c.status || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("%v: status %d, %q, output %q", c.args, status, errs, out)
		}
	}
}

func TestHelpOfConvertAndInspect(t *testing.T) {
	for _, name := range []string{"convert", "inspect"} {
		if status, out, errs := call(t, name, "-h"); status != cli.OK || !strings.Contains(out, "Examples:") || errs != "" {
			t.Errorf("%s: status %d, %q, %s", name, status, errs, out)
		}
	}
}
