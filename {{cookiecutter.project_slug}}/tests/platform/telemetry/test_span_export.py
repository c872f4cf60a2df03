"""Sampling and redaction of spans; `running/test_tracing.py` receives them over OTLP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import SpanKind, Status, StatusCode

from app.platform.telemetry.redaction import Redactor
from app.platform.telemetry.span_export import RedactingExporter, RootSpanSampler


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exported: InMemorySpanExporter, secret: str) -> Iterator[TracerProvider]:
    provider = TracerProvider(sampler=ParentBased(RootSpanSampler(1)))
    provider.add_span_processor(SimpleSpanProcessor(RedactingExporter(exported, Redactor([secret]))))
    yield provider
    provider.shutdown()


@pytest.mark.req("O5")
def test_sampler_starts_traces_for_requests_and_a_share_of_tasks() -> None:
    tracer = TracerProvider(sampler=ParentBased(RootSpanSampler(0.01))).get_tracer("test")

    sampled = {kind: sum(tracer.start_span("x", kind=kind).is_recording() for _ in range(20_000)) for kind in SpanKind}

    for kind in (SpanKind.CONSUMER, SpanKind.PRODUCER):
        assert 120 < sampled[kind] < 280  # 200 ± 14
    assert sampled[SpanKind.SERVER] == 20_000
    assert sampled[SpanKind.CLIENT] == sampled[SpanKind.INTERNAL] == 0


@pytest.mark.req("O5")
def test_child_spans_of_every_kind_are_sampled(provider: TracerProvider, exported: InMemorySpanExporter) -> None:
    tracer = provider.get_tracer("test")

    with tracer.start_as_current_span("request", kind=SpanKind.SERVER):
        for kind in SpanKind:
            tracer.start_span("part", kind=kind).end()

    assert Counter(span.name for span in exported.get_finished_spans()) == {"request": 1, "part": len(SpanKind)}


@pytest.mark.req("O5", "S12")
def test_exporter_redacts_secrets_and_personal_data(
    provider: TracerProvider, exported: InMemorySpanExporter, secret: str
) -> None:
    text = f"{secret} of ann@example.org"
    tracer = provider.get_tracer("test")

    with tracer.start_as_current_span("request", kind=SpanKind.SERVER) as span:
        span.set_attributes({"detail": text, "list": [text], "count": 3, "password": "abc"})
        span.set_attribute("http.url", "https://example.org/places?latitude=52.5")
        span.record_exception(ValueError(text))
        span.set_status(Status(StatusCode.ERROR, text))

    (sent,) = exported.get_finished_spans()
    assert sent.attributes == {
        "detail": "*** of ***",
        "list": ["*** of ***"],
        "count": 3,
        "password": "***",
        "http.url": "https://example.org/places",
    }
    assert sent.status.description == "*** of ***"
    assert "*** of ***" in str(sent.events[0].attributes)
    assert secret not in sent.to_json()


@pytest.mark.req("O5")
def test_exporter_keeps_all_other_fields(provider: TracerProvider, exported: InMemorySpanExporter) -> None:
    tracer = provider.get_tracer("test")

    with tracer.start_as_current_span("request", kind=SpanKind.SERVER) as outer:
        link = trace.Link(outer.get_span_context())
        inner = tracer.start_span("part", kind=SpanKind.CLIENT, links=[link])
        inner.end()

    part, request = exported.get_finished_spans()
    assert part.parent == request.context == outer.get_span_context()
    assert part.context == inner.get_span_context()
    assert (part.name, part.kind, len(part.links)) == ("part", SpanKind.CLIENT, 1)
    assert part.instrumentation_scope == request.instrumentation_scope
    assert part.resource == provider.resource
    assert 0 < (part.start_time or 0) <= (part.end_time or 0) <= (request.end_time or 0)
