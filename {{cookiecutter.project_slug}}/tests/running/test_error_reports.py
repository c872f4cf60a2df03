"""Errors of web processes and of tasks are reported to Sentry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.environments import SECRETS
from tests.running.accounts import ANN, LOGIN, REGISTER
from tests.running.conftest import FAULT_GUNICORN, FAULT_WORKER, StartWeb, StartWorker
from tests.servers import wait_until
from tests.servers.receiver import Receiver, start_receiver

pytestmark = pytest.mark.running

TEXT = f"near ann@example.org at (52.5163, 13.3777) with {SECRETS['JWT_SECRET_KEY']}"
CLEAN = "near *** at (***, ***) with ***"


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with start_receiver() as receiver:
        yield receiver


def settings(sentry: Receiver) -> dict[str, str]:
    return {"SENTRY_DSN": f"http://public@127.0.0.1:{sentry.port}/1", "OTEL_SERVICE_VERSION": "1.2.3"}


def reports(sentry: Receiver) -> list[dict[str, Any]]:
    found = [json.loads(line) for received in sentry.received for line in received.body.splitlines()]
    return [event for event in found if "level" in event]


@pytest.mark.req("O9", "S12")
def test_errors_of_requests_and_their_tasks_share_an_id(
    start_web: StartWeb, start_worker: StartWorker, sentry: Receiver
) -> None:
    web = start_web(FAULT_GUNICORN, **settings(sentry))
    worker = start_worker(FAULT_WORKER, **settings(sentry))

    response = web.post("/faults/error", {"text": TEXT}, headers={"X-Request-ID": "failing"})
    web.post("/faults/task", {"text": TEXT}, headers={"X-Request-ID": "failing"})
    assert wait_until(lambda: len(reports(sentry)) >= 2, 120), worker.output()

    of_request, of_task = reports(sentry)
    assert response.status_code == 500
    assert (of_request["transaction"], of_task["transaction"]) == ("POST /faults/error", "fault.query")
    for report in (of_request, of_task):
        assert report["exception"]["values"][-1]["type"] == "RuntimeError"
        assert report["exception"]["values"][-1]["value"] == CLEAN
        assert report["tags"] == {"request_id": "failing"}
        assert (report["release"], report["environment"]) == ("service-under-test@1.2.3", "production")
    sent = b"".join(received.body for received in sentry.received).decode()
    for hidden in ("ann@example.org", "52.5163", *SECRETS.values()):
        assert hidden not in sent


@pytest.mark.req("O9")
def test_errors_are_reported_before_a_process_ends(
    start_web: StartWeb, start_worker: StartWorker, sentry: Receiver
) -> None:
    web = start_web(FAULT_GUNICORN, GUNICORN_WORKERS="4", **settings(sentry))
    for number in range(8):
        web.post("/faults/error", {"text": f"bug {number}"})

    web.process.stop()

    assert sorted(report["exception"]["values"][0]["value"] for report in reports(sentry)) == [
        f"bug {number}" for number in range(8)
    ]


@pytest.mark.req("O9", "S12")
def test_error_report_names_the_user_by_id_only(start_web: StartWeb, sentry: Receiver) -> None:
    web = start_web(FAULT_GUNICORN, **settings(sentry))
    web.post(REGISTER, ANN)
    token = web.post(LOGIN, ANN).json()["access_token"]

    web.post("/faults/error-of-user", {}, headers={"Authorization": f"Bearer {token}"})
    assert wait_until(lambda: bool(reports(sentry)), 120)

    (report,) = reports(sentry)
    assert report["user"] == {"id": "1"}
    assert token not in str(sentry.received)
