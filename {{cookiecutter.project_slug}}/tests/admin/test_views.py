"""The statistics for admins."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts import administration
from app.accounts.models import User
from app.platform.components import platform_of
from app.platform.database.base import utc_now
from app.platform.statistics import Statistics
from tests.accounts.factory import bearer, make_session, make_user


@pytest.mark.req("A5")
def test_statistics_show_the_figures_of_each_feature(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User
) -> None:
    headers = bearer(app, make_user(session, role="admin"))
    bearer(app, user)

    body = client.get("/api/v1/admin/stats", headers=headers).get_json()

    assert datetime.fromisoformat(body["at"]) <= utc_now()
    assert body["features"].keys() == platform_of(app).get(Statistics).keys()
    assert body["features"]["accounts"] == {"users_user": 2, "users_admin": 1, "sessions": 2}


@pytest.mark.req("A5")
def test_ended_and_expired_sessions_are_not_counted(
    session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _active, ended, expired = (make_session(session, user) for _ in range(3))
    ended.ended_at, expired.expires_at = utc_now(), utc_now() + timedelta(hours=1)
    session.commit()
    monkeypatch.setattr(administration, "utc_now", lambda: expired.expires_at)

    assert administration.statistics(session)["sessions"] == 1
