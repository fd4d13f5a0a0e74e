// Package rest serves an OpenWhisk-compatible platform over its REST API in real time: each container is a process group.
//
//	server, err := rest.Start(ctx, rest.Options{})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	fmt.Println(server.URL(), server.Auth())
package rest
