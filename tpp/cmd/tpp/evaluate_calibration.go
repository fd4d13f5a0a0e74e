package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// calibration is that of a model's forecasts of all events to come.
type calibration struct {
	has      bool // the model has distributions of these
	arrivals [eval.ArrivalSteps]eval.ArrivalCalibration
}

func calibrate(ctx context.Context, m tpp.Model, d *tpp.Dataset) (*calibration, error) {
	c := &calibration{has: eval.ExpectsArrivals(m)}
	if !c.has {
		return c, nil
	}
	var err error
	c.arrivals, err = eval.CalibrateArrivals(ctx, m, d)
	return c, err
}

// printCalibration prints a table for each model and dataset.
func printCalibration(w io.Writer, results []result) error {
	for _, r := range results {
		c := r.Calibration
		if !c.has {
			if _, err := fmt.Fprintf(w, "\n%s: a %s has no distributions of all events to come\n", r.Model, r.Kind); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "\nevents to come, as %s forecasts them on %s\n", r.Model, r.Dataset)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "expected as the\texpected\tcame\tcoverage_50\tcoverage_90\tpit_deviation")
		for i, name := range eval.ArrivalStepNames() {
			a := &c.arrivals[i]
			fmt.Fprintf(tw, "%s\t%.1f\t%d", name, a.Expected, a.Came)
			for _, v := range []float64{a.Coverage50, a.Coverage90, a.Deviation()} {
				if a.Came == 0 {
					fmt.Fprint(tw, "\t–")
				} else {
					fmt.Fprintf(tw, "\t%.3f", v)
				}
			}
			fmt.Fprintln(tw)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	return nil
}
