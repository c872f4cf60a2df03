"""Every error is a problem document (RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from sqlalchemy import exc
from werkzeug.test import TestResponse

from app import create_app
from app.accounts.models import User
from app.platform.api.rate_limits import no_rate_limit
from app.platform.security.access import public
from tests.accounts.factory import bearer
from tests.environments import basic_environment

MEMBERS = {"type", "title", "status", "detail", "instance", "message", "request_id"}
JSON = {"content_type": "application/json"}


def failing_view(error: Exception) -> Callable[[], ResponseReturnValue]:
    """Return a view that raises the error."""

    @public("a test")
    @no_rate_limit("a test")
    def view() -> ResponseReturnValue:
        raise error

    return view


@pytest.fixture(scope="module")
def failing_client() -> FlaskClient:
    """A client of an app with routes that raise errors."""
    app = create_app(basic_environment(MAX_CONTENT_LENGTH="2000"))
    errors = {
        "exception": RuntimeError("the secret of the exception"),
        "unavailable": exc.OperationalError("SELECT 1", {}, Exception("connection refused")),
        "busy": exc.TimeoutError("QueuePool limit"),
    }
    for name, error in errors.items():
        app.add_url_rule(f"/{name}", name, failing_view(error))
    app.add_url_rule("/undeclared", "undeclared", no_rate_limit("a test")(lambda: "never returned"))
    return app.test_client()


def assert_problem(response: TestResponse, status: int) -> dict[str, object]:
    body: dict[str, object] = response.get_json()
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert body.keys() - {"errors"} == MEMBERS
    assert body["status"] == status
    assert body["message"] == body["detail"]
    assert body["request_id"] == response.headers["X-Request-ID"]
    return body


AUTH = "/api/v1/auth"
REGISTER, PROFILE = "/api/v1/auth/register", "/api/v1/users/me"

INVALID_BODIES = [
    (b"{", {}, 400, "The body is not valid JSON"),
    (b"", {}, 400, "The body is not valid JSON"),
    (b'{"email": NaN}', {}, 400, "NaN is not a JSON number"),
    (b'{"email": Infinity}', {}, 400, "Infinity is not a JSON number"),
    (b'{"email": "a", "email": "b"}', {}, 400, "duplicate member"),
    (b'{"email": "\xff"}', {}, 400, "not valid UTF-8"),
    (b"[" * 100_000, {}, 400, "nested too deeply"),
    (b"email=a", {"content_type": "application/x-www-form-urlencoded"}, 415, "Content-Type: application/json"),
    (b"{}", {"content_type": "text/plain"}, 415, "Content-Type: application/json"),
    (b"{}", {"content_type": None}, 415, "Content-Type: application/json"),
    (b"[]", {}, 422, "invalid"),
    (b'"text"', {}, 422, "invalid"),
    (b"null", {}, 422, "invalid"),
    (b"{}", {}, 422, "invalid"),
]


@pytest.mark.parametrize(("body", "options", "status", "message"), INVALID_BODIES, ids=lambda value: str(value)[:30])
@pytest.mark.req("S11", "A6")
def test_invalid_body_is_rejected(
    client: FlaskClient, body: bytes, options: dict[str, str], status: int, message: str
) -> None:
    response = client.post(REGISTER, data=body, **{**JSON, **options})

    assert message in str(assert_problem(response, status)["message"])


@pytest.mark.req("S11")
def test_missing_token_is_unauthorized(client: FlaskClient) -> None:
    response = client.get("/api/v1/users/me")

    assert_problem(response, 401)
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.req("S11")
def test_route_without_access_rule_rejects_every_call(failing_client: FlaskClient) -> None:
    assert_problem(failing_client.get("/undeclared"), 403)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api/v1/users/../../etc/passwd",
        "/api/v1/users/%2e%2e%2f1",
        "/docs/..%2f..%2fsettings.py",
        "/%00",
        "/api/v3/users/me",
    ],
)
@pytest.mark.req("S11")
def test_unknown_path_is_not_found(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(path), 404)


@pytest.mark.req("S11")
def test_unsupported_method_is_rejected(client: FlaskClient) -> None:
    response = client.put(PROFILE)

    assert_problem(response, 405)
    assert {"GET", "PATCH"} <= set(response.headers["Allow"].split(", "))
    assert (
        response.get_json()["detail"] == "This URL does not accept PUT. It accepts: DELETE, GET, HEAD, OPTIONS, PATCH."
    )


@pytest.mark.req("S11")
def test_duplicate_account_is_a_conflict(client: FlaskClient, user: User) -> None:
    response = client.post(REGISTER, json={"email": user.email, "password": "long enough for this"})

    assert_problem(response, 409)


@pytest.mark.req("S11", "S10")
def test_too_large_body_is_rejected(failing_client: FlaskClient) -> None:
    response = failing_client.post(REGISTER, data=b'"' + b"x" * 2000 + b'"', **JSON)

    assert_problem(response, 413)


@pytest.mark.req("S11")
def test_invalid_fields_are_named(app: Flask, client: FlaskClient, user: User) -> None:
    response = client.post(f"{AUTH}/change-password", json={"new_password": "short"}, headers=bearer(app, user))

    assert assert_problem(response, 422)["errors"] == {
        "current_password": ["Missing data for required field."],
        "new_password": ["Must have from 10 to 128 characters."],
    }


@pytest.mark.req("S11")
def test_exceeded_rate_limit_has_retry_after(client: FlaskClient) -> None:
    responses = [client.post("/api/v1/auth/login", json={"email": "a@example.org", "password": "x"}) for _ in range(6)]

    assert [response.status_code for response in responses] == [401] * 5 + [429]
    assert_problem(responses[-1], 429)
    assert 0 < int(responses[-1].headers["Retry-After"]) <= 60


@pytest.mark.req("S11")
def test_unexpected_exception_shows_no_details(failing_client: FlaskClient) -> None:
    response = failing_client.get("/exception")

    assert_problem(response, 500)
    assert "secret" not in response.text
    assert "Traceback" not in response.text


@pytest.mark.req("S11", "S12")
def test_unexpected_exception_is_logged_once_with_its_traceback(
    failing_client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    failing_client.get("/exception")

    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (record.name, record.getMessage()) == ("app.platform.web.problems", "unhandled exception")
    assert record.exc_info
    assert isinstance(record.exc_info[1], RuntimeError)


@pytest.mark.parametrize("path", ["/unavailable", "/busy"])
@pytest.mark.req("S11", "S5")
def test_unavailable_database_returns_503(failing_client: FlaskClient, path: str) -> None:
    response = failing_client.get(path)

    assert_problem(response, 503)
    assert response.headers["Retry-After"] == "5"


SQL = ["'; DROP TABLE users; --", "' OR '1'='1", "\\", "%", "1); SELECT pg_sleep(5); --"]


@pytest.mark.parametrize("text", SQL)
def test_sql_in_a_text_is_stored_as_text(app: Flask, client: FlaskClient, text: str) -> None:
    response = client.post(
        REGISTER, json={"email": "ann@example.org", "password": "long enough for this", "display_name": text}
    )

    assert response.get_json()["display_name"] == text
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        assert "users" in sa.inspect(engine).get_table_names()
