// Package arrivals observes invocations that gateways and clients announce over HTTP, without OpenTelemetry.
//
//	mux.Handle("POST /v1/arrivals", arrivals.New(sink, arrivals.Options{}))
package arrivals
