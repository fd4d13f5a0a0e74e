package lab

import (
	"bytes"
	"encoding/json"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Explanation is a decision of a policy with its reason: a line of the file of -explain. Times are in seconds since the beginning of the run.
type Explanation struct {
	App       string  `json:"app"`
	Load      string  `json:"load"`
	Policy    string  `json:"policy"`
	Seed      uint64  `json:"seed"`
	At        float64 `json:"at"`
	Action    string  `json:"action"`
	Function  string  `json:"function,omitempty"`
	Container uint64  `json:"container,omitempty"`
	// N belongs to start and scale; Until to hold, where nothing means without an end; Rank to rank.
	N     int      `json:"n,omitempty"`
	Until *float64 `json:"until,omitempty"`
	Rank  float64  `json:"rank,omitempty"`
	// Rule, Trace (the number of the request), Probability, Demand and Gain are those of prewarm.Why.
	Rule        string  `json:"rule,omitempty"`
	Trace       uint64  `json:"trace,omitempty"`
	Probability float64 `json:"probability,omitempty"`
	Demand      float64 `json:"demand,omitempty"`
	Gain        float64 `json:"gain,omitempty"`
	// Done says whether the decision had an effect: the container may have been gone, or memory full.
	Done bool `json:"done"`
}

// explainer writes the decisions of a run.
type explainer struct {
	cell    *Cell
	text    bytes.Buffer
	encoder *json.Encoder
	err     error
}

func newExplainer(c *Cell) *explainer {
	e := &explainer{cell: c}
	e.encoder = json.NewEncoder(&e.text)
	e.encoder.SetEscapeHTML(false)
	return e
}

func (e *explainer) add(at prewarm.Time, d *prewarm.Decision, done bool) {
	line := Explanation{
		App: e.cell.App, Load: e.cell.Load, Policy: e.cell.Policy, Seed: e.cell.Seed,
		At: at.Seconds(), Action: d.Action.String(), Function: e.cell.Workload.Functions[d.Function].Name, Container: uint64(d.Container), N: d.N, Rank: d.Rank,
		Rule: d.Why.Rule, Trace: uint64(d.Why.Trace), Probability: d.Why.Probability, Demand: d.Why.Demand.Seconds(), Gain: d.Why.Gain, Done: done,
	}
	if d.Action == prewarm.HoldContainer && d.Until != prewarm.Never {
		until := d.Until.Seconds()
		line.Until = &until
	}
	if err := e.encoder.Encode(&line); err != nil && e.err == nil {
		e.err = err
	}
}

// lines returns what was written.
func (e *explainer) lines() ([]byte, error) { return e.text.Bytes(), e.err }
