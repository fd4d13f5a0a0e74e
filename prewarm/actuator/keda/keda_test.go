package keda

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/actuatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listening returns an actuator that listens on loopback, and a connection to it.
func listening(t *testing.T) (*Actuator, *grpc.ClientConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	a, err := New(Options{Listener: l})
	require.NoError(t, err)
	connection, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, connection.Close())
		require.NoError(t, a.Close(context.Background()))
	})
	return a, connection
}

func TestConforms(t *testing.T) {
	actuatortest.Run(t, actuatortest.Subject{
		Kinds: []actuator.Kind{actuator.Warm, actuator.Scale}, Function: "f1",
		New: func(t *testing.T) actuator.Actuator {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			a, err := New(Options{Listener: l})
			require.NoError(t, err)
			return a
		},
	})
}

// message returns a message from its text.
func message(t *testing.T, of protoreflect.MessageDescriptor, text string) *dynamicpb.Message {
	t.Helper()
	m := dynamicpb.NewMessage(of)
	require.NoError(t, prototext.Unmarshal([]byte(text), m))
	return m
}

const prefix = "/externalscaler.ExternalScaler/"

// TestCalls checks the answers of all calls; testdata/client does so with KEDA's own client.
func TestCalls(t *testing.T) {
	a, connection := listening(t)
	act(t, a, command(actuator.Scale, "f1", 3, time.Hour))
	const ref = `name: "a-name" namespace: "shop" scalerMetadata {key: "function" value: "f1"}`
	for _, call := range []struct {
		name              string
		request, response protoreflect.MessageDescriptor
		text, want        string
	}{
		{"IsActive", refMessage, activeMessage, ref, `result: true`},
		{"IsActive", refMessage, activeMessage, `name: "f1"`, `result: true`},
		{"IsActive", refMessage, activeMessage, `name: "f2"`, ``},
		{"GetMetricSpec", refMessage, specsMessage, ref, `metricSpecs {metricName: "prewarm-replicas" targetSize: 1 targetSizeFloat: 1}`},
		{"GetMetrics", metricsRequestMessage, metricsResponseMessage, "scaledObjectRef {" + ref + "}", `metricValues {metricName: "prewarm-replicas" metricValue: 3 metricValueFloat: 3}`},
		{"StreamIsActive", refMessage, activeMessage, ref, `result: true`},
		{"StreamMetricSpec", refMessage, specsMessage, ref, `metricSpecs {metricName: "prewarm-replicas" targetSize: 1 targetSizeFloat: 1}`},
	} {
		got := dynamicpb.NewMessage(call.response)
		if call.name[0] != 'S' {
			require.NoError(t, connection.Invoke(t.Context(), prefix+call.name, message(t, call.request, call.text), got))
		} else {
			stream, err := connection.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, prefix+call.name)
			require.NoError(t, err)
			require.NoError(t, stream.SendMsg(message(t, call.request, call.text)))
			require.NoError(t, stream.CloseSend())
			require.NoError(t, stream.RecvMsg(got))
		}
		require.Equal(t, prototext.Format(message(t, call.response, call.want)), prototext.Format(got), call.name)
	}
	for _, name := range []string{"IsActive", "GetMetricSpec", "GetMetrics"} {
		request := refMessage
		if name == "GetMetrics" {
			request = metricsRequestMessage
		}
		err := connection.Invoke(t.Context(), prefix+name, message(t, request, ""), dynamicpb.NewMessage(activeMessage))
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		long := `name: "` + strings.Repeat("f", 257) + `"`
		if name == "GetMetrics" {
			long = "scaledObjectRef {" + long + "}"
		}
		err = connection.Invoke(t.Context(), prefix+name, message(t, request, long), dynamicpb.NewMessage(activeMessage))
		require.ErrorContains(t, err, "the name of the function has more than 256 bytes", name)
	}
	_, err := New(Options{})
	require.EqualError(t, err, "an external scaler of KEDA needs an address to listen on")
}

var number uint64

func command(kind actuator.Kind, function string, n int, lasts time.Duration) actuator.Command {
	number++
	return actuator.Command{ID: number, Kind: kind, Function: function, N: n, Until: time.Now().Add(lasts)}
}

func act(t *testing.T, a *Actuator, c actuator.Command) {
	t.Helper()
	results, err := a.Act(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, results, c.Results())
	for _, r := range results {
		require.Equal(t, actuator.Unknown, r.Outcome)
	}
}

// TestWanted checks what several commands want together.
func TestWanted(t *testing.T) {
	a, _ := listening(t)
	first := command(actuator.Warm, "f", 1, time.Hour)
	first.There = 1
	act(t, a, first)
	act(t, a, first)
	require.Equal(t, 2, a.wanted("f"), "the same command twice")
	act(t, a, command(actuator.Scale, "f", 5, time.Hour))
	require.Equal(t, 5, a.wanted("f"))
	act(t, a, command(actuator.Scale, "f", 1, time.Hour))
	require.Equal(t, 2, a.wanted("f"), "the most that is wanted")
	forever := command(actuator.Warm, "g", 1, 0)
	forever.Until = time.Time{}
	act(t, a, forever)
	require.Equal(t, 1, a.wanted("g"))
	act(t, a, command(actuator.Warm, "h", 1, -time.Second))
	require.Zero(t, a.wanted("h"), "it has ended")
	require.Len(t, a.functions, 2)
	for range mostLeases + 3 {
		_, _ = a.Act(t.Context(), command(actuator.Warm, "f", 1, time.Hour))
	}
	_, err := a.Act(t.Context(), command(actuator.Warm, "f", 1, time.Hour))
	require.EqualError(t, err, fmt.Sprintf("KEDA: f: there are %d commands already", mostLeases))
}

// TestFollows checks that functions of which nothing is wanted take no room when nobody follows them any more.
func TestFollows(t *testing.T) {
	a, _ := listening(t)
	for i := range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		require.ErrorIs(t, a.follow(ctx, fmt.Sprint("f", i), func(int) error { cancel(); return nil }), context.Canceled)
		require.Zero(t, a.wanted(fmt.Sprint("g", i)))
	}
	require.Empty(t, a.functions)
}
