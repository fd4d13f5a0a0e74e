package race

import (
	"cmp"
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/tpp"
)

// Kind is the kind of a Race in model files.
const Kind = "race"

// Regime says what a model is told, and when.
type Regime string

// The regimes.
const (
	// Arrivals: the arrival and the mark of every event, and its covariates.
	Arrivals Regime = "arrivals"
	// Starts: also when every event started, that is arrival plus wait, with its wait and initialisation, from that time on.
	Starts Regime = "starts"
)

// Config is the configuration of a Race. The zero value is a good choice: every zero field takes the default that its comment gives.
type Config struct {
	// Graph says which events an event makes due. If nil, Train learns it from the parents of the training part's events, or, where it
	// has none, estimates it.
	Graph *Graph
	// Regime is what the model is told (default Arrivals).
	Regime Regime
	// Components is the number of components K of the mixture of a delay (default 21, or 40 where many delays are far above the median
	// of their class, as under high load).
	Components int
	// ContextSize is the number of units of the recurrent and the hidden layers (default 64).
	ContextSize int
	// Covariates are the names of further inputs of every event, known when it comes, such as tpp.ColdStartCovariate (default none).
	Covariates []string
	// TimeUnit names the unit of all times (default ms).
	TimeUnit string
	// Resolution is the resolution of the clock that took the times, in the time unit (default 1).
	Resolution float64
}

func (c Config) withDefaults() Config {
	c.Regime = cmp.Or(c.Regime, Arrivals)
	c.ContextSize = cmp.Or(c.ContextSize, 64)
	c.TimeUnit = cmp.Or(c.TimeUnit, "ms")
	c.Resolution = cmp.Or(c.Resolution, 1)
	return c
}

// maxSize is the largest size that a configuration may have: a file with a larger one is broken.
const maxSize = 1 << 12

// checkMarks returns an error if a model cannot have so many marks.
func checkMarks(n int) error {
	if n > tpp.MaxMarks {
		return fmt.Errorf("the dataset has %d marks, a model takes at most %d: merge rare marks", n, tpp.MaxMarks)
	}
	return nil
}

func (c *Config) validate(numMarks int) error {
	switch {
	case c.Regime != Arrivals && c.Regime != Starts:
		return fmt.Errorf("unknown regime %q, it is %s or %s", c.Regime, Arrivals, Starts)
	case c.Components < 1 || c.Components > maxSize:
		return fmt.Errorf("%d components", c.Components)
	case c.ContextSize < 1 || c.ContextSize > maxSize:
		return fmt.Errorf("a context of %d units", c.ContextSize)
	case !(c.Resolution > 0) || math.IsInf(c.Resolution, 0):
		return fmt.Errorf("a resolution of %v", c.Resolution)
	}
	if err := checkMarks(numMarks); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, name := range c.Covariates {
		if seen[name] {
			return fmt.Errorf("covariate %q twice", name)
		}
		seen[name] = true
	}
	return c.Graph.Validate(numMarks)
}
