// Package experiment runs the experiments of the literature on autoscaling of functions in virtual time: a function as replicas on the engine of
// package localwhisk, a load that changes over time, and policies that scale it, side by side.
//
//	e, err := experiment.New("sleep")
//	if err != nil {
//		return err
//	}
//	runs, err := e.Run(ctx, 1)
//	if err != nil {
//		return err
//	}
//	err = figure.Write("sleep.png", experiment.Picture(e, runs))
//
// Everything about an experiment is a field of it that may be changed before it is run. Times are relative to the beginning of the load; the
// policy begins Lead before, so that its first replicas are ready.
package experiment
