package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/neural"
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

// TestForeseesTheNextFunctions: of the functions that come within the horizon nearly all were announced, and the replay
// and the lines of standard input say the same.
func TestForeseesTheNextFunctions(t *testing.T) {
	file := model(t)
	var replayed bytes.Buffer
	args := []string{file, "-replay", traces, "-sequence", "3", "-speed", "1000000", "-json", "-horizon", "1s"}
	if err := follow(t.Context(), args, nil, &replayed); err != nil {
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
	if err := follow(t.Context(), []string{file, "-json", "-horizon", "1s"}, strings.NewReader(lines.String()), &streamed); err != nil {
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
		{"not JSON", "hello\n", "line 1", []string{file}},
		{"unknown function", `{"trace": "a", "time": 1, "function": "f99"}`, `no function "f99"`, []string{file}},
		{"going back in time", `{"trace": "a", "time": 5, "function": "tree_small-dev-main"}` + "\n" +
			`{"trace": "a", "time": 1, "function": "tree_small-dev-f11"}`, "line 2", []string{file}},
		{"horizon", "", "-horizon", []string{file, "-horizon", "0s"}},
		{"sequence", "", "none with index 100000", []string{file, "-replay", traces, "-sequence", "100000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := follow(t.Context(), test.args, strings.NewReader(test.stdin), &bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want something about %q", err, test.want)
			}
		})
	}
}

func TestInterruptEndsAReplay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := follow(ctx, []string{model(t), "-replay", traces, "-speed", "0.001"}, os.Stdin, &bytes.Buffer{})
	if err == nil || ctx.Err() == nil {
		t.Errorf("%v after the end of the context", err)
	}
}
