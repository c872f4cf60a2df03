"""Active users: the latest position of each user who shares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.audit.models import AuditLog
from app.locations.models import LocationSharing
from app.platform.database.base import utc_now
from tests.accounts.factory import bearer, make_user
from tests.conftest import ScopedKey
from tests.locations.factory import make_location, share_location

ACTIVE, SHARING = "/api/v1/locations/active", "/api/v1/locations/sharing"


def listed(client: FlaskClient, headers: dict[str, str]) -> list[int]:
    """Return the ids of the users whose positions a caller sees."""
    page = client.get(ACTIVE, headers=headers).get_json()
    return [item["user_id"] for item in page["items"]]


@pytest.mark.req("A3", "P3")
@pytest.mark.fault("F57")
def test_position_is_shared_by_opt_in_only(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    make_location(session, user)
    other = bearer(app, other_user)

    unshared, default = listed(client, other), client.get(SHARING, headers=headers).get_json()
    started = client.put(SHARING, json={"shared": True}, headers=headers)
    shared = listed(client, other)
    stopped = client.put(SHARING, json={"shared": False}, headers=headers)

    assert (unshared, shared, listed(client, other)) == ([], [user.id], [])
    assert default == stopped.get_json() == {"shared": False, "since": None}
    assert (started.status_code, stopped.status_code) == (200, 200)
    assert started.get_json()["shared"] is True
    assert started.get_json()["since"] > "2026"


@pytest.mark.req("P4")
def test_sharing_is_recorded_when_it_changes(
    client: FlaskClient, session: Session, headers: dict[str, str], audit_entries: Callable[[], Sequence[AuditLog]]
) -> None:
    for shared in (True, True, False, False):
        assert client.put(SHARING, json={"shared": shared}, headers=headers).status_code == 200

    assert [entry.action for entry in audit_entries()] == ["locations.sharing_started", "locations.sharing_stopped"]
    assert session.scalar(sa.select(sa.func.count(LocationSharing.id))) == 0


@pytest.mark.parametrize("body", [{}, {"shared": None}, {"shared": 1}, {"shared": "true"}, {"share": True}])
@pytest.mark.req("A6")
def test_sharing_takes_a_boolean(client: FlaskClient, headers: dict[str, str], body: dict[str, object]) -> None:
    assert client.put(SHARING, json=body, headers=headers).status_code == 422


@pytest.mark.req("A2", "P4")
@pytest.mark.fault("F57")
def test_admins_see_all_users_and_are_recorded(
    app: Flask, client: FlaskClient, session: Session, user: User, audit_entries: Callable[[], Sequence[AuditLog]]
) -> None:
    make_location(session, user)
    admin = make_user(session, role="admin")

    seen = listed(client, bearer(app, admin))

    (entry,) = audit_entries()
    assert seen == [user.id]
    assert (entry.action, entry.actor_id, entry.target_id) == ("admin.read", admin.id, "active_users")


@pytest.mark.req("A2", "A10")
@pytest.mark.fault("F57")
def test_admin_without_a_required_second_factor_sees_what_users_see(
    app: Flask, environment: Mapping[str, str], session: Session, user: User
) -> None:
    make_location(session, user)
    admin = make_user(session, role="admin")
    strict = create_app({**environment, "ADMIN_TOTP_REQUIRED": "true"}).test_client()

    without, with_it = bearer(app, admin), bearer(app, admin, mfa=True)

    assert (listed(strict, without), listed(strict, with_it)) == ([], [user.id])


@pytest.mark.req("A2")
@pytest.mark.fault("F57")
def test_api_key_of_an_admin_sees_what_users_see(
    client: FlaskClient, session: Session, user: User, scoped_key: ScopedKey
) -> None:
    make_location(session, user)
    key = scoped_key(make_user(session, role="admin"), "locations:read")

    assert listed(client, key) == []


@pytest.mark.req("A3")
def test_active_lists_latest_position_of_each_recent_user(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    share_location(session, user, other_user)
    time = utc_now()
    make_location(session, user, at=time - timedelta(minutes=4))
    latest = make_location(session, user, at=time - timedelta(minutes=1))
    make_location(session, other_user, at=time - timedelta(minutes=6))

    five = client.get(ACTIVE, headers=headers).get_json()
    ten = client.get(f"{ACTIVE}?minutes=10", headers=headers).get_json()

    assert [item["id"] for item in five["items"]] == [latest.id]
    assert [item["user_id"] for item in ten["items"]] == [user.id, other_user.id]


BOXES = [
    ("13,52,14,53", True),
    ("14,52,15,53", False),
    ("13,53,14,54", False),
    ("13.4,52.5,13.4,52.5", True),  # the box includes its edges
    ("170,50,14,54", True),  # crosses the 180th meridian
    ("170,50,-170,54", False),
]


@pytest.mark.parametrize(("box", "inside"), BOXES)
@pytest.mark.req("A3")
def test_active_filters_by_box(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str], box: str, inside: bool
) -> None:
    share_location(session, user)
    make_location(session, user, latitude=52.5, longitude=13.4)

    body = client.get(f"{ACTIVE}?bbox={box}", headers=headers).get_json()

    assert len(body["items"]) == int(inside)


@pytest.mark.req("A3")
def test_user_who_left_the_box_is_not_listed(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str]
) -> None:
    share_location(session, user)
    make_location(session, user, at=utc_now() - timedelta(minutes=2), longitude=13.4)
    make_location(session, user, at=utc_now() - timedelta(minutes=1), longitude=20)

    assert client.get(f"{ACTIVE}?bbox=13,52,14,53", headers=headers).get_json()["items"] == []


@pytest.mark.parametrize(
    "box", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "0,10,5,5", "0,-91,5,5", "181,0,5,5", "nan,0,1,1", "0,0,inf,1"]
)
def test_invalid_box_is_rejected(client: FlaskClient, headers: dict[str, str], box: str) -> None:
    response = client.get(f"{ACTIVE}?bbox={box}", headers=headers)

    assert response.status_code == 422
    assert list(response.get_json()["errors"]) == ["bbox"]


@pytest.mark.req("A3")
def test_active_users_are_paginated(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    share_location(session, user, other_user)
    first = make_location(session, user, at=utc_now() - timedelta(seconds=10))
    second = make_location(session, other_user, at=utc_now() - timedelta(seconds=20))

    page = client.get(f"{ACTIVE}?limit=1", headers=headers).get_json()
    rest = client.get(f"{ACTIVE}?limit=1&cursor={page['next']}", headers=headers).get_json()

    assert [item["id"] for item in page["items"] + rest["items"]] == [first.id, second.id]
    assert rest["next"] is None
