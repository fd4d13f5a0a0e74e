// Package openwhiskprocessor is an OpenTelemetry Collector processor that adds to the span of a function's invocation what
// OpenWhisk knows about it: when it arrived, how long it waited, and whether its container was cold.
//
//	processors:
//	  openwhisk:
//	    endpoint: https://openwhisk.example.com
//	    key: ${env:OW_AUTH}
//	    storage: file_storage
//
// A span names its activation by the attribute activationId (or faas.invocation_id). OpenWhisk stores the record of an
// activation some time after its end, so a span usually comes first and waits for it: aside, within bounds, and, given a
// storage, beyond the end of the process.
//
//go:generate go tool -modfile=../tools.mod mdatagen metadata.yaml
package openwhiskprocessor
