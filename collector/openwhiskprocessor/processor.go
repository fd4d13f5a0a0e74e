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
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tppfaas/tppfaas/collector/openwhiskprocessor/internal/metadata"
	"github.com/tppfaas/tppfaas/collector/openwhiskprocessor/internal/whisk"
)

// openwhisk is the processor. A span goes one of three ways: without an activation, or with a record at hand, it goes on
// at once; else it waits (ready or later) until a worker has its record; then it is in done, until the next component has
// taken it.
type openwhisk struct {
	id        component.ID
	config    *Config
	logger    *zap.Logger
	next      consumer.Traces
	provide   provider
	telemetry *metadata.TelemetryBuilder

	client whisk.Client
	spool  *spool // nil without a storage
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu          sync.Mutex
	lookable    sync.Cond     // something is ready and may be looked up, or all is over
	forwardable sync.Cond     // something is done, or all is over
	clerk       chan struct{} // there may be something earlier to wait for
	activations map[string]*activation
	ready       []*activation
	later       schedule
	done        []item
	cache       *cache
	circuit     circuit
	spans       int // that wait or are done
	bytes       int // of batches with such spans
	started     bool
	refusing    bool          // no new spans are taken
	over        bool          // workers and forwarder end
	empty       chan struct{} // closed when refusing and nothing waits any more; nil before
	told        time.Time     // when the log last said that OpenWhisk fails
}

func newProcessor(set processor.Settings, config *Config, next consumer.Traces, provide provider) (*openwhisk, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	p := &openwhisk{
		id: set.ID, config: config, logger: set.Logger, next: next, provide: provide, telemetry: telemetry,
		clerk: make(chan struct{}, 1), activations: map[string]*activation{}, cache: newCache(config.Cache),
		circuit: circuit{config: config.Circuit},
	}
	p.lookable.L, p.forwardable.L = &p.mu, &p.mu
	gauge := func(value func() int) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			o.Observe(int64(value()))
			return nil
		}
	}
	err = errors.Join(
		telemetry.RegisterProcessorOpenwhiskSpansWaitingCallback(gauge(func() int { return p.spans })),
		telemetry.RegisterProcessorOpenwhiskBytesWaitingCallback(gauge(func() int { return p.bytes })),
		telemetry.RegisterProcessorOpenwhiskCircuitOpenCallback(gauge(func() int {
			if p.circuit.open {
				return 1
			}
			return 0
		})),
	)
	if err != nil {
		telemetry.Shutdown()
		return nil, err
	}
	return p, nil
}

// Capabilities says that spans are changed.
func (p *openwhisk) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: true}
}

// Start connects to OpenWhisk and to the storage, and takes up the spans that an earlier process left there.
func (p *openwhisk) Start(ctx context.Context, host component.Host) error {
	client, err := p.provide(ctx, p.config)
	if err != nil {
		return err
	}
	if p.config.StartupCheck {
		if err := client.Check(ctx); err != nil {
			client.Close()
			return fmt.Errorf("OpenWhisk: %w (startup_check: false starts all the same)", err)
		}
	}
	p.client = client
	if p.config.Storage != nil {
		var left []*batch
		if p.spool, left, err = openSpool(ctx, host, *p.config.Storage, p.id); err != nil {
			client.Close()
			return err
		}
		spans := 0
		for _, b := range left {
			b.arrived = time.Now()
			spans += b.left
			p.mu.Lock()
			p.spans += b.left
			p.bytes += b.bytes
			p.enlist(b)
			p.mu.Unlock()
		}
		if spans > 0 {
			p.logger.Info("Taking up spans that waited when the last process ended", zap.Int("spans", spans))
		}
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel = cancel
	p.mu.Lock()
	p.started = true
	p.mu.Unlock()
	for range p.config.Concurrency {
		p.wg.Go(func() { p.lookUp(work) })
	}
	p.wg.Go(func() { p.wake(work) })
	p.wg.Go(func() { p.forward(work) })
	return nil
}

// ConsumeTraces passes on what need not wait and keeps the rest. It takes all or nothing: with an error the sender has to
// send everything again.
func (p *openwhisk) ConsumeTraces(ctx context.Context, traces ptrace.Traces) error {
	now := time.Now()
	enriched, noID, duplicates := 0, 0, 0
	p.mu.Lock()
	if p.refusing {
		p.mu.Unlock()
		return status.Error(codes.Unavailable, "the collector is stopping")
	}
	waiting := split(traces, func(span ptrace.Span) bool {
		id := activationOf(span)
		if id == "" {
			noID++
			return false
		}
		if record, ok := p.cache.get(id, now); ok {
			enrich(span, record)
			enriched++
			return false
		}
		return true
	})
	dropDuplicates(waiting, func(id string, span ptrace.Span) bool {
		a, ok := p.activations[id]
		if ok = ok && a.has(span); ok {
			duplicates++
		}
		return ok
	})
	b := &batch{traces: waiting, left: waiting.SpanCount(), arrived: now}
	if b.left > 0 {
		b.bytes = new(ptrace.ProtoMarshaler).TracesSize(waiting)
		if err := p.reserve(b); err != nil {
			p.mu.Unlock()
			p.telemetry.ProcessorOpenwhiskSpansRefused.Add(ctx, int64(b.left+traces.SpanCount()))
			return err
		}
	}
	p.mu.Unlock()

	if b.left > 0 && p.spool != nil {
		if err := p.spool.add(ctx, b); err != nil {
			p.release(b)
			return status.Errorf(codes.Unavailable, "storing spans that wait: %v", err)
		}
	}
	if traces.SpanCount() > 0 {
		if err := p.next.ConsumeTraces(ctx, traces); err != nil {
			if b.left > 0 {
				p.release(b)
				if p.spool != nil {
					b.left = 0
					if err := p.spool.note(ctx, []*batch{b}); err != nil {
						p.logger.Error("Spans that their sender has to send again stay in the storage", zap.Error(err))
					}
				}
			}
			return err
		}
	}
	p.count(ctx, p.telemetry.ProcessorOpenwhiskSpansPassedOn, noID, reasonNoID)
	p.count(ctx, p.telemetry.ProcessorOpenwhiskSpansDropped, duplicates, reasonDuplicate)
	if enriched > 0 {
		p.telemetry.ProcessorOpenwhiskSpansEnriched.Add(ctx, int64(enriched))
	}
	if b.left > 0 {
		p.mu.Lock()
		p.enlist(b)
		p.mu.Unlock()
	}
	return nil
}

// dropDuplicates removes the spans that wait already: their sender did not hear that they were taken.
func dropDuplicates(traces ptrace.Traces, waits func(id string, span ptrace.Span) bool) {
	split(traces, func(span ptrace.Span) bool { return waits(activationOf(span), span) })
}

// reserve makes room for a batch, or returns what makes its sender come again. The lock is held.
func (p *openwhisk) reserve(b *batch) error {
	limits := p.config.Pending
	// A batch that would never fit is let in when it is alone.
	if p.spans > 0 && (p.spans+b.left > limits.Spans || p.bytes+b.bytes > limits.Bytes) {
		s := status.Newf(codes.ResourceExhausted, "%d spans (%d bytes) wait for their activation records", p.spans, p.bytes)
		if with, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(limits.RetryAfter)}); err == nil {
			s = with
		}
		return s.Err()
	}
	p.spans += b.left
	p.bytes += b.bytes
	return nil
}

// release gives up the room of a batch that was not taken after all.
func (p *openwhisk) release(b *batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spans -= b.left
	p.bytes -= b.bytes
	p.checkEmpty()
}

// enlist has the spans of a batch wait for their activations. The lock is held.
func (p *openwhisk) enlist(b *batch) {
	now := time.Now()
	for _, it := range b.items() {
		if b.handed != nil && b.handed[it.index/8]&(1<<(it.index%8)) != 0 {
			continue
		}
		id := activationOf(it.span)
		a := p.activations[id]
		if a == nil {
			a = &activation{id: id, since: now, down: p.circuit.downtime(now)}
			p.activations[id] = a
			p.ready = append(p.ready, a)
			p.lookable.Signal()
		}
		a.items = append(a.items, it)
	}
}

// checkEmpty tells Shutdown when nothing waits any more. The lock is held.
func (p *openwhisk) checkEmpty() {
	if p.empty != nil && p.spans == 0 {
		close(p.empty)
		p.empty = nil
	}
}

// Shutdown takes no more spans and looks up those that wait, once more at once and then as planned, until ShutdownTimeout
// or the context's end. What is left then stays in the storage; without one it is treated as missing.
func (p *openwhisk) Shutdown(ctx context.Context) error {
	defer p.telemetry.Shutdown()
	p.mu.Lock()
	if p.refusing || !p.started {
		p.refusing = true
		p.mu.Unlock()
		return nil
	}
	p.refusing = true
	empty := make(chan struct{})
	p.empty = empty
	p.checkEmpty()
	for _, a := range p.later {
		p.ready = append(p.ready, a)
	}
	p.later = nil
	p.lookable.Broadcast()
	p.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, p.config.ShutdownTimeout)
	defer cancel()
	select {
	case <-empty:
	case <-ctx.Done():
		if p.spool == nil {
			p.giveUp(reasonShutdown)
			// What is done needs only to be taken, which is a matter of moments unless the next component is stuck.
			select {
			case <-empty:
			case <-time.After(p.config.ShutdownTimeout):
			}
		}
	}
	p.cancel()
	p.mu.Lock()
	p.over = true
	left := p.spans
	p.lookable.Broadcast()
	p.forwardable.Broadcast()
	p.mu.Unlock()
	p.wg.Wait()
	p.client.Close()
	var err error
	if p.spool != nil {
		if left > 0 {
			p.logger.Info("Spans that wait stay in the storage until the next start", zap.Int("spans", left))
		}
		err = p.spool.close(context.WithoutCancel(ctx))
	} else if left > 0 {
		err = fmt.Errorf("%d spans were lost: the next component did not take them", left)
	}
	return err
}
