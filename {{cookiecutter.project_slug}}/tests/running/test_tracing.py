"""One trace from the request through the database and the queue to the task and beyond, received over OTLP."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.accounts.factory import PASSWORD
from tests.environments import ROOT, SECRETS, basic_environment
from tests.running.conftest import GUNICORN, StartWeb
from tests.servers import RedisServer, RunningService, wait_until
from tests.servers.receiver import Received, receiving

pytestmark = pytest.mark.running

ANN = {"email": "ann@example.org", "password": PASSWORD}
LOGIN, REGISTER, ME = "/api/v1/auth/login", "/api/v1/auth/register", "/api/v1/users/me"
TRACE, CALLER = "0123456789abcdef0123456789abcdef", "0123456789abcdef"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-00"
CALLING = [*GUNICORN, "tests.running.calling_service:app"]
WORKER = ["worker", "--loglevel", "INFO", "--concurrency", "1"]
CALLING_WORKER = ["--app", "tests.running.calling_service:celery", *WORKER]


@dataclass
class Spans:
    """What an OTLP/HTTP receiver was sent."""

    url: str = ""
    all: list[tuple[str, Span]] = field(default_factory=list)  # with the name of the service

    def named(self, text: str) -> list[Span]:
        return [span for _, span in self.all if text in span.name]

    def of_trace(self, trace_id: str) -> list[Span]:
        return [span for _, span in self.all if span.trace_id.hex() == trace_id]

    def take(self, received: Received) -> None:
        assert received.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(received.body).resource_spans:
            name = {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"]
            self.all += [(name, span) for scope in resource.scope_spans for span in scope.spans]


@pytest.fixture
def spans() -> Iterator[Spans]:
    received = Spans()
    with receiving(received.take) as receiver:
        received.url = receiver.url
        yield received


def tracing(spans: Spans, share: str = "1") -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
        "OTEL_TRACES_SAMPLER_ARG": share,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


def parents(spans: list[Span]) -> dict[str, str]:
    """The name of each span's parent, by the span's own name."""
    names = {span.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent_span_id, span.parent_span_id.hex()) for span in spans}


@pytest.mark.req("O5")
def test_one_trace_spans_request_sql_redis_and_task(
    start_web: StartWeb, start_worker: Callable[..., RunningService], redis: RedisServer, spans: Spans
) -> None:
    web = start_web(redis_url=redis.url, **tracing(spans))
    worker = start_worker(WORKER, **tracing(spans))
    web.post(REGISTER, ANN)

    web.post(LOGIN, ANN, headers={"traceparent": SAMPLED, "X-Request-ID": "traced"})

    assert wait_until(lambda: bool(spans.named("run/accounts.note_login")), 30), worker.output()
    assert wait_until(lambda: len(spans.named("UPDATE")) > 0, 10)
    wait_until(lambda: len(spans.named(f"POST {LOGIN}")) > 0, 10)
    names = " ".join(span.name for span in spans.of_trace(TRACE))
    for part in (
        f"POST {LOGIN}",
        "SELECT",
        "INSERT",
        "EVALSHA",
        "apply_async/accounts.note_login",
        "run/accounts.note_login",
        "UPDATE",
    ):
        assert part in names, names
    (request,) = [span for span in spans.of_trace(TRACE) if span.name == f"POST {LOGIN}"]
    assert request.parent_span_id.hex() == CALLER
    assert {service for service, _ in spans.all} == {"service-under-test"}
    (line,) = [
        line for line in web.process.lines() if line.get("request_id") == "traced" and line["message"] == "request"
    ]
    assert (line["trace_id"], line["span_id"]) == (TRACE, request.span_id.hex())


@pytest.mark.req("O5")
def test_the_trace_goes_on_in_whatever_service_a_task_calls(
    start_web: StartWeb, start_worker: Callable[..., RunningService], redis: RedisServer, spans: Spans
) -> None:
    web = start_web(CALLING, redis_url=redis.url, **tracing(spans))
    worker = start_worker(CALLING_WORKER, **tracing(spans))

    with receiving() as other:
        address = f"{other.url}/geocode?latitude=52.5163&key={SECRETS['SECRET_KEY']}"
        web.post("/calls", {"url": address}, headers={"traceparent": SAMPLED, "baggage": "stranger=1"})
        assert wait_until(lambda: bool(other.received), 30), worker.output()
        assert wait_until(lambda: bool(spans.named("run/test.call")) and bool(spans.named("POST /calls")), 10)

    trace = spans.of_trace(TRACE)
    (outgoing,) = [span for span in trace if span.name == "GET"]
    assert other.received[0].headers["traceparent"] == f"00-{TRACE}-{outgoing.span_id.hex()}-01"
    assert "baggage" not in other.received[0].headers
    tree = parents(trace)
    assert tree["GET"] == tree[next(name for name in tree if name.startswith("SELECT"))] == "run/test.call"
    assert tree["run/test.call"] == "apply_async/test.call"
    assert tree["apply_async/test.call"] == "POST /calls"
    assert tree["POST /calls"] == CALLER
    assert "52.5163" not in str(spans.all)
    assert f"{other.url}/geocode" in str(outgoing.attributes)


@pytest.mark.parametrize(
    ("traceparent", "share", "sent"), [(SAMPLED, "0", True), (UNSAMPLED, "1", False), (None, "0", False)]
)
@pytest.mark.req("O5")
def test_the_caller_decides_and_else_the_share_also_for_the_tasks(
    start_web: StartWeb,
    start_worker: Callable[..., RunningService],
    redis: RedisServer,
    spans: Spans,
    traceparent: str | None,
    share: str,
    sent: bool,
) -> None:
    web = start_web(CALLING, redis_url=redis.url, **tracing(spans, share))
    worker = start_worker(CALLING_WORKER, **tracing(spans, share))

    with receiving() as other:
        web.post("/calls", {"url": other.url}, headers={"traceparent": traceparent} if traceparent else {})
        assert wait_until(lambda: bool(other.received), 30), worker.output()
    worker.stop()
    web.process.stop()

    assert bool(spans.all) is sent
    assert bool(spans.named("run/test.call")) is sent
    lines = [*web.process.lines(), *worker.lines()]
    told = [line["trace_id"] for line in lines if line.get("route") == "/calls" or line["message"] == "task ends"]
    assert len(told) == 2
    assert len(set(told)) == 1  # by which they are found together, sampled or not


STRANGERS = [{"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "10.1.2.3"}, {"Forwarded": "for=10.1.2.3"}]


@pytest.mark.parametrize("trusted", ["false", "true"])
@pytest.mark.req("O5", "S10")
def test_strangers_can_neither_choose_a_trace_nor_have_one_made(
    start_web: StartWeb, spans: Spans, trusted: str
) -> None:
    web = start_web(**tracing(spans, "0"), TRUSTED_PROXIES="1", OTEL_TRUST_CALLERS=trusted)

    for headers in STRANGERS:
        web.get(ME, headers={**headers, "traceparent": SAMPLED})
    web.get("/docs", headers={"traceparent": SAMPLED})  # by somebody beside the service
    web.process.stop()

    followed = [span.name for _, span in spans.all if span.kind == Span.SPAN_KIND_SERVER]
    assert Counter(followed) == Counter({"GET /docs": 1, f"GET {ME}": 3 if trusted == "true" else 0})


@pytest.mark.req("O5")
def test_no_span_is_lost_in_forked_processes_nor_by_a_stop(start_web: StartWeb, spans: Spans) -> None:
    web = start_web(**tracing(spans), GUNICORN_WORKERS="4")
    for _ in range(40):
        web.get(ME)

    web.process.stop()

    wait_until(lambda: len(spans.named(f"GET {ME}")) == 40, 10)
    assert len(spans.named(f"GET {ME}")) == 40


@pytest.mark.req("O5")
def test_only_requests_and_tasks_begin_a_trace_and_probes_and_scrapes_do_not(
    start_web: StartWeb, start_worker: Callable[..., RunningService], redis: RedisServer, spans: Spans
) -> None:
    web = start_web(redis_url=redis.url, **tracing(spans))
    worker = start_worker(WORKER, **tracing(spans))  # which asks Redis for tasks all the time
    worker.wait_until_printed("ready.", 30)
    for path in ("/health", "/ready", "/metrics"):
        web.get(path)
    web.get("/nothing")
    worker.stop()
    web.process.stop()

    first = [span for _, span in spans.all if not span.parent_span_id]
    assert [span.name for span in first] == ["GET"]  # of what is at no address
    assert attributes(first[0])["url.path"] == "/nothing"


def attributes(span: Span) -> dict[str, str | int]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@pytest.mark.req("O5", "S12")
def test_spans_say_what_failed_and_hold_neither_secrets_nor_personal_data(
    start_web: StartWeb, start_worker: Callable[..., RunningService], redis: RedisServer, spans: Spans
) -> None:
    web = start_web(CALLING, redis_url=redis.url, **tracing(spans))
    worker = start_worker(CALLING_WORKER, **tracing(spans))
    web.post(REGISTER, ANN)
    web.post(REGISTER, ANN)  # the database refuses, and names the address
    token = web.post(LOGIN, ANN).json()["access_token"]
    web.get("/api/v1/locations/active?bbox=13.0,52.3,13.8,52.7", headers={"Authorization": f"Bearer {token}"})
    web.post("/fails", {"text": "anything"})
    web.post("/calls", {"url": "", "text": f"near ann@example.org with {SECRETS['JWT_SECRET_KEY']}"})
    assert wait_until(lambda: bool(spans.named("run/test.call")), 30), worker.output()
    web.process.stop()

    (failed,) = spans.named("POST /fails")
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed)["http.response.status_code"] == 500
    (task,) = spans.named("run/test.call")
    assert (task.status.code, task.status.message) == (Status.STATUS_CODE_ERROR, "near *** with ***")
    sent = str([span for _, span in spans.all])
    assert re.search(r"Key \(email\)=\(\*\*\*\) already exists", sent)
    for hidden in ("ann@example.org", PASSWORD, token, "13.0,52.3", *SECRETS.values()):
        assert hidden not in sent


@pytest.mark.req("O5")
def test_off_means_not_even_imported() -> None:
    script = (
        "import sys; from app import create_app; create_app();"
        "traced = ('opentelemetry.instrumentation', 'opentelemetry.exporter');"
        "print([name for name in sys.modules if name.startswith(traced)])"
    )
    with RunningService([sys.executable, "-c", script], basic_environment(), folder=ROOT) as process:
        assert process.wait() == 0, process.output()
        assert process.output().strip() == "[]"
