"""The audit log as admins read it."""

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
from app.database import now
from tests.accounts.factory import bearer, make_user

LOG = "/api/v1/admin/audit-logs"
Listed = Callable[..., list[Any]]


@pytest.fixture
def headers(app: Flask, session: Session) -> dict[str, str]:
    return bearer(app, make_user(session, role="admin"))


@pytest.fixture
def since() -> datetime:
    """The log keeps what earlier tests wrote, from which this tells a test's own."""
    return now()


@pytest.fixture
def listed(client: FlaskClient, headers: dict[str, str], since: datetime) -> Listed:
    """Entries since the test began, page by page."""

    def read(**query: Any) -> list[Any]:
        found, cursor = [], None
        while True:
            given = {"since": since.isoformat(), **query} | ({"cursor": cursor} if cursor else {})
            body = client.get(LOG, query_string=given, headers=headers).get_json()
            found += body["items"]
            if (cursor := body["next"]) is None:
                return found

    return read


def make_entry(session: Session, action: str = "test.done", **fields: Any) -> AuditLog:
    entry = AuditLog(action=action, **fields)
    session.add(entry)
    session.commit()
    return entry


@pytest.mark.req("A5", "P4")
def test_an_entry_says_who_did_what_to_what_when_and_from_where(session: Session, user: User, listed: Listed) -> None:
    entry = make_entry(
        session,
        actor_id=user.id,
        target_type="user",
        target_id="7",
        address="192.0.2.7",
        request_id="abc",
        details={"old": "user", "new": "admin"},
    )

    (shown,) = listed()

    assert datetime.fromisoformat(shown.pop("created_at")) == entry.created_at
    assert shown == {
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
def test_entries_are_listed_newest_first_in_pages(session: Session, since: datetime, listed: Listed) -> None:
    offsets = (1, 3, 2, 2, 5)  # two of the same time, across a page's edge
    made = [make_entry(session, created_at=since + timedelta(microseconds=offset)) for offset in offsets]

    expected = [entry.id for entry in sorted(made, key=lambda entry: (entry.created_at, entry.id), reverse=True)]
    assert [item["id"] for item in listed(limit=2)] == expected


@pytest.mark.req("A5")
def test_entries_are_found_by_who_by_what_and_by_when(
    session: Session, user: User, other_user: User, listed: Listed
) -> None:
    mine = make_entry(session, "test.begun", actor_id=user.id)
    done = make_entry(session, "test.done", actor_id=user.id)
    theirs = make_entry(session, "test.done", actor_id=other_user.id)
    nobodys = make_entry(session, "test.done")

    def ids(**query: Any) -> list[int]:
        return [item["id"] for item in listed(**query)]

    assert ids(actor_id=user.id) == [done.id, mine.id]
    assert ids(action="test.done") == [nobodys.id, theirs.id, done.id]
    assert ids(actor_id=user.id, action="test.done") == [done.id]
    assert ids(since=theirs.created_at.isoformat()) == [nobodys.id, theirs.id]
    assert ids(action="test.don") == []


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
        ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("target_id=7", "target_id"),
    ],
)
@pytest.mark.req("A6")
def test_a_bad_query_is_refused_by_field(client: FlaskClient, headers: dict[str, str], query: str, field: str) -> None:
    answer = client.get(f"{LOG}?{query}", headers=headers)

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == [field]
