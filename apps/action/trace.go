package action

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tppfaas/tppfaas/internal/announce"
	"github.com/tppfaas/tppfaas/internal/otlphttp"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Bounds of the export. It runs in the background and delays no answer: spans that the collector does not take in time, or
// for which there is no room, are lost.
const (
	exportDelay   = 2 * time.Millisecond // after the end of a span, to send several together
	exportTimeout = 10 * time.Second     // of a message, with its retries
	exportRoom    = 512                  // spans
	never         = 24 * time.Hour
)

// tracer exports the spans of a container. OpenTelemetry is set up at the first invocation that names a collector, so that it does not
// delay the start of the container.
type tracer struct {
	collector string
	service   string
	insecure  bool
	client    *http.Client // of both provider and announcer
	provider  *sdk.TracerProvider
	batcher   sdk.SpanProcessor // of the provider
	announcer *announce.Announcer
	end       context.CancelFunc // of the provider's exports
	ended     chan struct{}      // signals that a span has ended since the last export began
	logf      func(format string, args ...any)
}

// span is the span of one invocation. The zero value exports nothing.
type span struct {
	trace.Span
	given     carrier             // the caller's context, for a function that exports nothing
	announcer *announce.Announcer // nil if calls are not announced
	ended     chan<- struct{}
}

var propagator = propagation.TraceContext{}

// start begins the span of an invocation, and announces the start if the task says so, with whether it is the first run of its container
// (nil if that is not known). The instance is a name for the container, "" if it has none. An impossible address of the collector counts as none, because the function should not fail for it.
func (t *tracer) start(task *task, activationID, instance string, begin time.Time, cold *bool) span {
	given := carrier{TraceParent: task.TraceParent, TraceState: task.TraceState}
	if task.Collector == "" || !t.ready(task) {
		return span{given: given}
	}
	parent := propagator.Extract(context.Background(), propagation.MapCarrier{"traceparent": given.TraceParent, "tracestate": given.TraceState})
	attributes := []attribute.KeyValue{
		attribute.String("activationId", activationID), attribute.String("application", task.Application),
		attribute.String("faas.name", task.name()), attribute.Int("call", task.Call),
	}
	if instance != "" {
		attributes = append(attributes, attribute.String(announce.Instance, instance))
	}
	if task.CallID != "" {
		attributes = append(attributes, attribute.String(announce.CallID, task.CallID))
	}
	tracer := t.provider.Tracer("github.com/tppfaas/tppfaas/apps/action")
	ctx, s := tracer.Start(parent, task.name(), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(begin), trace.WithAttributes(attributes...))
	started := span{Span: s, given: given, ended: t.ended}
	if task.Announce {
		if cold != nil {
			attributes = append(attributes, attribute.Bool(announce.ColdStart, *cold))
		}
		t.announcer.Start(ctx, begin, attributes...)
		started.announcer = t.announcer
	}
	return started
}

// ready sets up a provider that exports to the task's collector, unless there is one already. It reports whether there is one now.
func (t *tracer) ready(task *task) bool {
	collector, service, insecure := task.Collector, task.name(), bool(task.Insecure)
	if t.provider != nil && t.collector == collector && t.service == service && t.insecure == insecure {
		return true
	}
	u, err := url.Parse(collector)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	// Another collector, where a parameter was changed while the container was warm. The run waits for the one before no longer than a program at
	// its end would.
	before, cancel := context.WithTimeout(context.Background(), exportGrace)
	defer cancel()
	_ = t.close(before) // what is lost was logged
	var end context.Context
	end, t.end = context.WithCancel(context.Background())
	logf := t.logf
	t.client = whisk.NewHTTPClient(insecure, 4)
	t.collector, t.service, t.insecure = collector, service, insecure
	exporter := otlphttp.New(u, t.client, func(spans int, err error) { logf("%d spans have not been exported: %v", spans, err) })
	t.batcher = sdk.NewBatchSpanProcessor(until{exporter, end}, sdk.WithBatchTimeout(never), sdk.WithExportTimeout(exportTimeout), sdk.WithMaxQueueSize(exportRoom))
	t.provider = sdk.NewTracerProvider(
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", service))), sdk.WithSpanProcessor(t.batcher))
	t.ended = make(chan struct{}, 1)
	go export(end, t.provider, t.ended)
	t.announcer = announce.New(otlphttp.New(u, t.client, nil), service, func(spans int, err error) {
		logf("%d announcements have not been sent: %v", spans, err)
	})
	return true
}

// first makes the first connection to the collector. There must be a provider.
func (t *tracer) first(ctx context.Context) error {
	u, err := url.Parse(t.collector)
	if err != nil {
		return err
	}
	return otlphttp.Connect(ctx, u, t.client)
}

// export sends the spans that have ended whenever one ends. The batcher's own timer would fire all the time, in hundreds of containers that
// have nothing to send.
func export(ctx context.Context, provider *sdk.TracerProvider, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
		if wait(ctx, exportDelay) != nil || provider.ForceFlush(ctx) != nil && ctx.Err() != nil {
			return
		}
	}
}

// until ends exports when a context ends: the batcher gives them contexts of its own.
type until struct {
	sdk.SpanExporter
	end context.Context
}

func (u until) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.end, cancel)()
	return u.SpanExporter.ExportSpans(ctx, spans)
}

// call returns the trace context for a function that is about to be invoked. If calls are announced, it announces this one, without waiting
// for that, and the id of the call travels with the context.
func (s span) call(function string) carrier {
	if s.Span == nil {
		return s.given
	}
	ctx := trace.ContextWithSpan(context.Background(), s.Span)
	m := propagation.MapCarrier{}
	propagator.Inject(ctx, m)
	c := carrier{TraceParent: m["traceparent"], TraceState: m["tracestate"]}
	if s.announcer != nil {
		c.CallID = s.announcer.Invoke(ctx, function)
	}
	return c
}

// end ends the span, as failed if err is not nil.
func (s span) end(err error) {
	if s.Span == nil {
		return
	}
	if err != nil {
		s.SetStatus(codes.Error, err.Error())
	}
	s.End()
	select {
	case s.ended <- struct{}{}:
	default: // a signal is pending: that export sends this span too
	}
}

// close exports the spans and announcements that are left, for as long as the context allows.
func (t *tracer) close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	defer t.end()
	announced := make(chan error, 1)
	go func() { announced <- t.announcer.Close(ctx) }()
	// A provider whose context is done, as that of a container which was frozen meanwhile, leaves its batcher running.
	flushed := errors.Join(t.provider.Shutdown(ctx), t.batcher.Shutdown(ctx))
	defer t.client.CloseIdleConnections()
	return errors.Join(<-announced, flushed)
}
