package main

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// calibrated is the calibration of a model's forecasts of a dataset, over splits.
type calibrated struct {
	dataset, model string
	splits         int
	steps          [eval.ArrivalSteps]calibratedStep
}

// calibratedStep is about the events that were expected equally many steps ahead.
type calibratedStep struct {
	came                             int
	coverage50, coverage90, distance []float64 // of each split
	pit                              [eval.PITBins]float64
	deviation                        float64 // of the mean of the splits' histograms
}

// calibrationsOf returns the calibrations of the models that have one.
func calibrationsOf(all []*comparison, models []string) []*calibrated {
	var out []*calibrated
	for _, c := range all {
		for _, model := range models {
			o := &calibrated{dataset: c.label, model: model}
			for _, split := range c.splits {
				if r := c.of[model][split]; r != nil && len(r.Calibration) == eval.ArrivalSteps {
					o.add(r.Calibration)
				}
			}
			if o.splits > 0 {
				o.finish()
				out = append(out, o)
			}
		}
	}
	return out
}

func (o *calibrated) add(calibration []eval.ArrivalCalibration) {
	o.splits++
	for i := range calibration {
		a, s := &calibration[i], &o.steps[i]
		if a.Came == 0 {
			continue
		}
		s.came += a.Came
		s.coverage50, s.coverage90 = append(s.coverage50, a.Coverage50), append(s.coverage90, a.Coverage90)
		s.distance = append(s.distance, a.Deviation())
		for b, share := range a.PIT {
			s.pit[b] += share
		}
	}
}

func (o *calibrated) finish() {
	for i := range o.steps {
		s := &o.steps[i]
		for b := range s.pit {
			s.pit[b] /= float64(max(len(s.distance), 1))
		}
		mean := eval.ArrivalCalibration{Came: s.came, PIT: s.pit}
		s.deviation = mean.Deviation()
	}
}

// calibrationTable has a row for each dataset, model and number of steps ahead.
func calibrationTable(all []*calibrated) *table {
	t := &table{caption: "calibration of forecasts of all events to come: mean ± standard deviation over splits; the last column is of the mean histogram"}
	t.head = []string{"dataset", "model", "expected as the", "events", "in the 50 % interval", "in the 90 % interval", "PIT deviation", "of all splits"}
	for _, o := range all {
		for i, name := range eval.ArrivalStepNames() {
			s := &o.steps[i]
			cell := func(values []float64) string {
				of := summarise(values)
				return text(of.mean, of.deviation, 3, false)
			}
			deviation := "–"
			if s.came > 0 {
				deviation = fmt.Sprintf("%.3f", s.deviation)
			}
			t.add(o.dataset, o.model, name, fmt.Sprint(s.came), cell(s.coverage50), cell(s.coverage90), cell(s.distance), deviation)
		}
	}
	return t
}

// calibrationSheet has a row of histograms for each dataset and model.
func calibrationSheet(all []*calibrated) *figure.Sheet {
	s := &figure.Sheet{Columns: eval.ArrivalSteps, PanelWidth: 7.5 * vg.Centimeter, PanelHeight: 4.6 * vg.Centimeter}
	s.Title = "Calibration of forecasts of all events to come: flat if the model is calibrated"
	s.Source = "mean over splits of the test parts"
	dashed := draw.LineStyle{Color: color.Gray{0x66}, Width: 0.8, Dashes: []vg.Length{3, 3}}
	outline := draw.LineStyle{Color: inks[0], Width: 1.2}
	for _, o := range all {
		for i, name := range eval.ArrivalStepNames() {
			step := &o.steps[i]
			title := o.dataset + ", " + o.model + ": " + name
			p := figure.NewPanel(title, fmt.Sprintf("level, F(t); deviation %.3f", step.deviation), "density")
			var line plotter.XYs
			highest := 1.0
			for b, share := range step.pit {
				density := share * eval.PITBins
				highest = max(highest, density)
				line = append(line, plotter.XY{X: float64(b) / eval.PITBins, Y: density}, plotter.XY{X: float64(b+1) / eval.PITBins, Y: density})
			}
			p.Add(&plotter.Line{XYs: plotter.XYs{{X: 0, Y: 1}, {X: 1, Y: 1}}, LineStyle: dashed})
			if step.came > 0 {
				p.Add(&plotter.Line{XYs: line, LineStyle: outline})
			}
			p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, max(1.5, 1.1*highest)
			p.X.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 0.5, Label: "0.5"}, {Value: 1, Label: "1"}}
			s.Panels = append(s.Panels, p)
		}
	}
	s.Explain(&plotter.Line{LineStyle: outline}, "histogram of the levels at which events came")
	s.Explain(&plotter.Line{LineStyle: dashed}, "a calibrated model")
	return s
}
