"""Error reports to Sentry, received by a local server: their content and their redaction."""

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
from app.platform.api.rate_limits import no_rate_limit
from app.platform.security.access import public
from tests.accounts.factory import PASSWORD
from tests.environments import ROOT, basic_environment
from tests.servers import RunningService
from tests.servers.receiver import Receiver, start_receiver

POSITION = {"latitude": 52.5163, "longitude": 13.3777, "accuracy": 7.25}


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with start_receiver() as receiver:
        yield receiver
        sentry_sdk.init()  # disables reporting


@pytest.fixture
def reporting_app(sentry: Receiver, secret: str) -> Iterator[Flask]:
    """An app that reports errors, with a route that fails."""
    settings = {"SENTRY_DSN": dsn(sentry), "ADMIN_PASSWORD": secret, "OTEL_SERVICE_VERSION": "1.2.3"}
    app = create_app(basic_environment(**settings))

    @app.post("/fails/<int:number>")
    @public("a test")
    @no_rate_limit("a test")
    def fails(number: int) -> str:
        position = dict(POSITION)  # a local variable of the failing frame
        raise RuntimeError(f"bug {number} near {secret} of ann@example.org at {position}")

    yield app
    create_app(basic_environment())  # configures logging without the handler


def dsn(sentry: Receiver) -> str:
    return f"http://public@127.0.0.1:{sentry.port}/1"


def reports(sentry: Receiver) -> list[dict[str, Any]]:
    """Return the events of all envelopes: a header line, then a header and a payload line for each item."""
    sentry_sdk.flush(5)
    events = []
    for received in sentry.received:
        assert received.path == "/api/1/envelope/"
        _, *items = received.body.splitlines()
        for header, payload in zip(items[::2], items[1::2], strict=True):
            assert json.loads(header)["type"] in ("event", "client_report")
            events += [json.loads(payload)] if json.loads(header)["type"] == "event" else []
    return events


def failing_request(client: FlaskClient) -> None:
    body = {"password": PASSWORD, "display_name": "Ann Other", **POSITION}
    headers = {
        "Authorization": "Bearer leaked.token",
        "X-API-Key": "fsk_abcdefgh_leaked-key",
        "Cookie": "session=leaked-cookie",
        "X-Request-ID": "failing",
        "User-Agent": "leaked-agent",
    }
    response = client.post(
        "/fails/7?bbox=13.01,52.02", json=body, headers=headers, environ_base={"REMOTE_ADDR": "8.8.4.4"}
    )
    assert response.status_code == 500


@pytest.mark.req("O9")
def test_reports_an_unhandled_error_once_with_its_ids(reporting_app: Flask, sentry: Receiver) -> None:
    failing_request(reporting_app.test_client())

    (report,) = reports(sentry)
    (exception,) = report["exception"]["values"]
    assert (exception["type"], exception["value"][:10]) == ("RuntimeError", "bug 7 near")
    assert exception["stacktrace"]["frames"][-1]["function"] == "fails"
    assert (report["level"], report["logger"]) == ("error", "app.platform.web.problems")
    assert (report["release"], report["environment"]) == ("service-under-test@1.2.3", "testing")
    assert report["transaction"] == "POST /fails/<int:number>"
    assert report["tags"] == {"request_id": "failing"}


@pytest.mark.req("O9", "S12")
def test_reports_contain_no_personal_data_and_no_secrets(reporting_app: Flask, sentry: Receiver, secret: str) -> None:
    failing_request(reporting_app.test_client())

    (report,) = reports(sentry)
    sent = b"".join(received.body for received in sentry.received).decode()
    personal = ("leaked", "Ann Other", "52.5163", "13.3777", "13.01", "8.8.4.4", "ann@example.org")
    for hidden in (secret, PASSWORD, *personal):
        assert hidden not in sent
    assert not report.keys() & {"request", "extra", "breadcrumbs", "user", "contexts", "modules"}
    value = report["exception"]["values"][0]["value"]
    assert value == "bug 7 near *** of *** at {'latitude': ***, 'longitude': ***, 'accuracy': 7.25}"


TEXTS = {
    "position (52.5163, -13.3777) is outside": "position (***, ***) is outside",
    "took 1.25 s, version 8.1.1234, 12345 rows": "took 1.25 s, version 8.1.1234, 12345 rows",
    "Key (email)=(bob@example.com) already exists": "Key (email)=(***) already exists",
    "display_name='Ann Other', role='user'": "display_name='***', role='user'",
    "cannot use fsk_abcdefgh_leaked-key": "cannot use fsk_abcdefgh_***",
    "eyJhbGciOi.eyJzdWIiOi.c2ln expired": "*** expired",
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.req("O9", "S12")
def test_redacts_templates_messages_and_exceptions(reporting_app: Flask, sentry: Receiver, text: str) -> None:
    logger = logging.getLogger("other.module")
    logger.error(text)
    logger.error("detail: %s", text, extra={"detail": text})
    try:
        raise ValueError(text)  # noqa: TRY301 - to have one to report
    except ValueError:
        logger.exception("raised")

    as_template, as_message, in_error = reports(sentry)
    assert as_template["logentry"]["message"] == TEXTS[text]
    assert as_message["logentry"] == {"message": "detail: %s", "formatted": f"detail: {TEXTS[text]}"}
    assert in_error["exception"]["values"][0]["value"] == TEXTS[text]


@pytest.mark.req("O9")
def test_client_errors_and_warnings_are_not_reported(reporting_app: Flask, sentry: Receiver) -> None:
    client = reporting_app.test_client()

    responses = [client.get("/nothing"), client.get("/api/v1/users/me"), client.post("/health")]
    logging.getLogger("other.module").warning("unusual")

    assert [response.status_code for response in responses] == [404, 401, 405]
    assert reports(sentry) == []


@pytest.mark.req("O9")
def test_sample_rate_limits_reports(sentry: Receiver) -> None:
    create_app(basic_environment(SENTRY_DSN=dsn(sentry), SENTRY_SAMPLE_RATE="0"))

    logging.getLogger("other.module").error("failed")

    assert reports(sentry) == []
    create_app(basic_environment())


@pytest.mark.req("O9")
def test_unreachable_sentry_does_not_affect_responses(sentry: Receiver) -> None:
    app = create_app(basic_environment(SENTRY_DSN="http://public@127.0.0.1:9/1"))

    logging.getLogger("other.module").error("failed")

    assert app.test_client().get("/health").status_code == 200
    create_app(basic_environment())


@pytest.mark.req("O9")
def test_sdk_is_not_imported_when_off() -> None:
    script = "import sys; from app import create_app; create_app(); print('sentry_sdk' in sys.modules)"
    with RunningService([sys.executable, "-c", script], basic_environment(), folder=ROOT) as process:
        assert process.wait() == 0, process.output()
        assert process.output().strip() == "False"
