"""Log lines: one JSON object each, tied to the request, and without what must not be there."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.accounts.models import User
from app.observability.logging import Answered, Formatter, rebind
from app.settings import settings_of
from tests.accounts.factory import PASSWORD, bearer
from tests.environments import SECRETS, basic_environment


@pytest.fixture
def log(app: Flask) -> Iterator[StringIO]:
    """What the service's own handler would write while a test runs."""
    stream = StringIO()
    listen(stream, settings_of(app).secrets)
    rebind()
    yield stream
    for handler in logging.getLogger().handlers[:]:
        if getattr(handler, "stream", None) is stream:
            logging.getLogger().removeHandler(handler)


def listen(stream: StringIO, secrets: tuple[str, ...] = ()) -> None:
    """Write the log into a stream too."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter("service-under-test", secrets))
    logging.getLogger().addHandler(handler)


def lines(log: StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


ODD = ['has "quotes" in it', "has a \\ in it", "two\nlines", "größer als 3"]


@pytest.mark.parametrize("secret", ODD)
@pytest.mark.req("S12")
def test_a_secret_is_found_however_json_writes_it(secret: str) -> None:
    stream = StringIO()
    listen(stream, (secret,))

    logging.getLogger("somewhere").warning("this: %s", secret)

    assert json.loads(stream.getvalue())["message"].endswith("this: ***")


def test_the_record_of_an_answer_is_one_like_others() -> None:
    before = time.time()

    record, other = Answered(status=200), logging.makeLogRecord({})

    assert vars(record).keys() - vars(other).keys() == {"status"}
    assert (record.name, record.levelname, record.getMessage()) == ("app.access", "INFO", "request")
    assert record.created >= before
    seconds, _, milliseconds = logging.Formatter().formatTime(record).partition(",")
    assert (seconds, milliseconds) == (
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created)),
        f"{int(record.created % 1 * 1000):03}",
    )


@pytest.mark.req("S12")
def test_answers_leave_no_line_where_only_warnings_are_wanted(
    client: FlaskClient, log: StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    client.get("/health")

    assert lines(log) == []


@pytest.mark.req("S12")
def test_every_request_leaves_one_line_with_its_ids(app: Flask, client: FlaskClient, user: User, log: StringIO) -> None:
    headers = {**bearer(app, user), "X-Request-ID": "from-a-test"}

    client.get("/api/v1/locations?limit=7", headers=headers)

    (line,) = [line for line in lines(log) if line["logger"] == "app.access"]
    shown = {name: line[name] for name in ("request_id", "user_id", "method", "path", "route", "status", "level")}
    assert shown == {
        "request_id": "from-a-test",
        "user_id": user.id,
        "method": "GET",
        "path": "/api/v1/locations",
        "route": "/api/v1/locations",
        "status": 200,
        "level": "INFO",
    }
    assert line["duration_ms"] > 0  # type: ignore[operator]
    assert line["timestamp"]
    assert line["service"] == "service-under-test"


@pytest.mark.parametrize("odd", ["\ud800", 2**70, {3: "a name"}], ids=["half a pair", "70 bits", "no text"])
@pytest.mark.req("S12")
def test_what_an_encoder_refuses_is_written_all_the_same(odd: object, tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    handler.setFormatter(Formatter("service-under-test", ["a secret"]))

    handler.handle(logging.makeLogRecord({"msg": "odd", "odd": odd, "told": "a secret"}))
    handler.close()

    line = json.loads((tmp_path / "log").read_text(encoding="utf-8"))
    assert line["odd"] == (odd if isinstance(odd, str | int) else {"3": "a name"})
    assert line["told"] == "***"


@pytest.mark.req("S12")
def test_lines_of_a_request_carry_its_id_and_those_of_the_next_another(log: StringIO) -> None:
    app = create_app(basic_environment())
    app.before_request(lambda: logging.getLogger("somewhere").warning("deep down"))
    listen(log)  # again, since making an app sets up logging anew

    ids = [app.test_client().get("/health").headers["X-Request-ID"] for _ in range(2)]

    assert [line["request_id"] for line in lines(log) if line["logger"] == "somewhere"] == ids


@pytest.mark.req("S12")
def test_lines_of_a_view_carry_who_called_it(app: Flask, user: User, log: StringIO) -> None:
    with app.test_request_context("/api/v1/users/me", headers=bearer(app, user)):
        app.preprocess_request()
        logging.getLogger("somewhere").warning("deep down")

    assert [line["user_id"] for line in lines(log) if line["logger"] == "somewhere"] == [user.id]


def everywhere(secret: str) -> None:
    """Log a text in every way there is."""
    logger = logging.getLogger("planting")
    logger.warning(secret)
    logger.warning("%s and %r", secret, [secret])
    logger.warning("extra", extra={"detail": secret, "nested": {"a": [secret], "token": 1, secret: KeyError(secret)}})
    try:
        raise ValueError(secret)  # noqa: TRY301 - to have a traceback to log
    except ValueError:
        logger.exception("raised")


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.req("S12")
def test_a_secret_of_the_settings_is_never_written(log: StringIO, name: str) -> None:
    everywhere(f"before {SECRETS[name]} after")

    assert SECRETS[name] not in log.getvalue()
    assert "before *** after" in log.getvalue()
    assert len(lines(log)) == 4


PLANTED = [
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


@pytest.mark.parametrize("shape", PLANTED)
@pytest.mark.req("S12")
def test_what_looks_like_a_secret_is_never_written(log: StringIO, shape: str, secret: str) -> None:
    everywhere(shape.replace("SECRET", secret).replace(f"{secret}_KEY", "SECRET_KEY"))

    assert secret not in log.getvalue()
    assert len(lines(log)) == 4


@pytest.mark.req("S12")
def test_addresses_of_people_and_tokens_are_never_written(app: Flask, user: User, log: StringIO) -> None:
    token = bearer(app, user)["Authorization"].removeprefix("Bearer ")

    everywhere(f"Key (email)=({user.email}) already exists; {token}")

    assert user.email not in log.getvalue()
    assert token not in log.getvalue()


@pytest.mark.req("S12")
def test_nothing_of_a_request_that_signs_in_is_written(client: FlaskClient, user: User, log: StringIO) -> None:
    answer = client.post("/api/v1/auth/login", json={"email": user.email, "password": PASSWORD})
    client.post("/api/v1/auth/register", json={"email": user.email, "password": PASSWORD})

    written = log.getvalue()
    assert answer.status_code == 200
    for secret in (PASSWORD, user.email, answer.get_json()["access_token"], user.password_hash):
        assert secret not in written


@pytest.mark.req("S12")
def test_a_forged_line_stays_inside_its_own(client: FlaskClient, log: StringIO) -> None:
    forged = '\n{"level": "ERROR", "message": "forged"}\r\n\x1b[2J'

    logging.getLogger("planting").warning("name: %s", forged)
    client.get("/health%0A%7B%22level%22%3A%22ERROR%22%7D", headers={"X-Request-ID": 'a"b'})

    assert len(lines(log)) == 2
    assert all(line["level"] in ("WARNING", "INFO") for line in lines(log))
    assert "\x1b" not in log.getvalue()


@pytest.mark.req("S12")
def test_a_log_file_is_rotated(tmp_path: Path) -> None:
    file = tmp_path / "service.log"
    create_app(basic_environment(LOG_FILE=str(file), LOG_MAX_BYTES="10000", LOG_BACKUPS="2"))
    try:
        for _ in range(200):
            logging.getLogger("filling").warning("x" * 100)
    finally:
        for handler in logging.getLogger().handlers:
            handler.close()
        create_app(basic_environment())  # takes the file away from the other tests

    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["service.log", "service.log.1", "service.log.2"]
    assert all(path.stat().st_size <= 10_000 for path in tmp_path.iterdir())


def test_the_log_goes_to_standard_output() -> None:
    create_app(basic_environment())

    handlers = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    assert [handler.stream for handler in handlers] == [sys.stdout]
