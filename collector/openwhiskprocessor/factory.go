package openwhiskprocessor

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"

	"github.com/tppfaas/tppfaas/collector/openwhiskprocessor/internal/metadata"
)

// NewFactory returns the factory of the processor openwhisk.
func NewFactory() processor.Factory { return newFactory(newClient) }

func newFactory(provide provider) processor.Factory {
	create := func(_ context.Context, set processor.Settings, cfg component.Config, next consumer.Traces) (processor.Traces, error) {
		return newProcessor(set, cfg.(*Config), next, provide)
	}
	return processor.NewFactory(metadata.Type, createDefaultConfig, processor.WithTraces(create, metadata.TracesStability))
}
