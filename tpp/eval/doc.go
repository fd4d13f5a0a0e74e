// Package eval scores models on datasets: likelihoods, errors of predictions, and calibration.
//
//	scores, err := eval.Evaluate(ctx, model, test, eval.EvaluateOptions{})
//	if err != nil {
//		return err
//	}
//	for name, value := range scores.All() {
//		fmt.Println(name, value)
//	}
//
// [Scores] defines each score at its field: negative log likelihoods of time, mark, both, and the end; MAE and RMSE of the
// median; CRPS (see [CRPS]); accuracy, macro F1 and calibration error of the most probable mark; coverage of intervals; the
// Kolmogorov-Smirnov test of the rescaled times; and of forecasts over long horizons the temporal mean average precision (see
// [TMAP]) and the optimal-transport distance (see [Distance]), where [ForecastOptions] asks for them.
//
// [Diagnose] also returns the PIT histogram, the calibration bins and the confusion of marks. [EvaluateStream] and
// [DiagnoseStream] read data that does not fit into memory. [Repeat] compares models over several splits of a dataset.
//
// A model whose times are starts (see tpp.StartTimesModel) is scored on sequences as Sequence.AtStarts returns them.
//
// A model that observes starts (see tpp.StartedModel) is told the starts of events, by their wait times, and each event is scored by the
// prediction after the last start before it, with the probability that nothing had come until then.
//
// [Suspect] says how late and how surprising each gap of a sequence was to a model, [Detect] how well that tells sequences with anomalies from
// normal ones.
package eval
