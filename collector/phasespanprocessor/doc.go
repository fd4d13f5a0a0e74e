// Package phasespanprocessor is an OpenTelemetry Collector processor that adds child spans for the phases of a function invocation: wait,
// from its arrival until a container is ready or starts to initialise, init, if the container was cold, and exec.
//
//	processors:
//	  phasespan: {}
//
// It reads the attributes waitTimeMilli and initTimeMilli, which the openwhisk processor sets.
//
//go:generate go tool -modfile=../tools.mod mdatagen metadata.yaml
package phasespanprocessor
