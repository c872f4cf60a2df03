"""The database rejects changes and deletions of audit log entries."""

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
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import bearer

Entries = Callable[[], Sequence[AuditLog]]
MESSAGE = "audit_logs is append-only: what was done cannot be changed or deleted"


@pytest.fixture
def entry(session: Session, user: User, audit_entries: Entries) -> AuditLog:
    service.record(session, "test.done", actor_id=user.id, target=("user", user.id), origin=RequestOrigin(None, None))
    session.commit()
    return audit_entries()[0]


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
def test_entry_cannot_be_changed_or_deleted(
    session: Session, entry: AuditLog, audit_entries: Entries, statement: str
) -> None:
    with pytest.raises(DBAPIError, match=MESSAGE):
        session.execute(sa.text(statement), {"id": entry.id} if ":id" in statement else {})
    session.rollback()

    assert [(row.id, row.action, row.created_at) for row in audit_entries()] == [
        (entry.id, "test.done", entry.created_at)
    ]


OVERWRITE = {
    "postgresql": "INSERT INTO audit_logs (id, created_at, action, details) VALUES (:id, now(), 'test.forged', '{}') "
    "ON CONFLICT (id) DO UPDATE SET action = 'test.forged'",
    "sqlite": "INSERT OR REPLACE INTO audit_logs (id, created_at, action, details) "
    "VALUES (:id, '2026-01-01', 'test.forged', '{}')",
    "mysql": "REPLACE INTO audit_logs (id, created_at, action, details) VALUES (:id, now(), 'test.forged', '{}')",
}


@pytest.mark.req("P4")
def test_entry_cannot_be_overwritten_by_an_insert(session: Session, entry: AuditLog, audit_entries: Entries) -> None:
    statement = OVERWRITE[session.get_bind().dialect.name.replace("mariadb", "mysql")]

    with pytest.raises(DBAPIError, match=f"{MESSAGE}|audit_logs: the database chooses the id"):
        session.execute(sa.text(statement), {"id": entry.id})
    session.rollback()

    assert [row.action for row in audit_entries()] == ["test.done"]


@pytest.mark.req("P4")
def test_table_cannot_be_truncated(session: Session, entry: AuditLog, audit_entries: Entries) -> None:
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite has no TRUNCATE; MariaDB has no trigger for it, so the account's privileges must forbid it")

    with pytest.raises(DBAPIError, match=MESSAGE):
        session.execute(sa.text("TRUNCATE audit_logs"))
    session.rollback()

    assert len(audit_entries()) == 1


@pytest.mark.req("P4")
def test_orm_cannot_change_or_delete_an_entry(session: Session, entry: AuditLog, audit_entries: Entries) -> None:
    row = session.get_one(AuditLog, entry.id)
    row.action = "test.forged"

    with pytest.raises(DBAPIError, match=MESSAGE):
        session.commit()
    session.rollback()
    session.delete(row)
    with pytest.raises(DBAPIError, match=MESSAGE):
        session.commit()
    session.rollback()

    assert [row.action for row in audit_entries()] == ["test.done"]


@pytest.mark.req("P4")
def test_entry_records_actor_action_target_time_and_origin(
    app: Flask, client: FlaskClient, user: User, audit_entries: Entries
) -> None:
    headers = {**bearer(app, user), "X-Request-ID": "from-a-test"}

    client.post("/api/v1/auth/logout", json={}, headers=headers)

    (entry,) = audit_entries()
    assert (entry.actor_id, entry.action) == (user.id, "user.signed_out")
    assert (entry.target_type, entry.target_id) == ("user", str(user.id))
    assert (entry.address, entry.request_id) == ("127.0.0.1", "from-a-test")
    assert entry.created_at.tzinfo is not None
