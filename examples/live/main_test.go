package main

import (
	"bytes"
	"context"
	"encoding/json"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

const traces = "../../tpp/testdata/tree_small.json.gz"

// model trains a small model once and returns its file.
func model(t *testing.T) string {
	t.Helper()
	data, err := dataset.ReadFile(traces)
	if err != nil {
		t.Fatal(err)
	}
	training, validation, _ := data.Split(1)
	m, err := neural.Train(t.Context(), neural.Config{}, training, validation, neural.TrainOptions{Seed: 1, MaxEpochs: 60})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "model.safetensors")
	if err := tpp.WriteModelFile(file, m); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestFollowsARace checks that the example reads the file of a race, which needs its package, and foresees with it.
func TestFollowsARace(t *testing.T) {
	data, err := dataset.ReadFile(traces)
	if err != nil {
		t.Fatal(err)
	}
	m, err := race.Train(t.Context(), race.Config{}, data, nil, race.TrainOptions{Epochs: 2})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "race.safetensors")
	if err := tpp.WriteModelFile(file, m); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := follow(t.Context(), []string{file, "-replay", traces, "-sequence", "3", "-speed", "1000000"}, nil, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(out.String(), "\n"); !strings.Contains(first, "main was invoked; soon ") || !strings.Contains(first, "f11") {
		t.Errorf("it foresees %q", first)
	}
}

// TestForeseesTheNextFunctions: of the functions that come within the horizon nearly all were announced, and the replay
// and the lines of standard input say the same.
func TestForeseesTheNextFunctions(t *testing.T) {
	file := model(t)
	var replayed bytes.Buffer
	args := []string{file, "-replay", traces, "-sequence", "3", "-speed", "1000000", "-json", "-horizon", "1s"}
	if err := follow(t.Context(), args, nil, &replayed, io.Discard); err != nil {
		t.Fatal(err)
	}
	type report struct {
		invocation
		Needs []need `json:"needs"`
	}
	var reports []report
	var lines strings.Builder
	for d := json.NewDecoder(bytes.NewReader(replayed.Bytes())); d.More(); {
		var r report
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
		line, err := json.Marshal(r.invocation)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	came, foreseen := 0, 0
	for i, r := range reports {
		for _, later := range reports[i+1:] {
			if later.Time > r.Time+1000 {
				break
			}
			came++
			for _, n := range r.Needs {
				if n.Function == later.Function {
					foreseen++
					break
				}
			}
		}
	}
	if len(reports) < 5 || came < 5 || foreseen*10 < came*9 {
		t.Errorf("%d invocations; of %d that came within a second %d were foreseen", len(reports), came, foreseen)
	}

	var streamed bytes.Buffer
	if err := follow(t.Context(), []string{file, "-json", "-horizon", "1s"}, strings.NewReader(lines.String()), &streamed, io.Discard); err != nil {
		t.Fatal(err)
	}
	if streamed.String() != replayed.String() {
		t.Errorf("standard input says\n%s, the replay\n%s", streamed.String(), replayed.String())
	}
}

func TestBadInputIsOneClearLine(t *testing.T) {
	file := model(t)
	for _, test := range []struct {
		name, stdin, want string
		args              []string
	}{
		{"no model", "", "one model", nil},
		{"no such model", "", "nowhere.safetensors", []string{"nowhere.safetensors"}},
		{"an unknown option", "", "-nonsense", []string{file, "-nonsense"}},
		{"horizon", "", "-horizon", []string{file, "-horizon", "0s"}},
		{"sequence", "", "none with index 100000", []string{file, "-replay", traces, "-sequence", "100000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := follow(t.Context(), test.args, strings.NewReader(test.stdin), &bytes.Buffer{}, &bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want something about %q", err, test.want)
			}
		})
	}
}

// TestBadInvocationsAreLeftOut checks that an invocation that cannot be used is named and left out, and that those behind it are
// followed all the same.
func TestBadInvocationsAreLeftOut(t *testing.T) {
	good := []string{
		`{"trace": "a", "time": 5, "function": "tree_small-dev-main"}`,
		`{"trace": "b", "time": 6, "function": "tree_small-dev-main"}`,
	}
	file := model(t)
	run := func(lines ...string) (out, said string) {
		var stdout, stderr bytes.Buffer
		if err := follow(t.Context(), []string{file}, strings.NewReader(strings.Join(lines, "\n")), &stdout, &stderr); err != nil {
			t.Fatal(err)
		}
		return stdout.String(), stderr.String()
	}
	want, said := run(good...)
	if said != "" || strings.Count(want, "\n") != 2 {
		t.Fatalf("good invocations: %q, and %q", want, said)
	}
	got, said := run(good[0],
		"hello",
		`{"trace": "a", "time": 6, "function": "f99"}`,
		`{"trace": "a", "time": 1, "function": "tree_small-dev-f11"}`,
		`{"trace": "c", "time": 1`+strings.Repeat(" ", 1<<17)+`}`,
		"", good[1])
	if got != want {
		t.Errorf("with bad invocations among them: got %q, want %q", got, want)
	}
	for _, reason := range []string{"line 2: left out", `line 3: left out: the model knows no function "f99"`, "line 4: left out", "before the last one", "line 5: left out", "4 invocations were left out"} {
		if !strings.Contains(said, reason) {
			t.Errorf("it does not say %q: %s", reason, said)
		}
	}
}

// TestImportsNothingInternal checks that the example is what a user of the library can write.
func TestImportsNothingInternal(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			if strings.Contains(i.Path.Value, "/internal/") {
				t.Errorf("%s imports %s", name, i.Path.Value)
			}
		}
	}
}

func TestInterruptEndsAReplay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := follow(ctx, []string{model(t), "-replay", traces, "-speed", "0.001"}, os.Stdin, &bytes.Buffer{}, io.Discard)
	if err == nil || ctx.Err() == nil {
		t.Errorf("%v after the end of the context", err)
	}
}
