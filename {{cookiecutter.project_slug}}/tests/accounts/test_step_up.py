"""Sensitive actions need a recent proof of the password; a session can give it again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.accounts import STEP_UP, user_sessions
from app.accounts.models import User, UserSession
from app.audit.models import AuditLog
from app.platform.api.versions import VERSIONS
from app.platform.database.base import db, utc_now
from app.platform.security import tokens
from app.platform.web.caller import Caller
from tests.accounts.factory import PASSWORD, make_session, make_user
from tests.conftest import ScopedKey
from tests.routes import all_routes
from tests.statements import recorded_statements

AUTH, ME = "/api/v1/auth", "/api/v1/users/me"
EXPORT = "GET /users/me/data-export"
SENSITIVE = ("DELETE /users/me", EXPORT)
USER = "/admin/users/<int:user_id>"
OF_ADMINS = (  # what takes over an account
    f"PUT {USER}/role",
    *(f"POST {USER}/{action}" for action in ("reset-password", "reset-totp", "change-email")),
)
WINDOW = 900  # the default of STEP_UP_SECONDS
PASSWORD_BODY = {"password": PASSWORD}

AuditEntries = Callable[[], Sequence[AuditLog]]


def authenticated(app: Flask, session: Session, user: User, seconds_ago: int) -> dict[str, str]:
    """Return the header of a new session whose user proved the password some seconds ago."""
    user_session = make_session(session, user)
    user_session.authenticated_at = utc_now() - timedelta(seconds=seconds_ago)
    session.commit()
    caller = Caller(user.id, user.role, user_session.id, authenticated_at=int(time.time()) - seconds_ago)
    with app.app_context():
        return {"Authorization": f"Bearer {tokens.issue_access_token(caller)[0]}"}


def call(client: FlaskClient, name: str, headers: Mapping[str, str]) -> Any:
    method, path = name.split(" ")
    return client.open(f"/api/v1{path}", method=method, headers=headers)


@pytest.mark.req("A10")
def test_exactly_these_routes_need_a_recent_login(app: Flask) -> None:
    found = {str(route) for route in all_routes(app) if route.policy.recent_login}

    expected = {name.replace(" ", f" /api/{version}") for name in SENSITIVE + OF_ADMINS for version in VERSIONS}
    ends_session = {f"DELETE /api/{version}/users/me/sessions/<int:session_id>" for version in VERSIONS}
    of_other_features = {name for name in found if "/api-keys" in name}  # whose tests check it
    assert found - of_other_features == expected | ends_session | {"GET /api/user/data-export"}


@pytest.mark.parametrize("name", SENSITIVE)
@pytest.mark.req("A10")
def test_old_login_is_told_how_to_proceed(
    app: Flask, client: FlaskClient, session: Session, user: User, name: str
) -> None:
    response = call(client, name, authenticated(app, session, user, WINDOW + 60))

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == (
        f'Bearer error="insufficient_user_authentication", error_description="{STEP_UP}", max_age="900"'
    )
    assert "POST /api/v1/auth/reauthenticate" in response.get_json()["detail"]
    assert session.get(User, user.id)


@pytest.mark.parametrize("name", OF_ADMINS)
@pytest.mark.req("A10")
def test_old_login_of_an_admin_takes_over_no_account(
    app: Flask, client: FlaskClient, session: Session, user: User, name: str
) -> None:
    headers = authenticated(app, session, make_user(session, role="admin"), WINDOW + 60)

    response = call(client, name.replace("<int:user_id>", str(user.id)), headers)

    assert (response.status_code, response.get_json()["type"]) == (401, "/problems/recent-login-required")


@pytest.mark.parametrize("name", SENSITIVE)
@pytest.mark.req("A10")
def test_recent_login_may_do_it(app: Flask, client: FlaskClient, session: Session, user: User, name: str) -> None:
    response = call(client, name, authenticated(app, session, user, WINDOW - 60))

    assert response.status_code < 300


@pytest.mark.parametrize("name", SENSITIVE)
@pytest.mark.req("A10")
def test_api_key_cannot_do_it(client: FlaskClient, scoped_key: ScopedKey, user: User, name: str) -> None:
    response = call(client, name, scoped_key(user, "profile:read"))

    assert (response.status_code, response.get_json()["detail"]) == (403, "API keys cannot do this: sign in.")


@pytest.mark.req("A10")
def test_token_of_an_earlier_release_is_not_recent(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    with app.app_context():
        token = tokens.sign(tokens.ACCESS, user.id, 60, role="user", sid=make_session(session, user).id)
    headers = {"Authorization": f"Bearer {token}"}

    assert client.get(ME, headers=headers).status_code == 200
    assert call(client, EXPORT, headers).status_code == 401


@pytest.mark.req("A10")
def test_window_is_a_setting(environment: Mapping[str, str], session: Session, user: User) -> None:
    app = create_app({**environment, "STEP_UP_SECONDS": "3600"})

    statuses = [
        call(app.test_client(), EXPORT, authenticated(app, session, user, seconds)).status_code
        for seconds in (3500, 3700)
    ]

    assert statuses == [200, 401]


@pytest.mark.req("A10")
def test_refresh_keeps_the_time_of_the_login(client: FlaskClient, session: Session, user: User) -> None:
    pair = client.post(f"{AUTH}/login", json={"email": user.email, "password": PASSWORD}).get_json()
    row = session.scalars(sa.select(UserSession)).one()
    row.authenticated_at = utc_now() - timedelta(seconds=WINDOW + 60)
    session.commit()

    refreshed = client.post(f"{AUTH}/refresh", json={"refresh_token": pair["refresh_token"]}).get_json()

    headers = {"Authorization": f"Bearer {refreshed['access_token']}"}
    assert call(client, EXPORT, headers).status_code == 401


@pytest.mark.req("A10")
def test_password_gives_new_tokens_of_the_same_session(
    app: Flask, client: FlaskClient, session: Session, user: User, audit_entries: AuditEntries
) -> None:
    headers = authenticated(app, session, user, WINDOW + 60)

    response = client.post(f"{AUTH}/reauthenticate", headers=headers, json=PASSWORD_BODY)

    row = session.scalars(sa.select(UserSession)).one()
    body = response.get_json()
    (entry,) = audit_entries()
    assert body.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert utc_now() - row.last_authenticated_at < timedelta(seconds=60)
    assert (entry.action, entry.actor_id, entry.target_id) == ("user.reauthenticated", user.id, str(row.id))
    assert call(client, EXPORT, {"Authorization": f"Bearer {body['access_token']}"}).status_code == 200
    assert call(client, EXPORT, headers).status_code == 401  # the earlier token stays as it was
    assert client.post(f"{AUTH}/refresh", json={"refresh_token": body["refresh_token"]}).status_code == 200


@pytest.mark.req("A10")
def test_stolen_refresh_token_gains_nothing_from_the_proof(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    stolen = client.post(f"{AUTH}/login", json={"email": user.email, "password": PASSWORD}).get_json()
    headers = {"Authorization": f"Bearer {stolen['access_token']}"}
    client.post(f"{AUTH}/reauthenticate", headers=headers, json=PASSWORD_BODY)

    reused = client.post(f"{AUTH}/refresh", json={"refresh_token": stolen["refresh_token"]})

    assert reused.status_code == 401
    assert client.get(ME, headers=headers).status_code == 401  # the reuse has ended the session


@pytest.mark.req("A10")
def test_wrong_password_is_rejected_and_audited(
    app: Flask, client: FlaskClient, session: Session, user: User, audit_entries: AuditEntries
) -> None:
    headers = authenticated(app, session, user, WINDOW + 60)

    response = client.post(f"{AUTH}/reauthenticate", headers=headers, json={"password": "a wrong password"})

    (entry,) = audit_entries()
    assert (response.status_code, response.get_json()["errors"]) == (403, {"password": ["Is wrong."]})
    assert (entry.action, entry.actor_id) == ("user.reauthentication_failed", user.id)
    assert utc_now() - session.scalars(sa.select(UserSession)).one().last_authenticated_at > timedelta(seconds=WINDOW)


@pytest.mark.req("A10")
def test_stolen_session_cannot_guess_the_password_here_and_at_the_change(
    app: Flask, environment: Mapping[str, str], session: Session, user: User
) -> None:
    client = create_app({**environment, "RATELIMIT_LOGIN": "100/minute"}).test_client()
    headers = authenticated(app, session, user, 0)
    change = {"current_password": "a wrong password", "new_password": "another horse, another staple"}

    statuses = [
        client.post(f"{AUTH}/{path}", headers=headers, json=body).status_code
        for path, body in 4 * [("reauthenticate", {"password": "a wrong password"}), ("change-password", change)]
    ]

    assert statuses == [403] * 5 + [429] * 3


@pytest.mark.req("A10")
def test_session_that_ended_meanwhile_is_not_authenticated(session: Session, user: User, other_user: User) -> None:
    ended, active = make_session(session, user), make_session(session, user)
    ended.ended_at = utc_now()
    session.commit()

    results = [
        user_sessions.mark_authenticated(session, *ids)
        for ids in [(user.id, ended.id), (other_user.id, active.id), (user.id, active.id)]
    ]

    assert results == [None, None, active]


@pytest.mark.req("A10")
def test_rejection_costs_no_query_besides_that_of_the_session(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    headers = authenticated(app, session, user, WINDOW + 60)
    with app.app_context():
        engine = db.engine

    with recorded_statements(engine) as statements:
        call(client, EXPORT, headers)

    assert [text for text, _ in statements if "FROM user_sessions" not in text] == []
