// Package localzipkin is a Zipkin server in this process: its v2 API over bounded memory.
//
//	server, err := localzipkin.Start(ctx, localzipkin.Options{Listen: "127.0.0.1:9411"})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	fmt.Println(server.URL()) // what exporters and samplers are given
//
// It takes spans (POST /api/v2/spans, JSON or protobuf, gzipped or not) and answers GET /api/v2/traces, /trace/ID, /traceMany,
// /services, /remoteServices, /spans and /health as a Zipkin server with its storage in memory does. When memory is full the
// traces that have been silent for longest go first, each as a whole.
package localzipkin
