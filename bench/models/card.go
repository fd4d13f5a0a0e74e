package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/simd"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// score is a score on the test part.
type score struct {
	name     string
	value    float64
	decimals int
}

func (s score) text() string { return strconv.FormatFloat(s.value, 'f', s.decimals, 64) }

// scoreNames heads the scores in cards and in the index, in the order of a card's scores.
var scoreNames = []string{"nll_resolution", "mae (ms)", "accuracy", "coverage_50", "coverage_90"}

// card is what is said of a model.
type card struct {
	name   string // of the dataset
	kind   kind
	model  model
	from   tpp.TrainingData
	data   *tpp.Dataset
	test   *tpp.Dataset
	events int // of the test part that are scored
	scores []score
}

// kernelNames name the instruction sets as people do.
var kernelNames = map[string]string{"avx512": "AVX-512", "avx2": "AVX2", "portable": "portable"}

// madeWith says in a card which kernels compute.
func madeWith() string { return "with " + kernelNames[simd.Active()] + " kernels" }

// newCard scores a model on the test part of its dataset.
func newCard(ctx context.Context, name string, k kind, m model, from tpp.TrainingData, data, test *tpp.Dataset) (*card, error) {
	s, err := eval.Evaluate(ctx, m, test, eval.EvaluateOptions{})
	if err != nil {
		return nil, err
	}
	c := &card{name: name, kind: k, model: m, from: from, data: data, test: test, events: s.Events}
	for i, v := range []float64{s.NLLResolution, s.MAE, s.Accuracy, s.Coverage50, s.Coverage90} {
		c.scores = append(c.scores, score{scoreNames[i], v, []int{3, 2, 4, 3, 3}[i]})
	}
	return c, nil
}

// key names the model in the index.
func (c *card) key() string { return c.name + "." + c.kind.name }

// scored returns the cells of the scores in a table.
func (c *card) scored() string {
	cells := make([]string, len(c.scores))
	for i, s := range c.scores {
		cells[i] = s.text()
	}
	return strings.Join(cells, " | ") + " |"
}

// row is the row of the index.
func (c *card) row(bytes int) string {
	return fmt.Sprintf("| [%s](%s.md) | %s | %s", c.key(), c.key(), size(bytes), c.scored())
}

func size(bytes int) string { return fmt.Sprintf("%d kB", (bytes+500)/1000) }

// text is the card in Markdown.
func (c *card) text() string {
	training, validation, _ := c.data.Split(c.from.Seed)
	file := "models/" + c.key() + modelSuffix
	return fmt.Sprintf(`# %s

Predicts, after each invocation of a trace of %s,
when the next one arrives, of which function, and whether the trace is over. %s

**Data.** [%s](../data/%s.md): %d traces, %d invocations of %d functions. Its fingerprint is %s.

**Split.** At random with the seed %d: %d traces to train on, %d to %s, and the %d on which it is scored.

**Settings.** The defaults of %s. %s

**Scores** on the test part, %d invocations (%s says what they are):

| %s |
|%s
| %s

**Never shown** to it:

%s

**Use.** Of this dataset, evaluate scores the test part alone, of which the trace in the second line is the first:

    tpp evaluate %s data/%s -all
    tpp predict %s data/%s -sequence %d

**Made by** the command below, %s and the seed %d: the same bytes wherever these are available.
%s gives the same parameters where it chooses these kernels.

    go run ./bench/models %s
`,
		c.key(), c.subject(), c.kind.predicts, c.name, c.name, len(c.data.Sequences), c.data.NumEvents(), len(c.data.MarkNames), code(c.from.Fingerprint),
		c.from.Seed, len(training.Sequences), len(validation.Sequences), c.kind.validate, len(c.test.Sequences),
		code(strings.TrimSpace("tpp train "+c.kind.flags)), settings(c.model),
		c.events, "[Modelling](../docs/modelling.md#scores)", strings.Join(scoreNames, " | "), strings.Repeat("--:|", len(scoreNames)), c.scored(),
		strings.Join(c.neverShown(), "\n"), file, c.from.Name, file, c.from.Name, firstOf(c.test, c.data),
		madeWith(), c.from.Seed, code(fmt.Sprintf("tpp train data/%s %s-seed %d", c.from.Name, c.kind.flags, c.from.Seed)), c.name)
}

// firstOf returns the index in a dataset of the first sequence of a part of it.
func firstOf(part, data *tpp.Dataset) int {
	return slices.IndexFunc(data.Sequences, func(s tpp.Sequence) bool {
		return slices.Equal(s.ArrivalTimes, part.Sequences[0].ArrivalTimes)
	})
}

func code(text string) string { return "`" + text + "`" }

// subject names the composition and what its traces are like.
func (c *card) subject() string {
	n := c.composition()
	if n.application == "" {
		return c.name
	}
	return fmt.Sprintf("the composition [%s](../apps/%s) at %s load, with %s sleeps", n.application, n.application, n.load, n.durations)
}

// composition is what the name of a dataset in data/ says.
type composition struct {
	application, load, otherLoad, durations, otherDurations string
}

func (c *card) composition() composition {
	load, rest, _ := strings.Cut(c.name, "_")
	i := strings.LastIndex(rest, "_")
	other := map[string]string{"low": "high", "high": "low"}[load]
	if i < 0 || other == "" {
		return composition{}
	}
	n := composition{application: rest[:i], load: load, otherLoad: other, durations: "fixed", otherDurations: "random"}
	if rest[i+1:] == "rand" {
		n.durations, n.otherDurations = n.otherDurations, n.durations
	}
	return n
}

// neverShown lists what the model has not learned from.
func (c *card) neverShown() []string {
	list := []string{"the test part"}
	if n := c.composition(); n.application != "" {
		cold := fmt.Sprintf("%.2f %% of the invocations here are cold starts", 100*coldShare(c.data))
		if n.load == "low" {
			list = append(list, "high load, with the waits and cold starts of bursts: "+cold)
		} else {
			list = append(list, "a load of other bursts, or of bursts alone: "+cold)
		}
		list = append(list,
			fmt.Sprintf("%s sleeps, other durations, and other compositions", n.otherDurations),
			"a real OpenWhisk: the traces are sampled in virtual time on the built-in platform",
			"traces with anomalies: functions that fail, take too long, or do not come")
	}
	running, started := false, false
	for i := range c.data.Sequences {
		s := &c.data.Sequences[i]
		running, started = running || s.TEnd != nil, started || s.TStart != nil
	}
	if !running {
		list = append(list, "traces that were still running when observation stopped (`t_end`): each was complete")
	}
	if !started {
		list = append(list, "when requests begin (`t_start`): the first invocation of a trace is given, not predicted")
	}
	if len(c.model.CovariateNames()) == 0 {
		list = append(list, "covariates, and the waits and initialisations in the data: it is told arrivals and functions alone")
	}
	for i := range list {
		end := ";"
		if i == len(list)-1 {
			end = "."
		}
		list[i] = "- " + list[i] + end
	}
	if n := c.composition(); n.application != "" {
		twin := fmt.Sprintf("%s_%s", n.otherLoad, strings.TrimPrefix(c.name, n.load+"_"))
		list = append(list, "", fmt.Sprintf("Most traces of %s stand in %s too: scores on that one would be of what it has seen.", c.name, twin))
	}
	return list
}

// coldShare returns the share of cold starts.
func coldShare(d *tpp.Dataset) float64 {
	cold := 0
	for i := range d.Sequences {
		s := &d.Sequences[i]
		for k := range s.Len() {
			if s.ColdStart(k) {
				cold++
			}
		}
	}
	return float64(cold) / float64(max(d.NumEvents(), 1))
}

func writeText(path, text string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}
