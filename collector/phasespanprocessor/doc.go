// Package phasespanprocessor is an OpenTelemetry Collector processor that draws the phases of a function's invocation as child
// spans: wait, from its arrival until a container works for it, init, if the container was cold, and exec.
//
//	processors:
//	  phasespan: {}
//
// It reads the attributes waitTimeMilli and initTimeMilli, which the openwhisk processor sets.
//
//go:generate go tool -modfile=../tools.mod mdatagen metadata.yaml
package phasespanprocessor
