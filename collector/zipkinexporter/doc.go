// Package zipkinexporter is an OpenTelemetry Collector exporter that sends spans to Zipkin, so that no span holds up or takes along others.
//
//	exporters:
//	  zipkin:
//	    endpoint: http://127.0.0.1:9411/api/v2/spans
//	    set_aside: {directory: refused}
//
// It has the settings of the exporter of the same name in the Collector's contributions, and translates spans as that does. It differs in
// what it does with spans that Zipkin does not take: requests are bounded by size, a request that is too large or refused is divided until
// the spans are found that are the reason, and those are set aside in files, while all others go on.
//
// A message passes through the files of the package in this order: encode.go translates and encodes its spans, each alone, send.go sends
// them, and aside.go writes what cannot be sent to files.
//
//go:generate go tool -modfile=../tools.mod mdatagen metadata.yaml
package zipkinexporter
