// Package lab runs prewarming policies against each other in virtual time: workloads × policies on the platform of package localwhisk, with
// what each costs and what it brings.
//
//	workload, err := lab.NewWorkload("sequence", "poisson:1200", lab.Options{Requests: 200})
//	if err != nil {
//		return err
//	}
//	run, err := workload.Run(ctx, lab.Setting{}, 1, newPolicy, lab.Observer{})
//	if err != nil {
//		return err
//	}
//	fmt.Println(run.Measures.P95, run.Measures.Memory())
//
// A [Matrix] makes many runs: workloads × policies × seeds. [Groups] sorts what comes of it into tables and a [Picture].
//
// # Protocol
//
// Everything random about the requests is drawn before the run, from the seed alone: when they arrive, which calls they make, how long each
// function works. Every policy therefore meets the same requests, and differences between policies are taken request by request.
//
// The added latency of a request is its time from the arrival of the root to the last end of a run, minus the time of the same calls on a
// platform on which everything is warm. Memory counts from the arrival of the first request that is scored until the mean gap between
// requests, at most 1800 s and at least 60 s, has passed after the last one.
package lab
