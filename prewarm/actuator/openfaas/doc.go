// Package openfaas warms replicas of OpenFaaS: it raises the number of replicas of a function through the gateway, and lowers it again by what it has
// raised it, unless somebody else has set it since.
//
//	a, err := openfaas.New(openfaas.Options{Gateway: "http://127.0.0.1:8080", User: "admin", Password: password, State: "openfaas.json"})
//	…
//	results, err := a.Act(ctx, actuator.Command{Kind: actuator.Warm, Function: "figlet", N: 2, Until: time.Now().Add(time.Minute)})
package openfaas
