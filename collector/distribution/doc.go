// Package distribution defines which components the collector has and where it reads its configuration.
//
//	command := otelcol.NewCommand(distribution.Settings())
package distribution
