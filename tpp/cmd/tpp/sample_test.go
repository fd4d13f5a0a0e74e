package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// quickModel trains a model on a dataset and returns its path.
func quickModel(t *testing.T, data string, options ...string) string {
	t.Helper()
	model := filepath.Join(t.TempDir(), "model.safetensors")
	if status, _, errs := call(t, append(append([]string{"train", data, "-o", model}, quick...), options...)...); status != cli.OK {
		t.Fatalf("train: status %d, %s", status, errs)
	}
	return model
}

func TestSampleGoesOnFromADataset(t *testing.T) {
	data := chain(t, "chain.json", []string{"x-dev-f2", "x-dev-main", "x-dev-f1"}, 30)
	model := quickModel(t, chain(t, "other.json", inOrder, 30)) // functions are matched by name
	given, err := dataset.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	var first string
	for i, seed := range []string{"1", "1", "2"} {
		out := filepath.Join(t.TempDir(), "more.json")
		status, text, errs := call(t, "sample", model, "-n", "70", "-given", data, "-events", "2", "-o", out, "-seed", seed, "-json")
		if status != cli.OK {
			t.Fatalf("status %d, %s", status, errs)
		}
		got, err := dataset.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		var told struct{ Sequences, Events, Empty int }
		decodeOne(t, text, &told)
		if told.Sequences != 70 || len(got.Sequences) != 70 || told.Events != got.NumEvents() || told.Empty != 0 {
			t.Errorf("the file has %d sequences and %d events, the command said %s", len(got.Sequences), got.NumEvents(), text)
		}
		for j := range got.Sequences {
			s, g := &got.Sequences[j], &given.Sequences[j%30]
			for k := range s.Len() {
				if k < 2 && (s.ArrivalTimes[k] != g.ArrivalTimes[k] || got.MarkNames[s.Mark(k)] != given.MarkNames[g.Mark(k)]) {
					t.Fatalf("sequence %d does not begin as the one that was given", j)
				}
				if s.ArrivalTimes[k] != math.Trunc(s.ArrivalTimes[k]) {
					t.Fatalf("sequence %d has an event at %v, of a clock with whole milliseconds", j, s.ArrivalTimes[k])
				}
			}
			if s.TEnd != nil {
				t.Errorf("sequence %d has a t_end without a window", j)
			}
		}
		bytes, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case i == 0:
			first = string(bytes)
		case (string(bytes) == first) != (seed == "1"):
			t.Errorf("with seed %s the file is the same as with seed 1: %t", seed, string(bytes) == first)
		}
	}
}

// TestSampleFromTheStart checks that a model that has seen windows begin can begin one.
// TestSampleOnTheModelsClock checks that gaps are rounded to the tick that a model of any kind was trained with.
func TestSampleOnTheModelsClock(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	for _, kind := range [][]string{quickly, quick, {"-kind", "renewal"}} {
		model, out := filepath.Join(t.TempDir(), "model"), filepath.Join(t.TempDir(), "more.json")
		if status, _, errs := call(t, append([]string{"train", data, "-o", model, "-resolution", "10"}, kind...)...); status != cli.OK {
			t.Fatal(errs)
		}
		if status, _, errs := call(t, "sample", model, "-n", "20", "-given", data, "-o", out); status != cli.OK {
			t.Fatal(errs)
		}
		d := read(t, out)
		for i := range d.Sequences {
			times := d.Sequences[i].ArrivalTimes
			for j := 1; j < len(times); j++ {
				if gap := times[j] - times[j-1]; math.Mod(gap, 10) != 0 {
					t.Fatalf("%v: sequence %d has a gap of %v, of a clock with a tick of 10", kind, i, gap)
				}
			}
		}
		if d.NumEvents() < 25 {
			t.Errorf("%v: only %d events", kind, d.NumEvents())
		}
	}
}

func TestSampleFromTheStart(t *testing.T) {
	path := chain(t, "chain.json", inOrder, 30)
	d, err := dataset.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.Sequences {
		s := &d.Sequences[i]
		s.TStart, s.TEnd = new(s.ArrivalTimes[0]-100), new(s.ArrivalTimes[2]+100)
	}
	if err := dataset.WriteFile(path, d); err != nil {
		t.Fatal(err)
	}
	model, out := quickModel(t, path), filepath.Join(t.TempDir(), "windows.json.gz")
	status, text, errs := call(t, "sample", model, "-start", "1000", "-window", "400", "-resolution", "0", "-n", "50", "-o", out)
	if status != cli.OK || !strings.HasPrefix(text, out+": ") {
		t.Fatalf("status %d, %s, %s", status, text, errs)
	}
	got, err := dataset.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if n := 50 - len(got.Sequences); (n > 0) != strings.Contains(errs, "have no event within the window") {
		t.Errorf("%d sequences are missing, and it says %q", n, errs)
	}
	for i := range got.Sequences {
		s := &got.Sequences[i]
		if s.TStart == nil || *s.TStart != 1000 || s.ArrivalTimes[s.Len()-1] > 1400 || s.TEnd != nil && *s.TEnd != 1400 {
			t.Errorf("sequence %d is not of the window: %+v", i, s)
		}
	}
}

func TestSampleRefuses(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	model := quickModel(t, data)
	out := filepath.Join(t.TempDir(), "out.json")
	for _, c := range []struct {
		args   []string
		status int
		reason string
	}{
		{[]string{model}, cli.Usage, "-o OUT is missing"},
		{[]string{"-o", out}, cli.Usage, "the model is missing"},
		{[]string{model, "-o", out, "-n", "0"}, cli.Usage, "-n is 0"},
		{[]string{model, "-o", out, "-events", "0", "-given", data}, cli.Usage, "-events is 0"},
		{[]string{model, "-o", out, "-events", "2"}, cli.Usage, "how much of -given to take"},
		{[]string{model, "-o", out, "-given", data, "-start", "3"}, cli.Usage, "-start means nothing"},
		{[]string{model, "-o", out, "-window", "0"}, cli.Usage, "-window is 0"},
		{[]string{model, "-o", out, "-resolution", "-1"}, cli.Usage, "-resolution is -1"},
		{[]string{model, "-o", out, "-max-events", "0"}, cli.Usage, "-max-events is 0"},
		{[]string{model, "-o", out}, cli.Failed, "whose first event is given: -given DATASET"},
		{[]string{model, "-o", out, "-given", data + "x"}, cli.Failed, "no such file"},
		{[]string{model, "-o", out + "/none/x.json", "-given", data}, cli.Failed, "write " + out},
		{[]string{data, "-o", out, "-given", data}, cli.Failed, "not a safetensors file"},
	} {
		status, _, errs := call(t, append([]string{"sample"}, c.args...)...)
		if status != c.status || !strings.Contains(errs, c.reason) {
			t.Errorf("%v: status %d, %s; want %d and %q", c.args, status, errs, c.status, c.reason)
		}
	}
	if status, text, _ := call(t, "sample", "-h"); status != cli.OK || !strings.Contains(text, "Examples:") {
		t.Errorf("-h: status %d, %s", status, text)
	}
}
