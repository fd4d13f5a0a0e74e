// Package live predicts while events arrive: it forecasts beyond the next event, follows many sequences at once, and draws whole
// sequences.
//
//	state := model.NewState(start)
//	err := state.Observe(event)
//	f, err := live.NewForecast(ctx, state, now, 10_000, live.ForecastOptions{Seed: 1})
//	fmt.Println(f.Marks[2].Probability) // of at least one event of mark 2 within the next ten seconds
//
// A [Forecaster] keeps the states of many sequences, each under a key, lets go of those that are over, and forecasts each of them
// or all together. [Simulate] draws sequences from a model. [Predict] walks over a recorded sequence and returns what was predicted
// after each event. [MarshalState] and [UnmarshalState] carry a state to another process.
//
// All of this works with any tpp.Model. It is faster with models and states that implement the optional interfaces of package tpp.
package live
