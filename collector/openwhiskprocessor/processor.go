package openwhiskprocessor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tppfaas/tppfaas/collector/openwhiskprocessor/internal/metadata"
)

// openwhisk is the processor. ConsumeTraces passes on the spans that need no lookup and puts the others into pending; from
// there lookups gives them their records and the forwarder delivers them.
type openwhisk struct {
	id       component.ID
	config   *Config
	settings component.TelemetrySettings
	logger   *zap.Logger
	next     consumer.Traces
	provide  provider
	counters counters
	cache    *cache
	pending  *pending

	// Set by Start.
	client  recordClient
	spool   *spool // nil without a storage
	lookups *lookups
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

func newProcessor(set processor.Settings, config *Config, next consumer.Traces, provide provider) (*openwhisk, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	p := &openwhisk{
		id: set.ID, config: config, settings: set.TelemetrySettings, logger: set.Logger, next: next, provide: provide, counters: counters{telemetry},
		cache: newCache(config.Cache), pending: newPending(config),
	}
	if err := p.registerGauges(telemetry); err != nil {
		telemetry.Shutdown()
		return nil, err
	}
	return p, nil
}

func (p *openwhisk) registerGauges(telemetry *metadata.TelemetryBuilder) error {
	gauge := func(value func() int) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(value()))
			return nil
		}
	}
	return errors.Join(
		telemetry.RegisterProcessorOpenwhiskSpansWaitingCallback(gauge(func() int { spans, _ := p.pending.load(); return spans })),
		telemetry.RegisterProcessorOpenwhiskBytesWaitingCallback(gauge(func() int { _, bytes := p.pending.load(); return bytes })),
		telemetry.RegisterProcessorOpenwhiskCircuitOpenCallback(gauge(func() int {
			if p.pending.circuitOpen() {
				return 1
			}
			return 0
		})),
	)
}

// Capabilities reports that the processor changes spans.
func (p *openwhisk) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: true}
}

// Start connects to OpenWhisk and opens the storage, and continues with the spans that an earlier process left there.
func (p *openwhisk) Start(ctx context.Context, host component.Host) error {
	for _, name := range p.config.renamed {
		p.logger.Warn("A setting has an old name: " + name)
	}
	client, err := p.provide(ctx, p.config, host, p.settings)
	if err != nil {
		return err
	}
	if p.config.StartupCheck {
		if err := client.Check(ctx); err != nil {
			client.Close()
			return fmt.Errorf("%w (startup_check: false starts all the same)", err)
		}
	}
	p.client = client
	if p.config.Storage != nil {
		if err := p.openStorage(ctx, host); err != nil {
			client.Close()
			return err
		}
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel = cancel
	p.lookups = &lookups{
		pending: p.pending, client: client, cache: p.cache, onMissing: p.config.OnMissing, logger: p.logger, counters: p.counters,
	}
	forwarder := &forwarder{pending: p.pending, spool: p.spool, next: p.next, logger: p.logger, counters: p.counters}
	p.pending.open()
	for range p.config.Concurrency {
		p.wg.Go(func() { p.lookups.work(work) })
	}
	p.wg.Go(func() { forwarder.work(work) })
	return nil
}

// openStorage opens the storage and makes the spans that it contains wait again.
func (p *openwhisk) openStorage(ctx context.Context, host component.Host) error {
	spool, batches, err := openSpool(ctx, host, *p.config.Storage, p.id, p.logger)
	if err != nil {
		return err
	}
	p.spool = spool
	spans := 0
	for _, b := range batches {
		b.arrived = time.Now()
		spans += b.left
		p.pending.restore(b)
	}
	if spans > 0 {
		p.logger.Info("Taking up spans that waited when the last process ended", zap.Int("spans", spans))
	}
	return nil
}

// ConsumeTraces passes on the spans that need no lookup and stores and enlists the others. It accepts a message as a whole or
// not at all: after an error the sender has to send all of it again.
func (p *openwhisk) ConsumeTraces(ctx context.Context, traces ptrace.Traces) error {
	arrived := time.Now()
	classes := classify(traces, p.pending, p.cache, arrived)
	bytes := classes.waitingSize(traces)
	if err := p.pending.reserve(classes.counts[toWait], bytes); err != nil {
		if status.Code(err) == codes.ResourceExhausted {
			p.counters.refused(ctx, len(classes.spans)-classes.counts[duplicate])
		}
		return err
	}
	onward, waiting := classes.divide(traces)
	clampDurations(onward)
	clampDurations(waiting)
	b := &batch{traces: waiting, bytes: bytes, left: classes.counts[toWait], arrived: arrived}
	if err := p.spool.add(ctx, b); err != nil {
		p.pending.release(b.left, b.bytes)
		p.counters.refused(ctx, len(classes.spans)-classes.counts[duplicate])
		return status.Errorf(codes.Unavailable, "storing spans that wait: %v", err)
	}
	if onward.SpanCount() > 0 {
		if err := p.next.ConsumeTraces(ctx, onward); err != nil {
			p.withdraw(ctx, b)
			return err
		}
	}
	p.pending.enlist(b)
	p.counters.passedOn(ctx, classes.counts[passOn], reasonNoID)
	p.counters.passedOn(ctx, classes.counts[invalid], reasonInvalid)
	p.counters.dropped(ctx, classes.counts[duplicate], reasonDuplicate)
	p.counters.enriched(ctx, classes.counts[fromCache])
	return nil
}

// withdraw gives up a batch that was stored and not enlisted.
func (p *openwhisk) withdraw(ctx context.Context, b *batch) {
	p.pending.release(b.left, b.bytes)
	if err := p.spool.remove(ctx, b); err != nil {
		p.logger.Error("Spans that their sender has to send again stay in the storage", zap.Error(err))
	}
}

// Shutdown refuses new spans and looks up those that wait: once at once, and then as scheduled, until ShutdownTimeout or the
// end of the context. Spans that are left stay in the storage; without a storage they are treated as missing.
func (p *openwhisk) Shutdown(ctx context.Context) error {
	defer p.counters.Shutdown()
	if !p.pending.drain() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.ShutdownTimeout)
	defer cancel()
	select {
	case <-p.pending.drained:
	case <-ctx.Done():
		if p.spool != nil {
			break
		}
		p.lookups.abandon(context.WithoutCancel(ctx), reasonShutdown)
		// Only deliveries are left, which take moments unless the next component is stuck.
		select {
		case <-p.pending.drained:
		case <-time.After(p.config.ShutdownTimeout):
		}
	}
	p.cancel()
	left := p.pending.close()
	p.wg.Wait()
	p.client.Close()
	if p.spool != nil {
		if left > 0 {
			p.logger.Info("Spans that wait stay in the storage until the next start", zap.Int("spans", left))
		}
		return p.spool.close(context.WithoutCancel(ctx))
	}
	if left > 0 {
		return fmt.Errorf("%d spans were lost: the next component did not take them", left)
	}
	return nil
}
