package openwhiskprocessor

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"

	"github.com/tppfaas/tppfaas/collector/openwhiskprocessor/internal/metadata"
	"github.com/tppfaas/tppfaas/collector/openwhiskprocessor/internal/whisk"
)

// NewFactory returns the factory of the processor.
func NewFactory() processor.Factory { return newFactory(newClient) }

// provider makes the client of a configuration: a test puts one of its own in the place of newClient.
type provider func(ctx context.Context, config *Config) (whisk.Client, error)

func newFactory(provide provider) processor.Factory {
	create := func(_ context.Context, set processor.Settings, cfg component.Config, next consumer.Traces) (processor.Traces, error) {
		return newProcessor(set, cfg.(*Config), next, provide)
	}
	return processor.NewFactory(metadata.Type, createDefaultConfig, processor.WithTraces(create, metadata.TracesStability))
}

func newClient(ctx context.Context, config *Config) (whisk.Client, error) {
	base, err := baseURL(config.Host)
	if err != nil {
		return nil, err
	}
	tls, err := config.TLS.LoadTLSConfig(ctx)
	if err != nil {
		return nil, err
	}
	return whisk.New(whisk.Options{
		Base: base, Key: string(config.Auth), KeyFile: config.AuthFile, TLS: tls,
		Timeout: config.Timeout, Connections: config.Concurrency, CheckKey: checkKey,
	})
}
