package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// grpcServer takes OTLP over gRPC.
type grpcServer struct {
	listener net.Listener
}

func newGRPC(address string, config *tls.Config, token string, sink source.Sink) (*grpcServer, error) {
	return nil, errors.ErrUnsupported
}

func (g *grpcServer) run(ctx context.Context) error { return nil }

func (g *grpcServer) stop(ctx context.Context) {}

func (g *grpcServer) close() error { return ignoreClosed(g.listener.Close()) }
