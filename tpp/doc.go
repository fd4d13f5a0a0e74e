// Package tpp models sequences of events, each with a time and a mark, as marked temporal point processes: given the events so far, when
// does the next one come, and which mark has it?
//
// A [Dataset] holds sequences. [Train] fits a [Recurrent] model, LogNormMix: a recurrent encoder of the history, a mixture of log-normal
// distributions for the time to the next event, and probabilities for its mark. Training in ten lines:
//
//	data, err := tpp.ReadFile("traces.json.gz")
//	if err != nil {
//		return err
//	}
//	training, validation, test := data.Split(1)
//	model, err := tpp.Train(ctx, tpp.Config{}, training, validation, tpp.TrainOptions{Seed: 1})
//	if err != nil {
//		return err
//	}
//	scores, err := tpp.Evaluate(ctx, model, test, tpp.EvaluateOptions{})
//
// and predicting while events arrive:
//
//	state := model.NewState(start)
//	for event := range arrivals {
//		if err := state.Observe(event); err != nil {
//			return err
//		}
//		next := state.Next(event.Time)
//		fmt.Println("due in", next.Median(), "ms, probably", model.MarkNames()[next.LikeliestMark()])
//	}
//
// [Forecast] plays the future of a sequence through on many paths and says of each mark how probable it is within a horizon, when it
// comes, and how often; [Forecaster] follows many sequences at once, under a key each; [Simulate] draws whole sequences; and
// [MarshalState] carries a state to another process.
//
// Whatever implements [Model] can be evaluated and predicted with the same way. [Fit] fits classical ones, for data too small for a
// network and to be beaten by one: a [Poisson] process, a [Renewal] process, a [MarkRenewal] process, a [Hawkes] process, and the
// tables of [Lookup]. [ReadModelFile] reads any of them back.
//
// [ReadFile] takes JSON, JSON lines and CSV, gzipped or not; [OpenSequences] and [EvaluateStream] take files larger than memory.
//
// Times are numbers in any one unit; the dataset format and the commands take milliseconds. Logarithms are natural. The models are those
// of the paper "TppFaaS: Modeling Serverless Functions Invocations via Temporal Point Processes" (IEEE Access, 2022) and of Shchur,
// Biloš and Günnemann, "Intensity-free learning of temporal point processes" (ICLR 2020).
package tpp
