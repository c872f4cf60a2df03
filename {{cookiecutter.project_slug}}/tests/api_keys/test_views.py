"""Creating, listing and revoking API keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.api_keys.models import ApiKey
from app.audit.models import AuditLog
from app.platform.database.base import utc_now
from tests.api_keys.factory import make_key
from tests.pages import all_items

KEYS = "/api/v1/api-keys"
NEW_KEY = {"name": "The weather station", "scopes": ["profile:read"]}


@pytest.mark.req("A2")
def test_new_key_is_shown_once_and_stored_as_hash(
    client: FlaskClient, session: Session, headers: dict[str, str]
) -> None:
    response = client.post(KEYS, json=NEW_KEY, headers=headers)
    listed = client.get(KEYS, headers=headers)

    body = response.get_json()
    text = body.pop("key")
    row = session.get(ApiKey, body["id"])
    assert response.status_code == 201
    assert re.fullmatch(r"fsk_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", text)
    assert body == {
        **NEW_KEY,
        "id": body["id"],
        "prefix": text[:12],
        "created_at": body["created_at"],
        "expires_at": body["expires_at"],
        "last_used_at": None,
    }
    assert listed.get_json() == {"items": [body], "next": None}
    assert row is not None
    assert row.key_hash == hashlib.sha256(text.encode()).hexdigest()
    assert not any(text[13:] in str(value) for value in vars(row).values())


@pytest.mark.req("A2")
def test_keys_are_random(client: FlaskClient, headers: dict[str, str]) -> None:
    texts = [client.post(KEYS, json=NEW_KEY, headers=headers).get_json()["key"] for _ in range(2)]

    assert texts[0][:12] != texts[1][:12]
    assert texts[0][13:] != texts[1][13:]


@pytest.mark.req("A2")
def test_key_expires_after_the_requested_days(client: FlaskClient, headers: dict[str, str]) -> None:
    body = client.post(KEYS, json={**NEW_KEY, "expires_in_days": 30}, headers=headers).get_json()

    lifetime = datetime.fromisoformat(body["expires_at"]) - utc_now()
    assert timedelta(days=29, hours=23, minutes=59) < lifetime <= timedelta(days=30)


@pytest.mark.fault("F3")
@pytest.mark.req("A2")
def test_key_expires_by_default(app: Flask, environment: Mapping[str, str], headers: dict[str, str]) -> None:
    other_app = create_app({**environment, "API_KEY_DAYS": "7"})

    lifetimes = [
        datetime.fromisoformat(service.test_client().post(KEYS, json=NEW_KEY, headers=headers).get_json()["expires_at"])
        - utc_now()
        for service in (app, other_app)
    ]

    assert [round(lifetime / timedelta(days=1)) for lifetime in lifetimes] == [90, 7]


@pytest.mark.req("A10")
def test_operator_bounds_the_lifetime(environment: Mapping[str, str], headers: dict[str, str]) -> None:
    client = create_app({**environment, "API_KEY_MAX_DAYS": "7"}).test_client()

    responses = [client.post(KEYS, json={**NEW_KEY, **days}, headers=headers) for days in ({}, {"expires_in_days": 7})]
    rejected = client.post(KEYS, json={**NEW_KEY, "expires_in_days": 8}, headers=headers)

    lifetimes = [datetime.fromisoformat(response.get_json()["expires_at"]) - utc_now() for response in responses]
    assert [round(lifetime / timedelta(days=1)) for lifetime in lifetimes] == [7, 7]
    assert (rejected.status_code, rejected.get_json()["errors"]) == (
        422,
        {"expires_in_days": ["Must be from 1 to 7 days."]},
    )


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"name": "two\nlines"}, "name"),
    ({"name": None}, "name"),
    ({"scopes": []}, "scopes"),
    ({"scopes": None}, "scopes"),
    ({"scopes": "profile:read"}, "scopes"),
    ({"scopes": ["profile:read", "profile:read"]}, "scopes"),
    ({"scopes": ["admin"]}, "scopes.0"),
    ({"scopes": [["profile:read"]]}, "scopes.0"),
    ({"expires_in_days": 0}, "expires_in_days"),
    ({"expires_in_days": 366}, "expires_in_days"),
    ({"expires_in_days": "30"}, "expires_in_days"),
    ({"expires_in_days": 1.5}, "expires_in_days"),
    ({"expires_in_days": True}, "expires_in_days"),
    ({"expires_in_days": None}, "expires_in_days"),
    ({"expires_at": "2030-01-01T00:00:00Z"}, "expires_at"),
    ({"user_id": 1}, "user_id"),
]


@pytest.mark.parametrize(("change", "field"), INVALID, ids=str)
@pytest.mark.req("A6")
def test_invalid_request_names_the_field(
    client: FlaskClient, session: Session, headers: dict[str, str], change: dict[str, Any], field: str
) -> None:
    response = client.post(KEYS, json={**NEW_KEY, **change}, headers=headers)

    assert response.status_code == 422
    assert list(response.get_json()["errors"]) == [field]
    assert session.query(ApiKey).count() == 0


@pytest.mark.req("A2")
def test_key_limit_counts_only_valid_keys_of_the_user(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    valid = [make_key(session, user, "profile:read")[0] for _ in range(20)]
    make_key(session, user, "profile:read", expires_at=utc_now())
    make_key(session, other_user, "profile:read")

    rejected = client.post(KEYS, json=NEW_KEY, headers=headers)
    client.delete(f"{KEYS}/{valid[7].id}", headers=headers)
    created = client.post(KEYS, json=NEW_KEY, headers=headers)

    assert (rejected.status_code, created.status_code) == (409, 201)
    assert rejected.get_json()["message"] == "You have 20 keys already. Revoke one first."


@pytest.mark.req("A2", "A6")
def test_list_shows_own_keys_newest_first_in_pages(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    time = utc_now()
    ages = (1, 3, 2, 2, 5)  # the two of equal age are on different pages
    own_keys = [make_key(session, user, "profile:read", created_at=time - timedelta(hours=age))[0] for age in ages]
    make_key(session, other_user, "profile:read")
    make_key(session, user, "profile:read", revoked_at=time)
    expected = [key.id for key in sorted(own_keys, key=lambda key: (key.created_at, key.id), reverse=True)]

    items = all_items(client, KEYS, headers, limit=2)

    assert [item["id"] for item in items] == expected


@pytest.mark.req("A2")
def test_second_revocation_is_not_found(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str]
) -> None:
    key, _ = make_key(session, user, "profile:read")

    responses = [client.delete(f"{KEYS}/{key.id}", headers=headers) for _ in range(2)]

    session.refresh(key)
    assert [response.status_code for response in responses] == [204, 404]
    assert key.revoked_at is not None
    assert client.get(KEYS, headers=headers).get_json()["items"] == []


@pytest.mark.req("A2")
def test_key_of_another_user_is_not_found(
    client: FlaskClient, session: Session, other_user: User, headers: dict[str, str]
) -> None:
    key, _ = make_key(session, other_user, "profile:read")

    foreign = client.delete(f"{KEYS}/{key.id}", headers=headers)
    unknown = client.delete(f"{KEYS}/{key.id + 1000}", headers=headers)

    session.refresh(key)
    assert key.revoked_at is None
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.get_json()["message"] == unknown.get_json()["message"]


@pytest.mark.req("P4")
def test_audit_log_records_creation_and_revocation(
    client: FlaskClient, user: User, headers: dict[str, str], audit_entries: Callable[[], Sequence[AuditLog]]
) -> None:
    created = client.post(KEYS, json=NEW_KEY, headers={**headers, "X-Request-ID": "creating"}).get_json()
    client.delete(f"{KEYS}/{created['id']}", headers={**headers, "X-Request-ID": "revoking"})

    entries = audit_entries()
    assert [(entry.action, entry.request_id) for entry in entries] == [
        ("api_key.created", "creating"),
        ("api_key.revoked", "revoking"),
    ]
    assert {(entry.actor_id, entry.target_type, entry.target_id, entry.address) for entry in entries} == {
        (user.id, "api_key", str(created["id"]), "127.0.0.1")
    }
    assert entries[0].details == {"prefix": created["prefix"], "scopes": NEW_KEY["scopes"]}
    assert not any(created["key"][13:] in str(vars(entry)) for entry in entries)
