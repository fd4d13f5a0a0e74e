// Package tpp defines marked temporal point processes: models of sequences of events, each with a time and a mark, which
// predict when the next event comes and which mark it has.
//
// A [Dataset] holds the sequences. A [Model] makes a [State] for each sequence that it follows; State.Observe takes the events
// as they come, and State.Next returns a [Next]: the distribution of the time to the next event, the probabilities of its mark,
// and the probability that the sequence is over. Whatever implements Model and State can be evaluated, simulated and used for
// forecasts.
//
// Models and everything that works on them are in packages below this one:
//
//   - dataset reads and writes datasets: JSON, JSON lines, CSV
//   - dist has distributions of the time to the next event
//   - classical has Poisson, renewal, Markov renewal and Hawkes processes and lookup tables
//   - neural trains recurrent models: LogNormMix and TruncNorm
//   - eval scores models on datasets
//   - tune searches for good options of a training
//   - live makes forecasts, simulates, and follows many sequences at once
//
// Train a model on 60 % of the traces, score it on 20 % that it has not seen, and follow a sequence (errors are left out):
//
//	data, err := dataset.ReadFile("traces.json.gz")
//	training, validation, test := data.Split(1)
//	model, err := neural.Train(ctx, neural.Config{}, training, validation, neural.TrainOptions{Seed: 1})
//	scores, err := eval.Evaluate(ctx, model, test, eval.EvaluateOptions{})
//
//	state := model.NewState(event.Time)
//	err = state.Observe(event)
//	next := state.Next(now) // given that nothing has come until now
//	fmt.Println(scores.NLL, next.Median(), model.MarkNames()[next.LikeliestMark()])
//	forecast, err := live.NewForecast(ctx, state, now, 2000, live.ForecastOptions{Seed: 1}) // the next two seconds
//	fmt.Println(forecast.Any.Count)
//
// [WriteModelFile] and [ReadModelFile] store models. A program reads the kinds of models whose packages it imports, since these
// call [Register].
//
// Times are numbers in any one unit; the dataset format and the commands use milliseconds. Logarithms are natural. The models
// are those of the paper "TppFaaS: Modeling Serverless Functions Invocations via Temporal Point Processes" (IEEE Access, 2022)
// and of Shchur, Biloš and Günnemann, "Intensity-free learning of temporal point processes" (ICLR 2020).
package tpp
