package race

import (
	"cmp"
	"fmt"
	"math"
	"slices"

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
	// OnlyStarts: of every event only its start, with its mark and covariates. Times are those of starts, and nobody knows that an event
	// has arrived before it starts, nor then how long it waited. A sequence without wait times has such times already, as spans have.
	OnlyStarts Regime = "only-starts"
)

// Regimes returns all regimes.
func Regimes() []Regime { return []Regime{Arrivals, Starts, OnlyStarts} }

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
	// Scales are those, in ticks of the clock, at which it is compared how late events are (default 20, 200 and 3000; where the default of Components
	// is the larger one also how far 68, 95 and 99 % of the training part's delays at most are from the medians of their classes).
	Scales []float64
	// Ancestors is of how many ancestors of what is due it is told how late they came after their own parents, compared at the latter half of Scales, the
	// first being the parent (at most 2; default 2 where the default of Scales is the longer one, there are covariates, and the graph makes something due
	// after one of several siblings; otherwise none; below 0 for none). With none, of a parent that came after siblings only how late it was since the last
	// of them is told.
	Ancestors int
	// TimeUnit names the unit of all times (default ms).
	TimeUnit string
	// Resolution is the resolution of the clock that took the times, in the time unit (default 1).
	Resolution float64
}

func (c Config) withDefaults() Config {
	c.Regime = cmp.Or(c.Regime, Arrivals)
	c.ContextSize = cmp.Or(c.ContextSize, 64)
	if c.Scales = slices.Clone(c.Scales); len(c.Scales) == 0 {
		c.Scales = fixedScales[:]
	}
	c.TimeUnit = cmp.Or(c.TimeUnit, "ms")
	c.Resolution = cmp.Or(c.Resolution, 1)
	return c
}

// fixedScales are the scales that do not depend on the training part; files without scales have these.
var fixedScales = [...]float64{20, 200, 3000}

// maxScales is the largest number of scales.
const maxScales = 32

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
	case !slices.Contains(Regimes(), c.Regime):
		return fmt.Errorf("unknown regime %q, it is one of %q", c.Regime, Regimes())
	case c.Components < 1 || c.Components > maxSize:
		return fmt.Errorf("%d components", c.Components)
	case c.ContextSize < 1 || c.ContextSize > maxSize:
		return fmt.Errorf("a context of %d units", c.ContextSize)
	case len(c.Scales) > maxScales:
		return fmt.Errorf("%d scales", len(c.Scales))
	case c.Ancestors > maxAncestors:
		return fmt.Errorf("%d ancestors, at most %d are told", c.Ancestors, maxAncestors)
	case !(c.Resolution > 0) || math.IsInf(c.Resolution, 0):
		return fmt.Errorf("a resolution of %v", c.Resolution)
	case slices.ContainsFunc(c.Scales, func(s float64) bool { // also in the time unit it must be more than nothing: differences are divided by it
		return !(s > 0) || math.IsInf(s, 0) || s*c.Resolution == 0
	}):
		return fmt.Errorf("scales of %v", c.Scales)
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
