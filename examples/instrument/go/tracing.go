package main

import (
	"context"
	"crypto/rand"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// What a function needs so that TppFaaS sees it: a span, announcements, and the trace context in the payload. Copy this file as it is.

// flushTime is the longest that an answer waits for its spans to reach the collector.
const flushTime = 500 * time.Millisecond

var (
	propagator propagation.TraceContext
	provider   *sdk.TracerProvider // made by the first run that is told a collector
	warm       bool                // a run of this process has begun
	instance   = rand.Text()       // a name for this process, and so for its container
)

// traced returns a handler of requests that runs f within a span.
func traced(f Handler) func(context.Context, Request) (map[string]any, error) {
	return func(ctx context.Context, r Request) (map[string]any, error) {
		begin := time.Now()
		cold := !warm
		warm = true

		name := functionName(r.ActionName)
		tracer := tracerFor(r.Value["collector"], name)
		if prewarm := r.Value["prewarm"]; prewarm != nil && prewarm != false || r.Value["source"] == "serverless-plugin-warmup" {
			return warmUp(ctx, r.Value, cold), nil
		}
		// The activation id is the request's. In the environment of a compiled function it stays that of the container's first activation.
		attributes := []attribute.KeyValue{
			attribute.String("activationId", r.ActivationID), attribute.String("faas.name", name), attribute.String("faas.instance", instance),
		}
		if call, _ := r.Value["call.id"].(string); call != "" {
			attributes = append(attributes, attribute.String("call.id", call))
		}
		ctx = propagator.Extract(ctx, callerOf(r.Value))
		ctx, span := tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(begin), trace.WithAttributes(attributes...))
		// The collector keeps the span itself back until OpenWhisk has the record of the activation. This one says at once that the run has begun.
		_, start := tracer.Start(ctx, "start", trace.WithTimestamp(begin), trace.WithAttributes(append(attributes, attribute.Bool("faas.coldstart", cold))...))
		start.End(trace.WithTimestamp(begin))

		answer, err := f(ctx, r, func(name string) map[string]any { return announce(ctx, tracer, name) })
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
		flush()
		return answer, err
	}
}

// warmUp is all that an invocation does which only wants the container to be there: no span, no call. It makes the first connections, so that
// the next run is as fast as those after it, and lingers, so that other warm-ups at the same time get containers of their own.
func warmUp(ctx context.Context, payload map[string]any, cold bool) map[string]any {
	linger := 50.0
	if prewarm, ok := payload["prewarm"].(map[string]any); ok {
		if ms, ok := prewarm["linger_ms"].(float64); ok {
			linger = min(ms, 1000)
		}
	}
	end := time.After(time.Duration(linger * float64(time.Millisecond)))
	if collector, _ := payload["collector"].(string); cold {
		ctx, cancel := context.WithTimeout(ctx, flushTime)
		defer cancel()
		var connections sync.WaitGroup
		for _, address := range []string{os.Getenv("__OW_API_HOST"), collector} {
			connections.Go(func() {
				request, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
				if err != nil {
					return
				}
				request.Close = true
				if answer, err := http.DefaultClient.Do(request); err == nil { // the container is there all the same
					answer.Body.Close()
				}
			})
		}
		connections.Wait()
	}
	<-end
	return map[string]any{"prewarmed": true, "cold": cold, "instance": instance}
}

// announce says at once that the function whose span the context has is invoking another one. What it returns belongs into the payload of
// the call.
func announce(ctx context.Context, tracer trace.Tracer, name string) map[string]any {
	now := time.Now()
	_, call := tracer.Start(ctx, "invoke", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(now), trace.WithAttributes(attribute.String("faas.invoked_name", name)))
	carrier := propagation.MapCarrier{}
	propagator.Inject(ctx, carrier)
	if call.IsRecording() {
		carrier["call.id"] = call.SpanContext().SpanID().String()
		call.SetAttributes(attribute.String("call.id", carrier["call.id"]))
	}
	call.End(trace.WithTimestamp(now))
	payload := map[string]any{}
	for k, v := range carrier {
		payload[k] = v
	}
	return payload
}

// callerOf returns the trace context in a payload.
func callerOf(payload map[string]any) propagation.MapCarrier {
	carrier := propagation.MapCarrier{}
	for _, key := range propagator.Fields() {
		if text, ok := payload[key].(string); ok {
			carrier[key] = text
		}
	}
	return carrier
}

// functionName returns PACKAGE/NAME or NAME of /NAMESPACE/PACKAGE/NAME: the name of the span is the function's mark in datasets.
func functionName(path string) string {
	_, name, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return name
}

// tracerFor returns a tracer whose spans go to the collector. Without a usable address it is one without spans, which passes the caller's
// context on.
func tracerFor(collector any, name string) trace.Tracer {
	if address, _ := collector.(string); address != "" && provider == nil {
		if err := connect(address, name); err != nil {
			log.Printf("No spans are sent to %s: %v", address, err)
		}
	}
	if provider == nil {
		return noop.NewTracerProvider().Tracer("hello")
	}
	return provider.Tracer("hello")
}

func connect(collector, name string) error {
	if _, err := url.ParseRequestURI(collector); err != nil {
		return err
	}
	exporter, err := otlptracehttp.New(context.Background(),
		otlptracehttp.WithEndpointURL(strings.TrimSuffix(collector, "/")+"/v1/traces"),
		// Connections are not kept: the collector may have closed them while the container was paused.
		otlptracehttp.WithHTTPClient(&http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}))
	if err != nil {
		return err
	}
	provider = sdk.NewTracerProvider(
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", name))),
		// Each span is sent when it ends, by a goroutine of the batcher.
		sdk.WithBatcher(exporter, sdk.WithMaxExportBatchSize(1), sdk.WithMaxQueueSize(256)))
	return nil
}

// flush waits until the spans are sent, because nothing runs in a paused container. The function does not fail for spans that take longer.
func flush() {
	if provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := provider.ForceFlush(ctx); err != nil {
		log.Printf("The collector has not taken the spans: %v", err)
	}
}
