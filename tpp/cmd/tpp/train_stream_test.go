package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/safetensors"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// tensorsOf returns the tensors of a model's file.
func tensorsOf(t *testing.T, path string) map[string]safetensors.Tensor {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return f.Tensors
}

// TestTrainOnStream trains on a file that is read anew in each epoch, and in memory on the same split with the same shuffle window: parameters and scores are
// the same, with files in place of parts too, and evaluate finds the test part again.
func TestTrainOnStream(t *testing.T) {
	data := chain(t, "chain.jsonl.gz", []string{"x-dev-f2", "x-dev-main", "x-dev-f1"}, 80)
	other := chain(t, "other.jsonl", inOrder, 25)
	for name, options := range map[string][]string{
		"parts": {}, "files": {"-validation", other, "-test", other}, "checkpoint": {"-checkpoint", "C"}, "validation file": {"-validation", other},
	} {
		folder := t.TempDir()
		streamed, held := filepath.Join(folder, "stream.safetensors"), filepath.Join(folder, "memory.safetensors")
		args := append([]string{"train", data, "-shuffle-window", "20", "-batch", "8", "-seed", "5", "-json", "-coldstart"}, append(options, quick...)...)
		for i, a := range args {
			if a == "C" {
				args[i] = filepath.Join(folder, "c")
			}
		}
		stream := jsonOf(t, append(args, "-stream", "-o", streamed)...)
		if name == "checkpoint" { // the state at its end: the training in memory goes on from there, and has nothing left to do
			if info, err := os.Stat(filepath.Join(folder, "c")); err != nil || info.Size() == 0 {
				t.Errorf("no checkpoint: %v", err)
			}
		}
		memory := jsonOf(t, append(args, "-split", "hash", "-o", held)...)
		for _, score := range []string{"nll", "mae", "accuracy", "sequences", "epochs"} {
			if stream[score] != memory[score] || stream[score] == nil {
				t.Errorf("%s: %s is %v of a stream, %v in memory", name, score, stream[score], memory[score])
			}
		}
		if !reflect.DeepEqual(tensorsOf(t, streamed), tensorsOf(t, held)) {
			t.Errorf("%s: a stream makes another model", name)
		}
		if name == "parts" {
			evaluated := jsonOf(t, "evaluate", streamed, data, "-json")
			if evaluated["part"] != "test" || evaluated["mae"] != stream["mae"] || evaluated["sequences"] != stream["sequences"] {
				t.Errorf("evaluate says %v, train said %v", evaluated, stream)
			}
			explicit := jsonOf(t, "evaluate", streamed, data, "-json", "-part", "test", "-split", "hash", "-seed", "5")
			if explicit["mae"] != stream["mae"] || explicit["sequences"] != stream["sequences"] {
				t.Errorf("evaluate -split hash says %v, train said %v", explicit, stream)
			}
			sum := 0.0
			for _, part := range []string{"train", "validation", "test"} {
				sum += jsonOf(t, "evaluate", streamed, data, "-json", "-part", part, "-split", "hash")["sequences"].(float64)
			}
			if sum != 80 {
				t.Errorf("the parts have %v of 80 sequences", sum)
			}
			if _, out, _ := call(t, "inspect", streamed); !strings.Contains(out, "without the test part (by hash, seed 5)") {
				t.Errorf("inspect says %s", out)
			}
		}
	}
	document := chain(t, "chain.json", inOrder, 40)
	if status, out, errs := call(t, append([]string{"train", document, "-stream", "-o", filepath.Join(t.TempDir(), "m")}, quick...)...); status != cli.OK || !strings.Contains(out, "Test part of chain.json") {
		t.Errorf("a document: status %d, %s%s", status, out, errs)
	}
}

// TestTrainOnStreamRefuses checks what cannot be streamed.
func TestTrainOnStreamRefuses(t *testing.T) {
	data := chain(t, "chain.jsonl", inOrder, 40)
	table, model := filepath.Join(t.TempDir(), "log.csv"), filepath.Join(t.TempDir(), "m")
	if err := dataset.WriteFile(table, read(t, data)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{data, "-split", "time"}, cli.Usage, "-stream splits by hash"},
		{[]string{data, "-split", "random"}, cli.Usage, "-stream splits by hash"},
		{[]string{data, "-kind", "race"}, cli.Usage, "-stream is not for -kind race"},
		{[]string{data, "-kind", "markov"}, cli.Usage, "-stream is not for -kind markov"},
		{[]string{data, "-shuffle-window", "-1"}, cli.Usage, "-shuffle-window is -1"},
		{[]string{table}, cli.Failed, "-stream reads JSON lines"},
		{[]string{pipeOf(t, data)}, cli.Failed, "which a pipe cannot be"},
		{[]string{data + "x"}, cli.Failed, "no such file"},
		{[]string{write(t, "cut.jsonl", `{"arrival_times": [1, 2], "marks": ["a", "b"]}`+"\n"+`{"arrival_times": [1`)}, cli.Failed, "cut.jsonl"},
	} {
		status, _, errs := call(t, append([]string{"train", "-stream", "-o", model}, c.args...)...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("%v: status %d, %s, want %q", c.args, status, errs, c.want)
		}
	}
	if status, _, errs := call(t, "train", data, "-stream", "-folds", "3"); status != cli.Usage || !strings.Contains(errs, "-stream trains one model") {
		t.Errorf("status %d, %s", status, errs)
	}
}
