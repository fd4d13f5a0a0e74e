// Package classical fits point processes that need no neural network: baselines that are quick to fit and need little data.
//
//   - [Poisson]: constant rate, marks in fixed proportions; independent of the past
//   - [Renewal]: gaps from one mixture of log-normals, marks in fixed proportions; depends on the time since the last event
//   - [MarkovRenewal]: depends on the last mark as well; gaps from a mixture for each pair of marks
//   - [Hawkes]: each event raises the intensities of marks, decaying exponentially; depends on all past events
//   - [Lookup]: empirical distributions by the last mark, the last three marks, or the last mark and the set of marks so far
//   - [Continuation]: repeats what most often followed the last three marks, up to the end of the sequence
//
// Each predicts the end of a sequence too. [Fit] fits a model by its [Kind]; FitHawkes and the like return the concrete type:
//
//	m, err := classical.Fit(ctx, classical.KindMarkovRenewal, training, classical.FitOptions{})
//	if err != nil {
//		return err
//	}
//	scores, err := eval.Evaluate(ctx, m, test, eval.EvaluateOptions{})
//
// [NewPoisson], [NewRenewal] and [NewHawkes] make processes from known parameters, to simulate them with live.Simulate and see what a method finds.
//
// The package registers its kinds with tpp.Register, so a program that imports it can read their files with tpp.ReadModelFile.
package classical
