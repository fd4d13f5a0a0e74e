// Package localzipkin is a Zipkin server in this process: it serves Zipkin's API v2, and keeps spans in bounded memory.
//
//	server, err := localzipkin.Start(ctx, localzipkin.Options{Listen: "127.0.0.1:9411"})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	fmt.Println(server.URL()) // the URL for exporters and readers
//
// It accepts spans (POST /api/v2/spans, JSON or protobuf, gzipped or not) and answers GET /api/v2/traces, /trace/ID, /traceMany, /services,
// /remoteServices, /spans and /health as a Zipkin server does that keeps its spans in memory. When the memory is full, it removes whole traces,
// those first that have received no span for the longest time. A page, /zipkin/, lists traces and draws one as a waterfall.
package localzipkin
