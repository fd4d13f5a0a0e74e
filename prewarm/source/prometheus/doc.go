// Package prometheus observes the load of functions as a whole by asking a Prometheus, for policies that scale by load.
//
//	s, err := prometheus.New(prometheus.Options{Address: "http://127.0.0.1:9090", Queries: prometheus.OpenFaaS("openfaas-fn")})
//	…
//	err = s.Run(ctx, sink)
package prometheus
