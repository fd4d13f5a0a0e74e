// Package source has what a live controller hears of invocations: observations, and who takes them.
//
//	err := source.Run(ctx, sink) // tells sink what it observes, until ctx is done
package source
