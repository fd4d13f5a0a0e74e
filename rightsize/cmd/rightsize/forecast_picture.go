package main

import (
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/forecast"
)

// draw draws the usage of twice the longest horizon, and the forecasts.
func (p *forecastReport) draw() figure.Drawing {
	u := p.usage
	now := u.Time(u.Len() - 1)
	var panels []figure.Usage
	for _, r := range rightsize.Resources {
		c := p.choices[r]
		panel := figure.Usage{Name: "memory", Unit: "Mi"}
		scale := 1.0 / (1 << 20)
		if r == rightsize.CPU {
			panel, scale = figure.Usage{Name: "CPU", Unit: "thousandths of a core"}, 1000
		}
		longest := float64(c.Horizons[len(c.Horizons)-1].Steps) * p.step.Hours()
		for i, v := range u.Of(r) {
			if hours := u.Time(i).Sub(now).Hours(); hours >= -2*longest {
				panel.Hours, panel.Values = append(panel.Hours, hours), append(panel.Values, v*scale)
			}
		}
		panel.Last = lastKnown(u.Of(r)) * scale
		for j, h := range c.Horizons {
			q := p.quantiles(r, j)
			if math.IsNaN(q[0]) {
				continue
			}
			for i := range q {
				q[i] *= scale
			}
			panel.Ahead, panel.Quantiles = append(panel.Ahead, float64(h.Steps)*p.step.Hours()), append(panel.Quantiles, q)
		}
		panels = append(panels, panel)
	}
	return figure.UsageFan(panels, forecast.Levels, fmt.Sprintf("%s, last sample at %s UTC", u.Function, now.Format("2006-01-02 15:04:05")))
}
