package distribution

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// mostBetweenConnections is the longest time between two attempts to connect.
const mostBetweenConnections = 2 * time.Second

// reconnecting is the factory of an exporter of OTLP over gRPC that is soon connected again after its receiver was away. gRPC waits longer and longer between
// attempts to connect, up to two minutes, and no setting of the exporter bounds that; only an extension can, which each configuration would have to name. So
// that all have it, the exporter finds one that there is not in the configuration.
type reconnecting struct {
	exporter.Factory
	alias // which the collector looks for
	most  time.Duration
}

type alias interface {
	DeprecatedAlias() component.Type
	SetDeprecatedAlias(component.Type)
}

// newReconnecting returns the factory f of such exporters as one whose exporters wait no longer than most between attempts to connect.
func newReconnecting(f exporter.Factory, most time.Duration) exporter.Factory {
	a, ok := f.(alias)
	if !ok {
		return f // a later version that has no old name any more, which the test would find
	}
	return &reconnecting{Factory: f, alias: a, most: most}
}

var reconnectID = component.MustNewIDWithName("reconnect", "builtin")

// CreateTraces implements exporter.Factory.
func (f *reconnecting) CreateTraces(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
	given, ok := cfg.(*otlpexporter.Config)
	if !ok {
		return nil, fmt.Errorf("the configuration of %s is a %T", set.ID, cfg)
	}
	config := *given
	config.ClientConfig.Middlewares = append(slices.Clone(config.ClientConfig.Middlewares), configmiddleware.Config{ID: reconnectID})
	e, err := f.Factory.CreateTraces(ctx, set, &config)
	if err != nil {
		return nil, err
	}
	return &reconnectingTraces{Traces: e, most: f.most}, nil
}

type reconnectingTraces struct {
	exporter.Traces
	most time.Duration
}

// Start implements component.Component.
func (e *reconnectingTraces) Start(ctx context.Context, host component.Host) error {
	return e.Traces.Start(ctx, &reconnectHost{Host: host, most: e.most})
}

// reconnectHost is a host with one more extension.
type reconnectHost struct {
	component.Host
	most time.Duration
}

// GetExtensions implements component.Host.
func (h *reconnectHost) GetExtensions() map[component.ID]component.Component {
	all := maps.Clone(h.Host.GetExtensions())
	if all == nil {
		all = map[component.ID]component.Component{}
	}
	all[reconnectID] = &reconnect{most: h.most}
	return all
}

// reconnect is an extension that bounds the time between attempts to connect.
type reconnect struct {
	component.StartFunc
	component.ShutdownFunc
	most time.Duration
}

// GetGRPCClientOptions implements extensionmiddleware.GRPCClient.
func (r *reconnect) GetGRPCClientOptions(context.Context) ([]grpc.DialOption, error) {
	b := backoff.DefaultConfig
	b.BaseDelay, b.MaxDelay = min(b.BaseDelay, r.most), r.most
	return []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{Backoff: b, MinConnectTimeout: 5 * time.Second})}, nil
}
