"""Every error is a problem document, whatever made it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import exc

from app import create_app
from app.accounts.models import User
from app.limits import unlimited
from app.security.access import public
from tests.accounts.factory import bearer
from tests.environments import basic_environment

MEMBERS = {"type", "title", "status", "detail", "instance", "message", "request_id"}
JSON = {"content_type": "application/json"}


def fail(error: Exception) -> object:
    """A view that raises."""

    @public("of this test")
    @unlimited("of this test")
    def view() -> None:
        raise error

    return view


@pytest.fixture(scope="module")
def failing() -> FlaskClient:
    """An app with routes that fail."""
    app = create_app(basic_environment(MAX_CONTENT_LENGTH="2000"))
    errors = {
        "bug": RuntimeError("the secret of the bug"),
        "gone": exc.OperationalError("SELECT 1", {}, Exception("connection refused")),
        "busy": exc.TimeoutError("QueuePool limit"),
    }
    for name, error in errors.items():
        app.add_url_rule(f"/{name}", name, fail(error))  # type: ignore[arg-type]
    app.add_url_rule("/unmarked", "unmarked", unlimited("of this test")(lambda: "never seen"))
    return app.test_client()


def assert_problem(answer: object, status: int) -> dict[str, object]:
    body: dict[str, object] = answer.get_json()  # type: ignore[attr-defined]
    assert answer.status_code == status  # type: ignore[attr-defined]
    assert answer.content_type == "application/problem+json"  # type: ignore[attr-defined]
    assert body.keys() - {"errors"} == MEMBERS
    assert body["status"] == status
    assert body["message"] == body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]  # type: ignore[attr-defined]
    return body


REGISTER, LOCATIONS = "/api/v1/auth/register", "/api/v1/locations"

BAD_BODIES = [
    (b"{", {}, 400, "The body is not JSON"),
    (b"", {}, 400, "The body is not JSON"),
    (b'{"email": NaN}', {}, 400, "NaN is no JSON number"),
    (b'{"email": Infinity}', {}, 400, "Infinity is no JSON number"),
    (b'{"email": "a", "email": "b"}', {}, 400, "names a member twice"),
    (b'{"email": "\xff"}', {}, 400, "not UTF-8"),
    (b"[" * 100_000, {}, 400, "nested too deeply"),
    (b"email=a", {"content_type": "application/x-www-form-urlencoded"}, 415, "Content-Type: application/json"),
    (b"{}", {"content_type": "text/plain"}, 415, "Content-Type: application/json"),
    (b"{}", {"content_type": None}, 415, "Content-Type: application/json"),
    (b"[]", {}, 422, "not valid"),
    (b'"text"', {}, 422, "not valid"),
    (b"null", {}, 422, "not valid"),
    (b"{}", {}, 422, "not valid"),
]


@pytest.mark.parametrize(("body", "options", "status", "message"), BAD_BODIES, ids=lambda value: str(value)[:30])
@pytest.mark.req("S11", "A6")
def test_a_bad_body(client: FlaskClient, body: bytes, options: dict[str, str], status: int, message: str) -> None:
    answer = client.post(REGISTER, data=body, **{**JSON, **options})

    assert message in str(assert_problem(answer, status)["message"])


@pytest.mark.req("S11")
def test_who_is_not_signed_in(client: FlaskClient) -> None:
    answer = client.get("/api/v1/users/me")

    assert_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.req("S11")
def test_a_route_that_does_not_say_who_may_call_it_is_closed(failing: FlaskClient) -> None:
    assert_problem(failing.get("/unmarked"), 403)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api/v1/locations/../../etc/passwd",
        "/api/v1/users/%2e%2e%2f1",
        "/docs/..%2f..%2fsettings.py",
        "/%00",
        "/api/v3/locations",
    ],
)
@pytest.mark.req("S11")
def test_what_is_not_there(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(path), 404)


@pytest.mark.req("S11")
def test_a_method_that_a_route_does_not_have(client: FlaskClient) -> None:
    answer = client.delete(LOCATIONS)

    assert_problem(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.req("S11")
def test_an_account_that_is_there_already(client: FlaskClient, user: User) -> None:
    answer = client.post(REGISTER, json={"email": user.email, "password": "long enough for this"})

    assert_problem(answer, 409)


@pytest.mark.req("S11", "S10")
def test_a_body_that_is_too_large(failing: FlaskClient) -> None:
    answer = failing.post(REGISTER, data=b'"' + b"x" * 2000 + b'"', **JSON)

    assert_problem(answer, 413)


@pytest.mark.req("S11")
def test_fields_that_are_no_good_are_named(app: Flask, client: FlaskClient, user: User) -> None:
    answer = client.post(LOCATIONS, json={"latitude": 91}, headers=bearer(app, user))

    assert assert_problem(answer, 422)["errors"] == {
        "latitude": ["Must be from -90 to 90 degrees."],
        "longitude": ["Missing data for required field."],
    }


@pytest.mark.req("S11")
def test_too_many_requests(client: FlaskClient) -> None:
    answers = [client.post("/api/v1/auth/login", json={"email": "a@example.org", "password": "x"}) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert_problem(answers[-1], 429)
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


@pytest.mark.req("S11")
def test_a_bug_is_not_told(failing: FlaskClient) -> None:
    answer = failing.get("/bug")

    assert_problem(answer, 500)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("path", ["/gone", "/busy"])
@pytest.mark.req("S11", "S5")
def test_a_database_that_is_gone_or_busy(failing: FlaskClient, path: str) -> None:
    answer = failing.get(path)

    assert_problem(answer, 503)
    assert answer.headers["Retry-After"] == "5"


SQL = ["'; DROP TABLE users; --", "' OR '1'='1", "\\", "%", "1); SELECT pg_sleep(5); --"]


@pytest.mark.parametrize("text", SQL)
def test_sql_in_a_text_is_a_text(app: Flask, client: FlaskClient, text: str) -> None:
    answer = client.post(
        REGISTER, json={"email": "ann@example.org", "password": "long enough for this", "display_name": text}
    )

    assert answer.get_json()["display_name"] == text
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        assert "users" in sa.inspect(engine).get_table_names()
