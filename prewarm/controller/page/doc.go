// Package page shows what a live controller does: a page with its JSON and its events, and metrics for Prometheus.
//
//	p := page.New(source, page.Options{})
//	go p.Run(ctx)
//	mux.Handle("/", p)
//	server.Handler = page.Protect(mux, hosts)
//
// Of its paths,
//
//	GET /              the page, and /assets/ what it needs
//	GET /v1/state      the state (controller.State) as JSON
//	GET /v1/events     server-sent events: the state, totals over the last hour, then what changes
//	GET /metrics       metrics for Prometheus
//
// The page's buttons send POST /v1/pause and POST /v1/resume, without a body, which the controller serves.
package page
