package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/forecast"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// Report is what was found, in values only.
type Report struct {
	Source string `json:"source,omitempty"`
	// Recommender names the one whose limits are shown, and Base the one that others are compared with.
	Recommender string     `json:"recommender"`
	Base        string     `json:"base"`
	Functions   []Function `json:"functions"`
	Notes       []string   `json:"notes,omitempty"`
}

// Function is what was found of a function.
type Function struct {
	Name    string    `json:"name"`
	Samples int       `json:"samples"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Step    Duration  `json:"step"`
	Missing int       `json:"missing"` // samples that are not there, at this step: of memory, or of CPU where none of memory is known
	Memory  Panel     `json:"memory"`
	CPU     Panel     `json:"cpu"`
	// Set are limits before, if they are known; Recommended are those from the last sample on, rounded.
	Set         recommend.Limits `json:"set"`
	Recommended recommend.Limits `json:"recommended"`
	// Reasons say why, Hints what the runtime of the function should be told.
	Reasons []string `json:"reasons,omitempty"`
	Hints   []string `json:"hints,omitempty"`
	// Backtest is what recommenders would have done, the one that is shown first. It is empty where there is too little usage for it.
	Backtest []Run `json:"backtest,omitempty"`
}

// Duration is a time that JSON has in seconds.
type Duration time.Duration

// MarshalJSON writes seconds.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).Seconds()) }

// Panel is one resource of a function.
type Panel struct {
	Resource rightsize.Resource `json:"-"`
	Median   float64            `json:"median"`
	Most     float64            `json:"most"`
	Last     float64            `json:"last"`
	// Fan is what is forecast, from the last sample on; empty where too little was seen.
	Fan []Point `json:"fan,omitempty"`
	// Limits are those that the recommender would have set, when they change; 0 is none.
	Limits []Step `json:"limits,omitempty"`
	// Requests are the same for requests.
	Requests []Step `json:"requests,omitempty"`

	times  []int64
	values []float64
}

// isKnown reports whether any usage of the resource is known.
func (p *Panel) isKnown() bool {
	return slices.ContainsFunc(p.values, func(v float64) bool { return !math.IsNaN(v) })
}

// Point is what is forecast for the largest usage until a time after the last sample.
type Point struct {
	Ahead Duration `json:"ahead"`
	// Quantiles are those of Levels.
	Quantiles []float64 `json:"quantiles"`
	// By is the forecaster, and Loss its mean pinball loss on usage that it had not seen, as a multiple of that of the last value with all residuals; 0
	// where there was too little usage to say.
	By   string  `json:"by"`
	Loss float64 `json:"relative_loss,omitempty"`
}

// Levels are the quantiles of a fan.
var Levels = forecast.Levels

// Step is a value from a time on.
type Step struct {
	Time  int64   `json:"time"` // ms since 1970
	Value float64 `json:"value"`
}

// Run is what a recommender would have done.
type Run struct {
	Recommender string  `json:"recommender"`
	Reserved    float64 `json:"reserved"` // memory, mean GiB
	Kills       float64 `json:"kills"`
	Over        float64 `json:"over"`      // minutes above the limit
	Changes     float64 `json:"changes"`   // a day
	CPU         float64 `json:"cpu"`       // requested, mean cores
	Throttled   float64 `json:"throttled"` // share of the time
}

// WriteJSON writes the report as an object on a line.
func (r *Report) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// amount writes a value of a resource for people.
func amount(resource rightsize.Resource, v float64) string {
	switch {
	case math.IsNaN(v):
		return ""
	case v == 0:
		return "0"
	case resource == rightsize.CPU:
		if v < 0.0095 {
			return fmt.Sprintf("%.2gm", 1000*v)
		}
		return fmt.Sprintf("%.0fm", 1000*v)
	case v < 9.5*(1<<20):
		return fmt.Sprintf("%.1fMi", v/(1<<20))
	case v < 9.5*(1<<30):
		return fmt.Sprintf("%.0fMi", v/(1<<20))
	}
	return fmt.Sprintf("%.1fGi", v/(1<<30))
}
