// Package eval scores models on data that they have not seen.
//
//	scores, err := eval.Evaluate(ctx, model, test, eval.EvaluateOptions{})
//	fmt.Println(scores.NLLResolution, scores.MAE, scores.Accuracy)
//
// [Scores] has the likelihoods of gaps and marks, the errors of the median, the accuracy of the likeliest mark, and measures of
// calibration; the comment of each field defines it. [Diagnose] returns what the scores summarise too: histograms, bins of
// calibration, the confusion matrix. [EvaluateStream] takes sequences as they are read, so that data may be larger than memory.
// [Repeat] compares ways to make a model over several splits of one dataset.
//
// Each event is predicted from those before it alone, in the same way as live predictions are made. No score depends on the number
// of workers.
package eval
