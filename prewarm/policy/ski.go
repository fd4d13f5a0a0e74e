package policy

import (
	"math"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/oracle"
)

func init() {
	Register(Kind{
		Name: "ski", Form: "ski[:λ[:C]]",
		Help: "keeps an idle container until that has cost as much as a cold start at a price of λ MB·s (2560) a second of waiting; C is the start time in seconds as long as none was measured (that of the recorded cold starts, or 2)",
		New: func(a *Args, o Options) (prewarm.Policy, error) {
			lambda, c := a.Number("λ", 2560, 0, math.MaxInt32), a.Number("C", recordedStart(&o.Knowledge, 2), 1e-3, maxSeconds)
			return oracle.NewSki(lambda, time.Duration(c*float64(time.Second)))
		},
	})
}

// recordedStart returns how long the recorded cold starts took in the mean, in seconds, or otherwise if there are none.
func recordedStart(k *prewarm.Knowledge, otherwise float64) float64 {
	sum, n := 0.0, 0
	for _, a := range k.Applications {
		for _, t := range a.Cold {
			for _, v := range t {
				if v.Init > 0 && v.Start > v.Arrival {
					sum += v.Start - v.Arrival
					n++
				}
			}
		}
	}
	if n == 0 {
		return otherwise
	}
	return sum / float64(n)
}
