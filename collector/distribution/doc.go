// Package distribution puts a collector together: its components, and where its configuration comes from.
//
//	command := otelcol.NewCommand(distribution.Settings())
package distribution
