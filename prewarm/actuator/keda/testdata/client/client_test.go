// Package client checks the external scaler with the client that KEDA has generated.
package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/keda"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listening returns an actuator that listens on loopback, and KEDA's client of it.
func listening(t *testing.T, o keda.Options, with credentials.TransportCredentials) (*keda.Actuator, externalscaler.ExternalScalerClient) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o.Listener = l
	a, err := keda.New(o)
	require.NoError(t, err)
	connection, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(with))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, connection.Close())
		require.NoError(t, a.Close(context.Background()))
	})
	return a, externalscaler.NewExternalScalerClient(connection)
}

// ref is a ScaledObject of a function.
func ref(function string) *externalscaler.ScaledObjectRef {
	return &externalscaler.ScaledObjectRef{Name: "a-name", Namespace: "shop", ScalerMetadata: map[string]string{"function": function, "scalerAddress": "x"}}
}

var number uint64

func command(kind actuator.Kind, function string, n int, lasts time.Duration) actuator.Command {
	number++
	return actuator.Command{ID: number, Kind: kind, Function: function, N: n, Until: time.Now().Add(lasts)}
}

func act(t *testing.T, a *keda.Actuator, c actuator.Command) {
	t.Helper()
	results, err := a.Act(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, results, c.Results())
	for _, r := range results {
		require.Equal(t, actuator.Unknown, r.Outcome)
	}
}

// TestFiveCalls checks each of the calls of KEDA's client.
func TestFiveCalls(t *testing.T) {
	a, client := listening(t, keda.Options{IdleTimeout: time.Minute}, insecure.NewCredentials())
	require.Equal(t, prewarm.Platform{Warm: true, Late: prewarm.TakesStarting, IdleTimeout: time.Minute}, a.Platform())
	ctx := t.Context()
	active := func(function string) bool {
		t.Helper()
		answer, err := client.IsActive(ctx, ref(function))
		require.NoError(t, err)
		return answer.GetResult()
	}
	value := func(function string) float64 {
		t.Helper()
		answer, err := client.GetMetrics(ctx, &externalscaler.GetMetricsRequest{ScaledObjectRef: ref(function), MetricName: "prewarm-replicas"})
		require.NoError(t, err)
		require.Len(t, answer.GetMetricValues(), 1)
		v := answer.GetMetricValues()[0]
		require.Equal(t, "prewarm-replicas", v.GetMetricName())
		require.Equal(t, int64(v.GetMetricValueFloat()), v.GetMetricValue())
		return v.GetMetricValueFloat()
	}
	require.False(t, active("f1"))
	require.Zero(t, value("f1"))
	specs, err := client.GetMetricSpec(ctx, ref("f1"))
	require.NoError(t, err)
	require.Len(t, specs.GetMetricSpecs(), 1)
	require.Equal(t, "prewarm-replicas", specs.GetMetricSpecs()[0].GetMetricName())
	require.InDelta(t, 1, specs.GetMetricSpecs()[0].GetTargetSizeFloat(), 0)

	activity, err := client.StreamIsActive(ctx, ref("f1"))
	require.NoError(t, err)
	next := func() bool {
		t.Helper()
		answer, err := activity.Recv()
		require.NoError(t, err)
		return answer.GetResult()
	}
	require.False(t, next(), "at once")
	act(t, a, command(actuator.Scale, "f1", 3, time.Hour))
	require.True(t, next(), "pushed")
	require.True(t, active("f1"))
	require.InDelta(t, 3, value("f1"), 0)
	require.False(t, active("f2"))
	act(t, a, command(actuator.Scale, "f1", 0, time.Hour))
	require.False(t, next())
	c := command(actuator.Warm, "f1", 2, 300*time.Millisecond)
	c.There = 4
	act(t, a, c)
	require.True(t, next())
	require.InDelta(t, 6, value("f1"), 0, "two more than there are")
	require.False(t, next(), "its time is over")
	require.Zero(t, value("f1"))

	streamed, err := client.StreamMetricSpec(ctx, ref("f1"))
	require.NoError(t, err)
	pushed, err := streamed.Recv()
	require.NoError(t, err)
	require.Equal(t, specs.GetMetricSpecs()[0].GetTargetSizeFloat(), pushed.GetMetricSpecs()[0].GetTargetSizeFloat(), "as KEDA demands")

	act(t, a, command(actuator.Scale, "f1", 2, time.Hour))
	require.True(t, next())
	closed := make(chan error, 1)
	go func() { closed <- a.Close(context.Background()) }()
	require.False(t, next(), "closing gives back")
	_, err = activity.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err))
	_, err = streamed.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.NoError(t, <-closed)
}

// TestRefuses checks what KEDA is told where a trigger is wrong.
func TestRefuses(t *testing.T) {
	a, client := listening(t, keda.Options{}, insecure.NewCredentials())
	_, err := client.IsActive(t.Context(), &externalscaler.ScaledObjectRef{})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, "the trigger has no metadata function")
	_, err = client.GetMetricSpec(t.Context(), &externalscaler.ScaledObjectRef{})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = client.GetMetrics(t.Context(), &externalscaler.GetMetricsRequest{ScaledObjectRef: ref("f"), MetricName: "other"})
	require.ErrorContains(t, err, `there is no metric "other", only prewarm-replicas`)
	_, err = client.GetMetrics(t.Context(), &externalscaler.GetMetricsRequest{})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	active, err := client.StreamIsActive(t.Context(), &externalscaler.ScaledObjectRef{})
	require.NoError(t, err)
	_, err = active.Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	specs, err := client.StreamMetricSpec(t.Context(), &externalscaler.ScaledObjectRef{})
	require.NoError(t, err)
	_, err = specs.Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	act(t, a, command(actuator.Scale, "a-name", 2, time.Hour))
	answer, err := client.IsActive(t.Context(), &externalscaler.ScaledObjectRef{Name: "a-name"})
	require.NoError(t, err)
	require.True(t, answer.GetResult(), "the name of the ScaledObject is that of the function, unless the metadata say another")
}

// TestTLS checks that KEDA is answered with a certificate that it trusts, and not without one of its own where that is asked for.
func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	own, pool := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, x509.NewCertPool()
	pool.AddCert(parsed)
	server := &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	client := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}
	_, trusted := listening(t, keda.Options{TLS: server}, credentials.NewTLS(client))
	_, err = trusted.IsActive(t.Context(), ref("f"))
	require.NoError(t, err)
	stranger := client.Clone()
	stranger.Certificates = nil
	_, unknown := listening(t, keda.Options{TLS: server}, credentials.NewTLS(stranger))
	_, err = unknown.IsActive(t.Context(), ref("f"))
	require.Equal(t, codes.Unavailable, status.Code(err))
}
