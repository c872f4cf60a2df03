"""Making keys, listing them, revoking them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.api_keys.models import ApiKey
from app.audit.models import AuditLog
from app.database import now
from tests.accounts.factory import bearer
from tests.api_keys.factory import make_key

KEYS = "/api/v1/api-keys"
WANTED = {"name": "The weather station", "scopes": ["locations:write", "locations:read"]}


@pytest.fixture
def headers(app: Flask, user: User) -> dict[str, str]:
    return bearer(app, user)


@pytest.mark.req("A2")
def test_a_new_key_is_shown_this_once_and_only_its_hash_is_kept(
    client: FlaskClient, session: Session, headers: dict[str, str]
) -> None:
    answer = client.post(KEYS, json=WANTED, headers=headers)
    listed = client.get(KEYS, headers=headers)

    body = answer.get_json()
    text = body.pop("key")
    row = session.get(ApiKey, body["id"])
    assert answer.status_code == 201
    assert re.fullmatch(r"fsk_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", text)
    assert body == {
        **WANTED,
        "id": body["id"],
        "prefix": text[:12],
        "created_at": body["created_at"],
        "expires_at": None,
        "last_used_at": None,
    }
    assert listed.get_json() == {"items": [body], "next": None}
    assert row is not None
    assert row.key_hash == hashlib.sha256(text.encode()).hexdigest()
    assert not any(text[13:] in str(value) for value in vars(row).values())


@pytest.mark.req("A2")
def test_two_keys_have_nothing_in_common(client: FlaskClient, headers: dict[str, str]) -> None:
    texts = [client.post(KEYS, json=WANTED, headers=headers).get_json()["key"] for _ in range(2)]

    assert texts[0][:12] != texts[1][:12]
    assert texts[0][13:] != texts[1][13:]


@pytest.mark.req("A2")
def test_a_key_ends_after_the_days_that_were_asked_for(client: FlaskClient, headers: dict[str, str]) -> None:
    body = client.post(KEYS, json={**WANTED, "expires_in_days": 30}, headers=headers).get_json()

    life = datetime.fromisoformat(body["expires_at"]) - now()
    assert timedelta(days=29, hours=23, minutes=59) < life <= timedelta(days=30)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"name": "two\nlines"}, "name"),
    ({"name": None}, "name"),
    ({"scopes": []}, "scopes"),
    ({"scopes": None}, "scopes"),
    ({"scopes": "locations:read"}, "scopes"),
    ({"scopes": ["locations:read", "locations:read"]}, "scopes"),
    ({"scopes": ["admin"]}, "scopes.0"),
    ({"scopes": [["locations:read"]]}, "scopes.0"),
    ({"expires_in_days": 0}, "expires_in_days"),
    ({"expires_in_days": 366}, "expires_in_days"),
    ({"expires_in_days": "30"}, "expires_in_days"),
    ({"expires_in_days": 1.5}, "expires_in_days"),
    ({"expires_in_days": True}, "expires_in_days"),
    ({"expires_at": "2030-01-01T00:00:00Z"}, "expires_at"),
    ({"user_id": 1}, "user_id"),
]


@pytest.mark.parametrize(("change", "field"), BAD, ids=str)
@pytest.mark.req("A6")
def test_a_bad_wish_is_refused_by_field(
    client: FlaskClient, session: Session, headers: dict[str, str], change: dict[str, Any], field: str
) -> None:
    answer = client.post(KEYS, json={**WANTED, **change}, headers=headers)

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == [field]
    assert session.query(ApiKey).count() == 0


@pytest.mark.req("A2")
def test_a_user_has_only_so_many_keys_and_a_revoked_one_makes_room(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    kept = [make_key(session, user, "files:read")[0] for _ in range(20)]
    make_key(session, user, "files:read", expires_at=now())
    make_key(session, other_user, "files:read")

    refused = client.post(KEYS, json=WANTED, headers=headers)
    client.delete(f"{KEYS}/{kept[7].id}", headers=headers)
    made = client.post(KEYS, json=WANTED, headers=headers)

    assert (refused.status_code, made.status_code) == (409, 201)
    assert refused.get_json()["message"] == "You have 20 keys already. Revoke one first."


@pytest.mark.req("A2", "A6")
def test_keys_are_listed_newest_first_in_pages_and_only_ones_own(
    client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    time = now()
    ages = (1, 3, 2, 2, 5)  # two of the same time, across a page's edge
    made = [make_key(session, user, "files:read", created_at=time - timedelta(hours=age))[0] for age in ages]
    make_key(session, other_user, "files:read")
    make_key(session, user, "files:read", revoked_at=time)
    expected = [key.id for key in sorted(made, key=lambda key: (key.created_at, key.id), reverse=True)]

    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        body = client.get(KEYS, query_string=query, headers=headers).get_json()
        seen += [item["id"] for item in body["items"]]
        if (cursor := body["next"]) is None:
            break

    assert seen == expected


@pytest.mark.req("A2")
def test_a_key_can_be_revoked_once(client: FlaskClient, session: Session, user: User, headers: dict[str, str]) -> None:
    key, _ = make_key(session, user, "files:read")

    answers = [client.delete(f"{KEYS}/{key.id}", headers=headers) for _ in range(2)]

    session.refresh(key)
    assert [answer.status_code for answer in answers] == [204, 404]
    assert key.revoked_at is not None
    assert client.get(KEYS, headers=headers).get_json()["items"] == []


@pytest.mark.req("A2")
def test_somebody_elses_key_is_not_there(
    client: FlaskClient, session: Session, other_user: User, headers: dict[str, str]
) -> None:
    key, _ = make_key(session, other_user, "files:read")

    theirs = client.delete(f"{KEYS}/{key.id}", headers=headers)
    nobodys = client.delete(f"{KEYS}/{key.id + 1000}", headers=headers)

    session.refresh(key)
    assert key.revoked_at is None
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.get_json()["message"] == nobodys.get_json()["message"]


@pytest.mark.req("P4")
def test_making_and_revoking_is_in_the_audit_log(
    client: FlaskClient, user: User, headers: dict[str, str], audited: Callable[[], Sequence[AuditLog]]
) -> None:
    made = client.post(KEYS, json=WANTED, headers={**headers, "X-Request-ID": "making"}).get_json()
    client.delete(f"{KEYS}/{made['id']}", headers={**headers, "X-Request-ID": "revoking"})

    entries = audited()
    assert [(entry.action, entry.request_id) for entry in entries] == [
        ("api_key.created", "making"),
        ("api_key.revoked", "revoking"),
    ]
    assert {(entry.actor_id, entry.target_type, entry.target_id, entry.address) for entry in entries} == {
        (user.id, "api_key", str(made["id"]), "127.0.0.1")
    }
    assert entries[0].details == {"prefix": made["prefix"], "scopes": WANTED["scopes"]}
    assert not any(made["key"][13:] in str(vars(entry)) for entry in entries)
