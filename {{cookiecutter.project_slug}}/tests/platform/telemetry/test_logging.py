"""Log lines: one JSON object each, with the ids of the request, and without secrets."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.platform.settings.declarations import secrets_of
from app.platform.telemetry.logging import JsonFormatter, reset_context
from tests.accounts.factory import PASSWORD, bearer, make_user
from tests.environments import SECRETS, basic_environment
from tests.log_capture import captured_log


@pytest.fixture
def log(app: Flask) -> Iterator[StringIO]:
    """The lines that the service's handler writes during a test."""
    reset_context()
    with captured_log(secrets_of(app)) as log:
        yield log


def lines(log: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


ESCAPED_IN_JSON = ['has "quotes" in it', "has a \\ in it", "two\nlines", "größer als 3"]


@pytest.mark.parametrize("secret", ESCAPED_IN_JSON)
@pytest.mark.req("S12")
def test_redacts_secrets_that_json_escapes(secret: str) -> None:
    with captured_log([secret]) as log:
        logging.getLogger("other.module").warning("this: %s", secret)

    assert json.loads(log.getvalue())["message"].endswith("this: ***")


@pytest.mark.req("S12")
def test_log_level_warning_suppresses_access_log(
    client: FlaskClient, log: StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    client.get("/health")

    assert lines(log) == []


@pytest.mark.req("S12")
def test_each_request_logs_one_line_with_its_ids(
    app: Flask, client: FlaskClient, session: Session, log: StringIO
) -> None:
    admin = make_user(session, role="admin")
    headers = {**bearer(app, admin), "X-Request-ID": "from-a-test"}

    client.get("/api/v1/admin/audit-logs?limit=7", headers=headers)

    (line,) = [line for line in lines(log) if line["logger"] == "app.access"]
    shown = {name: line[name] for name in ("request_id", "user_id", "method", "path", "route", "status", "level")}
    assert shown == {
        "request_id": "from-a-test",
        "user_id": admin.id,
        "method": "GET",
        "path": "/api/v1/admin/audit-logs",
        "route": "/api/v1/admin/audit-logs",
        "status": 200,
        "level": "INFO",
    }
    assert line["duration_ms"] > 0
    assert line["timestamp"]
    assert line["service"] == "service-under-test"


@pytest.mark.parametrize("value", ["\ud800", 2**70, {3: "a name"}], ids=["lone surrogate", "70 bits", "integer key"])
@pytest.mark.req("S12")
def test_logs_values_that_orjson_rejects(value: object, tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    handler.setFormatter(JsonFormatter("service-under-test", ["a secret"]))

    handler.handle(logging.makeLogRecord({"msg": "unusual", "value": value, "detail": "a secret"}))
    handler.close()

    line = json.loads((tmp_path / "log").read_text(encoding="utf-8"))
    assert line["value"] == (value if isinstance(value, str | int) else {"3": "a name"})
    assert line["detail"] == "***"


@pytest.mark.req("S12")
def test_log_lines_contain_the_request_id() -> None:
    app = create_app(basic_environment())
    app.before_request(lambda: logging.getLogger("other.module").warning("nested call"))

    with captured_log() as log:
        ids = [app.test_client().get("/health").headers["X-Request-ID"] for _ in range(2)]

    assert [line["request_id"] for line in lines(log) if line["logger"] == "other.module"] == ids


@pytest.mark.req("S12")
def test_log_lines_of_a_view_contain_the_user_id(app: Flask, user: User, log: StringIO) -> None:
    with app.test_request_context("/api/v1/users/me", headers=bearer(app, user)):
        app.preprocess_request()
        logging.getLogger("other.module").warning("nested call")

    assert [line["user_id"] for line in lines(log) if line["logger"] == "other.module"] == [user.id]


def log_everywhere(secret: str) -> None:
    """Log a text in every possible way."""
    logger = logging.getLogger("leaking")
    logger.warning(secret)
    logger.warning("%s and %r", secret, [secret])
    logger.warning("extra", extra={"detail": secret, "nested": {"a": [secret], "token": 1, secret: KeyError(secret)}})
    try:
        raise ValueError(secret)  # noqa: TRY301 - to have a traceback to log
    except ValueError:
        logger.exception("raised")


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.req("S12")
def test_redacts_secrets_of_the_settings(log: StringIO, name: str) -> None:
    log_everywhere(f"before {SECRETS[name]} after")

    assert SECRETS[name] not in log.getvalue()
    assert "before *** after" in log.getvalue()
    assert len(lines(log)) == 4


CREDENTIALS = [
    "Authorization: Bearer SECRET",
    "authorization: bearer SECRET",
    "postgresql://app:SECRET@db.example.org/app",
    "redis://:SECRET@redis:6379/0",
    '{"password": "SECRET"}',
    "{'new_password': 'SECRET'}",
    "password=SECRET&x=1",
    "refresh_token=SECRET",
    "api_key: SECRET",
    "SECRET_KEY=SECRET",
]


@pytest.mark.parametrize("shape", CREDENTIALS)
@pytest.mark.req("S12")
def test_redacts_texts_that_look_like_credentials(log: StringIO, shape: str, secret: str) -> None:
    log_everywhere(shape.replace("SECRET", secret).replace(f"{secret}_KEY", "SECRET_KEY"))

    assert secret not in log.getvalue()
    assert len(lines(log)) == 4


@pytest.mark.req("S12")
def test_redacts_email_addresses_and_tokens(app: Flask, user: User, log: StringIO) -> None:
    token = bearer(app, user)["Authorization"].removeprefix("Bearer ")

    log_everywhere(f"Key (email)=({user.email}) already exists; {token}")

    assert user.email not in log.getvalue()
    assert token not in log.getvalue()


@pytest.mark.req("S12")
def test_login_logs_no_credentials(client: FlaskClient, user: User, log: StringIO) -> None:
    response = client.post("/api/v1/auth/login", json={"email": user.email, "password": PASSWORD})
    client.post("/api/v1/auth/register", json={"email": user.email, "password": PASSWORD})

    written = log.getvalue()
    assert response.status_code == 200
    for secret in (PASSWORD, user.email, response.get_json()["access_token"], user.password_hash):
        assert secret not in written


@pytest.mark.req("S12")
def test_input_cannot_forge_log_lines(client: FlaskClient, log: StringIO) -> None:
    forged = '\n{"level": "ERROR", "message": "forged"}\r\n\x1b[2J'

    logging.getLogger("leaking").warning("name: %s", forged)
    client.get("/health%0A%7B%22level%22%3A%22ERROR%22%7D", headers={"X-Request-ID": 'a"b'})

    assert len(lines(log)) == 2
    assert all(line["level"] in ("WARNING", "INFO") for line in lines(log))
    assert "\x1b" not in log.getvalue()


@pytest.mark.req("S12")
def test_log_file_is_rotated(tmp_path: Path) -> None:
    file = tmp_path / "service.log"
    create_app(basic_environment(LOG_FILE=str(file), LOG_MAX_BYTES="10000", LOG_BACKUPS="2"))
    try:
        for _ in range(200):
            logging.getLogger("filling").warning("x" * 100)
    finally:
        for handler in logging.getLogger().handlers:
            handler.close()
        create_app(basic_environment())  # later tests must not log to the file

    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["service.log", "service.log.1", "service.log.2"]
    assert all(path.stat().st_size <= 10_000 for path in tmp_path.iterdir())


def test_logs_to_standard_output() -> None:
    create_app(basic_environment())

    handlers = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    assert [handler.stream for handler in handlers] == [sys.stdout]
