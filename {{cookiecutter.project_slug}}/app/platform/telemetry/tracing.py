"""OpenTelemetry traces of requests, SQL, Redis and tasks, exported over OTLP.

Without `OTEL_EXPORTER_OTLP_ENDPOINT` no instrumentor is imported, so tracing costs nothing. With it, an unsampled
request costs little more: it has one span that is never recorded, and nothing inside it creates a span.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from celery.signals import worker_process_shutdown
from flask import Flask, Request, Response, after_this_request, current_app
from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.platform.components import platform_of
from app.platform.settings.declarations import secrets_of, settings_of
from app.platform.web.client_address import is_private_client
from app.platform.web.request_state import current_request, request_state

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

# Polled every few seconds.
UNTRACED_PATHS = {"/health", "/health/detailed", "/ready", "/metrics", "/prometheus/metrics-http"}

_w3c = TraceContextTextMapPropagator()


@dataclass(frozen=True)
class Tracing:
    """The tracer provider of an app that exports traces."""

    provider: TracerProvider


def is_recording() -> bool:
    """Whether the current span is sampled, so that child spans are worth creating."""
    return trace.get_current_span().is_recording()


def init_app(app: Flask) -> None:
    """Trace the app if an endpoint for traces is configured."""
    settings = settings_of(app)
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return
    from app.platform.telemetry.span_export import create_provider  # noqa: PLC0415 - half a second of import time

    provider = create_provider(settings, secrets_of(app), platform_of(app).personal_fields)
    trace.set_tracer_provider(provider)
    platform_of(app).add(Tracing(provider))
    app.before_request(partial(_start_span, provider.get_tracer("app"), settings.OTEL_TRACES_SAMPLER_ARG))
    app.teardown_request(_end_span)
    _instrument_celery(provider)


def _instrument_celery(provider: TracerProvider) -> None:
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415 - not needed without tracing

    CeleryInstrumentor().instrument(tracer_provider=provider)

    def flush(**_: object) -> None:
        provider.force_flush()

    # A task process exits without running exit handlers.
    worker_process_shutdown.connect(flush, weak=False)


def _start_span(tracer: trace.Tracer, share: float) -> None:
    """Start the span of a request; the instrumentor for Flask costs four times as much.

    The sampling decision is made here and not by the sampler: for the 99 % of requests that are not sampled, the call
    of the sampler would cost more than the rest of this function.
    """
    request = current_request()
    if request.path in UNTRACED_PATHS:
        return
    parent = _remote_parent(request)
    if parent is None and random.random() >= share:  # noqa: S311 - not a secret
        ids = trace.SpanContext(random.getrandbits(128), random.getrandbits(64), is_remote=False)
        span: trace.Span = trace.NonRecordingSpan(ids)
    else:
        rule = request.url_rule.rule if request.url_rule else ""
        span = tracer.start_span(f"{request.method} {rule}".rstrip(), parent, trace.SpanKind.SERVER)
    if span.is_recording():
        span.set_attributes(_attributes(request))
        after_this_request(partial(_record_status, span))
    request_state().span = (span, context.attach(trace.set_span_in_context(span)))


def _remote_parent(request: Request) -> context.Context | None:
    """Return the trace context that the caller sent, if the caller is trusted.

    Untrusted callers could force the sampling of every request, or add spans to other traces.
    """
    if "HTTP_TRACEPARENT" not in request.environ:
        return None
    if settings_of(current_app).OTEL_TRUST_CALLERS or is_private_client():
        return _w3c.extract(request.headers)
    return None


def _attributes(request: Request) -> dict[str, str]:
    return ({"http.route": request.url_rule.rule} if request.url_rule else {}) | {
        "http.request.method": request.method,
        "url.scheme": request.scheme,
        "url.path": request.path,  # without the query, which may contain personal data
        "request_id": request_state().request_id,
    }


def _record_status(span: trace.Span, response: Response) -> Response:
    span.set_attribute("http.response.status_code", response.status_code)
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.set_status(trace.StatusCode.ERROR)
    return response


def _end_span(_error: BaseException | None) -> None:
    state = request_state()
    if state.span:
        span, token = state.span
        state.span = None
        span.end()
        context.detach(token)
