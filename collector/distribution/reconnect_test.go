package distribution

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
)

// TestReconnects checks that the exporter tries to connect again and again to a receiver that is away, without waiting longer each time: the number of attempts
// that this waits for would take a quarter of an hour otherwise.
func TestReconnects(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	attempts := make(chan struct{}, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				c.Close()
				attempts <- struct{}{}
			}
		}
	}()
	factories, err := Factories()
	require.NoError(t, err)
	require.IsType(t, &reconnecting{}, factories.Exporters[component.MustNewType("otlp")], "by its old name too")
	require.Equal(t, mostBetweenConnections, factories.Exporters[component.MustNewType("otlp_grpc")].(*reconnecting).most)
	f := newReconnecting(otlpexporter.NewFactory(), 20*time.Millisecond)
	config := f.CreateDefaultConfig().(*otlpexporter.Config)
	config.ClientConfig.Endpoint, config.ClientConfig.TLS.Insecure = l.Addr().String(), true
	e, err := f.CreateTraces(t.Context(), exportertest.NewNopSettings(f.Type()), config)
	require.NoError(t, err)
	require.Empty(t, config.ClientConfig.Middlewares, "the configuration is left as it is")
	require.NoError(t, e.Start(t.Context(), componenttest.NewNopHost()))
	for range 15 {
		select {
		case <-attempts:
		case <-time.After(time.Minute):
			t.Error("it does not try again")
		}
	}
	require.NoError(t, e.Shutdown(t.Context()))
	require.NoError(t, l.Close())
	<-done
	_, err = f.CreateTraces(t.Context(), exporter.Settings{}, nil)
	require.Error(t, err)
}
