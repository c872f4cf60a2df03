"""The sampling, redaction and export of spans; imported only if traces are exported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

from app.platform.settings.declarations import Settings
from app.platform.telemetry.redaction import Redactor

TASK_SPAN_KINDS = {SpanKind.PRODUCER, SpanKind.CONSUMER}
URL_ATTRIBUTES = {"http.url", "url.full"}


def create_provider(settings: Settings, secrets: Iterable[str], personal_fields: Iterable[str]) -> TracerProvider:
    """Return a provider that exports spans to `OTEL_EXPORTER_OTLP_ENDPOINT` in the background."""
    resource = Resource.create(
        {
            "service.name": settings.OTEL_SERVICE_NAME or settings.SERVICE_NAME,
            "service.version": settings.OTEL_SERVICE_VERSION,
            "deployment.environment.name": settings.APP_ENV,
        }
    )
    provider = TracerProvider(resource=resource, sampler=ParentBased(RootSpanSampler(settings.OTEL_TRACES_SAMPLER_ARG)))
    endpoint = f"{(settings.OTEL_EXPORTER_OTLP_ENDPOINT or '').rstrip('/')}/v1/traces"
    exporter = RedactingExporter(OTLPSpanExporter(endpoint), Redactor(secrets, personal_fields))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class RootSpanSampler(Sampler):
    """Starts traces with requests and tasks only.

    It samples a share of the tasks. It samples every request that reaches it, because `tracing` has chosen those
    before. A worker that polls its queue, or a probe that pings Redis, would create useless traces of one span.
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
        """Return the sampling decision for a span that has no parent."""
        sampler = ALWAYS_ON if kind is SpanKind.SERVER else self._share if kind in TASK_SPAN_KINDS else ALWAYS_OFF
        return sampler.should_sample(parent_context, trace_id, name, kind, *rest, **named)

    def get_description(self) -> str:
        """Return the name of this sampler in the SDK's messages."""
        return f"RootSpanSampler({self._share.get_description()})"


class RedactingExporter(SpanExporter):
    """Removes secrets and personal data from spans, like from log lines, and passes them to another exporter.

    Texts of database errors and URLs of other services may contain them.
    """

    def __init__(self, exporter: SpanExporter, redact: Redactor) -> None:
        self._exporter, self._redact = exporter, redact

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the redacted spans."""
        return self._exporter.export([self._redact_span(span) for span in spans])

    def shutdown(self) -> None:
        """Stop exporting."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export the spans that are queued."""
        return self._exporter.force_flush(timeout_millis)

    def _redact_span(self, span: ReadableSpan) -> ReadableSpan:
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
        redacted = cast("dict[str, Any]", self._redact(attributes or {}))
        for name in URL_ATTRIBUTES & redacted.keys():
            redacted[name] = redacted[name].partition("?")[0]  # a query may contain personal data
        return redacted
