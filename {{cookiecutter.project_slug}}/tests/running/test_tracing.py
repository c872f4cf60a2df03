"""One trace covers the request, the database, the queue and the task; an OTLP receiver records it."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.accounts.factory import PASSWORD
from tests.conftest import MIGRATED
from tests.environments import ROOT, SECRETS, basic_environment
from tests.running.accounts import ANN, LOGIN, ME, REGISTER
from tests.running.conftest import (
    FAULT_GUNICORN,
    FAULT_WORKER,
    WORKER,
    StartWeb,
    StartWorker,
    run_celery,
    run_web,
)
from tests.servers import PostgresServer, RunningService, start_redis, wait_until
from tests.servers.receiver import Received, start_receiver

pytestmark = pytest.mark.running

TRACE, PARENT = "0123456789abcdef0123456789abcdef", "0123456789abcdef"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


@dataclass
class Spans:
    """The spans that an OTLP/HTTP receiver received."""

    url: str = ""
    all: list[tuple[str, Span]] = field(default_factory=list)  # with the name of the service

    def named(self, text: str) -> list[Span]:
        return [span for _, span in self.all if text in span.name]

    def of_trace(self, trace_id: str) -> list[Span]:
        return [span for _, span in self.all if span.trace_id.hex() == trace_id]

    def receive(self, received: Received) -> None:
        assert received.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(received.body).resource_spans:
            name = {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"]
            self.all += [(name, span) for scope in resource.scope_spans for span in scope.spans]


@contextmanager
def start_spans() -> Iterator[Spans]:
    """Run a receiver of spans."""
    received = Spans()
    with start_receiver(received.receive) as receiver:
        received.url = receiver.url
        yield received


@pytest.fixture
def spans() -> Iterator[Spans]:
    with start_spans() as received:
        yield received


def tracing(spans: Spans, share: str = "1") -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
        "OTEL_TRACES_SAMPLER_ARG": share,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


@dataclass
class Scenario:
    """The spans and the log lines of a login with a task, of probes, and of a request to a path without a route."""

    spans: Spans
    lines: list[dict[str, Any]]


@pytest.fixture(scope="module")
def scenario(postgres: PostgresServer) -> Iterator[Scenario]:
    database = postgres.create_database("traced", template=MIGRATED)
    with start_spans() as spans, start_redis() as redis:
        settings = tracing(spans)
        with (
            run_web(database, redis.url, **settings) as web,
            run_celery(database, redis.url, WORKER, **settings) as worker,
        ):
            web.post(REGISTER, ANN)
            web.post(LOGIN, ANN, headers={"traceparent": SAMPLED, "X-Request-ID": "traced"})
            for path in ("/health", "/ready", "/metrics", "/nothing"):
                web.get(path)
            worker.wait_until_printed("task ends", 300)
            worker.stop()
            web.process.stop()
            yield Scenario(spans, web.process.lines())
    postgres.drop_database("traced")


@pytest.mark.req("O5")
def test_one_trace_spans_request_sql_redis_and_task(scenario: Scenario) -> None:
    traced = scenario.spans.of_trace(TRACE)
    names = " ".join(span.name for span in traced)

    for part in (
        f"POST {LOGIN}",
        "SELECT",
        "INSERT",
        "EVALSHA",
        "apply_async/accounts.record_login",
        "run/accounts.record_login",
        "UPDATE",
    ):
        assert part in names, names
    (request,) = [span for span in traced if span.name == f"POST {LOGIN}"]
    assert request.parent_span_id.hex() == PARENT
    assert {service for service, _ in scenario.spans.all} == {"service-under-test"}
    (line,) = [line for line in scenario.lines if line.get("request_id") == "traced" and line["message"] == "request"]
    assert (line["trace_id"], line["span_id"]) == (TRACE, request.span_id.hex())


@pytest.mark.req("O5")
def test_only_requests_and_tasks_start_traces(scenario: Scenario) -> None:
    roots = [span for _, span in scenario.spans.all if not span.parent_span_id]
    first = sorted(roots, key=lambda span: span.name)

    # No probe, and no poll of Redis for tasks.
    assert [span.name for span in first] == ["GET", f"POST {REGISTER}"]
    assert attributes(first[0])["url.path"] == "/nothing"


@pytest.mark.parametrize(
    ("share", "sent"), [("0", {SAMPLED: True, None: False}), ("1", {UNSAMPLED: False, None: True})], ids=["0", "1"]
)
@pytest.mark.req("O5")
def test_sampling_follows_the_caller_then_the_share(
    start_web: StartWeb, start_worker: StartWorker, spans: Spans, share: str, sent: dict[str | None, bool]
) -> None:
    web = start_web(FAULT_GUNICORN, **tracing(spans, share))
    worker = start_worker(FAULT_WORKER, **tracing(spans, share))

    for number, traceparent in enumerate(sent):
        trace = {"traceparent": traceparent} if traceparent else {}
        web.post("/faults/task", {}, headers={**trace, "X-Request-ID": f"request-{number}"})
    assert wait_until(lambda: worker.output().count("task ends") == len(sent), 300), worker.output()
    worker.stop()
    web.process.stop()

    lines = [
        line
        for line in [*web.process.lines(), *worker.lines()]
        if line.get("route") == "/faults/task" or line["message"] == "task ends"
    ]
    for number, is_sent in enumerate(sent.values()):
        trace_ids = [line["trace_id"] for line in lines if line["request_id"] == f"request-{number}"]
        assert len(trace_ids) == 2
        assert len(set(trace_ids)) == 1  # logged whether the trace is sampled or not
        names = [span.name for span in spans.of_trace(trace_ids[0])]
        assert bool(names) is is_sent
        assert ("run/fault.query" in names) is is_sent


UNTRUSTED = [{"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "10.1.2.3"}, {"Forwarded": "for=10.1.2.3"}]


@pytest.mark.parametrize("trusted", ["false", "true"])
@pytest.mark.req("O5", "S10")
def test_untrusted_callers_cannot_start_a_trace(start_web: StartWeb, spans: Spans, trusted: str) -> None:
    web = start_web(**tracing(spans, "0"), TRUSTED_PROXIES="1", OTEL_TRUST_CALLERS=trusted)

    for headers in UNTRUSTED:
        web.get(ME, headers={**headers, "traceparent": SAMPLED})
    web.get("/docs", headers={"traceparent": SAMPLED})  # from a private address, without a proxy
    web.process.stop()

    traced = [span.name for _, span in spans.all if span.kind == Span.SPAN_KIND_SERVER]
    assert Counter(traced) == Counter({"GET /docs": 1, f"GET {ME}": 3 if trusted == "true" else 0})


@pytest.mark.req("O5")
def test_forked_processes_send_every_span_before_they_stop(start_web: StartWeb, spans: Spans) -> None:
    web = start_web(**tracing(spans), GUNICORN_WORKERS="4")
    for _ in range(40):
        web.get(ME)

    web.process.stop()

    assert wait_until(lambda: len(spans.named(f"GET {ME}")) == 40, 120), len(spans.named(f"GET {ME}"))


def attributes(span: Span) -> dict[str, str | int]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@pytest.mark.req("O5", "S12")
def test_spans_describe_errors_without_secrets_or_personal_data(
    start_web: StartWeb, start_worker: StartWorker, spans: Spans
) -> None:
    web = start_web(FAULT_GUNICORN, **tracing(spans))
    worker = start_worker(FAULT_WORKER, **tracing(spans))
    web.post(REGISTER, ANN)
    web.post(REGISTER, ANN)  # the error of the database contains the e-mail
    token = web.post(LOGIN, ANN).json()["access_token"]
    web.get(f"{ME}?latitude=52.5163", headers={"Authorization": f"Bearer {token}"})
    web.post("/faults/error", {"text": "anything"})
    web.post("/faults/task", {"text": f"near ann@example.org with {SECRETS['JWT_SECRET_KEY']}"})
    assert wait_until(lambda: bool(spans.named("run/fault.query")), 300), worker.output()
    web.process.stop()

    (failed,) = spans.named("POST /faults/error")
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed)["http.response.status_code"] == 500
    (task,) = spans.named("run/fault.query")
    assert (task.status.code, task.status.message) == (Status.STATUS_CODE_ERROR, "near *** with ***")
    sent = str([span for _, span in spans.all])
    assert re.search(r"Key \(email\)=\(\*\*\*\) already exists", sent)
    for hidden in ("ann@example.org", PASSWORD, token, "52.5163", *SECRETS.values()):
        assert hidden not in sent


@pytest.mark.req("O5")
def test_disabled_tracing_imports_no_instrumentation() -> None:
    script = (
        "import sys; from app import create_app; create_app();"
        "traced = ('opentelemetry.instrumentation', 'opentelemetry.exporter');"
        "print([name for name in sys.modules if name.startswith(traced)])"
    )
    with RunningService([sys.executable, "-c", script], basic_environment(), folder=ROOT) as process:
        assert process.wait() == 0, process.output()
        assert process.output().strip() == "[]"
