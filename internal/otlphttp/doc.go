// Package otlphttp exports spans as OTLP over HTTP. It takes the place of OpenTelemetry's own client, which links gRPC and makes the function
// that is sent to the cluster nearly twice as large (16.4 in place of 9.3 MB).
//
//	exporter := otlphttp.New(collector, whisk.NewHTTPClient(false, 2), nil)
//	provider := trace.NewTracerProvider(trace.WithBatcher(exporter))
//
// A message that the collector does not answer, or asks to send again, is repeated until the context of the export ends: the collector may
// be about to restart.
package otlphttp
