package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/forecast"
)

// writeScores prints how all forecasters did on the last third.
func (p *forecastReport) writeScores(stdout io.Writer) error {
	w := &bytes.Buffer{}
	p.writeHead(w)
	for _, r := range rightsize.Resources {
		c := p.choices[r]
		fmt.Fprintf(w, "\n%-20s %-12s %8s %8s  %7s %7s %7s %7s\n", r, "", "chosen", "tested", "covered", "", "", "")
		fmt.Fprintf(w, "%-20s %-12s %8s %8s  %7s %7s %7s %7s\n", "largest in", "forecaster", "by loss", "loss", "50 %", "90 %", "95 %", "99 %")
		var notScored []string
		sum, scored := 0.0, 0
		for j, h := range c.Horizons {
			test := c.Test[j]
			if test == nil {
				notScored = append(notScored, horizonName(h))
				continue
			}
			for k, s := range test {
				name, mark, validation := "", " ", "-"
				if k == 0 {
					name = horizonName(h)
				}
				if k == c.Best[j] {
					mark = "*"
				}
				if v := c.Validation[j]; v != nil {
					validation = fmt.Sprintf("%.3f", forecast.Relative(v[k], v[0]))
				}
				fmt.Fprintf(w, "%-18s %s %-12s %8s %8.3f ", name, mark, c.Candidates[k].Name, validation, forecast.Relative(s, test[0]))
				for _, share := range s.Coverage {
					fmt.Fprintf(w, " %5.1f %%", 100*share)
				}
				fmt.Fprintln(w)
			}
			sum += forecast.Relative(test[c.Best[j]], test[0])
			scored++
		}
		if scored > 0 {
			fmt.Fprintf(w, "%s: the chosen (*) lose %.3f times what persistence loses, on average over the horizons scored.\n", r, sum/float64(scored))
		}
		for j, h := range c.Horizons {
			if test := c.Test[j]; test != nil {
				if text := p.verdict(c, j); text != "" {
					fmt.Fprintf(w, "%s, %s: %s\n", r, horizonName(h), text)
				}
			}
		}
		if math.IsNaN(lastKnown(p.usage.Of(r))) {
			fmt.Fprintf(w, "%s: no sample is known.\n", r)
		} else if len(notScored) > 0 {
			fmt.Fprintf(w, "%s: not scored, since the last third does not hold ten of it: %s.\n", r, strings.Join(notScored, ", "))
		}
	}
	_, err := w.WriteTo(stdout)
	return err
}

// verdict says where the choice was not worth it; nothing where it was.
func (p *forecastReport) verdict(c *forecast.Choice, j int) string {
	test := c.Test[j]
	best := 0
	for k := range test {
		if test[k].Pinball < test[best].Pinball {
			best = k
		}
	}
	chosen := forecast.Relative(test[c.Best[j]], test[0])
	switch {
	case !better(c, best):
		return "nothing beats the last value and its residuals."
	case !better(c, c.Best[j]):
		return "nothing was surely better than the last value and its residuals in what was chosen by."
	case chosen > 1:
		return fmt.Sprintf("the choice was wrong: %s lost %.3f times what the last value and its residuals did.", c.Candidates[c.Best[j]].Name, chosen)
	}
	return ""
}

// scoreLine is a score as -json prints it.
type scoreLine struct {
	Function   string    `json:"function"`
	Resource   string    `json:"resource"`
	Horizon    string    `json:"horizon"`
	Seconds    float64   `json:"seconds"`
	Forecaster string    `json:"forecaster"`
	Chosen     bool      `json:"chosen"`
	Validation *float64  `json:"validation_relative_loss"` // null where it was not scored
	Origins    int       `json:"origins"`
	Pinball    float64   `json:"pinball"` // bytes or cores
	Relative   *float64  `json:"relative_loss"`
	Levels     []float64 `json:"levels"`
	Coverage   []float64 `json:"coverage"`
}

func (p *forecastReport) writeScoresJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	for _, r := range rightsize.Resources {
		c := p.choices[r]
		for j, h := range c.Horizons {
			for k, s := range c.Test[j] {
				l := scoreLine{
					Function: p.usage.Function, Resource: r.String(), Horizon: h.String(), Seconds: float64(h.Steps) * p.step.Seconds(),
					Forecaster: c.Candidates[k].Name, Chosen: k == c.Best[j], Origins: s.Origins, Pinball: s.Pinball,
					Relative: known(forecast.Relative(s, c.Test[j][0])), Levels: forecast.Levels, Coverage: s.Coverage,
				}
				if v := c.Validation[j]; v != nil {
					l.Validation = known(forecast.Relative(v[k], v[0]))
				}
				if err := e.Encode(l); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// paperLine is a row of the table of the published model as -json prints it.
type paperLine struct {
	Resource string  `json:"resource"`
	Model    string  `json:"model"` // lstm, last, published
	MAE      float64 `json:"mae"`   // bytes or cores
	RMSE     float64 `json:"rmse"`
}

// runPaper trains the published model and prints its table.
func (o *forecastOptions) runPaper(ctx context.Context, u *rightsize.Usage, stdout, stderr io.Writer) error {
	show := progress.New(stderr, o.epochs, "epochs")
	defer show.Done()
	p, err := forecast.RunPaper(ctx, u, forecast.PaperOptions{
		Epochs: o.epochs, Batch: o.batch, Seed: o.seed,
		Progress: func(epoch int, loss float64) { show.Set(epoch, fmt.Sprintf("loss %.4f", loss)) },
	})
	if err != nil {
		return err
	}
	show.Done()
	rows := []struct {
		name, text string
		errors     [2]forecast.PointError
	}{
		{"lstm", fmt.Sprintf("LSTM, %d epochs, batches of %d, seed %d", o.epochs, o.batch, o.seed), p.Model},
		{"published", "the published one, on its recording", forecast.PublishedPaper},
		{"last", "repeating the last value", p.Last},
	}
	if o.json {
		e := json.NewEncoder(stdout)
		for _, r := range rightsize.Resources {
			for _, row := range rows {
				if err := e.Encode(paperLine{r.String(), row.name, row.errors[r].MAE, row.errors[r].RMSE}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	w := &bytes.Buffer{}
	fmt.Fprintf(w, "%s: the next sample, %d windows of training, %d of test\n\n", u.Function, p.Training, p.Test)
	fmt.Fprintf(w, "%-42s %12s %12s %14s %14s\n", "", "memory MAE", "RMSE (B)", "CPU MAE", "RMSE (cores)")
	for _, row := range rows {
		memory, cpu := row.errors[rightsize.Memory], row.errors[rightsize.CPU]
		fmt.Fprintf(w, "%-42s %12.1f %12.1f %14.8f %14.8f\n", row.text, memory.MAE, memory.RMSE, cpu.MAE, cpu.RMSE)
	}
	fmt.Fprintf(w, "\n%.0f %% of the samples of memory and %.0f %% of CPU repeat the one before.\n", 100*p.Repeated[rightsize.Memory], 100*p.Repeated[rightsize.CPU])
	for _, r := range rightsize.Resources {
		if p.Last[r].MAE <= p.Model[r].MAE {
			fmt.Fprintf(w, "The LSTM does not beat repeating the last value of %s: its mean absolute error is %.2f times as large.\n", r, p.Model[r].MAE/p.Last[r].MAE)
		}
	}
	_, err = w.WriteTo(stdout)
	return err
}
