"""The list of the caller's sessions, their end, and their absolute lifetime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from app.accounts import user_sessions
from app.accounts.models import MAX_USER_AGENT, User, UserSession
from app.audit.models import AuditLog
from app.platform.database.base import utc_now
from app.platform.settings.declarations import settings_of
from tests.accounts.factory import PASSWORD, bearer, make_session
from tests.pages import all_items

AUTH, ME, SESSIONS = "/api/v1/auth", "/api/v1/users/me", "/api/v1/users/me/sessions"
DAY = 86_400

AuditEntries = Callable[[], Sequence[AuditLog]]


def login(client: FlaskClient, user: User, **headers: str) -> dict[str, Any]:
    body = {"email": user.email, "password": PASSWORD}
    response = client.post(
        f"{AUTH}/login", json=body, headers={name.replace("_", "-"): headers[name] for name in headers}
    )
    pair: dict[str, Any] = response.get_json()
    return pair


def refresh(client: FlaskClient, pair: Mapping[str, Any]) -> TestResponse:
    return client.post(f"{AUTH}/refresh", json={"refresh_token": pair["refresh_token"]})


def auth(pair: Mapping[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access_token']}"}


@pytest.mark.req("A10")
def test_list_shows_every_detail_and_marks_the_current_session(
    app: Flask, client: FlaskClient, session: Session, user: User
) -> None:
    other = make_session(session, user)
    pair = login(client, user, User_Agent="a-phone/1")

    items = client.get(SESSIONS, headers=auth(pair)).get_json()["items"]

    row = session.scalars(sa.select(UserSession).where(UserSession.id != other.id)).one()
    times = {name: datetime.fromisoformat(items[0].pop(name)) for name in list(items[0]) if name.endswith("_at")}
    assert times == {
        "created_at": row.created_at,
        "refreshed_at": row.refreshed_at,
        "authenticated_at": row.authenticated_at,
        "expires_at": row.expires_at,
    }
    assert items[0] == {"id": row.id, "address": "127.0.0.1", "user_agent": "a-phone/1", "current": True}
    assert (items[1]["id"], items[1]["current"], items[1]["user_agent"]) == (other.id, False, None)


@pytest.mark.req("A10")
def test_list_contains_only_own_active_sessions_newest_first(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    time = utc_now()
    ages = (1, 3, 2, 2, 5)  # the two of equal age are on different pages
    own = [make_session(session, user) for _ in ages]
    for row, age in zip(own, ages, strict=True):
        row.created_at = time - timedelta(hours=age)
    ended, expired = make_session(session, user), make_session(session, user)
    ended.ended_at, expired.expires_at = time, time - timedelta(seconds=1)
    make_session(session, other_user)
    session.commit()
    expected = [row.id for row in sorted(own, key=lambda row: (row.created_at, row.id), reverse=True)]

    items = all_items(client, SESSIONS, headers, limit=2)

    assert [item["id"] for item in items if not item["current"]] == expected


@pytest.mark.req("A10")
def test_ended_session_is_rejected_and_audited(client: FlaskClient, user: User, audit_entries: AuditEntries) -> None:
    lost, current = login(client, user), login(client, user)
    (lost_id,) = [row["id"] for row in client.get(SESSIONS, headers=auth(lost)).get_json()["items"] if row["current"]]

    statuses = [client.delete(f"{SESSIONS}/{lost_id}", headers=auth(current)).status_code for _ in range(2)]

    entry = audit_entries()[-1]
    assert statuses == [204, 404]
    assert (entry.action, entry.actor_id, entry.target_id) == ("session.ended", user.id, str(lost_id))
    assert client.get(ME, headers=auth(lost)).status_code == 401
    assert refresh(client, lost).status_code == 401
    assert client.get(ME, headers=auth(current)).status_code == 200


@pytest.mark.req("A10")
def test_session_of_another_user_is_not_found(
    client: FlaskClient, session: Session, other_user: User, headers: dict[str, str]
) -> None:
    foreign = make_session(session, other_user)

    responses = [client.delete(f"{SESSIONS}/{number}", headers=headers) for number in (foreign.id, foreign.id + 10**6)]

    session.refresh(foreign)
    assert [response.status_code for response in responses] == [404, 404]
    assert responses[0].get_json()["message"] == responses[1].get_json()["message"]
    assert foreign.ended_at is None


@pytest.mark.parametrize(
    ("text", "stored"),
    [(None, None), ("", None), ("a\x1b[31mb\u202e", "a[31mb"), ("x" * 500, "x" * MAX_USER_AGENT)],
    ids=["missing", "empty", "control characters", "long"],
)
@pytest.mark.req("A10")
def test_user_agent_is_shortened(text: str | None, stored: str | None) -> None:
    assert user_sessions.shortened_user_agent(text) == stored


@pytest.mark.req("A10")
def test_refresh_does_not_extend_a_session_beyond_its_absolute_lifetime(
    environment: Mapping[str, str], session: Session, user: User
) -> None:
    settings = {"REFRESH_TOKEN_SECONDS": str(2 * DAY), "SESSION_MAX_SECONDS": str(3 * DAY)}
    client = create_app({**environment, **settings}).test_client()
    pair = login(client, user)
    row = session.scalars(sa.select(UserSession)).one()
    idle = row.expires_at - row.created_at
    row.created_at -= timedelta(days=2)  # it was used every day
    session.commit()

    pair = refresh(client, pair).get_json()

    session.refresh(row)
    assert idle == timedelta(days=2)
    assert row.expires_at == row.created_at + timedelta(days=3)
    row.expires_at = row.created_at = utc_now() - timedelta(days=3)  # the third day has passed
    session.commit()
    assert refresh(client, pair).status_code == 401


@pytest.mark.req("A10")
def test_lowered_absolute_lifetime_ends_older_sessions(
    environment: Mapping[str, str], client: FlaskClient, session: Session, user: User
) -> None:
    pair = login(client, user)
    row = session.scalars(sa.select(UserSession)).one()
    row.created_at -= timedelta(days=2)
    session.commit()
    strict = create_app({**environment, "SESSION_MAX_SECONDS": str(DAY)}).test_client()

    response = refresh(strict, pair)

    session.refresh(row)
    assert (response.status_code, response.get_json()["message"]) == (401, "The session has ended. Sign in again.")
    assert row.ended_at is not None


@pytest.mark.req("A10")
def test_tokens_do_not_outlive_the_session(app: Flask, environment: Mapping[str, str], user: User) -> None:
    limited = create_app({**environment, "SESSION_MAX_SECONDS": "3600", "ACCESS_TOKEN_SECONDS": "7200"})
    pair = login(limited.test_client(), user)
    key = OctKey.import_key(settings_of(app).jwt_keys[0])

    lifetimes = [
        claims["exp"] - claims["iat"]
        for claims in (jwt.decode(pair[name], key).claims for name in ("access_token", "refresh_token"))
    ]

    assert pair["expires_in"] == 3600
    assert lifetimes == [3600, 3600]


@pytest.mark.req("A10")
def test_api_key_cannot_list_sessions(app: Flask, client: FlaskClient, user: User) -> None:
    bearer(app, user)

    response = client.get(SESSIONS, headers={"X-API-Key": "fsk_abcdefgh_" + "x" * 43})

    assert response.status_code == 403
