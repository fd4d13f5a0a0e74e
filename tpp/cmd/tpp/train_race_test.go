package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// calls writes a dataset of calls with parents and returns its path.
func calls(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls.json.gz")
	d := tpptest.Calls(5, 80)
	for i := range d.Sequences {
		d.Sequences[i].TStart = nil
	}
	if err := dataset.WriteFile(path, d); err != nil {
		t.Fatal(err)
	}
	return path
}

// quickly are options of a race that trains in no time.
var quickly = []string{"-kind", "race", "-context", "4", "-components", "4", "-epochs", "4"}

// TestRaceInEveryCommand trains a race and passes its file to all commands that read models.
func TestRaceInEveryCommand(t *testing.T) {
	data, folder := calls(t), t.TempDir()
	model, history := filepath.Join(folder, "race.safetensors"), filepath.Join(folder, "history.jsonl")
	ok := func(args ...string) string {
		t.Helper()
		status, out, errs := call(t, args...)
		if status != cli.OK || strings.Contains(errs, "note: ") {
			t.Fatalf("%v: status %d, %s", args, status, errs)
		}
		return out
	}
	var trained, evaluated map[string]any
	decodeOne(t, ok(append([]string{"train", data, "-o", model, "-history", history, "-coldstart", "-covariate", "load", "-json"}, quickly...)...), &trained)
	if trained["kind"] != race.Kind || trained["epochs"] != 4.0 {
		t.Errorf("train says %v", trained)
	}
	decodeOne(t, ok("evaluate", model, data, "-json"), &evaluated)
	for _, score := range []string{"nll", "mae", "accuracy", "sequences"} {
		if trained[score] != evaluated[score] || trained[score] == nil {
			t.Errorf("%s is %v when trained, %v when evaluated", score, trained[score], evaluated[score])
		}
	}
	m, err := tpp.ReadModelFile(model)
	if err != nil {
		t.Fatal(err)
	}
	if names := m.CovariateNames(); !slices.Equal(names, []string{tpp.ColdStartCovariate, "load"}) {
		t.Errorf("covariates %q", names)
	}
	if out := ok("predict", model, data, "-sequence", "1"); strings.Count(out, "\n") < 3 {
		t.Errorf("predict says %s", out)
	}
	drawn := filepath.Join(folder, "drawn.json")
	ok("sample", model, "-o", drawn, "-given", data, "-n", "20")
	if d := read(t, drawn); len(d.Sequences) != 20 || d.NumEvents() < 30 || len(d.Sequences[0].Covariates["load"]) != d.Sequences[0].Len() {
		t.Errorf("%d sequences with %d events were drawn", len(d.Sequences), d.NumEvents())
	}
	for _, what := range []string{"timeline", "density", "pit", "reliability", "confusion"} {
		ok("plot", model, data, "-what", what, "-o", filepath.Join(folder, what+".svg"))
	}
	ok("plot", history, "-what", "history", "-o", filepath.Join(folder, "history.svg"))
	if epochs, err := readHistory(history); err != nil || len(epochs) != 4 {
		t.Errorf("a history of %d epochs (error %v)", len(epochs), err)
	}

	text := ok("inspect", model)
	for _, says := range []string{"model, race", "due after a ", "due after b ", "nothing came in", "regime ", `{"name":"load"`, "class.mixture"} {
		if !strings.Contains(text, says) {
			t.Errorf("inspect does not say %q: %s", says, text)
		}
	}
	if strings.Contains(text, "medians") || strings.Contains(text, "background.mixture") {
		t.Errorf("inspect prints lists of numbers: %s", text)
	}
	var report struct{ Slots []slotReport }
	decodeOne(t, ok("inspect", model, "-json"), &report)
	for _, s := range report.Slots {
		if s.Parent == nil || len(s.Marks) != len(s.Came) || s.Never > 0 && !(s.NeverShare > 0 && s.NeverShare < 1) {
			t.Errorf("inspect says %+v", s)
		}
	}
	if len(report.Slots) < 3 {
		t.Errorf("%d slots", len(report.Slots))
	}
}

// TestRacesThatKnowStarts trains races that are told when events start, or hear of them only then, and passes their files to all commands: they
// work on data with wait times, and are refused where those are missing or events would be drawn whose starts nobody knows.
func TestRacesThatKnowStarts(t *testing.T) {
	data, folder, plain := calls(t), t.TempDir(), chain(t, "chain.json", inOrder, 30)
	events := read(t, data).NumEvents()
	for _, regime := range []race.Regime{race.Starts, race.OnlyStarts} {
		model, picture := filepath.Join(folder, "race.safetensors"), filepath.Join(folder, "picture.svg")
		train := append([]string{"train", "-regime", string(regime)}, quickly...)
		status, out, errs := call(t, append(train, data, "-o", model, "-json")...)
		if status != cli.OK {
			t.Fatal(errs)
		}
		var trained, evaluated struct{ MAE, NLL float64 }
		if decodeOne(t, out, &trained); !(trained.MAE > 0 && trained.MAE < 100) {
			t.Errorf("%s: train says %s", regime, out)
		}
		status, out, errs = call(t, "evaluate", model, data, "-json")
		if status != cli.OK {
			t.Fatal(errs)
		}
		if decodeOne(t, out, &evaluated); evaluated != trained {
			t.Errorf("%s: evaluate says %s, train %+v", regime, out, trained)
		}
		if status, out, errs := call(t, "predict", model, data, "-json"); status != cli.OK || strings.Count(out, "\n") > events || strings.Count(out, "\n") < events-10 {
			t.Errorf("%s: predict: status %d, %s, %d lines", regime, status, errs, strings.Count(out, "\n"))
		}
		for _, what := range []string{"timeline", "density", "pit", "reliability", "confusion"} {
			if status, _, errs := call(t, "plot", model, data, "-o", picture, "-what", what); status != cli.OK {
				t.Errorf("%s: %s: %s", regime, what, errs)
			}
		}
		refused := func(why string, args ...string) {
			t.Helper()
			if status, _, errs := call(t, args...); status != cli.Failed || !strings.Contains(errs, why) || strings.Count(errs, "\n") != 1 {
				t.Errorf("%s: %v: status %d, %s", regime, args, status, errs)
			}
		}
		mute := read(t, data)
		for i := range mute.Sequences {
			mute.Sequences[i].WaitTimes = nil
		}
		without := filepath.Join(folder, "without.json")
		if err := dataset.WriteFile(without, mute); err != nil {
			t.Fatal(err)
		}
		drawn := filepath.Join(folder, "drawn.json")
		sample := []string{"sample", model, "-given", data, "-o", drawn}
		retrain := append(train, plain, "-graph", write(t, "graph.yaml", chainGraph), "-o", filepath.Join(folder, "other.safetensors"))
		if regime == race.Starts {
			refused("chain.json: training part: sequence 0: no wait times, by which regime starts knows when events start", retrain...)
			refused("no wait times", "evaluate", model, without)
			refused("no wait times", "predict", model, without)
			refused("no wait times", "plot", model, without, "-o", picture)
			refused("no wait times", "plot", model, without, "-o", picture, "-what", "density")
			refused("has to be told when events start, which nobody knows of events that are drawn", sample...)
			continue
		}
		if status, _, errs := call(t, retrain...); status != cli.OK || !strings.Contains(errs, "chain.json: 18 of 18 sequences for training have no wait times: their times are taken for those of starts\n") {
			t.Errorf("%s without wait times: status %d, %s", regime, status, errs)
		}
		if status, _, errs := call(t, sample...); status != cli.OK {
			t.Fatal(errs)
		}
		if status, _, errs := call(t, "evaluate", model, drawn); status != cli.OK {
			t.Errorf("%s: what was drawn is not evaluated: %s", regime, errs)
		}
		if status, out, errs := call(t, append(train, data, "-repeat", "2")...); status != cli.OK || !strings.Contains(out, "lookup-mark") {
			t.Errorf("%s: -repeat: status %d, %s%s", regime, status, out, errs)
		}
	}
}

// TestTableOfStarts checks that the table beside a race of starts alone is scored on the times of starts too.
func TestTableOfStarts(t *testing.T) {
	d := tpptest.Calls(5, 80)
	at, err := d.AtStarts()
	if err != nil {
		t.Fatal(err)
	}
	o := trainOrder{kind: race.Kind, race: race.Config{Regime: race.OnlyStarts}}
	table, err := o.fitTable(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	o.race.Regime = race.Arrivals
	want, err := o.fitTable(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	scores, err := eval.Evaluate(t.Context(), table, d, eval.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := eval.Evaluate(t.Context(), want, at, eval.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(scores) != fmt.Sprint(wanted) {
		t.Errorf("scores %v, want %v", scores, wanted)
	}
}

// chainGraph is a graph of the functions that chain writes.
const chainGraph = "functions:\n  main: {invokes: [f1, f2]}\n  f1: {duration: 1, gamma: {shape: 1, rate: 1}}\n  f2: {duration: 1, gamma: {shape: 1, rate: 1}}\n"

// TestEvaluateCalibration checks that the calibration of forecasts of all events to come is printed of a model that has them, and that others
// are named.
func TestEvaluateCalibration(t *testing.T) {
	data, folder := calls(t), t.TempDir()
	model, other := filepath.Join(folder, "race.safetensors"), filepath.Join(folder, "other.safetensors")
	for _, args := range [][]string{append([]string{"train", data, "-o", model}, quickly...), {"train", data, "-o", other, "-kind", "lookup-mark"}} {
		if status, _, errs := call(t, args...); status != cli.OK {
			t.Fatal(errs)
		}
	}
	status, out, errs := call(t, "evaluate", model, other, data, "-calibration")
	if status != cli.OK {
		t.Fatal(errs)
	}
	for _, want := range []string{"as " + model + " forecasts them on " + data, "coverage_50", "third or later", "a lookup-mark has no distributions of all events to come"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
	var printed struct{ Calibration []eval.ArrivalCalibration }
	_, out, _ = call(t, "evaluate", model, data, "-calibration", "-json")
	decodeOne(t, out, &printed)
	if c := printed.Calibration; len(c) != eval.ArrivalSteps || c[0].Came == 0 || !(c[0].Expected > 0) || !(c[0].Coverage90 > 0.5) || c[0].PIT[3] == 0 {
		t.Errorf("as JSON it is %s", out)
	}
	for _, args := range [][]string{{"evaluate", model, data, "-json"}, {"evaluate", other, data, "-calibration", "-json"}} {
		if _, out, _ = call(t, args...); strings.Contains(out, "calibration") {
			t.Errorf("%v: %s", args, out)
		}
	}
}

// TestRaceGraph checks where the graph of a race comes from, and what is said about it.
func TestRaceGraph(t *testing.T) {
	plain, out := chain(t, "chain.json", inOrder, 60), filepath.Join(t.TempDir(), "race.safetensors")
	graph := write(t, "graph.yaml", chainGraph)
	elsewhere := write(t, "graph.yaml", strings.Replace(chainGraph, "[f1, f2]", "[f3]", 1)+"  f3: {duration: 1, gamma: {shape: 1, rate: 1}, invokes: [f1, f2]}\n")
	other := write(t, "graph.yaml", "functions:\n  main: {invokes: [g1]}\n  g1: {duration: 1, gamma: {shape: 1, rate: 1}}\n")
	for _, c := range []struct {
		name, data string
		options    []string
		status     int
		says       string
		slots      int
	}{
		{"parents", calls(t), nil, cli.OK, "", 3},
		{"spans", spanFile(t, 60), nil, cli.OK, "times starts of the spans", 2},
		{"estimated", plain, nil, cli.OK, "chain.json has no parents: which events make which others due is estimated from the times of ", 2},
		{"a file", plain, []string{"-graph", graph}, cli.OK, "", 2},
		{"wrong", plain, []string{"-graph", elsewhere}, cli.OK, "note: the graph in " + elsewhere + " does not explain up to ", 0},
		{"of another application", plain, []string{"-graph", other}, cli.Failed, "is none of the functions main, g1 of the graph", 0},
		{"no file", plain, []string{"-graph", "nowhere.yaml"}, cli.Failed, "tpp train: -graph: application nowhere.yaml: no such folder", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, errs := call(t, append(append([]string{"train", c.data, "-o", out}, quickly...), c.options...)...)
			if status != c.status || !strings.Contains(errs, c.says) || (c.says == "") != (errs == "") || strings.Count(errs, "\n") > 1 {
				t.Fatalf("status %d, %q, want %d and %q", status, errs, c.status, c.says)
			}
			if status != cli.OK {
				return
			}
			m, err := tpp.ReadModelFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if slots := m.(*race.Race).Slots(); len(slots) < c.slots {
				t.Errorf("%d slots: %+v", len(slots), slots)
			}
			if err := os.Remove(out); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestEstimatedSaysWhatIsNotSure(t *testing.T) {
	names := []string{"x-a", "x-b", "x-c"}
	for _, c := range []struct {
		report race.GraphReport
		want   string
	}{
		{race.GraphReport{Waits: true, Events: 40}, "which events make which others due is estimated from the times of 40 events"},
		{race.GraphReport{Waits: true, Events: 40, Unexplained: 2, Marks: []race.MarkReport{{}, {Parents: []int{0}, Ambiguous: []int{2, 1}}, {Parents: []int{0}}}},
			"which events make which others due is estimated from the times of 40 events, of which 2 (5.0 %) are explained by nothing; not sure is what makes due b (after a, or after c, b)"},
		{race.GraphReport{Events: 1}, "which events make which others due is estimated from the times of 1 events; without wait times two events that one event caused may be taken for parent and child"},
	} {
		if got := estimated(&c.report, names); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestTrainRaceRefuses(t *testing.T) {
	for _, c := range []struct{ options, reason string }{
		{"-paper", "-paper is not for -kind race"},
		{"-checkpoint x", "-checkpoint is not for -kind race, which trains in seconds"},
		{"-loss density", "-loss is not for -kind race"},
		{"-embedding 3", "-embedding is not for -kind race"},
		{"-decay-per-pair", "-decay-per-pair is"},
		{"-regime both", `-regime is "both", it must be arrivals, starts or only-starts`},
		{"-epochs 0", "-epochs is 0"},
		{"-rate 0", "-rate is 0"},
		{"-budget -1s", "-budget and -workers must not be negative"},
		{"-covariate load:2", "-covariate load:2: a race takes the number as it is"},
		{"-kind lognormmix -graph g", "-graph is for -kind race"},
		{"-kind truncnorm -regime starts", "-regime is for -kind race"},
		{"-kind poisson -graph g", "-graph is not for -kind poisson"},
	} {
		args := append([]string{"train", "x.json", "-o", "m", "-kind", "race"}, strings.Fields(c.options)...)
		if status, _, errs := call(t, args...); status != cli.Usage || !strings.Contains(errs, c.reason) {
			t.Errorf("%s: status %d, %s, want %q", c.options, status, errs, c.reason)
		}
	}
}

// TestRepeatRace checks that the scores of repeated trainings of a race are those of single ones.
func TestRepeatRace(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 40)
	status, out, errs := call(t, append([]string{"train", data, "-repeat", "2", "-seed", "3", "-json"}, quickly...)...)
	if status != cli.OK || strings.Count(errs, "note: ") != 1 {
		t.Fatalf("status %d, %s", status, errs)
	}
	var r repeatReport
	line, _, _ := strings.Cut(out, "\n")
	decodeOne(t, line, &r)
	if r.Kind != race.Kind {
		t.Fatalf("%s", out)
	}
	mean := 0.0
	for _, seed := range []string{"3", "4"} {
		_, out, _ := call(t, append([]string{"train", data, "-seed", seed, "-json", "-o", filepath.Join(t.TempDir(), "m")}, quickly...)...)
		var one struct{ NLL float64 }
		decodeOne(t, out, &one)
		mean += one.NLL / 2
	}
	for _, s := range r.Scores {
		if s.Name == "nll" && math.Abs(s.Mean-mean) > 1e-9 {
			t.Errorf("the mean is %v, that of two trainings %v", s.Mean, mean)
		}
	}
}
