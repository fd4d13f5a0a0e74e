"""What a function needs so that TppFaaS sees it: a span, announcements, and the trace context in the payload. Copy this file as it is."""

import functools
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor, wait

import requests  # The exporter would import it in the first run, which takes a while.
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# The longest that an answer waits for its spans to reach the collector, in seconds.
FLUSH_SECONDS = 0.5

_propagator = TraceContextTextMapPropagator()
_provider = None  # made by the first run that is told a collector
_flusher = ThreadPoolExecutor(max_workers=1)
_flushing = None  # the flush that runs, or the last one
_instance = os.urandom(8).hex()  # a name for this process, and so for its container
_cold = True  # until the first run of this process


def traced(handler):
    """Returns the function that OpenWhisk calls. It runs handler(params, announce) within a span."""

    @functools.wraps(handler)
    def main(params):
        global _cold
        begin = time.time_ns()
        # Read in the run: OpenWhisk sets them anew before each run. When this file is loaded they are those of the container's first activation.
        activation_id = os.environ.get("__OW_ACTIVATION_ID", "")
        name = _function_name(os.environ.get("__OW_ACTION_NAME", ""))
        cold, _cold = _cold, False

        tracer = _tracer(params.get("collector"), name)
        if params.get("prewarm") or params.get("source") == "serverless-plugin-warmup":
            return _warm_up(params, cold)
        # A payload may have anything, and the propagator fails for what is no text.
        caller = _propagator.extract({key: value for key, value in params.items() if isinstance(value, str)}, Context())
        attributes = {"activationId": activation_id, "faas.name": name, "faas.instance": _instance}
        if params.get("call.id"):
            attributes["call.id"] = params["call.id"]
        span = tracer.start_span(name, caller, SpanKind.SERVER, attributes, start_time=begin)
        own = trace.set_span_in_context(span, caller)
        # The collector keeps the span itself back until OpenWhisk has the record of the activation. This one says at once that the run has begun.
        tracer.start_span("start", own, attributes={**attributes, "faas.coldstart": cold}, start_time=begin).end(begin)

        def announce(invoked):
            """Says at once that this function is invoking another one. What it returns belongs into the payload of the call."""
            now = time.time_ns()
            call = tracer.start_span("invoke", own, SpanKind.CLIENT, {"faas.invoked_name": invoked}, start_time=now)
            carrier = {}
            _propagator.inject(carrier, own)
            if call.is_recording():
                carrier["call.id"] = trace.format_span_id(call.get_span_context().span_id)
                call.set_attribute("call.id", carrier["call.id"])
            call.end(now)
            return carrier

        try:
            return handler(params, announce)
        except Exception as error:
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
        finally:
            span.end()
            _flush()

    return main


def _warm_up(params, cold):
    """
    All that an invocation does which only wants the container to be there: no span, no call. It makes the first connections, so that the next
    run is as fast as those after it, and lingers, so that other warm-ups at the same time get containers of their own.
    """
    prewarm = params.get("prewarm")
    linger = prewarm.get("linger_ms") if isinstance(prewarm, dict) else None
    end = time.monotonic() + min(linger if isinstance(linger, (int, float)) else 50, 1000) / 1000
    if cold:
        for url in os.environ.get("__OW_API_HOST"), params.get("collector"):
            try:
                requests.head(url, timeout=0.5)
            except requests.RequestException:
                pass  # There is no such address, or nobody answers. The container is there all the same.
    time.sleep(max(0, end - time.monotonic()))
    return {"prewarmed": True, "cold": cold, "instance": _instance}


def _function_name(path):
    """Returns PACKAGE/NAME or NAME of /NAMESPACE/PACKAGE/NAME: the name of the span is the function's mark in datasets."""
    return "/".join(path.split("/")[2:])


def _tracer(collector, name):
    """Returns a tracer whose spans go to the collector. Without an address it is one without spans, which passes the caller's context on."""
    global _provider
    if collector and _provider is None:
        exporter = OTLPSpanExporter(endpoint=f"{str(collector).rstrip('/')}/v1/traces")
        # Each span is sent when it ends, by a thread of the processor. The delay is for what ends while that thread is about to wait.
        processor = BatchSpanProcessor(exporter, max_queue_size=256, max_export_batch_size=1, schedule_delay_millis=100)
        # A container is killed, so there is nothing to do on exit.
        _provider = TracerProvider(resource=Resource({"service.name": name}), shutdown_on_exit=False)
        _provider.add_span_processor(processor)
    return (_provider or trace).get_tracer("hello")


def _flush():
    """
    Waits until the spans are sent, because nothing runs in a paused container. Spans that take longer go on being sent as long as it is not
    paused. The function does not fail for them. The processor's own flush has no bound.
    """
    global _flushing
    if _provider is None:
        return
    end = time.monotonic() + FLUSH_SECONDS
    if _flushing is not None:
        wait([_flushing], FLUSH_SECONDS)  # that of an earlier run, which may not know of this one's spans
    if _flushing is None or _flushing.done():
        _flushing = _flusher.submit(_provider.force_flush)
    if wait([_flushing], max(0, end - time.monotonic())).not_done:
        logging.getLogger(__name__).warning("The collector has not taken the spans within %s s.", FLUSH_SECONDS)
