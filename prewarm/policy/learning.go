package policy

import (
	"context"
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/learn"
)

func init() {
	Register(Kind{
		Name: "learning", Form: "learning[:λ[:MODEL]][:waits=every][:start=MB·s]",
		Help: "newsvendor that is told nothing beforehand: it trains its models again and again on the requests that it has seen, and takes one over where that foretells the newest ones better",
		New: func(a *Args, o Options) (prewarm.Policy, error) {
			price, model := a.Number("λ", 2560, 0, math.MaxInt32), a.Word("MODEL", "")
			every := a.Choice("waits", "request", "every") == "every"
			start := a.Option("start", 0, 0, math.MaxInt32)
			return learn.New(context.Background(), learn.Options{Price: price, Model: model, EveryWait: every, StartCost: start, Platform: o.Platform, Functions: o.Functions, Seed: o.Seed})
		},
	})
}
