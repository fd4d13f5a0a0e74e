package openwhiskprocessor

import (
	"context"
	"fmt"
	"net/http"

	"go.opentelemetry.io/collector/component"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// recordClient looks up the records of activations. It is safe for concurrent use.
type recordClient interface {
	// Activation returns the record of the activation with the id. The error is whisk.ErrNotYet where there is none, which is so
	// until some time after the activation's end; whisk.ErrImpossible where there never will be one; or a *whisk.Error.
	Activation(ctx context.Context, id string) (whisk.Record, error)
	// Check reports why OpenWhisk cannot be asked at all, nil if it can.
	Check(ctx context.Context) error
	// Close releases the client's connections.
	Close()
}

// provider makes the client of a configuration. Tests put another one in the place of newClient.
type provider func(context.Context, *Config, component.Host, component.TelemetrySettings) (recordClient, error)

// maxAnswer bounds an answer of OpenWhisk: a result is at most 1 MiB, and logs are at most 10 MB by default.
const maxAnswer = 32 << 20

// newClient returns a recordClient that asks OpenWhisk over HTTP. The host has the extensions that the configuration names.
func newClient(ctx context.Context, config *Config, host component.Host, telemetry component.TelemetrySettings) (recordClient, error) {
	base, err := parseEndpoint(config.ClientConfig.Endpoint)
	if err != nil {
		return nil, err
	}
	settings := config.ClientConfig
	if settings.MaxIdleConnsPerHost == 0 {
		settings.MaxIdleConnsPerHost = max(config.Concurrency, 2)
	}
	client, err := settings.ToClient(ctx, host.GetExtensions(), telemetry)
	if err != nil {
		return nil, err
	}
	keyFile := config.KeyFile
	if config.Key == "" && keyFile == "" && !settings.Auth.HasValue() && whisk.IsLoopback(base) {
		// The platform may start later: then it finds the key that is drawn here.
		if _, keyFile, err = whisk.LocalKey(); err != nil {
			return nil, fmt.Errorf("key: %w (key, as in OW_AUTH, or key_file does without it)", err)
		}
	}
	c, err := whisk.New(whisk.Options{
		Base: base, Key: string(config.Key), KeyFile: keyFile, WithoutKey: settings.Auth.HasValue(), HTTP: client, MaxAnswer: maxAnswer,
	})
	if err != nil {
		return nil, err
	}
	return whiskClient{c, client}, nil
}

// whiskClient is a recordClient over the module's client of OpenWhisk.
type whiskClient struct {
	*whisk.Client
	http *http.Client
}

func (c whiskClient) Check(ctx context.Context) error {
	err := c.Client.Check(ctx, whisk.Activations)
	if whisk.KindOf(err) == whisk.NotFound {
		return fmt.Errorf("%w: is it OpenWhisk?", err)
	}
	return err
}

// Close closes the idle connections, where no wrapper of the transport hides them; the rest end after idle_conn_timeout.
func (c whiskClient) Close() { c.http.CloseIdleConnections() }
