"""Signing in, staying signed in, and signing out."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts import service, tasks
from app.accounts.models import User, UserSession
from app.audit.service import Origin
from app.database import db, now
from app.redis_client import redis_of
from app.security import passwords, tokens
from tests.accounts.factory import PASSWORD, bearer, make_session

LOGIN, REFRESH, LOGOUT, ME = "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout", "/api/v1/users/me"
HERE = Origin("192.0.2.1", "a-test")


def sign_in(client: FlaskClient, user: User) -> dict[str, Any]:
    answer = client.post(LOGIN, json={"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    given: dict[str, Any] = answer.get_json()
    return given


def with_token(given: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {given['access_token']}"}


def renew(client: FlaskClient, given: dict[str, Any]) -> Any:
    return client.post(REFRESH, json={"refresh_token": given["refresh_token"]})


@pytest.mark.req("A2")
def test_signing_in_gives_tokens_and_refreshing_gives_the_next(client: FlaskClient, user: User) -> None:
    first = sign_in(client, user)
    second = renew(client, first).get_json()
    third = renew(client, second).get_json()

    assert first.keys() == {"access_token", "refresh_token", "token_type", "expires_in"} == second.keys()
    assert len({given["refresh_token"] for given in (first, second, third)}) == 3
    assert client.get(ME, headers=with_token(third)).get_json()["email"] == user.email
    assert client.get(ME, headers=with_token(first)).status_code == 200  # an access token lives on beside the next


@pytest.mark.req("A2")
def test_a_refresh_token_that_comes_back_ends_the_session_for_whoever_holds_its_tokens(
    client: FlaskClient, user: User
) -> None:
    stolen = sign_in(client, user)
    elsewhere = sign_in(client, user)
    newest = renew(client, stolen).get_json()

    again = renew(client, stolen)

    assert again.status_code == 401
    assert "used before" in again.get_json()["message"]
    assert renew(client, newest).status_code == 401
    assert client.get(ME, headers=with_token(newest)).status_code == 401
    assert client.get(ME, headers=with_token(elsewhere)).status_code == 200


@pytest.mark.req("A2")
def test_signing_out_ends_the_session_at_once_and_only_that_one(client: FlaskClient, user: User) -> None:
    here, elsewhere = sign_in(client, user), sign_in(client, user)

    answer = client.post(LOGOUT, headers=with_token(here))

    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get(ME, headers=with_token(here)).get_json()["message"] == "This session has ended. Sign in again."
    assert renew(client, here).status_code == 401
    assert client.get(ME, headers=with_token(elsewhere)).status_code == 200


@pytest.mark.req("A2")
def test_signing_out_everywhere_ends_all_sessions_of_the_user(
    client: FlaskClient, user: User, other_user: User
) -> None:
    here, elsewhere, stranger = sign_in(client, user), sign_in(client, user), sign_in(client, other_user)

    client.post(LOGOUT, headers=with_token(here), json={"everywhere": True})

    statuses = [client.get(ME, headers=with_token(given)).status_code for given in (here, elsewhere, stranger)]
    assert statuses == [401, 401, 200]


@pytest.mark.parametrize("value", ["yes", 1, None, "true"])
@pytest.mark.req("A6")
def test_everywhere_is_true_or_false(app: Flask, client: FlaskClient, user: User, value: object) -> None:
    answer = client.post(LOGOUT, headers=bearer(app, user), json={"everywhere": value})

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == ["everywhere"]


@pytest.mark.req("A2")
def test_only_a_refresh_token_renews_a_session(app: Flask, client: FlaskClient, user: User) -> None:
    given = sign_in(client, user)
    with app.app_context():
        reset = tokens.sign(tokens.RESET, user.id, 60, sid=1)
        expired = tokens.sign(tokens.REFRESH, user.id, -60, sid=1)
        unknown = tokens.sign(tokens.REFRESH, user.id, 60, sid=2**40)

    for token in (given["access_token"], reset, expired, unknown, "rubbish", f"{given['refresh_token']}x"):
        answer = client.post(REFRESH, json={"refresh_token": token})

        assert answer.status_code == 401, token
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert renew(client, given).status_code == 200  # none of that has touched the session


@pytest.mark.req("A2")
def test_a_refresh_or_reset_token_opens_no_route(app: Flask, client: FlaskClient, user: User) -> None:
    given = sign_in(client, user)
    with app.app_context():
        reset = tokens.sign(tokens.RESET, user.id, 60, sid=1)

    for token in (given["refresh_token"], reset):
        assert client.get(ME, headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_session_that_has_run_out_cannot_be_renewed(session: Session, user: User) -> None:
    old = make_session(session, user)
    session.execute(sa.update(UserSession).values(expires_at=now() - timedelta(seconds=1)))
    session.commit()

    with pytest.raises(service.SessionEnded):
        service.renew_session(
            session, session_id=old.id, refresh_id=old.refresh_id, lifetime=timedelta(days=1), origin=HERE
        )


@pytest.mark.req("A2")
def test_an_ended_session_is_refused_also_when_redis_forgot_it(app: Flask, client: FlaskClient, user: User) -> None:
    given = sign_in(client, user)
    client.post(LOGOUT, headers=with_token(given))
    if redis := redis_of(app):
        redis.flushdb()
        with app.app_context():
            tasks.repeat_endings()

    assert client.get(ME, headers=with_token(given)).status_code == 401


def test_two_changes_at_a_time_let_no_session_of_the_old_password_begin(
    app: Flask, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the check of the password and the begin of the session, the password changes."""
    verify = passwords.verify_password

    def verify_and_be_overtaken(password: str, encoded: str | None) -> bool:
        good = verify(password, encoded)
        with Session(db.engine) as other:
            other.execute(sa.update(User).values(password_hash="changed"))
            other.commit()
        return good

    if session.get_bind().dialect.name == "sqlite":
        pytest.skip("SQLite shows a transaction nothing that was written after it began; PostgreSQL shows the case")
    monkeypatch.setattr(service, "verify_password", verify_and_be_overtaken)
    with app.app_context():
        signed = service.sign_in(
            db.session(), email=user.email, password=PASSWORD, lifetime=timedelta(days=1), origin=HERE
        )

    assert signed is None
    assert session.scalar(sa.select(sa.func.count(UserSession.id))) == 0


def test_sessions_that_are_long_over_are_forgotten(app: Flask, session: Session, user: User) -> None:
    kept, ended, expired = (make_session(session, user) for _ in range(3))
    long_ago = now() - service.KEEP_SESSIONS - timedelta(hours=1)
    ended.ended_at, expired.expires_at = long_ago, long_ago
    session.commit()

    with app.app_context():
        tasks.drop_old_sessions()

    assert session.scalars(sa.select(UserSession.id)).all() == [kept.id]


@pytest.mark.req("A2")
def test_an_unknown_email_costs_as_much_work_as_a_wrong_password(
    client: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in hashes checked and CPU time, in turns, so that a drifting machine does not matter."""
    spent = {user.email: 0.0, "nobody@example.org": 0.0}
    for _ in range(2):
        for email in spent:
            begun = time.thread_time()
            answer = client.post(LOGIN, json={"email": email, "password": "wrong password"})
            spent[email] += time.thread_time() - begun
            assert answer.get_json()["message"] == "E-mail or password is wrong."

    known, unknown = spent.values()
    assert 0.5 < unknown / known < 2
