package policy

import (
	"context"
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
)

func init() {
	Register(Kind{
		Name: "newsvendor", Form: "newsvendor[:λ[:MODEL]][:waits=every][:start=MB·s]",
		Help: "starts and keeps containers for what a model expects of each request in flight, and of requests to come, at a price of λ MB·s (2560) a second of waiting; MODEL is race, table or a kind of tpp train; with waits=every a wait counts also where it does not delay the end of its request; start is what the start of a container costs beside its memory (0)",
		New: func(a *Args, o Options) (prewarm.Policy, error) {
			price, model := a.Number("λ", 2560, 0, math.MaxInt32), a.Word("MODEL", "")
			every := a.Choice("waits", "request", "every") == "every"
			start := a.Option("start", 0, 0, math.MaxInt32)
			// The seed of a run is not that of the training, so that all runs share the models.
			return newsvendor.New(context.Background(), newsvendor.Options{
				Price: price, Model: model, EveryWait: every, StartCost: start, Platform: o.Platform, Functions: o.Functions, Knowledge: o.Knowledge, Seed: 1,
			})
		},
	})
}
