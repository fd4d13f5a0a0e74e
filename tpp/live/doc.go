// Package live predicts sequences while they are running, with any model of package tpp: what is still to come, how likely,
// and when.
//
//   - Predict returns the distribution of the next event after each event of a sequence.
//   - NewForecast looks at the future of one sequence up to a horizon, and returns for each mark the probability of an
//     event, the expected number of events, and the quantiles of the time until the first one. It simulates, unless the model knows what
//     is to come (tpp.ForecastingState).
//   - A Forecaster tracks many sequences at once, each under a key, forecasts each of them or all together, and drops those
//     that are over.
//   - Simulate draws whole sequences from a model.
//   - MarshalState and UnmarshalState move the state of a sequence to another process.
//
// A Forecaster is given the events as they arrive:
//
//	f, err := live.NewForecaster[string](model, live.ForecasterOptions{})
//	if err != nil {
//		return err
//	}
//	if err := f.Observe("request 17", tpp.Event{Time: 120, Mark: 2}); err != nil {
//		return err
//	}
//	forecast, err := f.Forecast(ctx, "request 17", 150, 10_000, live.ForecastOptions{})
//	if err != nil {
//		return err
//	}
//	fmt.Println(forecast.Marks[3].Probability) // of an event with mark 3 between 150 and 10150
//
// A model that observes starts (tpp.StartedModel) is told by Forecaster.ObserveStart when an event that has arrived starts; Predict tells it from
// the sequence's WaitTimes. A model whose times are starts (tpp.StartTimesModel) is given events as they start.
//
// All times are in the unit of the data that the model was trained on, which is milliseconds for data read by package
// dataset.
package live
