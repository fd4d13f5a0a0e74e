//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
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

// TestMain runs the command instead of the tests where TestStandardOutputIsWrittenThrough starts this binary.
func TestMain(m *testing.M) {
	if os.Getenv("TPP_TEST_RUN") != "" {
		program.Main()
		return
	}
	os.Exit(m.Run())
}

func TestStandardOutputIsWrittenThrough(t *testing.T) {
	csv := write(t, "seq.csv", "sequence,time,mark\na,1,x\na,2,y\n")
	for _, name := range []string{"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"} {
		path := t.TempDir() + "/out"
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(out, "before")
		var errs strings.Builder
		c := exec.CommandContext(t.Context(), os.Args[0], "convert", csv, "-o", name)
		c.Env, c.Stdout, c.Stderr = append(os.Environ(), "TPP_TEST_RUN=1"), out, &errs
		if err := c.Run(); err != nil {
			t.Fatalf("%v: %s", err, &errs)
		}
		fmt.Fprintln(out, "after")
		out.Close()
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := `before
{"sequences": [
{"arrival_times": [1, 2], "marks": [0, 1]}
], "mapping": {"x": 0, "y": 1}}
after
`
		if string(got) != want || !strings.Contains(errs.String(), "1 sequences, 2 events") {
			t.Errorf("%s: the output is\n%swant\n%smessages: %s", name, got, want, &errs)
		}
	}
}
