"""Errors of web processes and of tasks reach Sentry, which is a server of this test's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.accounts.factory import PASSWORD
from tests.environments import SECRETS
from tests.running.conftest import StartWeb
from tests.running.test_tracing import CALLING, CALLING_WORKER
from tests.servers import RedisServer, RunningService, wait_until
from tests.servers.receiver import Receiver, receiving

pytestmark = pytest.mark.running

ANN = {"email": "ann@example.org", "password": PASSWORD}
TEXT = f"near ann@example.org at (52.5163, 13.3777) with {SECRETS['JWT_SECRET_KEY']}"
CLEAN = "near *** at (***, ***) with ***"


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def settings(sentry: Receiver) -> dict[str, str]:
    return {"SENTRY_DSN": f"http://public@127.0.0.1:{sentry.port}/1", "OTEL_SERVICE_VERSION": "1.2.3"}


def reports(sentry: Receiver) -> list[dict[str, Any]]:
    found = [json.loads(line) for received in sentry.received for line in received.body.splitlines()]
    return [event for event in found if "level" in event]


@pytest.mark.req("O9", "S12")
def test_errors_of_requests_and_of_the_tasks_they_send_are_reported_under_one_id(
    start_web: StartWeb, start_worker: Callable[..., RunningService], redis: RedisServer, sentry: Receiver
) -> None:
    web = start_web(CALLING, redis_url=redis.url, **settings(sentry))
    worker = start_worker(CALLING_WORKER, **settings(sentry))

    answer = web.post("/fails", {"text": TEXT}, headers={"X-Request-ID": "failing"})
    web.post("/calls", {"url": "planted", "text": TEXT}, headers={"X-Request-ID": "failing"})
    assert wait_until(lambda: len(reports(sentry)) >= 2, 30), worker.output()

    of_request, of_task = reports(sentry)
    assert answer.status_code == 500
    assert (of_request["transaction"], of_task["transaction"]) == ("POST /fails", "test.call")
    for report in (of_request, of_task):
        assert report["exception"]["values"][-1]["type"] == "RuntimeError"
        assert report["exception"]["values"][-1]["value"] == CLEAN
        assert report["tags"] == {"request_id": "failing"}
        assert (report["release"], report["environment"]) == ("service-under-test@1.2.3", "production")
    sent = b"".join(received.body for received in sentry.received).decode()
    for hidden in ("ann@example.org", "52.5163", "planted", *SECRETS.values()):
        assert hidden not in sent


@pytest.mark.req("O9")
def test_the_last_error_of_a_process_is_reported_before_it_ends(
    start_web: StartWeb, start_worker: Callable[..., RunningService], redis: RedisServer, sentry: Receiver
) -> None:
    web = start_web(CALLING, redis_url=redis.url, GUNICORN_WORKERS="4", **settings(sentry))
    for number in range(8):
        web.post("/fails", {"text": f"bug {number}"})

    web.process.stop()

    assert sorted(report["exception"]["values"][0]["value"] for report in reports(sentry)) == [
        f"bug {number}" for number in range(8)
    ]


@pytest.mark.req("O9", "S12")
def test_who_met_the_error_is_told_by_id_and_no_more(start_web: StartWeb, redis: RedisServer, sentry: Receiver) -> None:
    web = start_web(CALLING, redis_url=redis.url, **settings(sentry))
    web.post("/api/v1/auth/register", ANN)
    token = web.post("/api/v1/auth/login", ANN).json()["access_token"]

    web.post("/fails", {"text": "anything"}, headers={"Authorization": f"Bearer {token}"})
    assert wait_until(lambda: bool(reports(sentry)), 10)

    (report,) = reports(sentry)
    assert report["user"] == {"id": "1"}
    assert token not in str(sentry.received)
