package main

import (
	"math"
	"strings"
	"testing"
)

// made returns a result with the scores by which models are compared.
func made(dataset, model string, split uint64, mae, accuracy float64) result {
	return result{
		Dataset: dataset, Fingerprint: "f", Traces: 10, Model: model, Split: split, Seconds: float64(split),
		Scores: scores{"mae": mae, "accuracy": accuracy, "nll_resolution": math.NaN()},
	}
}

// example has two datasets. On the first, truncnorm has the better error on the splits that both have, and lognormmix the better accuracy.
func example() ([]*comparison, []string) {
	return compareAll([]result{
		made("low", "lookup-mark", 1, 14, 0.7), made("low", "truncnorm", 1, 8, 0.8), made("low", "lognormmix", 1, 10, 0.9),
		made("low", "lookup-mark", 2, 26, 0.7), made("low", "truncnorm", 2, 18, 0.8), made("low", "lognormmix", 2, 22, 0.9),
		made("low", "lognormmix", 3, 1, 0.9),
		made("high", "poisson", 1, 700, 0.1), made("high", "lookup-mark", 1, 500, 0.7),
	}, names(candidates(0)))
}

func TestComparisonByHand(t *testing.T) {
	all, models := example()
	if got := strings.Join(models, " "); got != "lognormmix truncnorm poisson lookup-mark" {
		t.Errorf("the models are %s", got)
	}
	c := all[0]
	if s := c.score("lookup-mark", "mae"); s.mean != 20 || s.deviation != math.Sqrt(72) || s.n != 2 {
		t.Errorf("mae of lookup-mark is %+v, want 20 ± √72 of 2", s)
	}
	if s := c.score("lognormmix", "seconds"); s.mean != 2 || s.deviation != 1 {
		t.Errorf("seconds are %+v, want 2 ± 1", s)
	}
	// On splits 1 and 2: 6 and 8 more, with a deviation of √2 and so a standard error of 1.
	if s := c.paired("lookup-mark", "truncnorm", "mae"); s.mean != 7 || math.Abs(s.standardError()-1) > 1e-12 || s.n != 2 {
		t.Errorf("lookup-mark − truncnorm is %+v, want 7 ± 1", s)
	}
	for _, want := range []struct {
		column      int
		here, table string
	}{{0, "truncnorm", "lookup-mark"}, {1, "lognormmix", "lookup-mark"}, {2, "", ""}} {
		if got := c.best(here(), columns[want.column]); got != want.here {
			t.Errorf("best %s here: %q, want %q", columns[want.column].name, got, want.here)
		}
		if got := c.best(tables(), columns[want.column]); got != want.table {
			t.Errorf("best %s of tables: %q, want %q", columns[want.column].name, got, want.table)
		}
	}
	if got := all[1].reference(columns[0]); got != "lookup-mark" {
		t.Errorf("without a model here the reference is %q, want the best table", got)
	}
}

func TestText(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		v, spread float64
		decimals  int
		signed    bool
		want      string
	}{
		{1.26, 0.34, 1, false, "1.3 ± 0.3"}, {1.26, nan, 1, true, "+1.3"}, {-1.26, 0.34, 1, true, "−1.3 ± 0.3"},
		{-0.01, 0, 1, true, "0.0 ± 0.0"}, {0.01, 0.2, 1, true, "0.0 ± 0.2"}, {-0.01, nan, 0, false, "0"}, {nan, 1, 1, false, "–"}, {math.Inf(1), nan, 1, true, "–"},
	} {
		if got := text(c.v, c.spread, c.decimals, c.signed); got != c.want {
			t.Errorf("text(%v, %v, %d, %t) = %q, want %q", c.v, c.spread, c.decimals, c.signed, got, c.want)
		}
	}
}

func TestTables(t *testing.T) {
	all, models := example()
	p := &publishedResults{{"low": {16.3, 0.95}}, {"low": {12, math.NaN()}}}
	var text, markdown strings.Builder
	if err := writeText(&text, tablesOf(all, models, p)); err != nil {
		t.Fatal(err)
	}
	if err := writeMarkdown(&markdown, tablesOf(all, models, p)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"low: 10 traces, mean ± standard deviation over 3 splits, seeds 1 to 3\n\n| model | mae (ms) | accuracy | nll_resolution | seconds |\n|---|---:|---:|---:|---:|\n",
		"| truncnorm (2 splits) | 13.0 ± 7.1 | 0.8000 ± 0.0000 | – | 1.5 ± 0.7 |\n",
		"| published | 16.3 | 0.9500 | – | – |\n| published+coldstart | 12.0 | – | – | – |\n",
		"| compared with | truncnorm | lookup-mark | lognormmix | lookup-mark | – | – |\n",
		"| lognormmix | +3.0 ± 1.0 | −4.0 ± 0.0 | = | +0.2000 ± 0.0000 | – | – |\n",
		"| truncnorm | = | −7.0 ± 1.0 | −0.1000 ± 0.0000 | +0.1000 ± 0.0000 | – | – |\n",
		"mae (ms) on all datasets\n\n| dataset | lognormmix | truncnorm | poisson | lookup-mark | published | published+coldstart |\n",
		"| high | – | – | 700.0 | 500.0 | – | – |\n",
	} {
		if !strings.Contains(markdown.String(), want) {
			t.Errorf("the Markdown lacks %q:\n%s", want, markdown.String())
		}
	}
	if want := "  truncnorm (2 splits)    13.0 ± 7.1   0.8000 ± 0.0000  –               1.5 ± 0.7\n"; !strings.Contains(text.String(), want) {
		t.Errorf("the text lacks %q:\n%s", want, text.String())
	}
}

func TestChoose(t *testing.T) {
	known := []string{"lognormmix", "lognormmix+coldstart", "truncnorm", "lookup-mark", "lookup-set"}
	for list, want := range map[string]string{
		"lognormmix": "lognormmix", "lookup": "lookup-mark lookup-set", "log": "lognormmix lognormmix+coldstart",
		"lookup-set, truncnorm": "truncnorm lookup-set", "all": strings.Join(known, " "), "lognormmix+": "lognormmix+coldstart",
	} {
		got, err := choose(known, list)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q chooses %q, %v, want %q", list, got, err, want)
		}
	}
	for _, list := range []string{"", "lognormmix,", "hawks"} {
		if got, err := choose(known, list); err == nil {
			t.Errorf("%q chooses %q", list, got)
		}
	}
}

// TestDatasetsOfOneName keeps datasets apart that have a name in common, such as a recorded and a simulated one.
func TestDatasetsOfOneName(t *testing.T) {
	recorded, simulated := made("low", "poisson", 1, 10, 0.5), made("low", "poisson", 1, 20, 0.5)
	simulated.Fingerprint = "0123456789abcdef"
	all, _ := compareAll([]result{recorded, simulated}, names(candidates(0)))
	if len(all) != 2 || all[0].label != "low" || all[1].label != "low (another: 01234567)" || all[1].score("poisson", "mae").mean != 20 {
		t.Errorf("%d datasets, %+v", len(all), all)
	}
}
