package main

import (
	"fmt"
	"math"
	"strings"
)

// row is a row of a table.
type row struct {
	name  string
	truth bool
	scores
	validation float64
	spread     float64 // between the highest and the lowest likelihood of several seeds
	seconds    float64
}

// averaged returns the row of a candidate, over its seeds.
func averaged(name string, results []*result) row {
	r := row{name: name}
	n := float64(len(results))
	lowest, highest := math.Inf(1), math.Inf(-1)
	for _, from := range results {
		to := r.scores.all()
		for i, v := range from.scores.all() {
			*to[i] += *v / n
		}
		r.validation += from.Validation / n
		r.seconds += from.Seconds / n
		lowest, highest = min(lowest, from.LogLikelihood), max(highest, from.LogLikelihood)
	}
	r.spread = highest - lowest
	return r
}

// all returns the scores in their order.
func (s *scores) all() []*float64 {
	return []*float64{&s.LogLikelihood, &s.Error, &s.ErrorAtTime, &s.RMSE, &s.RMSEMedian, &s.TMAP, &s.OTD, &s.Coverage}
}

// table is the table of a set.
type table struct {
	set  *set
	rows []row
}

// chosen returns the index of the row that validation chooses.
func (t *table) chosen() int {
	best := -1
	for i, r := range t.rows {
		if !r.truth && (best < 0 || r.validation > t.rows[best].validation) {
			best = i
		}
	}
	return best
}

// write writes the table as Markdown.
func (t *table) write(w *strings.Builder) {
	s := t.set
	events := 0
	for i := range s.test.Sequences {
		events += s.test.Sequences[i].NumScored()
	}
	fmt.Fprintf(w, "\n### %s\n\n%s %d, %d and %d sequences; %d events are scored in the test part. Times in %s.\n\n", s.name, s.about,
		len(s.training.Sequences), len(s.validation.Sequences), len(s.test.Sequences), events, s.unit)
	w.WriteString("| model | log-likelihood | validation | wrong mark | wrong mark, time known | RMSE, mean | RMSE, median | T-mAP | OTD | in 90 % interval | training |\n")
	w.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	chosen := t.chosen()
	for i, r := range t.rows {
		name, seconds := r.name, fmt.Sprintf("%.0f s", r.seconds)
		if r.seconds < 9.95 {
			seconds = fmt.Sprintf("%.1f s", r.seconds)
		}
		if i == chosen {
			name = "**" + name + "**"
		}
		if r.truth {
			seconds = ""
		}
		likelihood := fmt.Sprintf("%.3f", r.LogLikelihood)
		if r.spread > 0 {
			likelihood += fmt.Sprintf(" (spread %.3f)", r.spread)
		}
		fmt.Fprintf(w, "| %s | %s | %.3f | %.2f %% | %.2f %% | %.3f | %.3f | %.3f | %.3f | %.3f | %s |\n", name, likelihood, r.validation, 100*r.Error, 100*r.ErrorAtTime,
			r.RMSE, r.RMSEMedian, r.TMAP, r.OTD, r.Coverage, seconds)
	}
	for _, p := range s.published {
		fmt.Fprintf(w, "| *%s* | %s | | %s | | %s | | | | | |\n", p.name, p.logLikelihood, p.wrong, p.rmse)
	}
	for _, p := range s.published {
		fmt.Fprintf(w, "\n*%s*: %s\n", p.name, p.source)
	}
}
