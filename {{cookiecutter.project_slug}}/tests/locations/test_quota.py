"""The number of positions that a user may store."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.locations import quota, service
from app.locations.models import UserLocation
from app.locations.quota import PositionQuota
from app.locations.settings import LocationsSettings
from app.platform.api.idempotency import IdempotencyStore
from app.platform.components import platform_of
from tests.accounts.factory import bearer
from tests.conftest import ReplaceComponent
from tests.idempotency.repetitions import Send
from tests.locations.factory import make_location

pytestmark = [pytest.mark.req("S13"), pytest.mark.fault("F32")]

LOCATIONS, BATCH = "/api/v1/locations", "/api/v1/locations/batch"
HERE = {"latitude": 52.5, "longitude": 13.4}


@pytest.fixture
def _ten_positions(replace_component: ReplaceComponent) -> None:
    """Let a user store ten positions."""
    replace_component(LocationsSettings(MAX_POSITIONS_PER_USER=10))
    replace_component(PositionQuota())  # SQLite gives the ids of deleted users to new ones


@pytest.mark.usefixtures("_ten_positions")
def test_positions_beyond_the_quota_are_rejected_with_what_is_left(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User
) -> None:
    for _ in range(4):
        make_location(session, user)
    headers = bearer(app, user)

    statuses = [
        client.post(BATCH, json={"locations": [HERE] * 4}, headers=headers).status_code,
        client.post(LOCATIONS, json=HERE, headers=headers).status_code,
    ]
    rejected = client.post(BATCH, json={"locations": [HERE] * 2}, headers=headers)
    last = client.post(LOCATIONS, json=HERE, headers=headers)
    full = client.post(LOCATIONS, json=HERE, headers=headers)
    other = client.post(LOCATIONS, json=HERE, headers=bearer(app, other_user))

    assert statuses == [201, 201]
    assert (rejected.status_code, rejected.content_type) == (409, "application/problem+json")
    assert rejected.get_json()["message"] == "You can store 1 more positions, of 10 in total."
    assert (last.status_code, full.status_code, other.status_code) == (201, 409, 201)
    assert session.scalar(sa.select(sa.func.count(UserLocation.id)).where(UserLocation.user_id == user.id)) == 10


@pytest.mark.usefixtures("_ten_positions")
def test_failed_batch_gives_its_room_back(
    client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))

    with monkeypatch.context() as broken:
        broken.setattr(service, "save_batch", fail)
        failed = client.post(BATCH, json={"locations": [HERE] * 10}, headers=headers)
    repeated = client.post(BATCH, json={"locations": [HERE] * 10}, headers=headers)

    assert (failed.status_code, repeated.status_code) == (503, 201)


@pytest.mark.usefixtures("_ten_positions")
@pytest.mark.req("A9")
def test_conflict_of_an_idempotency_key_gives_its_room_back(
    app: Flask, client: FlaskClient, headers: dict[str, str], send: Send, replace_component: ReplaceComponent
) -> None:
    store = platform_of(app).get(IdempotencyStore)
    replace_component(IdempotencyStore(lambda *_: None, store.save))  # as concurrent requests, which find no answer
    batch = {"path": BATCH, "json": {"locations": [HERE] * 4}}

    keyed = [send(**batch).status_code for _ in range(3)]
    rest = client.post(BATCH, json={"locations": [HERE] * 6}, headers=headers)
    full = client.post(LOCATIONS, json=HERE, headers=headers)

    assert keyed == [201, 409, 409]
    assert (rest.status_code, full.status_code) == (201, 409)


@pytest.mark.usefixtures("_ten_positions")
@pytest.mark.req("A9")
@pytest.mark.fault("F60")
def test_request_that_is_repeated_after_a_deadlock_is_counted_once(
    app: Flask, client: FlaskClient, headers: dict[str, str], send: Send, replace_component: ReplaceComponent
) -> None:
    store, deadlocks = platform_of(app).get(IdempotencyStore), [OperationalError("", None, DeadlockDetected())]

    def save(*arguments: Any) -> None:
        if deadlocks:
            raise deadlocks.pop()
        store.save(*arguments)

    replace_component(IdempotencyStore(store.find, save))

    # Without Redis, the lookup of the session commits: then the client repeats the request, not the service.
    last = [send(path=BATCH, json={"locations": [HERE] * 4}) for _ in range(2)][-1]
    rest = client.post(BATCH, json={"locations": [HERE] * 6}, headers=headers)

    assert (last.status_code, rest.status_code, deadlocks) == (201, 201, [])


def test_rows_are_counted_once_for_many_requests() -> None:
    positions, counts = PositionQuota(), iter([100, AssertionError])

    lefts = [positions.reserve(1, 30, lambda: int(next(counts))) for _ in range(5)]  # type: ignore[call-overload] # the second fails

    assert lefts == [100, 70, 40, 10, 10]


def test_rows_are_counted_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "MIN_SECONDS", 0.0)
    positions, counts = PositionQuota(), iter([0, 5])

    lefts = [positions.reserve(1, 5, lambda: next(counts)) for _ in range(2)]

    assert lefts == [0, 5]
