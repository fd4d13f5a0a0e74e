// Package keda is an external scaler of KEDA: KEDA asks it how many replicas of a function there should be, and the autoscaler of Kubernetes sets as
// many, or more if another trigger wants more.
//
//	listener, err := net.Listen("tcp", "127.0.0.1:9090")
//	…
//	a, err := keda.New(keda.Options{Listener: listener})
//	…
//	results, err := a.Act(ctx, actuator.Command{Kind: actuator.Scale, Function: "checkout", N: 4, Until: time.Now().Add(time.Minute)})
//
// The ScaledObject of a function has a trigger of type external-push with the function's name as metadata, see docs/actuators.md.
package keda
