package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/neural"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// call runs the command and returns its exit status and what it printed.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = program.Run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// chain writes a dataset of a three-function chain and returns its path.
func chain(t *testing.T, name string, marks []string, n int) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	d := &tpp.Dataset{MarkNames: marks}
	for range n {
		at := math.Floor(rng.Float64() * 1e9)
		var s tpp.Sequence
		for _, m := range []string{"x-dev-main", "x-dev-f1", "x-dev-f2"} {
			for i, name := range marks {
				if name == m {
					s.Marks = append(s.Marks, i)
				}
			}
			s.ArrivalTimes = append(s.ArrivalTimes, at)
			at += math.Round(100 * math.Exp(0.2*rng.NormFloat64()))
		}
		s.InitTimes = make([]float64, 3)
		d.Sequences = append(d.Sequences, s)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := dataset.WriteFile(path, d); err != nil {
		t.Fatal(err)
	}
	return path
}

var inOrder = []string{"x-dev-main", "x-dev-f1", "x-dev-f2"}

// quick keeps the training of these tests short.
var quick = []string{"-epochs", "3", "-context", "8", "-components", "4", "-embedding", "2"}

func TestTheWholeChain(t *testing.T) {
	data := chain(t, "chain.json.gz", inOrder, 30)
	model := filepath.Join(t.TempDir(), "model.safetensors")
	status, out, errs := call(t, append([]string{"train", data, "-o", model, "-seed", "4", "-json"}, quick...)...)
	if status != cli.OK {
		t.Fatalf("train: status %d, %s", status, errs)
	}
	var trained map[string]any
	decodeOne(t, out, &trained)
	for _, key := range []string{"model", "dataset", "kind", "sequences", "events", "nll_time", "nll_mark", "nll", "nll_resolution", "mae", "rmse", "accuracy", "epochs", "seconds"} {
		if _, ok := trained[key]; !ok {
			t.Errorf("train -json has no %q: %s", key, out)
		}
	}
	if trained["sequences"] != 6.0 || trained["events"] != 12.0 || trained["epochs"] != 3.0 || trained["kind"] != "lognormmix" || trained["model"] != model {
		t.Errorf("train -json says %s", out)
	}

	t.Run("evaluate finds the test part again", func(t *testing.T) {
		status, out, errs := call(t, "evaluate", data, model, "-part", "test", "-seed", "4", "-json")
		if status != cli.OK {
			t.Fatalf("status %d, %s", status, errs)
		}
		var evaluated map[string]any
		decodeOne(t, out, &evaluated)
		for key, value := range evaluated {
			if trained[key] != value {
				t.Errorf("%s is %v, train said %v", key, value, trained[key])
			}
		}
	})
	t.Run("functions are matched by name", func(t *testing.T) {
		// The same sequences under another numbering.
		shuffled := chain(t, "shuffled.json", []string{"x-dev-f2", "unused", "x-dev-main", "x-dev-f1"}, 30)
		status, out, errs := call(t, "evaluate", model, data, shuffled, "-json")
		if status != cli.OK {
			t.Fatalf("status %d, %s", status, errs)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != 2 || strings.Replace(lines[0], data, shuffled, 1) != lines[1] {
			t.Errorf("the numbering of the marks matters:\n%s", out)
		}
	})
	t.Run("evaluate prints a table", func(t *testing.T) {
		status, out, _ := call(t, "evaluate", model, data)
		if status != cli.OK || !strings.Contains(out, "nll_resolution") || !strings.Contains(out, filepath.Base(data)) {
			t.Errorf("status %d, %s", status, out)
		}
	})
	t.Run("predict", func(t *testing.T) {
		status, out, errs := call(t, "predict", model, data, "-sequence", "2", "-json", "-top", "2")
		if status != cli.OK {
			t.Fatalf("status %d, %s", status, errs)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != 3 {
			t.Fatalf("%d lines for 3 events:\n%s", len(lines), out)
		}
		for i, line := range lines {
			var p predictionReport
			decodeOne(t, line, &p)
			if p.Sequence != 2 || p.Event != i || !(0 < p.Lower && p.Lower < p.Median && p.Median < p.Upper) {
				t.Errorf("event %d: %s", i, line)
			}
			if len(p.Marks) != 2 || p.Marks[0].Probability < p.Marks[1].Probability || !strings.HasPrefix(p.Marks[0].Mark, "x-dev-") {
				t.Errorf("event %d: marks %v", i, p.Marks)
			}
		}
		status, out, _ = call(t, "predict", "-sequence=2", model, data)
		if status != cli.OK || !strings.Contains(out, "likeliest next") || strings.Count(out, "\n") != 5 {
			t.Errorf("status %d, %s", status, out)
		}
		if status, out, _ = call(t, "predict", model, data, "-json"); status != cli.OK || strings.Count(out, "\n") != 90 {
			t.Errorf("status %d and %d lines for all 30 sequences of 3 events", status, strings.Count(out, "\n"))
		}
	})
	t.Run("plot", func(t *testing.T) {
		picture := filepath.Join(t.TempDir(), "trace.png")
		if status, _, errs := call(t, "plot", model, data, "-o", picture, "-sequence", "1"); status != cli.OK {
			t.Fatalf("status %d, %s", status, errs)
		}
		f, err := os.Open(picture)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		img, _, err := image.Decode(f)
		if err != nil || img.Bounds().Dx() < 800 {
			t.Errorf("picture of %v, error %v", img.Bounds(), err)
		}
	})
}

func TestTrainIsReproducible(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	scores := func(workers int) string {
		model := filepath.Join(t.TempDir(), "m.safetensors")
		status, _, errs := call(t, append([]string{"train", data, "-o", model, "-workers", fmt.Sprint(workers)}, quick...)...)
		if status != cli.OK {
			t.Fatalf("status %d, %s", status, errs)
		}
		_, out, _ := call(t, "evaluate", model, data, "-json")
		return strings.Replace(out, model, "", 1)
	}
	if a, b := scores(1), scores(3); a != b || a == "" {
		t.Errorf("one worker:\n%sthree workers:\n%s", a, b)
	}
}

func TestTrainTextShowsTheBaseline(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	model := filepath.Join(t.TempDir(), "m.safetensors")
	status, out, errs := call(t, append([]string{"train", data, "-o", model, "-coldstart"}, quick...)...)
	if status != cli.OK || !strings.Contains(out, "lognormmix") || !strings.Contains(out, "the median gap after each mark") {
		t.Errorf("status %d, %s\n%s", status, errs, out)
	}
}

// TestInterruptedTrainingKeepsTheModel cancels the context, as Ctrl-C does, in the third epoch of very many.
func TestInterruptedTrainingKeepsTheModel(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 30)
	training, validation, _ := read(t, data).Split(1)
	for _, o := range []trainOrder{
		{kind: "lognormmix", cfg: neural.Config{ContextSize: 4, NumComponents: 2}, opts: neural.TrainOptions{MaxEpochs: 1e9, Patience: 1e9}},
		{kind: race.Kind, race: race.Config{ContextSize: 4, Components: 2}, raceOpts: race.TrainOptions{Epochs: 1e9}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		model, stopped, err := o.fitNetwork(ctx, training, validation, func(e neural.Epoch) {
			if e.Epoch == 3 {
				cancel()
			}
		}, io.Discard)
		if model == nil || !errors.Is(stopped, context.Canceled) || err != nil {
			t.Fatalf("%s: a model: %t, stopped: %v, error: %v", o.kind, model != nil, stopped, err)
		}
		if got := reason(stopped); got != "interrupted" {
			t.Errorf("%s: reason: %s", o.kind, got)
		}
		if how := trainingOf(model); how.epochs != 3 {
			t.Errorf("%s: trained for %d epochs", o.kind, how.epochs)
		}
	}
}

// TestLostCheckpointKeepsTheModel removes the folder of the checkpoint while training goes on: it ends with the model so far, and says why.
func TestLostCheckpointKeepsTheModel(t *testing.T) {
	training, validation, _ := read(t, chain(t, "chain.json", inOrder, 30)).Split(1)
	folder := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, interrupt := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		opts := neural.TrainOptions{MaxEpochs: 1e9, Patience: 1e9, Checkpoint: filepath.Join(folder, "c"), CheckpointEvery: 1}
		report := func(neural.Epoch) {
			if err := os.RemoveAll(folder); err != nil {
				t.Error(err)
			}
			if interrupt {
				cancel()
			}
		}
		if interrupt {
			opts.CheckpointEvery = time.Hour
			if err := os.Mkdir(folder, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		o := trainOrder{kind: "lognormmix", cfg: neural.Config{ContextSize: 4, NumComponents: 2}, opts: opts}
		model, stopped, err := o.fitNetwork(ctx, training, validation, report, io.Discard)
		cancel()
		if model == nil || err != nil {
			t.Fatalf("a model: %t, error: %v", model != nil, err)
		}
		want := "checkpoint: write " + opts.Checkpoint + ": folder " + folder + " does not exist"
		if interrupt {
			want = "training stopped in epoch 2: context canceled; " + want
		}
		if got := reason(stopped); got != want {
			t.Errorf("reason: %s, want %s", got, want)
		}
	}
}

func read(t *testing.T, path string) *tpp.Dataset {
	t.Helper()
	d, err := dataset.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCalledWrongly(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 10)
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		name   string
		status int
		args   []string
		says   string
	}{
		{"nothing", cli.Usage, nil, "a command is missing"},
		{"unknown command", cli.Usage, []string{"fit"}, `unknown command "fit"`},
		{"train: no dataset", cli.Usage, []string{"train", "-o", out}, "the dataset is missing"},
		{"train: no model", cli.Usage, []string{"train", data}, "-o MODEL is missing"},
		{"train: left over", cli.Usage, []string{"train", data, "x", "-o", out}, `"x" is left over`},
		{"train: unknown option", cli.Usage, []string{"train", data, "-o", out, "-epoch", "3"}, "unknown option -epoch"},
		{"train: no number", cli.Usage, []string{"train", data, "-o", out, "-epochs", "many"}, "many"},
		{"train: no epochs", cli.Usage, []string{"train", data, "-o", out, "-epochs", "0"}, "-epochs is 0"},
		{"train: bad encoder", cli.Usage, []string{"train", data, "-o", out, "-encoder", "CNN"}, `-encoder is "CNN", it must be RNN, GRU, LSTM or SSM`},
		{"train: bad rate", cli.Usage, []string{"train", data, "-o", out, "-rate", "-1"}, "-rate"},
		{"train: bad kind", cli.Usage, []string{"train", data, "-o", out, "-kind", "x"}, `-kind is "x"`},
		{"train: bad loss", cli.Usage, []string{"train", data, "-o", out, "-loss", "x"}, "it must be resolution or density"},
		{"train: a head for lognormmix", cli.Usage, []string{"train", data, "-o", out, "-head", "log"}, "-head is for -kind truncnorm"},
		{"train: components for truncnorm", cli.Usage, []string{"train", data, "-o", out, "-kind", "truncnorm", "-components", "3"}, "for -kind lognormmix"},
		{"train: bad levels", cli.Usage, []string{"train", data, "-o", out, "-covariate", "load:x"}, `"x" is not a number of levels`},
		{"train: unknown covariate", cli.Failed, []string{"train", data, "-o", out, "-covariate", "load"}, `sequence 0: it has no covariate "load"`},
		{"train: no file", cli.Failed, []string{"train", "nowhere.json", "-o", out}, "nowhere.json"},
		{"train: no folder", cli.Failed, append([]string{"train", data, "-o", filepath.Join(out, "x")}, quick...), "out"},
		{"train: a model", cli.Failed, []string{"train", "main.go", "-o", out}, "main.go"},
		{"evaluate: too few", cli.Usage, []string{"evaluate", data}, "at least one model and one dataset"},
		{"evaluate: no model", cli.Failed, []string{"evaluate", data, data}, "0 models and 2 datasets"},
		{"evaluate: not a model", cli.Failed, []string{"evaluate", data, "main.go"}, "main.go: neither JSON nor a CSV file"},
		{"evaluate: bad part", cli.Usage, []string{"evaluate", data, "main.go", "-part", "rest"}, `-part is "rest"`},
		{"evaluate: seed without part", cli.Usage, []string{"evaluate", data, "main.go", "-seed", "3"}, "-seed needs -part"},
		{"predict: no dataset", cli.Usage, []string{"predict", "main.go"}, "the dataset is missing"},
		{"predict: bad sequence", cli.Usage, []string{"predict", "main.go", data, "-sequence", "-2"}, "-sequence is -2"},
		{"plot: no picture", cli.Usage, []string{"plot", "main.go", data}, "-o PICTURE is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, errs := call(t, c.args...)
			if status != c.status || !strings.Contains(errs, c.says) {
				t.Errorf("status %d, want %d; standard error %q, want it to say %q", status, c.status, errs, c.says)
			}
			if strings.Count(errs, "\n") != 1 {
				t.Errorf("not one line: %q", errs)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a file was written")
			}
		})
	}
}

// TestOutputThatIsRead checks that no command replaces a file that it reads, under whatever name, by another kind of file.
func TestOutputThatIsRead(t *testing.T) {
	model, data := trained(t)
	folder := t.TempDir()
	picture, link, history := filepath.Join(folder, "data.png"), filepath.Join(folder, "link"), filepath.Join(folder, "history.jsonl")
	if err := os.Link(data, picture); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(model, link); err != nil {
		t.Skip(err)
	}
	linked, dangling := filepath.Join(t.TempDir(), "linked"), filepath.Join(folder, "dangling")
	if err := os.Symlink(folder, linked); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("history.jsonl", dangling); err != nil {
		t.Skip(err)
	}
	before := [2]string{}
	for i, path := range []string{model, data} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before[i] = string(text)
	}
	for _, args := range [][]string{
		{"train", data, "-o", data},
		{"train", data, "-o", picture, "-kind", "markov"},
		{"train", data, "-o", filepath.Join(folder, "new"), "-history", data},
		{"train", data, "-o", link, "-checkpoint", model},
		{"train", model, "-o", link, "-test", data},
		{"train", data, "-o", history, "-history", filepath.Join(folder, ".", "history.jsonl")},
		{"train", data, "-o", history, "-history", filepath.Join(linked, "history.jsonl")},
		{"train", data, "-o", history, "-checkpoint", dangling},
		{"plot", model, data, "-o", picture},
		{"sample", model, "-o", link},
		{"sample", model, "-o", data, "-given", data},
	} {
		status, _, errs := call(t, args...)
		if status != cli.Usage || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "another file of this command") {
			t.Errorf("%q: status %d, %q", args, status, errs)
		}
	}
	for i, path := range []string{model, data} {
		if text, err := os.ReadFile(path); err != nil || string(text) != before[i] {
			t.Errorf("%s has changed: %v", path, err)
		}
	}
	if status, _, errs := call(t, "train", data, "-o", os.DevNull, "-history", os.DevNull, "-kind", "lognormmix", "-epochs", "1", "-context", "2"); status != cli.OK {
		t.Errorf("a device twice: %s", errs)
	}
}

func TestSequenceOutOfRange(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 10)
	model := filepath.Join(t.TempDir(), "m.safetensors")
	if status, _, errs := call(t, append([]string{"train", data, "-o", model}, quick...)...); status != cli.OK {
		t.Fatal(errs)
	}
	for _, args := range [][]string{
		{"predict", model, data, "-sequence", "10"},
		{"plot", model, data, "-sequence", "10", "-o", filepath.Join(t.TempDir(), "x.png")},
	} {
		if status, _, errs := call(t, args...); status != cli.Failed || !strings.Contains(errs, "has 10 sequences, there is no number 10") {
			t.Errorf("%s: status %d, %s", args[0], status, errs)
		}
	}
	if status, _, errs := call(t, "plot", model, data, "-o", filepath.Join(t.TempDir(), "x.bmp")); status == cli.OK || !strings.Contains(errs, ".png, .svg or .pdf") {
		t.Errorf("a .bmp: status %d, %s", status, errs)
	}
	other := chain(t, "other.json", []string{"x-dev-main", "x-dev-f1", "x-dev-f2"}, 3)
	text, _ := os.ReadFile(other)
	os.WriteFile(other, bytes.Replace(text, []byte("x-dev-f2"), []byte("y-dev-f2"), 1), 0o666)
	if status, _, errs := call(t, "evaluate", model, other); status != cli.Failed || !strings.Contains(errs, `mark "y-dev-f2", which the model does not know`) {
		t.Errorf("an unknown function: status %d, %s", status, errs)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"help"}, {"train", "-h"}, {"evaluate", "-h"}, {"predict", "-h"}, {"plot", "-h"}} {
		status, out, errs := call(t, args...)
		if status != cli.OK || !strings.Contains(out, "Examples:") || errs != "" {
			t.Errorf("%v: status %d, standard error %q, output without examples:\n%s", args, status, errs, out)
		}
	}
}

func decodeOne(t *testing.T, text string, v any) {
	t.Helper()
	if strings.Count(strings.TrimSpace(text), "\n") != 0 {
		t.Fatalf("not one line: %s", text)
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}
