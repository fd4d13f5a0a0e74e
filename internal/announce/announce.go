package announce

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Names of announcements.
const (
	Invoke = "invoke" // the caller's: a child of the caller's span, sent at the moment of the call
	Start  = "start"  // the callee's: a child of its own span, sent when its run begins
)

// Names of attributes.
const (
	// CallID is the id of a call: of its invoke, of the callee's start and finished span, and under the same name in the payload.
	CallID = "call.id"
	// InvokedName is the name of the function that is invoked.
	InvokedName = "faas.invoked_name"
	// ColdStart reports whether the run is the first of its container.
	ColdStart = "faas.coldstart"
	// Instance is a name for the process that runs the function, and so for its container: it runs the same function until it ends.
	Instance = "faas.instance"
)

// Bounds of the sending.
const (
	senders = 4               // messages at the same time; what is announced meanwhile goes with the next one
	room    = 512             // announcements that wait to be sent
	timeout = 2 * time.Second // of a message: an announcement that is older tells nobody anything
)

// errFull says that announcements were dropped.
var errFull = errors.New("too many wait to be sent")

// Announcer sends announcements to a collector. It is safe for concurrent use.
type Announcer struct {
	exporter sdk.SpanExporter
	tracer   trace.Tracer
	failed   func(spans int, err error)

	sending context.Context // done when nothing is to be sent any more
	stop    context.CancelFunc
	workers sync.WaitGroup

	mu      sync.Mutex
	queue   []sdk.ReadOnlySpan
	senders int
	dropped int // for which there was no room, since the queue was last emptied
	closed  bool
}

// New returns an Announcer for a service that sends with the exporter, which it uses for several messages at once and does not shut down.
// It calls failed with the number of announcements that were not sent and the reason, possibly from several goroutines at once.
func New(exporter sdk.SpanExporter, service string, failed func(spans int, err error)) *Announcer {
	a := &Announcer{exporter: exporter, failed: failed}
	a.sending, a.stop = context.WithCancel(context.Background())
	provider := sdk.NewTracerProvider(
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", service))), sdk.WithSpanProcessor(queueing{a}))
	a.tracer = provider.Tracer("github.com/tppfaas/tppfaas/internal/announce")
	return a
}

// Invoke announces that the function whose span the context has is invoking another one, now, and returns the id of the call.
func (a *Announcer) Invoke(caller context.Context, function string, attributes ...attribute.KeyValue) (callID string) {
	now := time.Now()
	_, span := a.tracer.Start(caller, Invoke, trace.WithTimestamp(now), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	callID = span.SpanContext().SpanID().String()
	span.SetAttributes(attribute.String(InvokedName, function), attribute.String(CallID, callID))
	span.End(trace.WithTimestamp(now))
	return callID
}

// Start announces that the function whose span the context has began to run.
func (a *Announcer) Start(own context.Context, begin time.Time, attributes ...attribute.KeyValue) {
	_, span := a.tracer.Start(own, Start, trace.WithTimestamp(begin), trace.WithAttributes(attributes...))
	span.End(trace.WithTimestamp(begin))
}

// Close waits for the announcements that are being sent. When the context is done before, it gives up the rest and returns an error.
func (a *Announcer) Close(ctx context.Context) error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	defer a.stop()
	inTime := context.AfterFunc(ctx, a.stop)
	a.workers.Wait()
	if !inTime() {
		return ctx.Err()
	}
	return nil
}

// queueing is the span processor of an Announcer.
type queueing struct{ *Announcer }

func (queueing) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (queueing) Shutdown(context.Context) error             { return nil }
func (queueing) ForceFlush(context.Context) error           { return nil }

// OnEnd queues an announcement, and starts a sender if there may be another.
func (a queueing) OnEnd(span sdk.ReadOnlySpan) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
	case len(a.queue) == room:
		a.dropped++
	default:
		a.queue = append(a.queue, span)
		if a.senders < senders {
			a.senders++
			a.workers.Go(a.send)
		}
	}
}

// send is a sender: it sends all that is in the queue until that is empty.
func (a *Announcer) send() {
	for {
		a.mu.Lock()
		spans, dropped := a.queue, a.dropped
		a.queue, a.dropped = nil, 0
		if len(spans) == 0 {
			a.senders--
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		if dropped > 0 {
			a.failed(dropped, errFull)
		}
		ctx, cancel := context.WithTimeout(a.sending, timeout)
		err := a.exporter.ExportSpans(ctx, spans)
		cancel()
		if err != nil {
			a.failed(len(spans), err)
		}
	}
}
