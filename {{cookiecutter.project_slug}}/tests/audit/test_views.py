"""The list of audit log entries for admins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit.models import AuditLog
from app.platform.database.base import utc_now
from tests.accounts.factory import bearer, make_user
from tests.pages import all_items

LOG = "/api/v1/admin/audit-logs"
ListEntries = Callable[..., list[Any]]


@pytest.fixture
def headers(app: Flask, session: Session) -> dict[str, str]:
    return bearer(app, make_user(session, role="admin"))


@pytest.fixture
def since() -> datetime:
    """The start of the test; the log still contains entries of earlier tests."""
    return utc_now()


@pytest.fixture
def list_entries(client: FlaskClient, headers: dict[str, str], since: datetime) -> ListEntries:
    """Return a function that reads every page of the entries since the test began."""

    def read(**query: Any) -> list[Any]:
        items = all_items(client, LOG, headers, **{"since": since.isoformat(), **query})
        return [item for item in items if item["action"] != "admin.read"]

    return read


def make_entry(session: Session, action: str = "test.done", **fields: Any) -> AuditLog:
    entry = AuditLog(action=action, **fields)
    session.add(entry)
    session.commit()
    return entry


@pytest.mark.req("A5", "P4")
def test_item_shows_every_field_of_an_entry(session: Session, user: User, list_entries: ListEntries) -> None:
    entry = make_entry(
        session,
        actor_id=user.id,
        target_type="user",
        target_id="7",
        address="192.0.2.7",
        request_id="abc",
        details={"old": "user", "new": "admin"},
    )

    (item,) = list_entries()

    assert datetime.fromisoformat(item.pop("created_at")) == entry.created_at
    assert item == {
        "id": entry.id,
        "actor_id": user.id,
        "action": "test.done",
        "target_type": "user",
        "target_id": "7",
        "address": "192.0.2.7",
        "request_id": "abc",
        "details": {"old": "user", "new": "admin"},
    }


@pytest.mark.req("A5", "A6")
def test_entries_are_listed_newest_first_in_pages(session: Session, since: datetime, list_entries: ListEntries) -> None:
    offsets = (1, 3, 2, 2, 5)  # the two of equal time are on different pages
    entries = [make_entry(session, created_at=since + timedelta(microseconds=offset)) for offset in offsets]

    expected = [entry.id for entry in sorted(entries, key=lambda entry: (entry.created_at, entry.id), reverse=True)]
    assert [item["id"] for item in list_entries(limit=2)] == expected


@pytest.mark.req("A5")
def test_entries_are_filtered_by_actor_action_and_time(
    session: Session, user: User, other_user: User, list_entries: ListEntries
) -> None:
    started = make_entry(session, "test.started", actor_id=user.id, target_type="user", target_id="7")
    done = make_entry(session, "test.done", actor_id=user.id)
    of_other_user = make_entry(session, "test.done", actor_id=other_user.id)
    of_service = make_entry(session, "test.done")

    def ids(**query: Any) -> list[int]:
        return [item["id"] for item in list_entries(**query)]

    assert ids(actor_id=user.id) == [done.id, started.id]
    assert ids(action="test.done") == [of_service.id, of_other_user.id, done.id]
    assert ids(actor_id=user.id, action="test.done") == [done.id]
    assert ids(since=of_other_user.created_at.isoformat()) == [of_service.id, of_other_user.id]
    assert ids(until=of_other_user.created_at.isoformat()) == [done.id, started.id]
    assert ids(since=done.created_at.isoformat(), until=of_service.created_at.isoformat(), action="test.done") == [
        *(of_other_user.id, done.id)
    ]
    assert ids(action="test.don") == []
    assert ids(target="user:7") == [started.id]
    assert ids(target="file:7") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("actor_id=me", "actor_id"),
        ("actor_id=-1", "actor_id"),
        ("actor_id=9223372036854775808", "actor_id"),
        ("action=", "action"),
        (f"action={'x' * 65}", "action"),
        ("action=a%00b", "action"),
        ("since=yesterday", "since"),
        ("since=2999-01-01T00:00:00Z", "since"),
        ("until=yesterday", "until"),
        ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("target_id=7", "target_id"),
        ("target=user", "target"),
        ("target=user:", "target"),
    ],
)
@pytest.mark.req("A6")
def test_invalid_query_names_the_field(client: FlaskClient, headers: dict[str, str], query: str, field: str) -> None:
    response = client.get(f"{LOG}?{query}", headers=headers)

    assert response.status_code == 422
    assert list(response.get_json()["errors"]) == [field]
