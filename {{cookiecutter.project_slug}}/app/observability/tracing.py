"""OpenTelemetry traces of requests, SQL, Redis and tasks, sent over OTLP.

Without `OTEL_EXPORTER_OTLP_ENDPOINT` no instrumentor is even imported: off costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask

from app.settings import Settings, settings_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from sqlalchemy import Engine

UNTRACED = "health,ready,metrics"  # regular expressions of paths, asked too often to be worth a trace


def init_app(app: Flask) -> None:
    """Trace the app if there is somewhere to send traces to."""
    settings = settings_of(app)
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        provider = _provider(settings)
        _instrument(app, provider)
        app.extensions["tracer_provider"] = provider


def _provider(settings: Settings) -> TracerProvider:
    from opentelemetry import trace  # noqa: PLC0415 - half a second that only a traced service pays
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415

    resource = Resource.create(
        {
            "service.name": settings.OTEL_SERVICE_NAME or settings.SERVICE_NAME,
            "service.version": settings.OTEL_SERVICE_VERSION,
            "deployment.environment.name": settings.APP_ENV,
        }
    )
    provider = TracerProvider(resource=resource, sampler=ParentBasedTraceIdRatio(settings.OTEL_TRACES_SAMPLER_ARG))
    endpoint = f"{(settings.OTEL_EXPORTER_OTLP_ENDPOINT or '').rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    trace.set_tracer_provider(provider)
    return provider


def _instrument(app: Flask, provider: TracerProvider) -> None:
    from celery.signals import worker_process_shutdown  # noqa: PLC0415
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.redis import RedisInstrumentor  # noqa: PLC0415

    FlaskInstrumentor().instrument_app(app, excluded_urls=UNTRACED, tracer_provider=provider)
    RedisInstrumentor().instrument(tracer_provider=provider)
    CeleryInstrumentor().instrument(tracer_provider=provider)

    def flush(**_: Any) -> None:
        provider.force_flush()

    # A task process ends without running exit handlers.
    worker_process_shutdown.connect(flush, weak=False)


def trace_engine(app: Flask, engine: Engine) -> None:
    """Trace the statements of an engine, if the app is traced.

    Of this one engine, and not of every engine, as the instrumentor would: probes have one of their own. The
    instrumentor also wants greenlet, and by its metadata stops at SQLAlchemy 2.0.
    """
    provider: TracerProvider | None = app.extensions.get("tracer_provider")
    if provider:
        from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer  # noqa: PLC0415
        from opentelemetry.metrics import NoOpUpDownCounter  # noqa: PLC0415

        EngineTracer(provider.get_tracer(__name__), engine, NoOpUpDownCounter("db.client.connections.usage"))
