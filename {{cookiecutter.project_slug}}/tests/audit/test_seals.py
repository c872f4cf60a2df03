"""Seals: what they cover, what they wait for, and their copy in the storage."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.audit import seals, service, tasks
from app.audit.models import AuditLog
from app.audit.seals import SealSigner
from app.platform.database.base import utc_now
from tests.audit.conftest import ORIGIN, LogUnderTest
from tests.environments import SECRETS

pytestmark = [pytest.mark.req("P4"), pytest.mark.fault("F58"), pytest.mark.database]

SIGNER = SealSigner(["a secret of the test"])
NOW = timedelta(0)
KEY_ID = SealSigner([SECRETS["MASTER_ENCRYPTION_KEY"]]).current


def ranges(log: LogUnderTest) -> list[tuple[int, int]]:
    """Return the last entry of each seal, and how many entries it lists."""
    with Session(log.engine) as session:
        return [(row.last_id, len(row.entries.split())) for row in session.execute(seals.seal_query())]


def test_every_column_of_an_entry_is_sealed() -> None:
    assert set(seals.COLUMNS[seals.VERSION]) == set(AuditLog.__table__.columns.keys()), (
        "add a version with the new column to COLUMNS: seals of the earlier version do not contain it"
    )


def test_seals_follow_each_other(log: LogUnderTest) -> None:
    first = log.record(3)
    assert log.seal() == "audit log: 3 entries sealed\n"
    assert log.seal() == "audit log: 0 entries sealed\n"
    second = log.record(2)
    log.seal()

    assert ranges(log) == [(first[-1], 3), (second[-1], 2)]


def test_new_entries_wait_for_their_seal(log: LogUnderTest) -> None:
    log.record(2)

    assert log.seal(AUDIT_SEAL_DELAY_SECONDS="60").startswith(
        "audit log: 0 entries sealed; entries of the last 60 seconds"
    )
    assert "2 newer entries are not sealed yet" in log.verify(AUDIT_SEAL_DELAY_SECONDS="60")[1]


def test_entry_in_the_future_does_not_stop_the_seals(log: LogUnderTest) -> None:
    with Session(log.engine) as session:
        session.add(AuditLog(action="test.done", created_at=utc_now() + timedelta(days=1)))
        session.commit()
    log.record()

    assert log.seal() == "audit log: 2 entries sealed\n"


def test_seal_does_not_pass_an_open_transaction(log: LogUnderTest) -> None:
    if log.engine.dialect.name != "postgresql":
        pytest.skip(
            "SQLite has one writer; MariaDB shows transactions to administrators only: there, the delay decides"
        )
    with Session(log.engine) as slow:
        service.record(slow, "test.slow", actor_id=7, target=("user", 7), origin=ORIGIN)
        slow.flush()  # it has its id
        log.record(2)

        assert log.seal() == "audit log: 0 entries sealed\n"
        slow.commit()

    assert log.seal() == "audit log: 3 entries sealed\n"
    assert log.verify()[0] == 0


def test_quiet_log_gets_an_empty_seal_each_hour(log: LogUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = log.record()
    log.seal()
    later = utc_now() + timedelta(minutes=61)
    monkeypatch.setattr("app.audit.seals.utc_now", lambda: later)
    log.seal()
    log.seal()

    assert ranges(log) == [(entry, 1), (entry, 0)]


def test_two_processes_make_one_seal(log: LogUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    log.record(2)
    with Session(log.engine) as session, Session(log.engine) as other:
        previous = seals.newest_link(session)
        session.rollback()
        assert list(seals.seal(other, SIGNER, NOW)) == [2]
        monkeypatch.setattr("app.audit.seals.confirmed_link", lambda *_: previous)

        assert list(seals.seal(session, SIGNER, NOW)) == []

    assert len(ranges(log)) == 1


def test_task_seals_and_copies(log: LogUnderTest, tmp_path: Path) -> None:
    log.record(2)
    with log.app().app_context():
        tasks.seal()

    assert len(ranges(log)) == 1
    assert (tmp_path / "storage" / "audit-log" / "newest-seal.json").is_file()
    assert log.verify()[0] == 0


def test_task_reports_a_cut_chain(log: LogUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[str] = []
    monkeypatch.setattr(tasks.logger, "error", lambda message, error: reports.append(message % error))
    for _ in range(2):
        log.record()
        log.seal()
    log.tamper("DELETE FROM audit_seals WHERE id = 2")
    with log.app().app_context():
        tasks.seal()
        tasks.seal()

    assert len(reports) == 2
    assert "the audit log may have been changed: Seal 2 differs from its copy in the storage" in reports[0]
    assert log.verify()[0] == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"seal": 1, "key_id": "%s", "hmac": "%s"}' % (KEY_ID.encode(), b"0" * 64)],
    ids=["empty", "unsigned", "wrong signature"],
)
def test_changed_copy_is_found(log: LogUnderTest, tmp_path: Path, content: bytes) -> None:
    log.record()
    log.seal()
    (tmp_path / "storage" / "audit-log" / "newest-seal.json").write_bytes(content)

    status, output = log.verify()

    assert status == 1
    assert "The copy of the newest seal in the storage (audit-log/newest-seal.json) was changed: it" in output


def test_deleted_copy_is_found_and_written_again(
    log: LogUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.record()
    log.seal()
    (tmp_path / "storage" / "audit-log" / "newest-seal.json").unlink()
    monkeypatch.setattr("app.audit.commands.OVERDUE", NOW)

    status, output = log.verify()
    log.seal()

    assert status == 1
    assert "The copy of the newest seal in the storage was deleted, or never written." in output
    assert log.verify()[0] == 0


def test_copy_of_another_database_is_not_replaced(log: LogUnderTest) -> None:
    log.record()
    log.seal()
    with log.engine.begin() as connection:
        connection.execute(sa.text("UPDATE database_identity SET value = :value"), {"value": "1" * 32})

    assert log.run("audit-log", "seal").exit_code == 1
    assert "belongs to another database" in log.verify()[1]
