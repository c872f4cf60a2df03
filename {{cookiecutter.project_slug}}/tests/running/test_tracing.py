"""One trace from the request through the database and the queue to the task, received over OTLP."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.accounts.factory import PASSWORD
from tests.environments import ROOT, basic_environment
from tests.running.conftest import StartWeb
from tests.servers import RedisServer, RunningService, wait_until

pytestmark = pytest.mark.running

ANN = {"email": "ann@example.org", "password": PASSWORD}


@dataclass
class Receiver:
    """An OTLP/HTTP receiver."""

    url: str = ""
    spans: list[tuple[str, Span]] = field(default_factory=list)  # with the name of the service

    def named(self, text: str) -> list[Span]:
        return [span for _, span in self.spans if text in span.name]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                name = {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"]
                received.spans += [(name, span) for scope in resource.scope_spans for span in scope.spans]
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


def tracing(receiver: Receiver) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_TRACES_SAMPLER_ARG": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


@pytest.mark.req("O5")
def test_one_trace_spans_request_sql_redis_and_task(
    start_web: StartWeb, start_worker: Callable[..., RunningService], redis: RedisServer, receiver: Receiver
) -> None:
    web = start_web(redis_url=redis.url, **tracing(receiver))
    worker = start_worker(["worker", "--loglevel", "INFO", "--concurrency", "1"], **tracing(receiver))
    web.post("/api/v1/auth/register", ANN)
    upstream = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"

    web.post("/api/v1/auth/login", ANN, headers={"traceparent": upstream, "X-Request-ID": "traced"})

    assert wait_until(lambda: bool(receiver.named("run/accounts.note_login")), 30), worker.output()
    assert wait_until(lambda: len(receiver.named("UPDATE")) > 0, 10)
    wait_until(lambda: len(receiver.named("POST /api/v1/auth/login")) > 0, 10)
    trace = [span for _, span in receiver.spans if span.trace_id.hex() == "0123456789abcdef0123456789abcdef"]
    names = " ".join(span.name for span in trace)
    for part in (
        "POST /api/v1/auth/login",
        "SELECT",
        "INSERT",
        "EVALSHA",
        "apply_async/accounts.note_login",
        "run/accounts.note_login",
        "UPDATE",
    ):
        assert part in names, names
    (request,) = [span for span in trace if span.name == "POST /api/v1/auth/login"]
    assert request.parent_span_id.hex() == "0123456789abcdef"
    assert {service for service, _ in receiver.spans} == {"service-under-test"}
    (line,) = [
        line for line in web.process.lines() if line.get("request_id") == "traced" and line["message"] == "request"
    ]
    assert line["trace_id"] == "0123456789abcdef0123456789abcdef"
    assert line["span_id"] == request.span_id.hex()


@pytest.mark.req("O5")
def test_no_span_is_lost_in_forked_processes_nor_by_a_stop(start_web: StartWeb, receiver: Receiver) -> None:
    web = start_web(**tracing(receiver), GUNICORN_WORKERS="4")
    for _ in range(40):
        web.get("/api/v1/users/me")

    web.process.stop()

    wait_until(lambda: len(receiver.named("GET /api/v1/users/me")) == 40, 10)
    assert len(receiver.named("GET /api/v1/users/me")) == 40


@pytest.mark.req("O5")
def test_probes_and_scrapes_are_not_traced(start_web: StartWeb, receiver: Receiver) -> None:
    web = start_web(**tracing(receiver))
    for path in ("/health", "/ready", "/metrics"):
        web.get(path)
    web.get("/nothing")

    assert wait_until(lambda: len(receiver.spans) > 0, 10)
    assert not [
        span.name
        for _, span in receiver.spans
        if "health" in span.name or "ready" in span.name or "metrics" in span.name
    ]


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
