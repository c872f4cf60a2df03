"""The audit log only grows: the database itself sees to that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit import service
from app.audit.models import AuditLog
from tests.accounts.factory import bearer

Entries = Callable[[], Sequence[AuditLog]]
REFUSAL = "audit_logs is append-only: what was done cannot be changed or deleted"


@pytest.fixture
def entry(session: Session, user: User, audited: Entries) -> AuditLog:
    service.record(session, "test.done", actor_id=user.id, target=("user", user.id), origin=service.Origin(None, None))
    session.commit()
    return audited()[0]


STATEMENTS = [
    "UPDATE audit_logs SET action = 'test.forged' WHERE id = :id",
    "UPDATE audit_logs SET created_at = '2020-01-01 00:00:00' WHERE id = :id",
    "UPDATE audit_logs SET actor_id = NULL",
    "UPDATE audit_logs SET id = id + 1000000 WHERE id = :id",
    "DELETE FROM audit_logs WHERE id = :id",
    "DELETE FROM audit_logs",
]


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.req("P4")
def test_an_entry_can_be_neither_changed_nor_deleted(
    session: Session, entry: AuditLog, audited: Entries, statement: str
) -> None:
    with pytest.raises(DBAPIError, match=REFUSAL):
        session.execute(sa.text(statement), {"id": entry.id} if ":id" in statement else {})
    session.rollback()

    assert [(left.id, left.action, left.created_at) for left in audited()] == [
        (entry.id, "test.done", entry.created_at)
    ]


OVERWRITING = {
    "postgresql": "INSERT INTO audit_logs (id, created_at, action, details) VALUES (:id, now(), 'test.forged', '{}') "
    "ON CONFLICT (id) DO UPDATE SET action = 'test.forged'",
    "sqlite": "INSERT OR REPLACE INTO audit_logs (id, created_at, action, details) "
    "VALUES (:id, '2026-01-01', 'test.forged', '{}')",
    "mysql": "REPLACE INTO audit_logs (id, created_at, action, details) VALUES (:id, now(), 'test.forged', '{}')",
}


@pytest.mark.req("P4")
def test_an_entry_cannot_be_overwritten_by_an_insert(session: Session, entry: AuditLog, audited: Entries) -> None:
    statement = OVERWRITING[session.get_bind().dialect.name.replace("mariadb", "mysql")]

    with pytest.raises(DBAPIError, match=REFUSAL):
        session.execute(sa.text(statement), {"id": entry.id})
    session.rollback()

    assert [left.action for left in audited()] == ["test.done"]


@pytest.mark.req("P4")
def test_the_table_cannot_be_emptied_at_a_stroke(session: Session, entry: AuditLog, audited: Entries) -> None:
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite has no TRUNCATE, and MariaDB no trigger for it: there, the account's rights must forbid it")

    with pytest.raises(DBAPIError, match=REFUSAL):
        session.execute(sa.text("TRUNCATE audit_logs"))
    session.rollback()

    assert len(audited()) == 1


@pytest.mark.req("P4")
def test_the_app_cannot_change_or_delete_an_entry_either(session: Session, entry: AuditLog, audited: Entries) -> None:
    own = session.get_one(AuditLog, entry.id)
    own.action = "test.forged"

    with pytest.raises(DBAPIError, match=REFUSAL):
        session.commit()
    session.rollback()
    session.delete(own)
    with pytest.raises(DBAPIError, match=REFUSAL):
        session.commit()
    session.rollback()

    assert [left.action for left in audited()] == ["test.done"]


@pytest.mark.req("P4")
def test_an_entry_tells_who_did_what_to_what_when_and_from_where(
    app: Flask, client: FlaskClient, user: User, audited: Entries
) -> None:
    headers = {**bearer(app, user), "X-Request-ID": "asked-by-a-test"}

    client.post("/api/v1/auth/logout", json={}, headers=headers)

    (entry,) = audited()
    assert (entry.actor_id, entry.action) == (user.id, "user.signed_out")
    assert (entry.target_type, entry.target_id) == ("user", str(user.id))
    assert (entry.address, entry.request_id) == ("127.0.0.1", "asked-by-a-test")
    assert entry.created_at.tzinfo is not None
