package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// autoHorizon is the -horizon that is derived from the dataset.
const autoHorizon = "auto"

// forecastFlags are the options of forecasts of several events.
func (e *evaluation) forecastFlags(fs *flag.FlagSet) {
	f := &e.opts.Forecasts
	fs.StringVar(&e.horizon, "horizon", "", "score forecasts of all events that come within that many `ms`; auto: ten times the mean gap of the dataset (default: none)")
	fs.Float64Var(&f.Tolerance, "tolerance", 0, "how far a forecast event may be from the one that came, in `ms` (default: a fifth of -horizon)")
	fs.IntVar(&f.Prefix, "prefix", 1, "number of `events` that the first forecast of a sequence knows")
	fs.IntVar(&f.PrefixStep, "prefix-step", 1, "number of `events` from one forecast to the next")
	fs.IntVar(&f.NextEvents, "otd", 0, "score forecasts of that many `events` by their optimal-transport distance (default: 10 with -horizon, else none)")
	fs.Float64Var(&f.EditCost, "otd-cost", 0, "what an event too many or too few costs in it, in `ms` (default: half of -tolerance, without -horizon 1000)")
}

// setForecasts checks the options of forecasts, and sets those that do not depend on the dataset.
func (e *evaluation) setForecasts(fs *flag.FlagSet) error {
	f := &e.opts.Forecasts
	if e.horizon != "" && e.horizon != autoHorizon {
		var err error
		if f.Horizon, err = strconv.ParseFloat(e.horizon, 64); err != nil || !(f.Horizon > 0) || math.IsInf(f.Horizon, 0) {
			return cli.Usagef("-horizon is %q, it must be a number of ms above 0, or auto", e.horizon)
		}
	}
	wanted := e.horizon != "" || f.NextEvents > 0
	isTime := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	switch {
	case f.NextEvents < 0:
		return cli.Usagef("-otd is %d, it must not be negative", f.NextEvents)
	case f.Prefix < 1:
		return cli.Usagef("-prefix is %d, it must be at least 1", f.Prefix)
	case f.PrefixStep < 1:
		return cli.Usagef("-prefix-step is %d, it must be at least 1", f.PrefixStep)
	case cli.IsSet(fs, "tolerance") && e.horizon == "":
		return cli.Usagef("-tolerance needs -horizon")
	case cli.IsSet(fs, "tolerance") && !isTime(f.Tolerance):
		return cli.Usagef("-tolerance is %v, it must be above 0", f.Tolerance)
	case cli.IsSet(fs, "otd-cost") && !isTime(f.EditCost):
		return cli.Usagef("-otd-cost is %v, it must be above 0", f.EditCost)
	}
	for _, name := range []string{"otd-cost", "prefix", "prefix-step"} {
		if cli.IsSet(fs, name) && !wanted {
			return cli.Usagef("-%s needs -horizon or -otd", name)
		}
	}
	if e.horizon == "" {
		f.EditCost = cmp.Or(f.EditCost, 1000)
	}
	return nil
}

// forecastDescription are the options of forecasts as printed for machines.
type forecastDescription struct {
	Horizon    float64 `json:"horizon,omitempty"`
	Tolerance  float64 `json:"tolerance,omitempty"`
	NextEvents int     `json:"otd_events"`
	EditCost   float64 `json:"otd_cost"`
	Prefix     int     `json:"prefix"`
	PrefixStep int     `json:"prefix_step"`
}

func describeForecasts(f *eval.ForecastOptions) forecastDescription {
	return forecastDescription{f.Horizon, f.Tolerance, f.NextEvents, f.EditCost, f.Prefix, f.PrefixStep}
}

// forecastColumns reports whether results have the scores of forecasts up to a horizon, and those of all forecasts.
func forecastColumns(results []result) (horizon, all bool) {
	for _, r := range results {
		if r.Forecasts != nil {
			horizon, all = horizon || r.Forecasts.Horizon > 0, true
		}
	}
	return horizon, all
}

// printForecastNotes prints for people, once for each dataset, how its forecasts were scored.
func printForecastNotes(w io.Writer, results []result) error {
	for i, r := range results {
		if r.Forecasts == nil || i > 0 && results[i-1].Dataset == r.Dataset {
			continue
		}
		f := describeForecasts(r.Forecasts)
		text := fmt.Sprintf("\n%s: otd of the next %d events, one too many or too few at %.4g ms", r.Dataset, f.NextEvents, f.EditCost)
		if f.Horizon > 0 {
			text = fmt.Sprintf("\n%s: t_map of the events within %.4g ms, up to %.4g ms apart; otd of the next %d, one too many or too few at %.4g ms", r.Dataset, f.Horizon, f.Tolerance, f.NextEvents, f.EditCost)
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}
