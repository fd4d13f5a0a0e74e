package backtest

import (
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/synthetic"
)

// Synthetic returns series of the kinds, one for each seed from the first on.
func Synthetic(kinds []string, first uint64, seeds int, o synthetic.Options) []Series {
	var out []Series
	for _, kind := range kinds {
		for i := range seeds {
			seed := first + uint64(i)
			out = append(out, Series{Name: kind, Seed: seed, Usage: func() (*rightsize.Usage, error) { return synthetic.New(kind, seed, o) }})
		}
	}
	return out
}
