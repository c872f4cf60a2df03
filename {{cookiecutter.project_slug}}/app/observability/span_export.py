"""Which spans are made, and how they leave the service; imported only where traces are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanKind, Status

from app.observability.logging import Redactor
from app.settings import Settings

BEGINNERS = {SpanKind.PRODUCER, SpanKind.CONSUMER}
ADDRESSES = {"http.url", "url.full"}


def make_provider(settings: Settings) -> TracerProvider:
    """What makes spans and sends them to `OTEL_EXPORTER_OTLP_ENDPOINT`, in the background."""
    resource = Resource.create(
        {
            "service.name": settings.OTEL_SERVICE_NAME or settings.SERVICE_NAME,
            "service.version": settings.OTEL_SERVICE_VERSION,
            "deployment.environment.name": settings.APP_ENV,
        }
    )
    provider = TracerProvider(resource=resource, sampler=ParentBased(Beginnings(settings.OTEL_TRACES_SAMPLER_ARG)))
    endpoint = f"{(settings.OTEL_EXPORTER_OTLP_ENDPOINT or '').rstrip('/')}/v1/traces"
    exporter = ScrubbingExporter(OTLPSpanExporter(endpoint), Redactor(settings.secrets))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class Beginnings(Sampler):
    """Begins traces with requests and tasks, and with nothing else.

    Of tasks a share; of requests all that come here, since they are a share already (`tracing`). A worker that waits
    for its queue, or a probe that pings Redis, would be traces of one span and of no use.
    """

    def __init__(self, share: float) -> None:
        self._share = TraceIdRatioBased(share)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        *rest: Any,
        **named: Any,
    ) -> SamplingResult:
        """Decide for a span that has no parent."""
        chosen = ALWAYS_ON if kind is SpanKind.SERVER else self._share if kind in BEGINNERS else ALWAYS_OFF
        return chosen.should_sample(parent_context, trace_id, name, kind, *rest, **named)

    def get_description(self) -> str:
        """How this sampler is called in the SDK's own messages."""
        return f"Beginnings({self._share.get_description()})"


class ScrubbingExporter(SpanExporter):
    """Takes secrets and personal data out of spans, as out of log lines, before another exporter sends them.

    They get in with the texts of database errors, and with the addresses of other services.
    """

    def __init__(self, exporter: SpanExporter, redact: Redactor) -> None:
        self._exporter, self._redact = exporter, redact

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans, cleaned."""
        return self._exporter.export([self._clean(span) for span in spans])

    def shutdown(self) -> None:
        """Send nothing more."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits to be sent."""
        return self._exporter.force_flush(timeout_millis)

    def _clean(self, span: ReadableSpan) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._attributes(span.attributes),
            events=[Event(event.name, self._attributes(event.attributes), event.timestamp) for event in span.events],
            links=span.links,
            kind=span.kind,
            status=Status(span.status.status_code, self._redact(span.status.description)),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _attributes(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        cleaned = cast("dict[str, Any]", self._redact(attributes or {}))
        for name in ADDRESSES & cleaned.keys():
            cleaned[name] = cleaned[name].partition("?")[0]  # a query can hold anything
        return cleaned
