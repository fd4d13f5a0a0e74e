// Package activations observes invocations by OpenWhisk's records of activations, which it asks for again and again: nothing has to be instrumented, and all is
// known only when a run has ended.
//
//	s, err := activations.New(activations.Options{Client: client}) // a client of package whisk
//	…
//	err = s.Run(ctx, sink)
package activations
