// Package dist provides distributions of the time to the next event, and their conditional distributions given that some time
// has passed without it.
//
// The types are plain structs with the methods of gonum's stat/distuv, plus LogCDF, LogSurvival, LogInterval, Hazard
// and RestrictedMean, accurate where probabilities underflow.
//
//	d := &dist.LogNormMix{
//		LogWeights: []float64{math.Log(0.7), math.Log(0.3)},
//		Mu:         []float64{math.Log(120), math.Log(2500)}, // ms
//		Sigma:      []float64{0.1, 0.5},
//	}
//	fmt.Println(d.Median(), d.Quantile(0.95))
//
//	// Nothing has come for 200 ms: will the event come within the next 2 s?
//	rest := dist.Conditional{Dist: d, Elapsed: 200}
//	fmt.Println(rest.CDF(2000))
package dist
