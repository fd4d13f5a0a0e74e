package guarded

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/types/known/durationpb"
)

// receiving is how many messages over gRPC are being received at once, over all connections.
const receiving = 32

// NewServer returns a gRPC server for those who may come; others get Unauthenticated before their message is read. Messages are bounded in size, in number
// while they are received, and in how long that takes.
func (g *Guard) NewServer(maxMessage int, options ...grpc.ServerOption) *grpc.Server {
	c := &calls{guard: g, timeout: g.receive, room: make(chan struct{}, receiving)}
	all := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(receiving),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.ConnectionTimeout(5 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 5 * time.Minute, Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.InTapHandle(c.begin),
		grpc.StatsHandler(c),
	}
	if g.tls != nil {
		secure := g.tls.Clone()
		secure.NextProtos = []string{"h2"}
		all = append(all, grpc.Creds(credentials.NewTLS(secure)))
	}
	return grpc.NewServer(append(all, options...)...)
}

// calls decides which calls may begin, and bounds those whose message has not come yet.
type calls struct {
	guard   *Guard
	timeout time.Duration
	room    chan struct{} // has an element for each message that is being received
}

// receivedKey is the key of the function that is to be called when the message of a call has come.
type receivedKey struct{}

// begin is called for each call when its headers are there. The connection waits for it.
func (c *calls) begin(ctx context.Context, info *tap.Info) (context.Context, error) {
	authorization := ""
	if values := info.Header.Get("authorization"); len(values) == 1 {
		authorization = values[0]
	}
	if !c.guard.admits(authorization) && !strings.HasPrefix(info.FullMethodName, "/grpc.health.v1.Health/") {
		return nil, status.Error(codes.Unauthenticated, "a token is needed: authorization: Bearer TOKEN")
	}
	select {
	case c.room <- struct{}{}:
	default:
		return nil, Exhausted("too many messages at once", time.Second)
	}
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(c.timeout, cancel)
	var once sync.Once
	received := func() { once.Do(func() { timer.Stop(); <-c.room }) }
	context.AfterFunc(ctx, received) // the call has ended, or its time is over
	return context.WithValue(ctx, receivedKey{}, received), nil
}

// HandleRPC is called for what happens to a call.
func (c *calls) HandleRPC(ctx context.Context, s stats.RPCStats) {
	switch s.(type) {
	case *stats.InPayload, *stats.End:
		if received, ok := ctx.Value(receivedKey{}).(func()); ok {
			received()
		}
	}
}

// TagRPC, TagConn and HandleConn do nothing.
func (c *calls) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (c *calls) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (c *calls) HandleConn(context.Context, stats.ConnStats)                       {}

// Exhausted returns the error ResourceExhausted that asks a client to call again after a while, as OTLP has it.
func Exhausted(text string, after time.Duration) error {
	s := status.New(codes.ResourceExhausted, text)
	if with, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)}); err == nil {
		s = with
	}
	return s.Err()
}

// ServeGRPC serves on a listener until the context is done. Then it gives calls that are being answered a second. It closes the listener.
func (g *Guard) ServeGRPC(ctx context.Context, l net.Listener, server *grpc.Server) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		last := time.AfterFunc(time.Second, server.Stop)
		server.GracefulStop()
		last.Stop()
		err = <-ended
	}
	server.Stop()
	if errors.Is(err, grpc.ErrServerStopped) {
		err = nil
	}
	return err
}

// discard is a log of what clients do wrong in TLS and HTTP, which nobody reads.
func discard() *log.Logger { return log.New(io.Discard, "", 0) }
