"""Errors reach Sentry, received here by a local server, and what must not leave does not."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.limits import unlimited
from app.security.access import public
from tests.accounts.factory import PASSWORD
from tests.environments import ROOT, basic_environment
from tests.servers import RunningService
from tests.servers.receiver import Receiver, receiving

POSITION = {"latitude": 52.5163, "longitude": 13.3777, "accuracy": 7.25}


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
        sentry_sdk.init()  # back to nobody


@pytest.fixture
def reporting_app(sentry: Receiver, secret: str) -> Iterator[Flask]:
    """An app that reports, with a route that fails with the text it is sent."""
    settings = {"SENTRY_DSN": dsn(sentry), "ADMIN_PASSWORD": secret, "OTEL_SERVICE_VERSION": "1.2.3"}
    app = create_app(basic_environment(**settings))

    @app.post("/fails/<int:number>")
    @public("of this test")
    @unlimited("of this test")
    def fails(number: int) -> str:
        position = dict(POSITION)  # a value of a variable, near the error
        raise RuntimeError(f"bug {number} near {secret} of ann@example.org at {position}")

    yield app
    create_app(basic_environment())  # whose log nobody listens to


def dsn(sentry: Receiver) -> str:
    return f"http://public@127.0.0.1:{sentry.port}/1"


def reports(sentry: Receiver) -> list[dict[str, Any]]:
    """The events of every envelope: a line of JSON about it, then for each item one about that and the item itself."""
    sentry_sdk.flush(5)
    events = []
    for received in sentry.received:
        assert received.path == "/api/1/envelope/"
        _, *items = received.body.splitlines()
        for about, item in zip(items[::2], items[1::2], strict=True):
            assert json.loads(about)["type"] in ("event", "client_report")
            events += [json.loads(item)] if json.loads(about)["type"] == "event" else []
    return events


def failing_request(client: FlaskClient) -> None:
    body = {"password": PASSWORD, "display_name": "Ann Other", **POSITION}
    headers = {
        "Authorization": "Bearer planted.token",
        "X-API-Key": "fsk_abcdefgh_planted-key",
        "Cookie": "session=planted-cookie",
        "X-Request-ID": "failing",
        "User-Agent": "planted-agent",
    }
    answer = client.post(
        "/fails/7?bbox=13.01,52.02", json=body, headers=headers, environ_base={"REMOTE_ADDR": "8.8.4.4"}
    )
    assert answer.status_code == 500


@pytest.mark.req("O9")
def test_an_unhandled_error_is_reported_once_with_what_is_needed_to_find_it(
    reporting_app: Flask, sentry: Receiver
) -> None:
    failing_request(reporting_app.test_client())

    (report,) = reports(sentry)
    (exception,) = report["exception"]["values"]
    assert (exception["type"], exception["value"][:10]) == ("RuntimeError", "bug 7 near")
    assert exception["stacktrace"]["frames"][-1]["function"] == "fails"
    assert (report["level"], report["logger"]) == ("error", "app.errors")
    assert (report["release"], report["environment"]) == ("service-under-test@1.2.3", "testing")
    assert report["transaction"] == "POST /fails/<int:number>"
    assert report["tags"] == {"request_id": "failing"}


@pytest.mark.req("O9", "S12")
def test_nothing_personal_and_no_secret_is_in_it(reporting_app: Flask, sentry: Receiver, secret: str) -> None:
    failing_request(reporting_app.test_client())

    (report,) = reports(sentry)
    sent = b"".join(received.body for received in sentry.received).decode()
    planted = ("planted", "Ann Other", "52.5163", "13.3777", "13.01", "8.8.4.4", "ann@example.org")
    for hidden in (secret, PASSWORD, *planted):
        assert hidden not in sent
    assert not report.keys() & {"request", "extra", "breadcrumbs", "user", "contexts", "modules"}
    value = report["exception"]["values"][0]["value"]
    assert value == "bug 7 near *** of *** at {'latitude': ***, 'longitude': ***, 'accuracy': 7.25}"


TEXTS = {
    "position (52.5163, -13.3777) is outside": "position (***, ***) is outside",
    "took 1.25 s, version 8.1.1234, 12345 rows": "took 1.25 s, version 8.1.1234, 12345 rows",
    "Key (email)=(bob@example.com) already exists": "Key (email)=(***) already exists",
    "display_name='Ann Other', role='user'": "display_name='***', role='user'",
    "cannot use fsk_abcdefgh_planted-key": "cannot use fsk_abcdefgh_***",
    "eyJhbGciOi.eyJzdWIiOi.c2ln expired": "*** expired",
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.req("O9", "S12")
def test_texts_are_cleaned_as_template_as_message_and_in_errors(
    reporting_app: Flask, sentry: Receiver, text: str
) -> None:
    logger = logging.getLogger("somewhere")
    logger.error(text)
    logger.error("it was: %s", text, extra={"detail": text})
    try:
        raise ValueError(text)  # noqa: TRY301 - to have one to report
    except ValueError:
        logger.exception("raised")

    as_template, as_message, in_error = reports(sentry)
    assert as_template["logentry"]["message"] == TEXTS[text]
    assert as_message["logentry"] == {"message": "it was: %s", "formatted": f"it was: {TEXTS[text]}"}
    assert in_error["exception"]["values"][0]["value"] == TEXTS[text]


@pytest.mark.req("O9")
def test_what_is_no_error_is_not_reported(reporting_app: Flask, sentry: Receiver) -> None:
    client = reporting_app.test_client()

    answers = [client.get("/nothing"), client.get("/api/v1/users/me"), client.post("/health")]
    logging.getLogger("somewhere").warning("odd")

    assert [answer.status_code for answer in answers] == [404, 401, 405]
    assert reports(sentry) == []


@pytest.mark.req("O9")
def test_of_errors_a_share_is_reported(sentry: Receiver) -> None:
    create_app(basic_environment(SENTRY_DSN=dsn(sentry), SENTRY_SAMPLE_RATE="0"))

    logging.getLogger("somewhere").error("bad")

    assert reports(sentry) == []
    create_app(basic_environment())


@pytest.mark.req("O9")
def test_a_report_that_cannot_be_sent_costs_no_answer(sentry: Receiver) -> None:
    gone = create_app(basic_environment(SENTRY_DSN="http://public@127.0.0.1:9/1"))

    logging.getLogger("somewhere").error("bad")

    assert gone.test_client().get("/health").status_code == 200
    create_app(basic_environment())


@pytest.mark.req("O9")
def test_off_means_not_even_imported() -> None:
    script = "import sys; from app import create_app; create_app(); print('sentry_sdk' in sys.modules)"
    with RunningService([sys.executable, "-c", script], basic_environment(), folder=ROOT) as process:
        assert process.wait() == 0, process.output()
        assert process.output().strip() == "False"
