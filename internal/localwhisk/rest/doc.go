// Package rest serves an OpenWhisk-compatible platform over its REST API in real time.
//
//	server, err := rest.Start(ctx, rest.Options{Runtime: runtime})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	fmt.Println(server.URL(), server.Auth())
//
// A request goes through route.go to its collection: actions.go, or collections.go for packages, triggers and rules, which share their handling of
// GET, PUT and DELETE. Requests to web actions go to web.go; webresult.go makes answers of their results. Invocations go from invoke.go to the
// engine, package localwhisk; the engine's containers are run by backend.go in a [container.Runtime]. Records of activations are kept in
// archive.go and served by activations.go.
package rest
