"""Saving positions, one's own history, and who was seen just now."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.database import now
from app.locations.models import UserLocation
from tests.accounts.factory import bearer
from tests.locations.factory import make_location

LOCATIONS, BATCH, ACTIVE = "/api/v1/locations", "/api/v1/locations/batch", "/api/v1/locations/active"
HERE = {"latitude": 52.5, "longitude": 13.4}


@pytest.fixture
def headers(app: Flask, user: User) -> dict[str, str]:
    return bearer(app, user)


def saved(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count(UserLocation.id))) or 0


@pytest.mark.req("A3")
def test_a_position_is_saved_for_the_caller(client: FlaskClient, user: User, headers: dict[str, str]) -> None:
    answer = client.post(
        LOCATIONS, json={**HERE, "accuracy": 7.5, "recorded_at": "2026-01-02T03:04:05+02:00"}, headers=headers
    )

    body = answer.get_json()
    assert answer.status_code == 201
    assert body.pop("id") > 0
    assert body == {**HERE, "user_id": user.id, "accuracy": 7.5, "recorded_at": "2026-01-02T01:04:05+00:00"}


@pytest.mark.req("A3")
def test_a_position_without_a_time_is_of_now(client: FlaskClient, headers: dict[str, str]) -> None:
    before = now()

    body = client.post(LOCATIONS, json=HERE, headers=headers).get_json()

    assert before <= datetime.fromisoformat(body["recorded_at"]) <= now()


BAD_POSITIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"latitude": 90.0001}, "latitude", "Must be from -90 to 90 degrees."),
    ({"latitude": -91}, "latitude", "Must be from -90 to 90 degrees."),
    ({"longitude": 180.5}, "longitude", "Must be from -180 to 180 degrees."),
    ({"longitude": 1e999}, "longitude", "Special numeric values (nan or infinity) are not permitted."),
    ({"latitude": "52.5"}, "latitude", "Not a valid number."),
    ({"latitude": True}, "latitude", "Not a valid number."),
    ({"latitude": None}, "latitude", "Field may not be null."),
    ({"latitude": [52.5]}, "latitude", "Not a valid number."),
    ({"latitude": {"degrees": 52}}, "latitude", "Not a valid number."),
    ({"accuracy": -1}, "accuracy", "Must be from 0 to 6371000 metres."),
    ({"recorded_at": "yesterday"}, "recorded_at", "Not a valid datetime."),
    ({"recorded_at": 1767316245}, "recorded_at", "Not a valid datetime."),
    ({"recorded_at": "2999-01-01T00:00:00Z"}, "recorded_at", "Must not be in the future."),
    ({"recorded_at": "1999-12-31T23:59:59Z"}, "recorded_at", "Must not be before 2000-01-01."),
    ({"recorded_at": "0001-01-01T00:00:00+14:00"}, "recorded_at", "Not a valid datetime."),
    ({"user_id": 1}, "user_id", "Unknown field."),
    ({"__proto__": {}}, "__proto__", "Unknown field."),
]


@pytest.mark.parametrize(("change", "field", "text"), BAD_POSITIONS, ids=lambda value: str(value)[:40])
@pytest.mark.req("A3", "A6")
def test_a_bad_position_is_refused_by_field(
    client: FlaskClient, session: Session, headers: dict[str, str], change: dict[str, Any], field: str, text: str
) -> None:
    body = {**HERE, **change}
    # The standard library writes an infinite number as a word; a caller can write one that is too large instead.
    raw = json.dumps(body).replace("Infinity", "1e999")

    answer = client.post(LOCATIONS, data=raw, content_type="application/json", headers=headers)

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == {field: [text]}
    assert saved(session) == 0


@pytest.mark.req("A3")
def test_a_batch_is_saved_whole(client: FlaskClient, session: Session, headers: dict[str, str]) -> None:
    answer = client.post(
        BATCH, json={"locations": [{**HERE, "latitude": n / 100} for n in range(1000)]}, headers=headers
    )

    assert (answer.status_code, answer.get_json()) == (201, {"accepted": 1000})
    assert saved(session) == 1000


@pytest.mark.parametrize(
    "items",
    [
        [{"latitude": 1, "longitude": -2}],
        [{"latitude": 1.5, "longitude": 2, "accuracy": None}, {"latitude": 1, "longitude": 2.5, "accuracy": 7}],
        [{**HERE, "recorded_at": "2026-01-02T03:04:05.678901+02:00"}, {**HERE, "recorded_at": "2026-01-02T03:04:05Z"}],
    ],
    ids=["whole numbers, no accuracy, no time", "some with an accuracy", "times of other zones"],
)
def test_each_position_of_a_batch_comes_back_as_it_was_sent(
    client: FlaskClient, headers: dict[str, str], items: list[dict[str, Any]]
) -> None:
    assert client.post(BATCH, json={"locations": items}, headers=headers).status_code == 201

    found = client.get(LOCATIONS, headers=headers).get_json()["items"]
    told = {(row["latitude"], row["longitude"], row["accuracy"]) for row in found}
    assert told == {(item["latitude"], item["longitude"], item.get("accuracy")) for item in items}
    if "recorded_at" in items[0]:
        times = {datetime.fromisoformat(row["recorded_at"]) for row in found}
        assert times == {datetime.fromisoformat(item["recorded_at"]) for item in items}


@pytest.mark.req("A3")
def test_a_batch_with_a_bad_item_is_refused_whole_and_names_it(
    client: FlaskClient, session: Session, headers: dict[str, str]
) -> None:
    items = [HERE, {**HERE, "latitude": 91}, HERE, {"latitude": 1}]

    answer = client.post(BATCH, json={"locations": items}, headers=headers)

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == {
        "locations.1.latitude": ["Must be from -90 to 90 degrees."],
        "locations.3.longitude": ["Missing data for required field."],
    }
    assert saved(session) == 0


@pytest.mark.parametrize("items", [[], [HERE] * 1001, "none", {"0": HERE}, None])
def test_a_batch_of_a_wrong_size_or_kind_is_refused(
    client: FlaskClient, headers: dict[str, str], items: object
) -> None:
    answer = client.post(BATCH, json={"locations": items}, headers=headers)

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == ["locations"]


@pytest.mark.req("A3")
def test_the_history_pages_through_ones_own_positions_newest_first(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    time = now()
    times = [
        time,
        time,
        time - timedelta(seconds=1),
        time,
        time - timedelta(hours=1),
    ]  # equal times across a page's edge
    made = [make_location(session, user, at=at) for at in times]
    make_location(session, other_user)
    expected = [row.id for row in sorted(made, key=lambda row: (row.recorded_at, row.id), reverse=True)]

    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        body = client.get(LOCATIONS, query_string=query, headers=headers).get_json()
        seen += [item["id"] for item in body["items"]]
        if (cursor := body["next"]) is None:
            break

    assert seen == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("cursor=rubbish", "cursor"),
        ("cursor=W10", "cursor"),
        ("cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwKzAwOjAwIiwgIjEiXQ", "cursor"),
        ("page=2", "page"),
        ("minutes=5", "minutes"),
    ],
)
@pytest.mark.req("A6")
def test_a_bad_query_is_refused_by_field(client: FlaskClient, headers: dict[str, str], query: str, field: str) -> None:
    answer = client.get(f"{LOCATIONS}?{query}", headers=headers)

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == [field]


@pytest.mark.req("A3")
def test_active_lists_the_latest_position_of_each_user_seen_in_the_window(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    time = now()
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
    ("13.4,52.5,13.4,52.5", True),  # the edges belong to the box
    ("170,50,14,54", True),  # across the 180th meridian
    ("170,50,-170,54", False),
]


@pytest.mark.parametrize(("box", "inside"), BOXES)
@pytest.mark.req("A3")
def test_active_within_a_box(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str], box: str, inside: bool
) -> None:
    make_location(session, user, latitude=52.5, longitude=13.4)

    body = client.get(f"{ACTIVE}?bbox={box}", headers=headers).get_json()

    assert len(body["items"]) == int(inside)


@pytest.mark.req("A3")
def test_who_has_left_the_box_is_not_in_it(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str]
) -> None:
    make_location(session, user, at=now() - timedelta(minutes=2), longitude=13.4)
    make_location(session, user, at=now() - timedelta(minutes=1), longitude=20)

    assert client.get(f"{ACTIVE}?bbox=13,52,14,53", headers=headers).get_json()["items"] == []


@pytest.mark.parametrize(
    "box", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "0,10,5,5", "0,-91,5,5", "181,0,5,5", "nan,0,1,1", "0,0,inf,1"]
)
def test_a_bad_box_is_refused(client: FlaskClient, headers: dict[str, str], box: str) -> None:
    answer = client.get(f"{ACTIVE}?bbox={box}", headers=headers)

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == ["bbox"]


@pytest.mark.req("A3")
def test_active_users_page(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    first = make_location(session, user, at=now() - timedelta(seconds=10))
    second = make_location(session, other_user, at=now() - timedelta(seconds=20))

    page = client.get(f"{ACTIVE}?limit=1", headers=headers).get_json()
    rest = client.get(f"{ACTIVE}?limit=1&cursor={page['next']}", headers=headers).get_json()

    assert [item["id"] for item in page["items"] + rest["items"]] == [first.id, second.id]
    assert rest["next"] is None
