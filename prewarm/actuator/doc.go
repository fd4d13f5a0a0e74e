// Package actuator has what carries decisions out on a platform: warms containers, sets numbers of replicas. Whoever decides does not wait for it.
//
//	results, err := a.Act(ctx, actuator.Command{Kind: actuator.Warm, Function: "tree_small-dev-f1", N: 2})
package actuator
