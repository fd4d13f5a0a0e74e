package policy

import (
	"context"
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/learn"
)

func init() {
	Register(Kind{
		Name: "learning", Form: "learning[:λ[:MODEL]][:waits=every]",
		Help: "newsvendor that is told nothing beforehand: it trains its models again and again on the requests that it has seen, and takes one over where that foretells the newest ones better",
		New: func(a *Args, o Options) (prewarm.Policy, error) {
			price, model := a.Number("λ", 2560, 0, math.MaxInt32), a.Word("MODEL", "")
			every := a.Choice("waits", "request", "every") == "every"
			return learn.New(context.Background(), learn.Options{Price: price, Model: model, EveryWait: every, Platform: o.Platform, Functions: o.Functions, Seed: o.Seed})
		},
	})
}
