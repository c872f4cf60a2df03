"""OpenTelemetry traces of requests, SQL, Redis, tasks and calls of other services, sent over OTLP.

Without `OTEL_EXPORTER_OTLP_ENDPOINT` no instrumentor is even imported: off costs nothing. With it, a request that is
not sampled costs little more: it makes one span that is never recorded, and what it does inside makes none.
"""

from __future__ import annotations

import random
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, after_this_request, current_app
from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.framework import asked, kept
from app.neighbours import is_neighbour
from app.observability.statements import Execute, wrap
from app.settings import settings_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from sqlalchemy import Engine

UNTRACED = {"/health", "/health/detailed", "/ready", "/metrics", "/prometheus/metrics-http"}  # asked all the time
SERVER_ERROR = 500

_w3c = TraceContextTextMapPropagator()

# Whether this is in a request that was not drawn; OpenTelemetry can tell too, and takes eight times as long.
_passed_over: ContextVar[bool] = ContextVar("passed_over", default=False)


def is_sampled() -> bool:
    """Whether what happens now belongs into a trace that is recorded."""
    return not _passed_over.get() and trace.get_current_span().is_recording()


def init_app(app: Flask) -> None:
    """Trace the app if there is somewhere to send traces to."""
    settings = settings_of(app)
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return
    from app.observability.span_export import make_provider  # noqa: PLC0415 - half a second that only a traced service pays

    provider = make_provider(settings)
    trace.set_tracer_provider(provider)
    app.extensions["tracer_provider"] = provider
    app.before_request(partial(_begin, provider.get_tracer("app"), settings.OTEL_TRACES_SAMPLER_ARG))
    app.teardown_request(_end)
    _instrument(provider)


def _instrument(provider: TracerProvider) -> None:
    from celery.signals import worker_process_shutdown  # noqa: PLC0415
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.requests import RequestsInstrumentor  # noqa: PLC0415

    for instrumentor in (CeleryInstrumentor(), RequestsInstrumentor()):
        instrumentor.instrument(tracer_provider=provider)

    def flush(**_: Any) -> None:
        provider.force_flush()

    # A task process ends without running exit handlers.
    worker_process_shutdown.connect(flush, weak=False)


def trace_engine(app: Flask, engine: Engine) -> None:
    """Trace the statements of an engine, if the app is traced, without their parameters.

    Of this one engine, and not of every engine, as the instrumentor would: probes have one of their own. A statement in
    a request that is not sampled pays a microsecond, and the instrumentor's listeners 40.
    """
    provider: TracerProvider | None = app.extensions.get("tracer_provider")
    if provider is None:
        return
    tracer = provider.get_tracer(__name__)
    place = {"db.system.name": engine.dialect.name, "db.namespace": engine.url.database or ""}

    def traced(execute: Execute) -> Execute:
        def run(cursor: object, statement: str, *rest: Any) -> None:
            if not is_sampled():
                execute(cursor, statement, *rest)
                return
            operation = statement.split(maxsplit=1)[0].upper()
            told = {**place, "db.operation.name": operation, "db.query.text": statement}
            name = f"{operation} {place['db.namespace']}"
            with tracer.start_as_current_span(name, kind=trace.SpanKind.CLIENT, attributes=told):
                execute(cursor, statement, *rest)

        return run

    wrap(engine, traced)


def _begin(tracer: trace.Tracer, share: float) -> None:
    """Begin the request's span: a few lines, since the instrumentor for Flask costs four times as much.

    The draw is ours, and not the sampler's, since to ask that for each of the 99 in 100 that are not sampled costs more
    than all the rest of this.
    """
    it = asked()
    if it.path in UNTRACED:
        return
    parent = _caller(it)
    if parent is None and random.random() >= share:  # noqa: S311 - no secret
        numbers = trace.SpanContext(random.getrandbits(128), random.getrandbits(64), is_remote=False)
        span: trace.Span = trace.NonRecordingSpan(numbers)
    else:
        rule = it.url_rule.rule if it.url_rule else ""
        span = tracer.start_span(f"{it.method} {rule}".rstrip(), parent, trace.SpanKind.SERVER)
    if span.is_recording():
        span.set_attributes(_attributes(it))
        after_this_request(partial(_note, span))
    else:
        _passed_over.set(True)
    kept().traced = (span, context.attach(trace.set_span_in_context(span)))


def _caller(it: Request) -> context.Context | None:
    """The trace that the caller is in, if it may say so.

    Strangers may not: their headers could have every request sampled, and put it into traces of others.
    """
    if "HTTP_TRACEPARENT" not in it.environ:
        return None
    if settings_of(current_app).OTEL_TRUST_CALLERS or is_neighbour():
        return _w3c.extract(it.headers)
    return None


def _attributes(it: Request) -> dict[str, str]:
    return ({"http.route": it.url_rule.rule} if it.url_rule else {}) | {
        "http.request.method": it.method,
        "url.scheme": it.scheme,
        "url.path": it.path,  # without the query, which may hold positions
        "request_id": kept().request_id,
    }


def _note(span: trace.Span, response: Response) -> Response:
    span.set_attribute("http.response.status_code", response.status_code)
    if response.status_code >= SERVER_ERROR:
        span.set_status(trace.StatusCode.ERROR)
    return response


def _end(_error: BaseException | None) -> None:
    if traced := kept().pop("traced", None):
        span, token = traced
        span.end()
        context.detach(token)
        _passed_over.set(False)
