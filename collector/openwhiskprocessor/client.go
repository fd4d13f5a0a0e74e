package openwhiskprocessor

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Client looks up the records of activations. It is safe for concurrent use.
type Client interface {
	// Activation returns the record of the activation with the id. The error is whisk.ErrNotYet where there is none, which is so
	// until some time after the activation's end; whisk.ErrImpossible where there never will be one; or a *whisk.Error.
	Activation(ctx context.Context, id string) (whisk.Record, error)
	// Check reports why OpenWhisk cannot be asked at all, nil if it can.
	Check(ctx context.Context) error
	// Close closes idle connections.
	Close()
}

// provider makes the client of a configuration. Tests put another one in the place of newClient.
type provider func(ctx context.Context, config *Config) (Client, error)

// maxAnswer bounds an answer of OpenWhisk: a result is at most 1 MiB, and logs are at most 10 MB by default.
const maxAnswer = 32 << 20

func newClient(ctx context.Context, config *Config) (Client, error) {
	base, err := baseURL(config.Host)
	if err != nil {
		return nil, err
	}
	tls, err := config.TLS.LoadTLSConfig(ctx)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = tls
	transport.MaxIdleConnsPerHost = max(config.Concurrency, 2)
	return newWhiskClient(whisk.Options{
		Base: base, Key: string(config.Auth), KeyFile: config.AuthFile, HTTP: &http.Client{Transport: transport},
		Timeout: config.Timeout, MaxAnswer: maxAnswer,
	})
}

// whiskClient is a Client over the module's client of OpenWhisk.
type whiskClient struct {
	*whisk.Client
	http *http.Client
}

func newWhiskClient(o whisk.Options) (Client, error) {
	c, err := whisk.New(o)
	if err != nil {
		return nil, err
	}
	return whiskClient{c, o.HTTP}, nil
}

func (c whiskClient) Check(ctx context.Context) error {
	err := c.Client.Check(ctx, whisk.Activations)
	if whisk.KindOf(err) == whisk.NotFound {
		return fmt.Errorf("%w: is it OpenWhisk?", err)
	}
	return err
}

func (c whiskClient) Close() { c.http.CloseIdleConnections() }
