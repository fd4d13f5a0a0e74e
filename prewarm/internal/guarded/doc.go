// Package guarded serves HTTP and gRPC on loopback for everyone on this machine, and elsewhere only over TLS for those who have a token.
//
//	guard, err := guarded.New(guarded.Options{Address: "0.0.0.0:4320", CertFile: "tls.crt", KeyFile: "tls.key", TokenFile: "token"})
//	…
//	listener, err := guard.Listen(ctx)
//	…
//	err = guard.ServeHTTP(ctx, listener, handler) // until ctx is done
//
// A server that would listen beyond loopback without a certificate and a token is refused by New.
package guarded
