"""What keys open, and what they do not."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.database import db, now
from app.observability.logging import Formatter
from app.security.access import SCOPES
from tests.accounts.factory import bearer, make_user
from tests.api_keys.factory import make_key, with_key
from tests.routes import routes

ME, LOCATIONS = "/api/v1/users/me", "/api/v1/locations"


@pytest.mark.req("A2")
def test_every_scope_opens_a_route_and_every_route_names_a_scope_that_there_is(app: Flask) -> None:
    used = {route.scope for route in routes(app) if route.scope}

    assert used == set(SCOPES), "name the scope in app.security.access.SCOPES, or drop it there"


@pytest.mark.req("A2")
def test_a_key_opens_the_routes_of_its_scope_and_no_other(app: Flask, client: FlaskClient, session: Session) -> None:
    for route in routes(app):
        if not route.scope:
            continue
        user = make_user(session)  # of its own, since rates are counted by user
        others = [scope for scope in SCOPES if scope != route.scope]

        opened = client.open(route.path(), method=route.method, headers=with_key(session, user, route.scope))
        closed = client.open(route.path(), method=route.method, headers=with_key(session, user, *others))

        assert opened.status_code not in (401, 403), route
        assert closed.status_code == 403, route
        assert closed.get_json()["message"] == f"This API key lacks the scope {route.scope}."


@pytest.mark.req("A2")
def test_a_route_without_a_scope_takes_no_key_at_all(app: Flask, client: FlaskClient, session: Session) -> None:
    for route in routes(app):
        if route.scope or route.is_public:
            continue
        admin = make_user(session, role="admin")

        answer = client.open(route.path(), method=route.method, headers=with_key(session, admin, *SCOPES))

        assert answer.status_code == 403, route
        assert answer.get_json()["message"] == "API keys cannot do this: sign in."


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
@pytest.mark.req("A2")
def test_a_key_speaks_for_whoever_made_it(
    client: FlaskClient, session: Session, user: User, other_user: User, header: str
) -> None:
    _, text = make_key(session, user, "locations:write", "locations:read")
    headers = {header: text if header == "X-API-Key" else f"Bearer {text}"}

    saved = client.post(LOCATIONS, json={"latitude": 1, "longitude": 2}, headers=headers)
    listed = client.get(LOCATIONS, headers=with_key(session, other_user, "locations:read"))

    assert (saved.status_code, saved.get_json()["user_id"]) == (201, user.id)
    assert listed.get_json()["items"] == []


@pytest.mark.req("A2")
def test_of_a_key_and_a_token_the_key_counts(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User
) -> None:
    token = bearer(app, other_user)

    good = client.get(ME, headers={**token, **with_key(session, user, "profile:read")})
    narrow = client.get(ME, headers={**token, **with_key(session, user, "files:read")})
    bad = client.get(ME, headers={**token, "X-API-Key": "fsk_nonsense"})

    assert good.get_json()["id"] == user.id
    assert (narrow.status_code, bad.status_code) == (403, 401)


def wrong(text: str) -> dict[str, str]:
    """Keys that resemble a good one."""
    prefix, secret = text[:12], text[13:]
    return {
        "another secret": f"{prefix}_{secrets.token_urlsafe(32)}",
        "another prefix": f"fsk_{secrets.token_hex(4)}_{secret}",
        "no secret": f"{prefix}_",
        "only the prefix": prefix,
        "something behind": f"{text}x",
        "something missing": text[:-1],
        "in capitals": f"fsk_{text[4:].upper()}",
        "not ASCII": f"{prefix}_{secret[:-1]}é",
        "the hash": f"{prefix}_{'0' * 64}",
        "SQL": f"fsk_' OR 1=1 --_{secret}",
    }


@pytest.mark.parametrize("name", wrong("fsk_12345678_x"))
@pytest.mark.req("A2")
def test_what_only_resembles_a_key_opens_nothing(client: FlaskClient, session: Session, user: User, name: str) -> None:
    _, text = make_key(session, user, "profile:read")

    answer = client.get(ME, headers={"X-API-Key": wrong(text)[name]})

    assert client.get(ME, headers={"X-API-Key": text}).status_code == 200
    assert answer.status_code == 401
    assert answer.get_json()["message"] == "The API key is not valid."


@pytest.mark.parametrize("end", ["expires_at", "revoked_at"])
@pytest.mark.req("A2")
def test_a_key_that_is_over_opens_nothing_and_the_answer_does_not_tell_why(
    client: FlaskClient, session: Session, user: User, end: str
) -> None:
    _, text = make_key(session, user, "profile:read", **{end: now() - timedelta(seconds=1)})

    answer = client.get(ME, headers={"X-API-Key": text})

    assert answer.status_code == 401
    assert answer.get_json()["message"] == "The API key is not valid."


@pytest.mark.req("A2")
def test_a_revoked_key_is_refused_at_once(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    key, text = make_key(session, user, "profile:read", expires_at=now() + timedelta(minutes=1))

    before = client.get(ME, headers={"X-API-Key": text})
    client.delete(f"/api/v1/api-keys/{key.id}", headers=bearer(app, user))
    after = client.get(ME, headers={"X-API-Key": text})

    assert (before.status_code, after.status_code) == (200, 401)


@pytest.mark.req("A2")
def test_an_admins_key_is_no_admin(client: FlaskClient, session: Session) -> None:
    admin = make_user(session, role="admin")

    answer = client.get("/api/v1/admin/users", headers=with_key(session, admin, *SCOPES))

    assert answer.status_code == 403


def test_a_key_goes_with_the_user(client: FlaskClient, session: Session, user: User) -> None:
    headers = with_key(session, user, "profile:read")
    session.delete(user)
    session.commit()

    assert client.get(ME, headers=headers).status_code == 401


@pytest.fixture
def updates(app: Flask) -> Iterator[list[str]]:
    """The statements that write to keys while a test runs."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE api_keys"):
            seen.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", note)


@pytest.mark.req("A2")
def test_the_last_use_is_kept_to_the_minute_without_a_write_per_request(
    client: FlaskClient, session: Session, user: User, updates: list[str]
) -> None:
    key, text = make_key(session, user, "profile:read")
    begun = now()

    for _ in range(5):
        client.get(ME, headers={"X-API-Key": text})
    session.refresh(key)

    assert key.last_used_at is not None
    assert begun <= key.last_used_at <= now()
    assert len(updates) == 1


@pytest.mark.req("A2")
def test_a_use_after_a_minute_is_kept_again(
    client: FlaskClient, session: Session, user: User, updates: list[str]
) -> None:
    begun = now()
    key, text = make_key(session, user, "profile:read", last_used_at=begun - timedelta(seconds=61))

    client.get(ME, headers={"X-API-Key": text})
    session.refresh(key)

    assert key.last_used_at is not None
    assert key.last_used_at >= begun
    assert len(updates) == 1


def test_a_bad_key_leaves_no_use(client: FlaskClient, session: Session, user: User, updates: list[str]) -> None:
    _, text = make_key(session, user, "profile:read")

    client.get(ME, headers={"X-API-Key": f"{text[:13]}{secrets.token_urlsafe(32)}"})

    assert updates == []


@pytest.mark.req("S12")
def test_a_key_is_never_written_to_the_log(client: FlaskClient, session: Session, user: User) -> None:
    _, text = make_key(session, user, "profile:read")
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter("service-under-test", ()))
    logging.getLogger().addHandler(handler)

    try:
        client.get(f"/api/v1/{text}", headers={"X-API-Key": text})
        logging.getLogger("planting").warning("a caller sent %r", [text], extra={"detail": f"<{text}>"})
        logging.getLogger("planting").error("as bearer", exc_info=ValueError(f"Bearer {text}, then {text}"))
    finally:
        logging.getLogger().removeHandler(handler)

    assert stream.getvalue().count("\n") == 3
    assert text[13:] not in stream.getvalue()
