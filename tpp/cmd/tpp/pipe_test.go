//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
)

// pipeOf returns the name of a pipe that yields the content of a file, which this process has open.
func pipeOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		w.Write(content)
		w.Close()
	}()
	t.Cleanup(func() { r.Close() })
	return fmt.Sprintf("/dev/fd/%d", r.Fd())
}

func TestPipesLoseNothing(t *testing.T) {
	model, data := trained(t)
	csv, jsonl := t.TempDir()+"/d.csv", t.TempDir()+"/d.jsonl.gz"
	for _, out := range []string{csv, jsonl} {
		if status, _, errs := call(t, "convert", data, "-o", out); status != cli.OK {
			t.Fatal(errs)
		}
	}
	second := t.TempDir() + "/second.safetensors"
	if status, _, errs := call(t, "train", data, "-o", second, "-kind", "poisson"); status != cli.OK {
		t.Fatal(errs)
	}
	for _, path := range []string{data, csv, jsonl, model} {
		for _, c := range [][]string{{"inspect"}, {"inspect", "-json"}, {"evaluate", model}, {"evaluate", model, second, "-json"}, {"evaluate", model, "-part", "test"}, {"convert", "-o", t.TempDir() + "/o.csv"}} {
			if path == model && c[0] != "inspect" {
				continue
			}
			_, want, errs := call(t, append(c, path)...)
			if errs != "" {
				t.Fatal(errs)
			}
			pipe := pipeOf(t, path)
			status, got, errs := call(t, append(c, pipe)...)
			if got = strings.ReplaceAll(got, pipe, path); status != cli.OK || strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
				t.Errorf("%v from a pipe of %s: status %d, %s\n%swant\n%s", c, path, status, errs, got, want)
			}
		}
	}
	pipe := pipeOf(t, model)
	if status, out, errs := call(t, "evaluate", pipe, data); status != cli.OK || !strings.Contains(out, "nll_time") {
		t.Errorf("a model from a pipe: status %d, %s", status, errs)
	}
}
