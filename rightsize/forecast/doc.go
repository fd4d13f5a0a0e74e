// Package forecast says how much of a resource a function will use: quantiles of the next sample, and of the largest of the next ones.
//
//	grid, step, err := forecast.Regular(usage) // one sample a step, gaps as NaN
//	choice, err := forecast.Choose(ctx, grid.Memory, step, forecast.ChooseOptions{})
//	quantiles := make([]float64, len(forecast.Levels))
//	choice.Forecaster.Quantiles(20, forecast.Levels, quantiles) // of the largest of the next 20 samples
//	choice.Forecaster.Observe(next)                             // and so on
//
// What forecasts is chosen by how it does on the samples so far, not by name: [Choose] scores all [Candidates] rolling, each forecast made from what stands
// before it alone. The first candidate, the last value with the quantiles of all its residuals, stays where no other is surely better.
package forecast
