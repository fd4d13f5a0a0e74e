package experiment

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/lab"
)

// mostRows is about how many rows the table of a run has.
const mostRows = 20

// Every returns the length of the intervals that suits a table of the runs.
func Every(runs []*Run) time.Duration {
	for _, every := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute} {
		if runs[0].End <= mostRows*every {
			return every
		}
	}
	return runs[0].End / mostRows
}

// Tables returns the course of each run in intervals, its changes of the number of replicas, and at last all runs in a row each.
func Tables(e *Experiment, runs []*Run, every time.Duration) []*lab.Table {
	var tables []*lab.Table
	for _, r := range runs {
		tables = append(tables, r.course(every), r.changes())
	}
	return append(tables, Comparison(e, runs))
}

// course returns the course of the run.
func (r *Run) course(every time.Duration) *lab.Table {
	t := &lab.Table{
		Caption: fmt.Sprintf("%s, %s: means of %v; latencies in s", r.Experiment.Name, r.Policy, every),
		Head:    []string{"from", string(r.Experiment.Load.Kind), "wanted", "ready", "in flight", "done/s", "mean", "p95", "429/s"},
	}
	for _, row := range r.Rows(every) {
		t.Rows = append(t.Rows, []string{
			clock(time.Duration(row.From * float64(time.Second))), number(row.Load, 1), number(row.Wanted, 1), number(row.Ready, 1), number(row.InFlight, 1),
			number(row.Done, 2), row.Mean.text(), row.P95.text(), number(row.Refused, 2),
		})
	}
	return t
}

// changes returns the changes of the number of replicas.
func (r *Run) changes() *lab.Table {
	t := &lab.Table{
		Caption: fmt.Sprintf("%s, %s: changes; mean latency in s before and after", r.Experiment.Name, r.Policy),
		Head:    []string{"at", "replicas", "ready at", "before", "after", "because"},
	}
	for _, a := range r.Around() {
		ready := "-"
		if a.Ready >= 0 {
			ready = clock(a.Ready)
		}
		t.Rows = append(t.Rows, []string{clock(a.At), fmt.Sprintf("%d → %d", a.From, a.To), ready, a.Before.text(), a.After.text(), a.Rule})
	}
	if len(t.Rows) == 0 {
		t.Rows = [][]string{{"never", "", "", "", "", ""}}
	}
	return t
}

// Comparison returns all runs of an experiment in a row each.
func Comparison(e *Experiment, runs []*Run) *lab.Table {
	t := &lab.Table{
		Caption: e.Name + ": " + e.Title + "; latencies in s from the first try",
		Head:    []string{"policy", "done", "429", "open", "mean", "p50", "p95", "p99", "replicas", "replica·s", "last"},
	}
	for _, r := range runs {
		s := r.Summary()
		t.Rows = append(t.Rows, []string{
			s.Policy, strconv.Itoa(s.Done), strconv.Itoa(s.Refused), strconv.Itoa(s.Open), s.Mean.text(), s.P50.text(), s.P95.text(), s.P99.text(),
			strconv.Itoa(s.Replicas), number(s.ReplicaSeconds, 0), clock(time.Duration(s.Last * float64(time.Second))),
		})
	}
	return t
}

// number returns a number with decimals.
func number(v float64, decimals int) string { return strconv.FormatFloat(v, 'f', decimals, 64) }

// text returns the seconds with two decimals, - for none.
func (s Seconds) text() string {
	if !s.Known() {
		return "-"
	}
	return number(float64(s), 2)
}

// clock returns a time as minutes and seconds.
func clock(t time.Duration) string {
	t = t.Round(time.Second)
	return fmt.Sprintf("%d:%02d", t/time.Minute, t%time.Minute/time.Second)
}
