package eval_test

import (
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/classical"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// TestForecastsOfEveryKind checks that forecasts of every kind of model are scored, and that on chains, where each mark has one
// successor, those that know the last mark are better than a Poisson process.
func TestForecastsOfEveryKind(t *testing.T) {
	chains := tpptest.Chains(4, 30)
	scores := map[string]eval.Scores{}
	for _, m := range append(modeltest.Carriers(t), modeltest.Classics(t)...) {
		data := &tpp.Dataset{MarkNames: m.MarkNames(), Sequences: chains.Sequences}
		got, err := eval.Evaluate(t.Context(), m, data, eval.EvaluateOptions{Forecasts: eval.ForecastOptions{Horizon: 400}})
		if err != nil {
			t.Errorf("%s: %v", m.Kind(), err)
			continue
		}
		if !(got.TMAP > 0 && got.TMAP <= 1) || !(got.OTD >= 0 && got.OTD <= 2*10*40) {
			t.Errorf("%s: T-mAP %v, OTD %v", m.Kind(), got.TMAP, got.OTD)
		}
		scores[m.Kind()] = got
	}
	poisson := scores[string(classical.KindPoisson)]
	for _, kind := range classical.Kinds() {
		got := scores[string(kind)]
		if kind != classical.KindPoisson && kind != classical.KindRenewal && !(got.TMAP > poisson.TMAP && got.OTD < poisson.OTD) {
			t.Errorf("%s has a T-mAP of %v and an OTD of %v, a Poisson process %v and %v", kind, got.TMAP, got.OTD, poisson.TMAP, poisson.OTD)
		}
	}
}
