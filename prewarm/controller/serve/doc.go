// Package serve puts a whole controller together: sources, mirror, policy, actuator, state, page and metrics, behind one listener for HTTP and one
// for gRPC. It is what the command prewarm serve runs.
//
//	s, err := serve.New(ctx, serve.Options{Policy: "newsvendor:2560", Models: []string{"model.safetensors"}, Listen: "127.0.0.1:4320"})
//	if err != nil {
//		return err
//	}
//	return s.Run(ctx) // until ctx is done
package serve
