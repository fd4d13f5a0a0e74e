// Package openwhiskprocessor is an OpenTelemetry Collector processor that adds data from OpenWhisk's activation records to the spans of
// function invocations: when the invocation arrived, how long it waited, and whether its container was cold.
//
//	processors:
//	  openwhisk:
//	    endpoint: https://openwhisk.example.com
//	    key: ${env:OW_AUTH}
//	    storage: file_storage
//
// A span names its activation by the attribute activationId (or faas.invocation_id). OpenWhisk stores the record of an activation some
// time after its end, so a span usually arrives first and has to wait for it. The number and size of waiting spans are bounded, other
// spans do not wait behind them, and with a storage they survive the end of the process.
//
// A message passes through the files of the package in this order: processor.go accepts it, classify.go decides what becomes of each of
// its spans and divides it, spool.go stores those that wait, pending.go queues them, lookup.go (with client.go, cache.go and enrich.go)
// looks their records up, and forward.go delivers them.
//
//go:generate go tool -modfile=../tools.mod mdatagen metadata.yaml
package openwhiskprocessor
