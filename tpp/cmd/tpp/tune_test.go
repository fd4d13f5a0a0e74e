package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/tune"
)

// tuneQuickly are options of a search that takes no time.
var tuneQuickly = []string{"-trials", "5", "-factor", "2", "-epochs", "8", "-embedding", "2", "-search", "context=4,8", "-search", "components=2,4", "-seed", "3"}

// TestTuneIsRepeatable checks that a search finds the same with any number of workers, after an interruption, and from a journal that has it all; and that
// the command that it ends with trains the model that it has found.
func TestTuneIsRepeatable(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 40)
	args := append([]string{"tune", data, "-json"}, tuneQuickly...)
	status, want, errs := call(t, append(args, "-workers", "1")...)
	if status != cli.OK {
		t.Fatal(errs)
	}
	lines := strings.Split(strings.TrimSpace(want), "\n")
	if len(lines) != 5+3+2+1+1 {
		t.Fatalf("it says %s", want)
	}
	if status, got, errs := call(t, append(args, "-workers", "3")...); status != cli.OK || got != want {
		t.Errorf("with three workers: status %d, %s\n%s, with one\n%s", status, errs, got, want)
	}
	journal := filepath.Join(t.TempDir(), "tune.jsonl")
	ctx, cancel := context.WithCancel(t.Context())
	var errors bytes.Buffer
	out := writerFunc(func(p []byte) (int, error) {
		cancel() // when the first rung is done
		return len(p), nil
	})
	if status := program.Run(ctx, append(args, "-journal", journal), out, &errors); status != cli.Failed || !strings.Contains(errors.String(), "interrupted; the same call goes on from "+journal) {
		t.Fatalf("status %d, %s", status, errors.String())
	}
	kept := countLines(t, journal)
	if kept < 5 || kept >= 11 {
		t.Errorf("%d trainings were kept", kept)
	}
	for range 2 { // the second time all is known
		if status, got, errs := call(t, append(args, "-journal", journal)...); status != cli.OK || got != want {
			t.Errorf("from the journal: status %d, %s\n%s, want\n%s", status, errs, got, want)
		}
		if n := countLines(t, journal); n != 11 {
			t.Errorf("the journal has %d trainings", n)
		}
	}
	// Another seed is another search, which finds nothing there.
	other := append(append([]string{}, args...), "-journal", journal, "-seed", "4")
	if status, _, errs := call(t, other...); status != cli.OK {
		t.Error(errs)
	}
	if n := countLines(t, journal); n != 22 {
		t.Errorf("the journal has %d trainings of two searches", n)
	}

	var found struct {
		Best    tuneReport
		Command string
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &found); err != nil || found.Best.Loss == nil {
		t.Fatalf("%v: %s", err, lines[len(lines)-1])
	}
	words := strings.Fields(found.Command)
	file := filepath.Join(t.TempDir(), "model.safetensors")
	words[slices.Index(words, "model.safetensors")] = file
	if status, _, errs := call(t, words[1:]...); status != cli.OK || words[0] != "tpp" {
		t.Fatalf("%s: %s", found.Command, errs)
	}
	m, err := tpp.ReadModelFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := trainingOf(m.(network)).loss; got != *found.Best.Loss {
		t.Errorf("%s has the validation loss %v, tune said %v", found.Command, got, *found.Best.Loss)
	}
}

// TestTuneJournalOfBefore checks that a journal in which losses are those of epochs, without what a table of marks gains, is not taken for one of this search.
func TestTuneJournalOfBefore(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 40)
	args := []string{"tune", data, "-json", "-trials", "1", "-epochs", "1", "-kind", "truncnorm", "-encoder", "GRU", "-context", "4", "-mark-table"}
	status, want, errs := call(t, args...)
	if status != cli.OK {
		t.Fatal(errs)
	}
	journal := write(t, "tune.jsonl", `{"search":"caa06dd540484011","trial":0,"epochs":1,"options":{"batch":"","embedding":"","head":"","l2":"","rate":""},"loss":5}`+"\n")
	if status, got, errs := call(t, append(args, "-journal", journal)...); status != cli.OK || got != want {
		t.Errorf("status %d, %s\n%s, without the journal\n%s", status, errs, got, want)
	}
}

// writerFunc is a function that is written to.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func countLines(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

// TestTuneBegins checks that setting 0 are the defaults, that fixed options stay, and that numbers lie in their ranges.
func TestTuneBegins(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 40)
	status, out, errs := call(t, "tune", data, "-json", "-trials", "4", "-factor", "9", "-epochs", "2", "-context", "4", "-components", "2", "-search", "batch=8..16", "-end=false")
	if status != cli.OK {
		t.Fatal(errs)
	}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n")[:4] {
		var r tuneReport
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Trial == 0 && len(r.Options) != 1 || r.Trial > 0 && len(r.Options) != 6 || r.Trial > 0 && r.Options["mark-time"] == "" || r.Options["context"] != "" || len(r.Options["batch"]) > 2 || r.Epochs != 2 {
			t.Errorf("%+v", r)
		}
	}
	if !strings.Contains(out, "-context 4") || !strings.Contains(out, "-end=false") {
		t.Errorf("the command lacks what is fixed: %s", out)
	}
	// A switch is searched as any other option.
	status, out, errs = call(t, "tune", data, "-json", "-trials", "6", "-factor", "9", "-epochs", "1", "-context", "4", "-components", "2", "-search", "mark-table=true,false")
	if status != cli.OK || !strings.Contains(out, `"mark-table":"true"`) || !strings.Contains(out, `"mark-table":"false"`) {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	best, _, _ := strings.Cut(out, "\n")
	if !strings.Contains(best, `"mark-table":"true"`) { // rungs are sorted by their loss
		t.Errorf("in one epoch the table of marks is not of the best setting: %s", best)
	}
	for _, kind := range []string{"truncnorm", "race"} {
		input, trials := data, "2"
		if kind == "race" {
			input = calls(t)
		}
		status, out, errs := call(t, "tune", input, "-kind", kind, "-trials", trials, "-epochs", "2", "-search", "context=4,8")
		if status != cli.OK || !strings.Contains(out, "The lowest validation loss is") || !strings.Contains(out, "-kind "+kind) {
			t.Errorf("%s: status %d, %s%s", kind, status, out, errs)
		}
	}
}

// TestTunePrintsTheBest checks that people are shown the best settings of a rung, and told where there are more.
func TestTunePrintsTheBest(t *testing.T) {
	var results []tune.Result
	for i := range printed + 2 {
		results = append(results, tune.Result{Run: tune.Run{Trial: i}, Loss: float64(i)})
	}
	for n, heading := range map[int]string{printed + 2: "7 settings, 3 epochs each, the best 5\n", printed: "5 settings, 3 epochs each\n"} {
		var out strings.Builder
		if err := (&tuneSearch{tuning: &tuning{}}).printRung(0, 3, results[:n], &out); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), heading) || strings.Count(out.String(), "the defaults\n") != printed {
			t.Errorf("of %d settings it prints\n%s", n, out.String())
		}
	}
}

// TestTuneRefuses checks what cannot be searched.
func TestTuneRefuses(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 40)
	for _, c := range []struct {
		options string
		status  int
		want    string
	}{
		{"-trials 0", cli.Usage, "-trials is 0"},
		{"-factor 1", cli.Usage, "-factor is 1"},
		{"-epochs 0", cli.Usage, "-epochs is 0"},
		{"-workers -1", cli.Usage, "-workers"},
		{"-kind markov", cli.Usage, "has no options to search"},
		{"-kind arima", cli.Usage, "-kind is"},
		{"-o model", cli.Usage, "unknown option -o"},
		{"-search rate", cli.Usage, "is not NAME="},
		{"-search kind=race,lognormmix", cli.Usage, "no option to search"},
		{"-search o=a,b", cli.Usage, "no option to search"},
		{"-search nonsense=1,2", cli.Usage, "no option to search"},
		{"-search rate=0.1,0.2 -rate 0.1", cli.Usage, "stands on the line too"},
		{"-search rate=0.1,0.2 -search rate=1,2", cli.Usage, "stands twice"},
		{"-search rate=0..0.1", cli.Usage, "-rate is 0"},
		{"-search encoder=GRU,TCN", cli.Usage, "TCN"},
		{"-search context=1.5..3", cli.Usage, "whole"},
		{"-search regime=starts,arrivals", cli.Usage, "-regime is for -kind race"},
		{"-kind race -context 4 -components 4 -batch 8 -rate 0.1", cli.Usage, "nothing to search"},
		{"-journal " + data, cli.Usage, "that would be lost"},
	} {
		status, _, errs := call(t, append([]string{"tune", data}, strings.Fields(c.options)...)...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("%s: status %d, %s, want %q", c.options, status, errs, c.want)
		}
	}
	two := chain(t, "two.json", inOrder, 2)
	if status, _, errs := call(t, "tune", two); status != cli.Failed || !strings.Contains(errs, "no sequence is left for validation") {
		t.Errorf("status %d, %s", status, errs)
	}
	// Where all fail one says why, also setting 0, which has a rate that was drawn.
	status, _, errs := call(t, "tune", data, "-trials", "3", "-epochs", "2", "-context", "4", "-components", "2", "-schedule", "constant", "-search", "rate=1e37,1e38", "-clip", "0")
	if status != cli.Failed || !strings.Contains(errs, "every training failed, that of setting 0 so: the loss became") {
		t.Errorf("status %d, %s", status, errs)
	}
	// A rate at which trainings fail: they are the last, and the search goes on.
	status, out, errs := call(t, "tune", data, "-trials", "3", "-epochs", "2", "-context", "4", "-components", "2", "-search", "rate=1e30,1e31", "-json")
	first, rest, _ := strings.Cut(out, `{"rung":1`)
	if status != cli.OK || !strings.Contains(first, `"loss":null}`) || strings.Contains(rest, "null") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
}

// TestTuneLargeNumbers checks that ranges of whole numbers may end at a million and more, which print with an exponent otherwise.
func TestTuneLargeNumbers(t *testing.T) {
	data := chain(t, "chain.json", inOrder, 40)
	status, _, errs := call(t, "tune", data, "-kind", "race", "-trials", "1", "-epochs", "1", "-search", "batch=1000000..3000000")
	if status != cli.OK {
		t.Errorf("status %d, %s", status, errs)
	}
}

// TestTuneCommand checks that a command can be pasted into a shell.
func TestTuneCommand(t *testing.T) {
	o := tuning{dataset: "my data.json", fixed: []string{"-covariate=it's", "-coldstart=true", "-end=false"}}
	if got, want := o.command(nil, 7), `tpp train 'my data.json' -o model.safetensors -covariate 'it'\''s' -coldstart -end=false -epochs 7`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if line := (&tuneLine{Search: "a", Epochs: 1, Loss: new(math.Pi)}); tuneLines.Check(line) != nil || tuneLines.Check(&tuneLine{}) == nil || tuneLines.Check(&tuneLine{Search: "a"}) == nil {
		t.Error("lines are not told apart from others")
	}
}
