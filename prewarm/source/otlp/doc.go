// Package otlp observes invocations by spans of OpenTelemetry, over gRPC and HTTP: announcements, and spans of runs that have ended. An exporter otlp_grpc or
// otlp_http of a collector points at it (collector/prewarm.yaml).
//
//	receiver := otlp.New(sink, otlp.Options{})
//	mux.Handle("POST /v1/traces", receiver) // over HTTP, protobuf or JSON
//	receiver.Register(server)               // over gRPC, with the health service
//	counts := receiver.Counts()
//
// A message is taken as a whole or, when the sink has no room, refused with the time after which it should be sent again. Spans that cannot be used are
// answered as a partial success and not sent again.
//
// Spans may come before the collector has looked up OpenWhisk's record of the run, or after, or both. Before, the announcements and the end of a run are here at
// once, by the clock of the function. After, a span has the wait, the initialisation and the temperature too, by the clock of OpenWhisk: an [source.Observation]
// of it has the Clock [source.OpenWhiskClock].
package otlp
