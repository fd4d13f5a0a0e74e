package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
)

// pricedKind is the kind of policy that takes a price λ; tests have another one.
var pricedKind = "newsvendor"

// priceOptions say how the price of policies is chosen that are given none.
type priceOptions struct {
	target                time.Duration
	secondCosts, gbsCosts float64
}

// check returns what is wrong with the options. given says which of the two costs was given.
func (p *priceOptions) check(second, gbs bool) error {
	switch {
	case p.target < 0:
		return cli.Usagef("-target-p95: it must not be negative")
	case second != gbs:
		return cli.Usagef("-second-costs and -gbs-costs go together: the price is their ratio")
	case second && !(p.secondCosts > 0 && p.gbsCosts > 0):
		return cli.Usagef("-second-costs and -gbs-costs must be positive")
	case second && p.target > 0:
		return cli.Usagef("-target-p95 chooses the price, and so do -second-costs and -gbs-costs: give one or the other")
	}
	return nil
}

// chosen reports whether a price is chosen for policies that are given none.
func (p *priceOptions) chosen() bool { return p.target > 0 || p.gbsCosts > 0 }

// withoutPrice reports whether a policy takes a price and is given none.
func withoutPrice(spec string) bool {
	words := strings.Split(spec, ":")
	if words[0] != pricedKind {
		return false
	}
	if len(words) == 1 {
		return true
	}
	_, err := strconv.ParseFloat(words[1], 64)
	return err != nil
}

// withPrice inserts a price into a spec that has none.
func withPrice(spec string, price float64) string {
	return strings.Join(slices.Insert(strings.Split(spec, ":"), 1, priceText(price)), ":")
}

// priceText writes a price to six digits, without an exponent.
func priceText(price float64) string {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(price, 'g', 6, 64), 64)
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// specs returns the policies for a workload: where a price is to be chosen, with that price, which it reports.
func (p *priceOptions) specs(ctx context.Context, m *lab.Matrix, w *lab.Workload, specs []string, stderr io.Writer) ([]string, error) {
	out := slices.Clone(specs)
	for i, spec := range out {
		if !withoutPrice(spec) || !p.chosen() {
			continue
		}
		if p.target == 0 {
			out[i] = withPrice(spec, newsvendor.PriceOf(p.secondCosts, p.gbsCosts))
			continue
		}
		tuned, err := m.PriceFor(ctx, w, p.target, func(price float64) lab.NamedPolicy {
			named, _ := newPolicy(withPrice(spec, price)) // only an oracle can be wrong
			return named
		})
		if err != nil {
			return nil, err
		}
		out[i] = withPrice(spec, tuned.Price)
		if tuned.Reached {
			fmt.Fprintf(stderr, "prewarm lab: %s on %s, %s: λ = %s gives p95 %.2f s in runs with other seeds\n", spec, w.App, w.Load, priceText(tuned.Price), tuned.P95.Seconds())
		} else {
			fmt.Fprintf(stderr, "prewarm lab: %s on %s, %s: a p95 of %v is not reached: λ = %s gives %.2f s\n", spec, w.App, w.Load, p.target, priceText(tuned.Price), tuned.P95.Seconds())
		}
	}
	return out, nil
}
