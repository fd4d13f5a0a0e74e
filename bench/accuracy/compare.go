package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// column is a score in the tables.
type column struct {
	name, title string
	decimals    int
	larger      bool // whether larger is better
}

// columns are the scores by which models are compared.
var columns = []column{
	{name: "mae", title: "mae (ms)", decimals: 1},
	{name: "accuracy", title: "accuracy", decimals: 4, larger: true},
	{name: "nll_resolution", title: "nll_resolution", decimals: 3},
}

// comparison holds the results on a dataset.
type comparison struct {
	dataset string
	label   string // the name, and where several datasets have it part of the fingerprint
	traces  int
	models  []string // in the order of the candidates
	splits  []uint64 // ascending
	of      map[string]map[uint64]*result
}

// compareAll groups results by dataset, in the order in which they come, models in the order of names. It also returns all models of which
// there are results.
func compareAll(results []result, names []string) (out []*comparison, models []string) {
	place := map[[2]string]*comparison{}
	count := map[string]int{}
	for i := range results {
		r := &results[i]
		c := place[[2]string{r.Dataset, r.Fingerprint}]
		if c == nil {
			c = &comparison{dataset: r.Dataset, label: r.Dataset, traces: r.Traces, of: map[string]map[uint64]*result{}}
			if count[r.Dataset]++; count[r.Dataset] > 1 {
				c.label = fmt.Sprintf("%s (another: %.8s)", r.Dataset, r.Fingerprint)
			}
			place[[2]string{r.Dataset, r.Fingerprint}] = c
			out = append(out, c)
		}
		if c.of[r.Model] == nil {
			c.of[r.Model] = map[uint64]*result{}
			c.models = append(c.models, r.Model)
		}
		c.of[r.Model][r.Split] = r
		if !slices.Contains(c.splits, r.Split) {
			c.splits = append(c.splits, r.Split)
		}
	}
	rank := func(name string) int {
		if i := slices.Index(names, name); i >= 0 {
			return i
		}
		return len(names)
	}
	for _, c := range out {
		slices.SortStableFunc(c.models, func(a, b string) int { return rank(a) - rank(b) })
		slices.Sort(c.splits)
		for _, model := range c.models {
			if !slices.Contains(models, model) {
				models = append(models, model)
			}
		}
	}
	slices.SortStableFunc(models, func(a, b string) int { return rank(a) - rank(b) })
	return out, models
}

// summary is the mean of n numbers, and their sample standard deviation: NaN for a single one.
type summary struct {
	mean, deviation float64
	n               int
}

func summarise(values []float64) summary {
	s := summary{n: len(values)}
	for _, v := range values {
		s.mean += v
	}
	s.mean /= float64(s.n)
	squares := 0.0
	for _, v := range values {
		squares += (v - s.mean) * (v - s.mean)
	}
	s.deviation = math.Sqrt(squares / float64(s.n-1))
	return s
}

// standardError is that of the mean.
func (s summary) standardError() float64 { return s.deviation / math.Sqrt(float64(s.n)) }

// score summarises a score of a model over the splits.
func (c *comparison) score(model, name string) summary { return c.scoreOn(c.splits, model, name) }

func (c *comparison) scoreOn(splits []uint64, model, name string) summary {
	var values []float64
	for _, split := range splits {
		if r := c.of[model][split]; r != nil {
			values = append(values, r.value(name))
		}
	}
	return summarise(values)
}

// paired summarises how much higher a score of one model is than that of another, over the splits that both have.
func (c *comparison) paired(model, than, name string) summary {
	return c.relative(model, than, name, func(a, b float64) float64 { return a - b })
}

// relative summarises a score of one model in relation to that of another, over the splits that both have.
func (c *comparison) relative(model, to, name string, relation func(a, b float64) float64) summary {
	var values []float64
	for _, split := range c.splits {
		if a, b := c.of[model][split], c.of[to][split]; a != nil && b != nil {
			values = append(values, relation(a.value(name), b.value(name)))
		}
	}
	return summarise(values)
}

func (r *result) value(name string) float64 {
	if name == "seconds" {
		return r.Seconds
	}
	return r.Scores.value(name)
}

// best returns which of the models has the best mean, over the splits that all of them have or, if there are none, over those of each. It
// returns "" if no model has the score.
func (c *comparison) best(among []string, of column) string {
	models := slices.DeleteFunc(slices.Clone(c.models), func(model string) bool {
		return !slices.Contains(among, model) || math.IsNaN(c.score(model, of.name).mean)
	})
	common := slices.DeleteFunc(slices.Clone(c.splits), func(split uint64) bool {
		return slices.ContainsFunc(models, func(model string) bool { return c.of[model][split] == nil })
	})
	if len(common) == 0 {
		common = c.splits
	}
	best, mean := "", math.NaN()
	for _, model := range models {
		v := c.scoreOn(common, model, of.name).mean
		if best == "" || of.larger && v > mean || !of.larger && v < mean {
			best, mean = model, v
		}
	}
	return best
}

// text writes a number with its spread; a dash for what is no number.
func text(v, spread float64, decimals int, signed bool) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	out := strconv.FormatFloat(v, 'f', decimals, 64)
	digits := strings.TrimPrefix(out, "-")
	switch {
	case strings.Trim(digits, "0.") == "":
		out = digits // no sign of what is rounded away
	case v < 0:
		out = "−" + digits
	case signed:
		out = "+" + digits
	}
	if !math.IsNaN(spread) {
		out += " ± " + strconv.FormatFloat(spread, 'f', decimals, 64)
	}
	return out
}
