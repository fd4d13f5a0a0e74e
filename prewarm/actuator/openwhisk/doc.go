// Package openwhisk warms containers of Apache OpenWhisk, which has no interface for that: it invokes the function with a payload that the function
// answers at once, as often as there are to be containers, and so that these invocations overlap.
//
//	a, err := openwhisk.New(openwhisk.Options{APIHost: "https://openwhisk.example.com", KeyFile: "key", Package: "tppfaas"})
//	…
//	results, err := a.Act(ctx, actuator.Command{Kind: actuator.Warm, Function: "tree_small-dev-f1", N: 2})
//
// The functions must know the payload, see docs/instrument.md.
package openwhisk
