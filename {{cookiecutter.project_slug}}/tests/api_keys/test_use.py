"""Access with API keys: scopes, expiry, revocation and the time of the last use."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.api_keys import service
from app.platform.api.versions import VERSIONS
from app.platform.components import platform_of
from app.platform.database.base import db, utc_now
from tests.accounts.factory import bearer, make_user
from tests.api_keys.factory import make_key, with_key
from tests.attacks.conftest import app_without_limits
from tests.log_capture import captured_log
from tests.routes import all_routes, routes
from tests.statements import recorded_statements

__all__ = ["app_without_limits"]

ME = "/api/v1/users/me"
OTHER_SCOPE = "other:read"  # of no route

Updates = Callable[[], list[str]]


@pytest.mark.req("A2")
def test_declared_scopes_are_those_of_the_routes(app: Flask) -> None:
    required = {route.scope for route in routes(app) if route.scope}

    assert required == set(platform_of(app).scopes), "list each scope of a route in `scopes` of the feature's Feature"


@pytest.mark.req("A2")
def test_key_may_call_only_routes_of_its_scope(app: Flask, client: FlaskClient, session: Session) -> None:
    for route in routes(app):
        if not route.scope:
            continue
        user = make_user(session)  # a new user per route: rate limits count by user
        others = [scope for scope in platform_of(app).scopes if scope != route.scope]

        allowed = client.open(route.path(), method=route.method, headers=with_key(session, user, route.scope))
        rejected = client.open(route.path(), method=route.method, headers=with_key(session, user, *others))

        assert allowed.status_code not in (401, 403), route
        assert rejected.status_code == 403, route
        assert rejected.get_json()["message"] == f"This API key lacks the scope {route.scope}."


@pytest.mark.req("A2")
def test_route_without_scope_rejects_every_key(app: Flask, app_without_limits: Flask, session: Session) -> None:
    client = app_without_limits.test_client()
    for route in routes(app):
        if route.scope or route.is_public:
            continue
        admin = make_user(session, role="admin")

        headers = with_key(session, admin, *platform_of(app).scopes)
        response = client.open(route.path(), method=route.method, headers=headers)

        assert response.status_code == 403, route
        assert response.get_json()["message"] == "API keys cannot do this: sign in."


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
@pytest.mark.req("A2")
def test_key_authenticates_its_owner(
    client: FlaskClient, session: Session, user: User, other_user: User, header: str
) -> None:
    _, text = make_key(session, user, "profile:read")
    headers = {header: text if header == "X-API-Key" else f"Bearer {text}"}

    profile = client.get(ME, headers=headers)
    other_profile = client.get(ME, headers=with_key(session, other_user, "profile:read"))

    assert (profile.status_code, profile.get_json()["id"]) == (200, user.id)
    assert other_profile.get_json()["id"] == other_user.id


@pytest.mark.req("A2")
def test_key_takes_precedence_over_token(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User
) -> None:
    token = bearer(app, other_user)

    valid = client.get(ME, headers={**token, **with_key(session, user, "profile:read")})
    wrong_scope = client.get(ME, headers={**token, **with_key(session, user, OTHER_SCOPE)})
    invalid = client.get(ME, headers={**token, "X-API-Key": "fsk_nonsense"})

    assert valid.get_json()["id"] == user.id
    assert (wrong_scope.status_code, invalid.status_code) == (403, 401)


def similar_keys(text: str) -> dict[str, str]:
    """Return invalid keys that resemble a valid one."""
    prefix, secret = text[:12], text[13:]
    _, other = service.new_key_text()
    return {
        "another key": other,
        "another secret": f"{prefix}_{secrets.token_urlsafe(32)}",
        "another prefix": f"fsk_{secrets.token_hex(4)}_{secret}",
        "no secret": f"{prefix}_",
        "only the prefix": prefix,
        "one character more": f"{text}x",
        "one character less": text[:-1],
        "in capitals": f"fsk_{text[4:].upper()}",
        "not ASCII": f"{prefix}_{secret[:-1]}é",
        "the hash": f"{prefix}_{'0' * 64}",
        "SQL": f"fsk_' OR 1=1 --_{secret}",
    }


@pytest.mark.parametrize("name", similar_keys("fsk_12345678_x"))
@pytest.mark.req("A2")
def test_similar_key_is_rejected(client: FlaskClient, session: Session, user: User, name: str) -> None:
    _, text = make_key(session, user, "profile:read")

    response = client.get(ME, headers={"X-API-Key": similar_keys(text)[name]})

    assert client.get(ME, headers={"X-API-Key": text}).status_code == 200
    assert response.status_code == 401
    assert response.get_json()["message"] == "The API key is not valid."


@pytest.mark.parametrize("end", ["expires_at", "revoked_at"])
@pytest.mark.req("A2")
def test_expired_and_revoked_keys_get_the_same_response(
    client: FlaskClient, session: Session, user: User, end: str
) -> None:
    _, text = make_key(session, user, "profile:read", **{end: utc_now() - timedelta(seconds=1)})

    response = client.get(ME, headers={"X-API-Key": text})

    assert response.status_code == 401
    assert response.get_json()["message"] == "The API key is not valid."


@pytest.mark.req("A2")
def test_revoked_key_is_rejected_at_once(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    key, text = make_key(session, user, "profile:read", expires_at=utc_now() + timedelta(minutes=1))

    before = client.get(ME, headers={"X-API-Key": text})
    client.delete(f"/api/v1/api-keys/{key.id}", headers=bearer(app, user))
    after = client.get(ME, headers={"X-API-Key": text})

    assert (before.status_code, after.status_code) == (200, 401)


@pytest.mark.req("A2")
def test_key_of_an_admin_has_no_admin_rights(app: Flask, client: FlaskClient, session: Session) -> None:
    admin = make_user(session, role="admin")

    response = client.get("/api/v1/admin/users", headers=with_key(session, admin, *platform_of(app).scopes))

    assert response.status_code == 403


def test_deleting_the_user_deletes_the_key(client: FlaskClient, session: Session, user: User) -> None:
    headers = with_key(session, user, "profile:read")
    session.delete(user)
    session.commit()

    assert client.get(ME, headers=headers).status_code == 401


@pytest.fixture
def updates(app: Flask) -> Iterator[Updates]:
    """Return the UPDATE statements on API keys since the start of the test."""
    with app.app_context():
        engine = db.engine
    with recorded_statements(engine) as statements:
        yield lambda: [statement for statement, _ in statements if statement.startswith("UPDATE api_keys")]


@pytest.mark.req("A2")
def test_last_use_is_written_once_per_minute(
    client: FlaskClient, session: Session, user: User, updates: Updates
) -> None:
    key, text = make_key(session, user, "profile:read")
    start = utc_now()

    for _ in range(5):
        client.get(ME, headers={"X-API-Key": text})
    session.refresh(key)

    assert key.last_used_at is not None
    assert start <= key.last_used_at <= utc_now()
    assert len(updates()) == 1


@pytest.mark.req("A2")
def test_use_after_a_minute_is_written_again(
    client: FlaskClient, session: Session, user: User, updates: Updates
) -> None:
    start = utc_now()
    key, text = make_key(session, user, "profile:read", last_used_at=start - timedelta(seconds=61))

    client.get(ME, headers={"X-API-Key": text})
    session.refresh(key)

    assert key.last_used_at is not None
    assert key.last_used_at >= start
    assert len(updates()) == 1


def test_invalid_key_writes_no_use(client: FlaskClient, session: Session, user: User, updates: Updates) -> None:
    _, text = make_key(session, user, "profile:read")

    for other in (f"{text[:13]}{secrets.token_urlsafe(32)}", service.new_key_text()[1]):
        client.get(ME, headers={"X-API-Key": other})

    assert updates() == []


@pytest.mark.req("S12")
def test_key_never_appears_in_the_log(client: FlaskClient, session: Session, user: User) -> None:
    _, text = make_key(session, user, "profile:read")

    with captured_log() as log:
        client.get(f"/api/v1/{text}", headers={"X-API-Key": text})
        logging.getLogger("test").warning("a caller sent %r", [text], extra={"detail": f"<{text}>"})
        logging.getLogger("test").error("as bearer", exc_info=ValueError(f"Bearer {text}, then {text}"))

    assert log.getvalue().count("\n") == 3
    assert text[13:] not in log.getvalue()


@pytest.mark.req("A10")
def test_only_the_creation_needs_a_recent_login(app: Flask) -> None:
    found = {str(route) for route in all_routes(app) if route.policy.recent_login and "/api-keys" in str(route)}

    assert found == {f"POST /api/{version}/api-keys" for version in VERSIONS}
