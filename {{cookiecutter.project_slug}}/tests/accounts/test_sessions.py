"""Login, token refresh and logout."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts import refresh_tokens, service, tasks, user_sessions
from app.accounts.models import User, UserSession
from app.audit.models import AuditLog
from app.platform.database.base import db, utc_now
from app.platform.redis.client import redis_of
from app.platform.security import passwords, tokens
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import PASSWORD, bearer, make_session

LOGIN, REFRESH, LOGOUT, ME = "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout", "/api/v1/users/me"
ORIGIN = RequestOrigin("192.0.2.1", "a-test")
LIFETIME = user_sessions.Lifetime(timedelta(days=1), timedelta(days=2))


def login(client: FlaskClient, user: User) -> dict[str, Any]:
    response = client.post(LOGIN, json={"email": user.email, "password": PASSWORD})
    assert response.status_code == 200, response.text
    pair: dict[str, Any] = response.get_json()
    return pair


def auth_headers(pair: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access_token']}"}


def refresh(client: FlaskClient, pair: dict[str, Any]) -> Any:
    return client.post(REFRESH, json={"refresh_token": pair["refresh_token"]})


@pytest.mark.req("A2")
def test_login_and_refresh_return_new_tokens(client: FlaskClient, user: User) -> None:
    first = login(client, user)
    second = refresh(client, first).get_json()
    third = refresh(client, second).get_json()

    assert first.keys() == {"access_token", "refresh_token", "token_type", "expires_in"} == second.keys()
    assert len({pair["refresh_token"] for pair in (first, second, third)}) == 3
    assert client.get(ME, headers=auth_headers(third)).get_json()["email"] == user.email
    # A refresh does not invalidate earlier access tokens.
    assert client.get(ME, headers=auth_headers(first)).status_code == 200


@pytest.mark.req("A2")
def test_reused_refresh_token_ends_the_session(client: FlaskClient, user: User) -> None:
    stolen = login(client, user)
    other_session = login(client, user)
    newest = refresh(client, stolen).get_json()

    reuse = refresh(client, stolen)

    assert reuse.status_code == 401
    assert "used before" in reuse.get_json()["message"]
    assert refresh(client, newest).status_code == 401
    assert client.get(ME, headers=auth_headers(newest)).status_code == 401
    assert client.get(ME, headers=auth_headers(other_session)).status_code == 200


@pytest.mark.req("A2")
@pytest.mark.fault("F52")
def test_parameters_of_a_statement_do_not_grow_with_the_sessions(session: Session, user: User) -> None:
    ids = {make_session(session, user).id for _ in range(20)}
    counts: list[int] = []

    def count(*call: Any) -> None:
        counts.append(len(call[3]))

    sa.event.listen(session.get_bind(), "before_cursor_execute", count)
    ended = service.end_sessions(session, user.id)
    sa.event.remove(session.get_bind(), "before_cursor_execute", count)

    assert set(ended) == ids
    assert 0 < max(counts) < 10


@pytest.mark.req("A2", "P4")
def test_reused_refresh_token_is_in_the_audit_log(
    client: FlaskClient, user: User, audit_entries: Callable[[], Sequence[AuditLog]]
) -> None:
    stolen = login(client, user)
    refresh(client, stolen)

    refresh(client, stolen)

    entry = audit_entries()[-1]
    assert (entry.action, entry.target_type, entry.actor_id) == ("session.token_reused", "session", None)
    assert entry.address == "127.0.0.1"


@pytest.mark.req("A2")
def test_logout_ends_only_this_session(client: FlaskClient, user: User) -> None:
    current, other_session = login(client, user), login(client, user)

    response = client.post(LOGOUT, headers=auth_headers(current))

    assert (response.status_code, response.data) == (204, b"")
    ended = client.get(ME, headers=auth_headers(current)).get_json()
    assert ended["message"] == "This session has ended. Sign in again."
    assert refresh(client, current).status_code == 401
    assert client.get(ME, headers=auth_headers(other_session)).status_code == 200


@pytest.mark.req("A2")
def test_logout_everywhere_ends_all_sessions_of_the_user(client: FlaskClient, user: User, other_user: User) -> None:
    current, other_session, foreign_session = login(client, user), login(client, user), login(client, other_user)

    client.post(LOGOUT, headers=auth_headers(current), json={"everywhere": True})

    statuses = [
        client.get(ME, headers=auth_headers(pair)).status_code for pair in (current, other_session, foreign_session)
    ]
    assert statuses == [401, 401, 200]


@pytest.mark.parametrize("value", ["yes", 1, None, "true"])
@pytest.mark.req("A6")
def test_logout_rejects_everywhere_that_is_no_boolean(
    app: Flask, client: FlaskClient, user: User, value: object
) -> None:
    response = client.post(LOGOUT, headers=bearer(app, user), json={"everywhere": value})

    assert response.status_code == 422
    assert list(response.get_json()["errors"]) == ["everywhere"]


@pytest.mark.req("A2")
def test_refresh_rejects_every_other_token(app: Flask, client: FlaskClient, user: User) -> None:
    pair = login(client, user)
    with app.app_context():
        reset = tokens.sign(tokens.RESET, user.id, 60, sid=1)
        expired = tokens.sign(tokens.REFRESH, user.id, -60, sid=1)
        unknown = tokens.sign(tokens.REFRESH, user.id, 60, sid=2**40)

    for token in (pair["access_token"], reset, expired, unknown, "malformed", f"{pair['refresh_token']}x"):
        response = client.post(REFRESH, json={"refresh_token": token})

        assert response.status_code == 401, token
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert refresh(client, pair).status_code == 200  # the session is unchanged


@pytest.mark.req("A2")
def test_refresh_and_reset_tokens_are_no_access_tokens(app: Flask, client: FlaskClient, user: User) -> None:
    pair = login(client, user)
    with app.app_context():
        reset = tokens.sign(tokens.RESET, user.id, 60, sid=1)

    for token in (pair["refresh_token"], reset):
        assert client.get(ME, headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_expired_session_cannot_be_refreshed(session: Session, user: User) -> None:
    expired = make_session(session, user)
    session.execute(sa.update(UserSession).values(expires_at=utc_now() - timedelta(seconds=1)))
    session.commit()

    with pytest.raises(refresh_tokens.SessionEnded):
        refresh_tokens.rotate(
            session, session_id=expired.id, refresh_id=expired.refresh_id, lifetime=LIFETIME, origin=ORIGIN
        )


@pytest.mark.req("A2")
def test_ended_session_stays_rejected_after_redis_data_loss(app: Flask, client: FlaskClient, user: User) -> None:
    pair = login(client, user)
    client.post(LOGOUT, headers=auth_headers(pair))
    if redis := redis_of(app):
        redis.flushdb()
        with app.app_context():
            tasks.repeat_revocations()

    assert client.get(ME, headers=auth_headers(pair)).status_code == 401


def test_login_fails_if_password_changes_concurrently(
    app: Flask, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password changes after its verification and before the session is created."""
    verify = passwords.verify_password

    def verify_then_change(password: str, encoded: str | None) -> bool:
        valid = verify(password, encoded)
        monkeypatch.setattr(service, "verify_password", verify)
        with Session(db.engine) as other:
            other.execute(sa.update(User).values(password_hash="changed"))
            other.commit()
        return valid

    if session.get_bind().dialect.name == "sqlite":
        pytest.skip("an SQLite transaction does not see writes after its begin; PostgreSQL covers the case")
    monkeypatch.setattr(service, "verify_password", verify_then_change)
    with app.app_context():
        result = service.login(db.session(), email=user.email, password=PASSWORD, lifetime=LIFETIME, origin=ORIGIN)

    assert result is None
    assert session.scalar(sa.select(sa.func.count(UserSession.id))) == 0


def test_delete_old_sessions_removes_ended_and_expired_ones(app: Flask, session: Session, user: User) -> None:
    active, ended, expired = (make_session(session, user) for _ in range(3))
    past_retention = utc_now() - user_sessions.SESSION_RETENTION - timedelta(hours=1)
    ended.ended_at, expired.expires_at = past_retention, past_retention
    session.commit()

    with app.app_context():
        tasks.delete_old_sessions()

    assert session.scalars(sa.select(UserSession.id)).all() == [active.id]


@pytest.mark.req("A2")
def test_login_takes_equally_long_for_unknown_email(
    client: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPU time, measured in turns, so that a change of the machine's speed affects both."""
    cpu_seconds = {user.email: 0.0, "unknown@example.org": 0.0}
    for _ in range(2):
        for email in cpu_seconds:
            start = time.thread_time()
            response = client.post(LOGIN, json={"email": email, "password": "wrong password"})
            cpu_seconds[email] += time.thread_time() - start
            assert response.get_json()["message"] == "The e-mail or the password is wrong."

    known, unknown = cpu_seconds.values()
    assert 0.5 < unknown / known < 2
