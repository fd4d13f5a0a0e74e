// Package action is the function that every composition deploys: it sleeps, invokes its successors, and exports a span.
//
// What it does depends on its parameters alone, so one executable serves all functions of all applications:
//
//	application  the application's name
//	graph        {"functions": [{"name", "duration" (ms), "gamma": {"shape", "rate"}, "invokes"}, …]}, or as graph.yaml has it
//	function     the name of the function in the graph
//	apihost      the address of the OpenWhisk API through which it invokes its successors, with scheme;
//	             without it, the container's __OW_API_HOST
//	package      the OpenWhisk package of the functions; "" for none
//	auth         the key, user:password; without it the one that OpenWhisk provides (annotation provide-api-key)
//	collector    the address to which spans are sent, OTLP over HTTP; "" for none
//	announce     true: spans without duration are exported at once, start when the function begins, invoke when it invokes another
//	insecure     true: the certificate of apihost is not checked
//
// and on those of the invocation:
//
//	calls, call              the calls of the request, and which of them this is; without calls main draws them from the graph
//	random, anomalies,
//	missing, seed            what main varies when it draws
//	traceparent, tracestate  the W3C trace context of the caller
//	call.id                  the id under which the caller has announced this invocation
//	prewarm                  {"linger_ms": 50}: nothing of the above is done, see below
//
// An invocation with prewarm, or with the source serverless-plugin-warmup as others send it, is a warm-up: it makes the first connections to
// apihost and collector, lingers, so that others which come at the same time get containers of their own, and answers
// {"prewarmed": true, "cold": BOOL, "instance": ID}. There is no span of it, it invokes nothing, and the run after it is no cold one.
//
// The program in cmd/action serves the two protocols of OpenWhisk's containers: the action loop of compiled actions, and that of
// the docker skeleton. Package zips it for a kind:
//
//	executable, err := action.Build(ctx, "amd64")
//	…
//	zip, err := action.Zip(executable, "go:1.24")
package action
