"""Users who are restricted, suspended or being erased disappear from the active users at once, also from the cache."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from tests.accounts.factory import bearer, make_user
from tests.locations.factory import make_location, share_location
from tests.locations.test_active import listed

pytestmark = [pytest.mark.req("P3"), pytest.mark.fault("F57")]

ME, USERS = "/api/v1/users/me", "/api/v1/admin/users"


@pytest.fixture
def sharer(session: Session) -> User:
    """A user who shares a position."""
    user = make_user(session)
    make_location(session, user)
    share_location(session, user)
    return user


@pytest.fixture
def admin(app: Flask, session: Session) -> dict[str, str]:
    """The headers of an admin."""
    return bearer(app, make_user(session, role="admin"))


def test_restricted_user_disappears_at_once_and_comes_back(
    app: Flask, client: FlaskClient, sharer: User, headers: dict[str, str], admin: dict[str, str]
) -> None:
    own, seen = bearer(app, sharer), []

    for restricted in (False, True, False):
        client.patch(ME, json={"processing_restricted": restricted}, headers=own)
        seen.append((listed(client, headers), listed(client, admin)))

    assert seen == [([sharer.id], [sharer.id]), ([], []), ([sharer.id], [sharer.id])]


def test_suspended_user_disappears_at_once_except_for_admins(
    client: FlaskClient, sharer: User, headers: dict[str, str], admin: dict[str, str]
) -> None:
    before = listed(client, headers)
    client.post(f"{USERS}/{sharer.id}/suspend", headers=admin)
    suspended = listed(client, headers), listed(client, admin)
    client.post(f"{USERS}/{sharer.id}/unsuspend", headers=admin)

    assert (before, suspended, listed(client, headers)) == ([sharer.id], ([], [sharer.id]), [sharer.id])


def test_user_that_is_being_erased_disappears_at_once(
    app: Flask,
    client: FlaskClient,
    sharer: User,
    headers: dict[str, str],
    admin: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.privacy.views.ERASE_SECONDS", -1.0)
    monkeypatch.setattr("app.privacy.tasks.reapply.try_delay", lambda: True)
    monkeypatch.setattr("app.locations.service.erase", lambda *_: iter([None]))
    before = listed(client, headers), listed(client, admin)

    begun = client.delete(ME, headers=bearer(app, sharer))

    assert before == ([sharer.id], [sharer.id])
    assert begun.status_code == 202
    assert (listed(client, headers), listed(client, admin)) == ([], [])
