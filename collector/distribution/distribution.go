package distribution

import (
	"context"
	"errors"
	"fmt"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/loadbalancingexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/forwardconnector"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"

	"github.com/tppfaas/tppfaas/collector"
	"github.com/tppfaas/tppfaas/collector/filestorage"
	"github.com/tppfaas/tppfaas/collector/openwhiskprocessor"
	"github.com/tppfaas/tppfaas/collector/phasespanprocessor"
	"github.com/tppfaas/tppfaas/collector/zipkinexporter"
	"github.com/tppfaas/tppfaas/internal/cli"
)

// Factories returns the factories of the components that a configuration can use.
func Factories() (otelcol.Factories, error) {
	receivers, err1 := otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory())
	processors, err2 := otelcol.MakeFactoryMap[processor.Factory](
		memorylimiterprocessor.NewFactory(), openwhiskprocessor.NewFactory(), phasespanprocessor.NewFactory(), batchprocessor.NewFactory())
	exporters, err3 := otelcol.MakeFactoryMap[exporter.Factory](
		zipkinexporter.NewFactory(), newReconnecting(otlpexporter.NewFactory(), mostBetweenConnections), otlphttpexporter.NewFactory(), debugexporter.NewFactory(),
		loadbalancingexporter.NewFactory())
	extensions, err4 := otelcol.MakeFactoryMap[extension.Factory](filestorage.NewFactory(), healthcheckextension.NewFactory())
	connectors, err5 := otelcol.MakeFactoryMap[connector.Factory](forwardconnector.NewFactory())
	return otelcol.Factories{
		Receivers: receivers, Processors: processors, Exporters: exporters, Extensions: extensions, Connectors: connectors,
		Telemetry: otelconftelemetry.NewFactory(),
	}, errors.Join(err1, err2, err3, err4, err5)
}

// Locations of the configurations that are compiled into the program.
const (
	// Builtin is the default configuration, collector/config.yaml.
	Builtin = "builtin:local"
	// BuiltinPrewarm has what passes spans on to prewarm serve, collector/prewarm.yaml. It stands beside another configuration.
	BuiltinPrewarm = "builtin:prewarm"
)

// Settings returns the settings of the collector. The configuration is merged from the given locations (files, env:NAME, yaml:TEXT,
// builtin:local, builtin:prewarm); without any it is Builtin. The version that the collector reports is that of this module.
func Settings(locations ...string) otelcol.CollectorSettings {
	if len(locations) == 0 {
		locations = []string{Builtin}
	}
	return otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "collector", Description: "OpenTelemetry Collector for OpenWhisk", Version: cli.Version()},
		Factories: Factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{
			ResolverSettings: confmap.ResolverSettings{
				URIs: locations,
				ProviderFactories: []confmap.ProviderFactory{
					fileprovider.NewFactory(), envprovider.NewFactory(), yamlprovider.NewFactory(), confmap.NewProviderFactory(newBuiltin),
				},
				DefaultScheme: "env",
			},
		},
	}
}

// builtin is a provider of the configurations that are compiled into the program.
type builtin struct{}

func newBuiltin(confmap.ProviderSettings) confmap.Provider { return builtin{} }

func (builtin) Retrieve(_ context.Context, uri string, _ confmap.WatcherFunc) (*confmap.Retrieved, error) {
	switch uri {
	case Builtin:
		return confmap.NewRetrievedFromYAML([]byte(collector.Config))
	case BuiltinPrewarm:
		return confmap.NewRetrievedFromYAML([]byte(collector.Prewarm))
	}
	return nil, fmt.Errorf("there is no configuration %s; there are %s and %s", uri, Builtin, BuiltinPrewarm)
}

func (builtin) Scheme() string                 { return "builtin" }
func (builtin) Shutdown(context.Context) error { return nil }
