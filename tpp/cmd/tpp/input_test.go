package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/cli"
)

// secondsLog is the chain of the tests as an event log in epoch seconds, under column names that are not known.
func secondsLog(t *testing.T) (log string, options []string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "log.csv")
	if status, _, errs := call(t, "convert", chain(t, "c.json", inOrder, 30), "-o", out); status != cli.OK {
		t.Fatal(errs)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		cells := strings.Split(line, ",")
		if i == 0 {
			b.WriteString("who,when,what\n")
			continue
		}
		// The times of the chain are below 1e9 ms.
		ms := strings.Repeat("0", 9-len(cells[1])) + cells[1]
		b.WriteString(cells[0] + ",1620" + ms[:6] + "." + ms[6:] + "," + cells[2] + "\n")
	}
	return write(t, "log.csv", b.String()), []string{"-unit", "s", "-time", "when"}
}

func TestEveryCommandReadsCSV(t *testing.T) {
	log, options := secondsLog(t)
	dir := t.TempDir()
	model := filepath.Join(dir, "m.safetensors")
	both := []string{"-sequence", "who", "-mark", "what"}
	for _, c := range []struct {
		args, options []string
		says          string
	}{
		{append([]string{"train", log, "-o", model}, quick...), both, "6 sequences with 12 scored events"},
		{[]string{"train", log, "-o", filepath.Join(dir, "p.safetensors"), "-kind", "poisson"}, both, "6 sequences with 12 scored events"},
		{[]string{"train", log, "-kind", "poisson", "-repeat", "2"}, both, "mean"},
		{[]string{"evaluate", model, log}, both, "60"},
		{[]string{"evaluate", model, log, "-part", "test"}, both, "12"},
		{[]string{"inspect", log}, both, "30, of 3 to 3 events"},
		{[]string{"convert", log, "-o", filepath.Join(dir, "o.json")}, both, "30 sequences, 90 events, 3 marks"},
		{[]string{"predict", model, log, "-sequence", "1"}, []string{"-sequence-column", "who", "-mark", "what"}, "Sequence 1, 3 events"},
		{[]string{"sample", model, "-n", "3", "-given", log, "-max-events", "1000000", "-window", "100", "-o", filepath.Join(dir, "s.json")}, both, "3 sequences"},
		{[]string{"plot", model, log, "-sequence", "1", "-o", filepath.Join(dir, "a.png")}, []string{"-sequence-column", "who", "-mark-column", "what"}, ""},
	} {
		status, out, errs := call(t, append(append(c.args, options...), c.options...)...)
		if status != cli.OK || !strings.Contains(out, c.says) || strings.Contains(errs, "warning") {
			t.Errorf("%v: status %d, %s%s", c.args, status, out, errs)
		}
	}
}

// TestNoUnitForSpans checks that the warning of spans' times does not name an option that spans refuse.
func TestNoUnitForSpans(t *testing.T) {
	spans := write(t, "spans.json", `[{"traceId":"1","id":"1","timestamp":1700000000000,"name":"main","kind":"SERVER"},{"traceId":"1","id":"2","parentId":"1","timestamp":1700000000900,"name":"f","kind":"SERVER"}]`)
	if _, _, errs := call(t, "inspect", spans); !strings.Contains(errs, "before 1990") || strings.Contains(errs, "-unit") {
		t.Error(errs)
	}
}

func TestWarningsNameTheOption(t *testing.T) {
	log, _ := secondsLog(t)
	seconds := write(t, "seconds.csv", "user,ts\na,1620831914\na,1620831920\na,1620831921\nb,1620831914\nb,1620831928\nc,1620831914\nc,1620831928\n")
	dir := t.TempDir()
	model := filepath.Join(dir, "m.safetensors")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"train", seconds, "-o", model, "-kind", "poisson"}, "look like seconds since 1970, but are read as milliseconds; -unit s reads them so"},
		{[]string{"evaluate", model, seconds}, "-unit s"},
		{[]string{"inspect", seconds}, "-unit s"},
		{[]string{"inspect", log, "-time", "when", "-sort"}, "has no column of sequences among"},
		{[]string{"inspect", log, "-time", "when", "-sort"}, "-sequence COLUMN says"},
		{[]string{"predict", model, write(t, "one.csv", "ts\n1\n5\n")}, "-sequence-column COLUMN says"},
		{[]string{"inspect", write(t, "fine.csv", "user,ts\na,0.1\na,0.2\n")}, "-unit says what its numbers count"},
	} {
		status, _, errs := call(t, c.args...)
		if status != cli.OK || !strings.Contains(errs, "warning: ") || !strings.Contains(errs, c.says) {
			t.Errorf("%v: status %d, %s; want it to say %q", c.args, status, errs, c.says)
		}
	}
	if status, _, errs := call(t, "inspect", log); status != cli.Failed || !strings.Contains(errs, "-time COLUMN") {
		t.Errorf("without a known column of times: status %d, %s", status, errs)
	}
	if status, _, errs := call(t, "sample", model, "-o", filepath.Join(dir, "s.json"), "-unit", "s"); status != cli.Usage || !strings.Contains(errs, "-given") {
		t.Errorf("-unit without a dataset: status %d, %s", status, errs)
	}
	if status, _, errs := call(t, "evaluate", model, write(t, "j.json", `{"sequences": []}`), "-mark", "x"); status == cli.OK || !strings.Contains(errs, "-mark means nothing") {
		t.Errorf("-mark with JSON: status %d, %s", status, errs)
	}
}

func TestCSVWithoutEventsIsAnError(t *testing.T) {
	model, _ := trained(t)
	header := write(t, "h.csv", "sequence,time,mark\n")
	out := filepath.Join(t.TempDir(), "o.json")
	for _, args := range [][]string{{"inspect", header}, {"convert", header, "-o", out}, {"evaluate", model, header}, {"predict", model, header}, {"train", header, "-o", out}} {
		if status, _, errs := call(t, args...); status != cli.Failed || !strings.Contains(errs, "no event below it") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("an output was written")
	}
	if status, _, errs := call(t, "inspect", write(t, "e.json", `{"sequences": []}`)); status != cli.OK || !strings.Contains(errs, "has no sequence") {
		t.Errorf("a dataset without sequences: status %d, %s", status, errs)
	}
}

func TestADatasetAsModel(t *testing.T) {
	model, data := trained(t)
	zipped := chain(t, "z.json.gz", inOrder, 3)
	out := filepath.Join(t.TempDir(), "o.json")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"predict", data, model}, model + " is a model: it stands before the dataset"},
		{[]string{"predict", zipped, model}, "it stands before"},
		{[]string{"plot", data, model, "-o", filepath.Join(t.TempDir(), "x.png")}, "it stands before"},
		{[]string{"predict", data, data}, "tpp train makes a model"},
		{[]string{"sample", data, "-o", out}, "it is text or gzipped, as datasets are; tpp train makes a model of one"},
		{[]string{"sample", write(t, "d.csv", "user,time\na,1\n"), "-o", out}, "it is text or gzipped, as datasets are"},
		{[]string{"predict", write(t, "notes.md", "# No dataset either\n"), data}, "notes.md: not a safetensors file as models are: it is text or gzipped, as datasets are"},
		{[]string{"evaluate", data, data}, "0 models and 2 datasets"},
	} {
		if status, _, errs := call(t, c.args...); status != cli.Failed || !strings.Contains(errs, c.says) {
			t.Errorf("%v: status %d, %s; want %q", c.args, status, errs, c.says)
		}
	}
}

func TestWindowsWithoutEventsInCommands(t *testing.T) {
	var b strings.Builder
	b.WriteString("sequence,time,mark,t_start,t_end\n")
	for i := range 40 {
		start := strconv.Itoa(i * 1000)
		end := strconv.Itoa(i*1000 + 1000)
		if i%2 == 0 {
			b.WriteString(strconv.Itoa(i) + ",,," + start + "," + end + "\n")
		} else {
			b.WriteString(strconv.Itoa(i) + "," + strconv.Itoa(i*1000+100+17*i%800) + ",a," + start + "," + end + "\n")
		}
	}
	data, dir := write(t, "w.csv", b.String()), t.TempDir()
	for _, kind := range []string{"poisson", "renewal", "markov", "hawkes", "lognormmix"} {
		model := filepath.Join(dir, kind)
		args := []string{"train", data, "-o", model, "-kind", kind}
		if kind == "lognormmix" {
			args = append(args, quick...)
		}
		if status, _, errs := call(t, args...); status != cli.OK {
			t.Errorf("%s: %s", kind, errs)
			continue
		}
		for _, args := range [][]string{
			{"evaluate", model, data}, {"predict", model, data}, {"inspect", data}, {"sample", model, "-n", "20", "-window", "1000", "-o", filepath.Join(dir, "s.csv")},
			{"inspect", filepath.Join(dir, "s.csv")}, {"plot", model, data, "-what", "pit", "-o", filepath.Join(dir, "p.png")},
			{"sample", model, "-n", "20", "-window", "2000", "-given", data, "-o", filepath.Join(dir, "s.json")}, {"convert", data, "-o", filepath.Join(dir, "c.jsonl")},
		} {
			if status, _, errs := call(t, args...); status != cli.OK {
				t.Errorf("%v: %s", args, errs)
			}
		}
	}
}
