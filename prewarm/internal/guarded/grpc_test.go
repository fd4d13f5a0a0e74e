package guarded

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tppfaas/tppfaas/prewarm/internal/guarded/guardedtest"
)

// empty is the description of a service with a unary method, and one whose answers come until the client has enough.
var empty = grpc.ServiceDesc{
	ServiceName: "test.Empty", HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Call", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		return &emptypb.Empty{}, decode(&emptypb.Empty{})
	}}},
	Streams: []grpc.StreamDesc{{StreamName: "Watch", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		<-stream.Context().Done()
		return nil
	}}},
}

// serveGRPC starts a gRPC server behind a Guard, and returns its address.
func serveGRPC(t *testing.T, o Options, timeout time.Duration) string {
	t.Helper()
	g, err := New(o)
	require.NoError(t, err)
	g.receive = timeout
	l, err := g.Listen(t.Context())
	require.NoError(t, err)
	server := g.NewServer(1 << 20)
	server.RegisterService(&empty, nil)
	grpc_health_v1.RegisterHealthServer(server, grpc_health_v1.UnimplementedHealthServer{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.ServeGRPC(ctx, l, server) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return l.Addr().String()
}

func TestGRPC(t *testing.T) {
	cert, key, pool := guardedtest.Certificate(t)
	address := serveGRPC(t, Options{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key, Token: testToken}, time.Minute)
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool})))
	require.NoError(t, err)
	defer connection.Close()
	for authorization, want := range map[string]codes.Code{
		"Bearer " + testToken: codes.OK, "Bearer x" + testToken: codes.Unauthenticated, "": codes.Unauthenticated,
	} {
		ctx := metadata.NewOutgoingContext(t.Context(), metadata.Pairs("authorization", authorization))
		err := connection.Invoke(ctx, "/test.Empty/Call", &emptypb.Empty{}, &emptypb.Empty{})
		require.Equal(t, want, status.Code(err), authorization)
	}
	twice := metadata.NewOutgoingContext(t.Context(), metadata.Pairs("authorization", "Bearer "+testToken, "authorization", "Bearer "+testToken))
	require.Equal(t, codes.Unauthenticated, status.Code(connection.Invoke(twice, "/test.Empty/Call", &emptypb.Empty{}, &emptypb.Empty{})))
	err = connection.Invoke(t.Context(), "/grpc.health.v1.Health/Check", &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
	require.Equal(t, codes.Unimplemented, status.Code(err), "who asks for health needs no token")
	require.Error(t, connection.Invoke(t.Context(), "/test.Empty/Call", &bigMessage, &emptypb.Empty{}))
}

var bigMessage = grpc_health_v1.HealthCheckRequest{Service: string(bytes.Repeat([]byte("x"), 2<<20))}

// half opens calls that send the head of a message of a megabyte, and no more of it.
func half(t *testing.T, transport *http.Transport, address string, n int) (end func(), answers chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	answers = make(chan error, n)
	for range n {
		reader, writer := io.Pipe()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/test.Empty/Call", reader)
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/grpc")
		request.Header.Set("TE", "trailers")
		go func() {
			answer, err := transport.RoundTrip(request)
			if err == nil {
				_, err = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
			answers <- err
		}()
		_, err = writer.Write([]byte{0, 0, 0x0f, 0, 0, 1, 2, 3})
		require.NoError(t, err)
	}
	return cancel, answers
}

// TestHalfMessages checks that clients that send half of a message are given up after a while, that only so many of them hold memory at once, and that
// others are then told when to come again. The time is doubled until the machine is fast enough to send so many within it.
func TestHalfMessages(t *testing.T) {
	for timeout := 300 * time.Millisecond; timeout < time.Minute; timeout *= 2 {
		if sendsHalfMessages(t, timeout) {
			return
		}
	}
	t.Error("no call is refused, however many messages are being received")
}

// sendsHalfMessages reports whether all of them were being received at once.
func sendsHalfMessages(t *testing.T, timeout time.Duration) bool {
	t.Helper()
	address := serveGRPC(t, Options{Address: "127.0.0.1:0"}, timeout)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer connection.Close()
	call := func() error {
		return connection.Invoke(t.Context(), "/test.Empty/Call", &emptypb.Empty{}, &emptypb.Empty{})
	}
	begin := time.Now()
	end, answers := half(t, transport, address, receiving)
	defer end()
	for len(answers) == 0 && err == nil {
		if err = call(); status.Code(err) != codes.ResourceExhausted {
			err = nil
		}
	}
	for range receiving {
		<-answers
	}
	if err == nil {
		return false
	}
	require.Equal(t, time.Second, status.Convert(err).Details()[0].(*errdetails.RetryInfo).RetryDelay.AsDuration())
	require.GreaterOrEqual(t, time.Since(begin), timeout)
	require.Eventually(t, func() bool { return call() == nil }, time.Minute, time.Millisecond)
	return true
}

// TestStreamsLast checks that a stream whose request has come lasts for longer than a message may take, and holds no room. The time is doubled until the
// machine is fast enough to send the request within it.
func TestStreamsLast(t *testing.T) {
	for timeout := 100 * time.Millisecond; timeout < time.Minute; timeout *= 2 {
		if streamLasts(t, timeout) {
			return
		}
	}
	t.Error("no stream begins")
}

// streamLasts reports whether the request had come in time.
func streamLasts(t *testing.T, timeout time.Duration) bool {
	t.Helper()
	address := serveGRPC(t, Options{Address: "127.0.0.1:0"}, timeout)
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer connection.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.Empty/Watch")
	require.NoError(t, err)
	if stream.SendMsg(&emptypb.Empty{}) != nil || stream.CloseSend() != nil || stream.RecvMsg(&emptypb.Empty{}) != nil {
		return false
	}
	over := make(chan error, 1)
	go func() { over <- stream.RecvMsg(&emptypb.Empty{}) }()
	select {
	case err := <-over:
		t.Fatal("the stream has ended: ", err)
	case <-time.After(timeout + timeout/2):
	}
	cancel()
	require.Equal(t, codes.Canceled, status.Code(<-over))
	return true
}
