// Package rest serves an OpenWhisk-compatible platform over its REST API in real time.
//
//	server, err := rest.Start(ctx, rest.Options{Runtime: runtime})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	fmt.Println(server.URL(), server.Auth())
//
// What runs actions is the Runtime, which starts a container for each that the engine wants.
package rest
