// What a function needs so that TppFaaS sees it: a span, announcements, and the trace context in the payload. Copy this file as it is.
'use strict';

const { randomBytes } = require('node:crypto');

const { ROOT_CONTEXT, SpanKind, SpanStatusCode, defaultTextMapGetter, defaultTextMapSetter, trace } = require('@opentelemetry/api');
const { W3CTraceContextPropagator } = require('@opentelemetry/core');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-http');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { SimpleSpanProcessor, TracerProvider } = require('@opentelemetry/sdk-trace');

// The longest that an answer waits for its spans to reach the collector.
const FLUSH_MS = 500;

const propagator = new W3CTraceContextPropagator();
let provider; // made by the first run that is told a collector
const instance = randomBytes(8).toString('hex'); // a name for this process, and so for its container
let cold = true; // until the first run of this process

// traced returns the function that OpenWhisk calls. It runs handler(params, announce) within a span.
exports.traced = (handler) => async (params) => {
  const begin = Date.now();
  // Read in the run, and before anything is awaited: OpenWhisk sets them anew before each run. When this file is loaded they are those of
  // the container's first activation, and while a run waits another may begin, where the limit of concurrency allows it.
  const activationId = process.env.__OW_ACTIVATION_ID;
  const name = functionName(process.env.__OW_ACTION_NAME);
  const isCold = cold;
  cold = false;

  const tracer = tracerFor(params.collector, name);
  if (params.prewarm || params.source === 'serverless-plugin-warmup') {
    return warmUp(params, isCold);
  }
  const caller = propagator.extract(ROOT_CONTEXT, params, defaultTextMapGetter);
  const attributes = { activationId, 'faas.name': name, 'faas.instance': instance };
  if (params['call.id']) {
    attributes['call.id'] = params['call.id'];
  }
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, startTime: begin, attributes }, caller);
  const own = trace.setSpan(caller, span);
  // The collector keeps the span itself back until OpenWhisk has the record of the activation. This one says at once that the run has begun.
  tracer.startSpan('start', { startTime: begin, attributes: { ...attributes, 'faas.coldstart': isCold } }, own).end(begin);

  // announce says at once that this function is invoking another one. What it returns belongs into the payload of the call.
  const announce = (invoked) => {
    const now = Date.now();
    const call = tracer.startSpan('invoke', { kind: SpanKind.CLIENT, startTime: now, attributes: { 'faas.invoked_name': invoked } }, own);
    const carrier = {};
    propagator.inject(own, carrier, defaultTextMapSetter);
    if (call.isRecording()) {
      carrier['call.id'] = call.spanContext().spanId;
      call.setAttribute('call.id', carrier['call.id']);
    }
    call.end(now);
    return carrier;
  };

  try {
    return await handler(params, announce);
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
    throw error;
  } finally {
    span.end();
    await flush();
  }
};

// warmUp is all that an invocation does which only wants the container to be there: no span, no call. It makes the first connections, so that
// the next run is as fast as those after it, and lingers, so that other warm-ups at the same time get containers of their own.
async function warmUp(params, isCold) {
  const linger = new Promise((resolve) => setTimeout(resolve, Math.min(params.prewarm?.linger_ms ?? 50, 1000)));
  const connect = async (url) => {
    try {
      await (await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(500) })).body?.cancel();
    } catch {
      // There is no such address, or nobody answers. The container is there all the same.
    }
  };
  await Promise.all([linger, ...(isCold ? [process.env.__OW_API_HOST, params.collector].map(connect) : [])]);
  return { prewarmed: true, cold: isCold, instance };
}

// functionName returns PACKAGE/NAME or NAME of /NAMESPACE/PACKAGE/NAME: the name of the span is the function's mark in datasets.
function functionName(path) {
  return (path ?? '').split('/').slice(2).join('/');
}

// tracerFor returns a tracer whose spans go to the collector. Without a usable address it is one without spans, which passes the caller's
// context on.
function tracerFor(collector, name) {
  if (collector && !provider) {
    try {
      // Each span is sent when it ends, in the background. Connections are not kept: the collector may have closed them while the container
      // was paused.
      const exporter = new OTLPTraceExporter({ url: `${String(collector).replace(/\/$/, '')}/v1/traces`, keepAlive: false });
      provider = new TracerProvider({
        resource: resourceFromAttributes({ 'service.name': name }),
        spanProcessors: [new SimpleSpanProcessor({ exporter })],
      });
    } catch (error) {
      console.error(`No spans are sent to ${collector}: ${error}`);
    }
  }
  return (provider ?? trace).getTracer('hello');
}

// flush waits until the spans are sent, because nothing runs in a paused container. Spans that take longer go on being sent as long as it is
// not paused. The function does not fail for them.
async function flush() {
  try {
    await provider?.forceFlush({ timeoutMillis: FLUSH_MS });
  } catch (errors) {
    console.error(`The collector has not taken the spans: ${errors}`);
  }
}
