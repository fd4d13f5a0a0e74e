// Package scaler has the policies of platforms that run a function as a number of replicas, and decide by its load how many: OpenFaaS Community
// Edition and OpenFaaS Pro, the horizontal pod autoscaler of Kubernetes, and that of Knative. They decide with [prewarm.Decisions.Scale], at
// their own intervals, by what the metrics of the platform would say at that time: counters scraped every few seconds, rates over
// windows, the processor time of each replica.
//
//	policy := scaler.NewPro(scaler.ProOptions{Mode: scaler.Capacity, Target: 5, Proportion: 0.9, Min: 1, Max: 10})
//
// Package policy makes them from specs such as openfaas-pro:capacity:5:0.9:max=10.
//
// The rules themselves are functions without state, or with a state that is plain to see, and can be used alone: [StepReplicas],
// [ProReplicas] and [DownWindow], [HPAReplicas] and [HPALimits], [KPADecider] and [KPAZero].
//
// Each file has the rule of one policy, with its source and its parameters. What these policies need to know about a function's load is in
// [prewarm.Fleet.Loads]; whoever runs them sets CPU, also of the containers, and Queued before each event that is a Woken.
package scaler
