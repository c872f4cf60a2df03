"""Saving and deleting positions, and the caller's history."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.locations.models import UserLocation
from app.locations.schemas import Position
from app.platform.database.base import utc_now
from tests.locations.factory import make_location
from tests.pages import all_items

LOCATIONS, BATCH = "/api/v1/locations", "/api/v1/locations/batch"
HERE = {"latitude": 52.5, "longitude": 13.4}


def saved_count(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count(UserLocation.id))) or 0


@pytest.mark.req("A3")
def test_position_is_saved_for_the_caller(client: FlaskClient, user: User, headers: dict[str, str]) -> None:
    response = client.post(
        LOCATIONS, json={**HERE, "accuracy": 7.5, "recorded_at": "2026-01-02T03:04:05+02:00"}, headers=headers
    )

    body = response.get_json()
    assert response.status_code == 201
    assert body.pop("id") > 0
    assert body == {**HERE, "user_id": user.id, "accuracy": 7.5, "recorded_at": "2026-01-02T01:04:05+00:00"}


@pytest.mark.req("A3")
def test_position_without_time_gets_current_time(client: FlaskClient, headers: dict[str, str]) -> None:
    before = utc_now()

    body = client.post(LOCATIONS, json=HERE, headers=headers).get_json()

    assert before <= datetime.fromisoformat(body["recorded_at"]) <= utc_now()


NOT_A_TIME = "Must be a time such as 2026-01-31T12:00:00Z (RFC 3339)."
INVALID_POSITIONS: list[tuple[dict[str, Any], str, str]] = [
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
    ({"recorded_at": "yesterday"}, "recorded_at", NOT_A_TIME),
    ({"recorded_at": 1767316245}, "recorded_at", NOT_A_TIME),
    ({"recorded_at": "2999-01-01T00:00:00Z"}, "recorded_at", "Must not be in the future."),
    ({"recorded_at": "1999-12-31T23:59:59Z"}, "recorded_at", "Must not be before 2000-01-01."),
    ({"recorded_at": "0001-01-01T00:00:00+14:00"}, "recorded_at", NOT_A_TIME),
    ({"user_id": 1}, "user_id", "Unknown field."),
    ({"__proto__": {}}, "__proto__", "Unknown field."),
]


@pytest.mark.parametrize(("change", "field", "text"), INVALID_POSITIONS, ids=lambda value: str(value)[:40])
@pytest.mark.req("A3", "A6")
def test_invalid_position_is_rejected_by_field(
    client: FlaskClient, session: Session, headers: dict[str, str], change: dict[str, Any], field: str, text: str
) -> None:
    body = {**HERE, **change}
    # json.dumps writes `Infinity`, which is not JSON; a caller can send a number that is too large for a float.
    raw = json.dumps(body).replace("Infinity", "1e999")

    response = client.post(LOCATIONS, data=raw, content_type="application/json", headers=headers)

    assert response.status_code == 422
    assert response.get_json()["errors"] == {field: [text]}
    assert saved_count(session) == 0


@pytest.mark.req("A3")
def test_batch_is_saved(client: FlaskClient, session: Session, headers: dict[str, str]) -> None:
    response = client.post(
        BATCH, json={"locations": [{**HERE, "latitude": n / 100} for n in range(1000)]}, headers=headers
    )

    assert (response.status_code, response.get_json()) == (201, {"accepted": 1000})
    assert saved_count(session) == 1000


@pytest.mark.parametrize(
    "items",
    [
        [{"latitude": 1, "longitude": -2}],
        [{"latitude": 1.5, "longitude": 2, "accuracy": None}, {"latitude": 1, "longitude": 2.5, "accuracy": 7}],
        [{**HERE, "recorded_at": "2026-01-02T03:04:05.678901+02:00"}, {**HERE, "recorded_at": "2026-01-02T03:04:05Z"}],
    ],
    ids=["integers, no accuracy, no time", "some with accuracy", "times of other zones"],
)
def test_batch_positions_are_returned_unchanged(
    client: FlaskClient, headers: dict[str, str], items: list[dict[str, Any]]
) -> None:
    assert client.post(BATCH, json={"locations": items}, headers=headers).status_code == 201

    found = client.get(LOCATIONS, headers=headers).get_json()["items"]
    returned = {(row["latitude"], row["longitude"], row["accuracy"]) for row in found}
    assert returned == {(item["latitude"], item["longitude"], item.get("accuracy")) for item in items}
    if "recorded_at" in items[0]:
        times = {datetime.fromisoformat(row["recorded_at"]) for row in found}
        assert times == {datetime.fromisoformat(item["recorded_at"]) for item in items}


@pytest.mark.req("A3")
def test_batch_saves_every_field_of_a_position(client: FlaskClient, headers: dict[str, str]) -> None:
    position = {**HERE, "accuracy": 7.5, "recorded_at": "2026-01-02T03:04:05Z"}
    assert position.keys() == Position().fields.keys(), "give the new field of Position a value here"

    client.post(LOCATIONS, json=position, headers=headers)
    client.post(BATCH, json={"locations": [position]}, headers=headers)

    batched, single = client.get(LOCATIONS, headers=headers).get_json()["items"]
    assert {**batched, "id": single["id"]} == single


@pytest.mark.req("A3")
def test_batch_with_invalid_item_is_rejected_and_names_it(
    client: FlaskClient, session: Session, headers: dict[str, str]
) -> None:
    items = [HERE, {**HERE, "latitude": 91}, HERE, {"latitude": 1}]

    response = client.post(BATCH, json={"locations": items}, headers=headers)

    assert response.status_code == 422
    assert response.get_json()["errors"] == {
        "locations.1.latitude": ["Must be from -90 to 90 degrees."],
        "locations.3.longitude": ["Missing data for required field."],
    }
    assert saved_count(session) == 0


@pytest.mark.parametrize("items", [[], [HERE] * 1001, "none", {"0": HERE}, None])
def test_batch_of_wrong_size_or_type_is_rejected(client: FlaskClient, headers: dict[str, str], items: object) -> None:
    response = client.post(BATCH, json={"locations": items}, headers=headers)

    assert response.status_code == 422
    assert list(response.get_json()["errors"]) == ["locations"]


@pytest.mark.req("A3")
def test_history_lists_own_positions_newest_first(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    time = utc_now()
    ages = (0, 0, 1, 0, 3600)  # seconds; equal times on two pages
    locations = [make_location(session, user, at=time - timedelta(seconds=age)) for age in ages]
    make_location(session, other_user)
    expected = [row.id for row in sorted(locations, key=lambda row: (row.recorded_at, row.id), reverse=True)]

    items = all_items(client, LOCATIONS, headers, limit=2)

    assert [item["id"] for item in items] == expected


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
def test_invalid_query_is_rejected_by_field(
    client: FlaskClient, headers: dict[str, str], query: str, field: str
) -> None:
    response = client.get(f"{LOCATIONS}?{query}", headers=headers)

    assert response.status_code == 422
    assert list(response.get_json()["errors"]) == [field]


@pytest.mark.req("P3")
@pytest.mark.fault("F65")
def test_own_position_can_be_deleted(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str]
) -> None:
    deleted, kept = make_location(session, user).id, make_location(session, user).id

    first = client.delete(f"{LOCATIONS}/{deleted}", headers=headers)
    again = client.delete(f"{LOCATIONS}/{deleted}", headers=headers)

    assert (first.status_code, first.data, again.status_code) == (204, b"", 404)
    assert [item["id"] for item in client.get(LOCATIONS, headers=headers).get_json()["items"]] == [kept]


@pytest.mark.req("A2")
def test_position_of_another_user_cannot_be_deleted(
    client: FlaskClient, session: Session, other_user: User, headers: dict[str, str]
) -> None:
    location_id = make_location(session, other_user).id

    assert client.delete(f"{LOCATIONS}/{location_id}", headers=headers).status_code == 404
    assert saved_count(session) == 1
