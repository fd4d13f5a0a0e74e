package forecast

// Forecaster follows the samples of one resource, which come at a fixed step, and forecasts how large the next ones become. Implementations keep
// bounded memory, and are for one goroutine.
type Forecaster interface {
	// Observe takes the next sample, in the unit of the resource; NaN where it is missing.
	Observe(value float64)

	// Quantiles writes to out, which is as long as levels, the quantiles at these levels (in (0, 1), increasing) of the largest of the next steps
	// samples: 1 is the next sample. They do not decrease. All are NaN where too little was seen to say.
	Quantiles(steps int, levels, out []float64)
}
