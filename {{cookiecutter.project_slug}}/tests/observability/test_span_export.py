"""Which spans are made, and what is taken out of them; `running/test_tracing.py` receives them over OTLP."""

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

from app.observability.logging import Redactor
from app.observability.span_export import Beginnings, ScrubbingExporter


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exported: InMemorySpanExporter, secret: str) -> Iterator[TracerProvider]:
    provider = TracerProvider(sampler=ParentBased(Beginnings(1)))
    provider.add_span_processor(SimpleSpanProcessor(ScrubbingExporter(exported, Redactor([secret]))))
    yield provider
    provider.shutdown()


@pytest.mark.req("O5")
def test_a_share_of_tasks_and_every_request_that_was_drawn_begins_a_trace_and_nothing_else_does() -> None:
    tracer = TracerProvider(sampler=ParentBased(Beginnings(0.01))).get_tracer("test")

    begun = {kind: sum(tracer.start_span("x", kind=kind).is_recording() for _ in range(20_000)) for kind in SpanKind}

    for kind in (SpanKind.CONSUMER, SpanKind.PRODUCER):
        assert 120 < begun[kind] < 280  # 200 ± 14
    assert begun[SpanKind.SERVER] == 20_000
    assert begun[SpanKind.CLIENT] == begun[SpanKind.INTERNAL] == 0


@pytest.mark.req("O5")
def test_what_belongs_to_a_trace_is_in_it_whatever_its_kind(
    provider: TracerProvider, exported: InMemorySpanExporter
) -> None:
    tracer = provider.get_tracer("test")

    with tracer.start_as_current_span("request", kind=SpanKind.SERVER):
        for kind in SpanKind:
            tracer.start_span("part", kind=kind).end()

    assert Counter(span.name for span in exported.get_finished_spans()) == {"request": 1, "part": len(SpanKind)}


@pytest.mark.req("O5", "S12")
def test_secrets_and_personal_data_are_taken_out_wherever_they_are(
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
def test_everything_else_of_a_span_stays(provider: TracerProvider, exported: InMemorySpanExporter) -> None:
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
