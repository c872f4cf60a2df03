"""`flask audit-log verify` finds what the owner of the tables changed while the triggers were off."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.audit import service
from app.platform.database.base import utc_now
from tests.audit.conftest import LogUnderTest

pytestmark = [pytest.mark.req("P4"), pytest.mark.fault("F58"), pytest.mark.database]

COLUMNS = "created_at, actor_id, action, target_type, target_id, details"
INSERT = f"INSERT INTO audit_logs (id, {COLUMNS}) VALUES (:id, :time, 7, 'test.forged', 'user', '7', 'null')"


def test_untouched_log_is_verified(log: LogUnderTest) -> None:
    log.record(3)
    log.seal()
    log.record(2)

    status, output = log.verify()

    assert status == 0
    assert output == (
        "audit log: 3 entries in 1 seals verified; 2 newer entries are not sealed yet, so a change of them cannot be "
        "found\n"
    )


def test_empty_log_is_verified(log: LogUnderTest) -> None:
    status, output = log.verify()

    assert (status, "0 entries in 0 seals verified" in output) == (0, True)


@pytest.mark.parametrize(
    "change",
    [
        "action = 'test.forged'",
        "actor_id = NULL",
        "created_at = '2026-01-01 00:00:00'",
        "details = '{\"number\": 9}'",
        "address = NULL",
        "target_id = '8'",
        "target_type = 'file'",
        "request_id = ''",
    ],
)
def test_changed_entry_is_found(log: LogUnderTest, change: str) -> None:
    ids = log.record(3)
    log.seal()
    log.tamper(f"UPDATE audit_logs SET {change} WHERE id = :id", id=ids[1])

    status, output = log.verify()

    assert status == 1
    assert f"problem: Entry {ids[1]}: changed after the seal (seal 1 of " in output
    assert "Error: The audit log has " in output


def test_missing_entries_are_found(log: LogUnderTest) -> None:
    ids = log.record(3)
    log.seal()
    log.tamper("DELETE FROM audit_logs WHERE id > :first", first=ids[0])

    status, output = log.verify()

    assert status == 1
    assert f"problem: Entries {ids[1]}, {ids[2]}: missing (seal 1 of " in output


def test_deletion_of_all_entries_is_found(log: LogUnderTest) -> None:
    log.record(12)
    log.seal()
    log.tamper("DELETE FROM audit_logs")

    status, output = log.verify()

    assert (status, " and 2 more: missing (seal 1 of" in output) == (1, True)


def test_entry_with_an_unused_id_is_found(log: LogUnderTest) -> None:
    ids = log.record(3)
    log.tamper("DELETE FROM audit_logs WHERE id = :id", id=ids[1])
    log.seal()
    log.tamper(INSERT, id=ids[1], time=utc_now().replace(tzinfo=None))

    status, output = log.verify()

    assert status == 1
    assert f"problem: Entry {ids[1]}: added after the seal (seal 1 of " in output


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("days", [-30, 30])
def test_entry_with_a_wrong_time_is_found(log: LogUnderTest, sealed: bool, days: int) -> None:
    ids = log.record(3)
    log.seal()
    time = (utc_now() + timedelta(days=days)).replace(tzinfo=None)
    log.tamper(INSERT, id=ids[-1] + 1, time=time)
    if sealed:
        log.seal()

    status, output = log.verify()

    assert status == 1
    assert f"problem: Entry {ids[-1] + 1}: the time does not fit the entries before (" in output


@pytest.mark.parametrize("entry_id", [0, -7, 2**63 - 1])
def test_entry_with_an_unusual_id_is_found_and_does_not_stop_the_seals(log: LogUnderTest, entry_id: int) -> None:
    ids = log.record(2)
    with log.unprotected(), log.engine.begin() as connection:
        if log.engine.dialect.name in ("mysql", "mariadb"):
            connection.exec_driver_sql("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        connection.execute(sa.text(INSERT), {"id": entry_id, "time": utc_now().replace(tzinfo=None)})
    log.seal()

    status, output = log.verify()
    log.tamper("DELETE FROM audit_logs WHERE id = :id", id=entry_id)
    if log.engine.dialect.name in ("mysql", "mariadb"):
        log.tamper(f"ALTER TABLE audit_logs AUTO_INCREMENT = {ids[-1] + 1}")
    log.record()
    log.seal()

    assert status == 1
    assert f"problem: Entry {entry_id}: the service makes no entries with such ids" in output
    assert "audit log: 3 entries in 2 seals verified; 0 newer entries" in log.verify()[1]
    assert log.verify()[0] == 0


@pytest.mark.parametrize("details", ["[[]," * 1200 + "1" + "]" * 1200, '{"a":' * 5000 + "1" + "}" * 5000])
def test_deep_details_do_not_stop_the_seals(log: LogUnderTest, details: str) -> None:
    ids = log.record(2)
    columns = INSERT.replace("'null'", ":details")
    try:
        log.tamper(columns, id=ids[-1] + 1, time=utc_now().replace(tzinfo=None), details=details)
    except DBAPIError:
        pytest.skip("MariaDB rejects deep JSON texts")

    log.seal()

    assert log.verify()[0] == 0
    with Session(log.engine) as session:
        newest = service.entries(session, limit=1)[0]
    assert newest.details.keys() == {"unreadable"}
    log.tamper("UPDATE audit_logs SET details = 'null' WHERE id = :id", id=ids[-1] + 1)
    assert f"Entry {ids[-1] + 1}: changed after the seal" in log.verify()[1]


@pytest.mark.parametrize("column", ["entries", "previous", "signature", "key_id", "created_at", "last_id"])
def test_changed_seal_is_found(log: LogUnderTest, column: str) -> None:
    for _ in range(3):
        log.record(2)
        log.seal()
    log.tamper(
        f"UPDATE audit_seals SET {column} = (SELECT * FROM (SELECT {column} FROM audit_seals WHERE id = 1) one) "
        "WHERE id = 2"
    )

    status, output = log.verify()

    if column == "key_id":  # the only key signed all seals
        assert status == 0
    else:
        assert status == 1
        assert "Seal 2 of" in output


def test_missing_seal_is_found(log: LogUnderTest) -> None:
    for _ in range(3):
        log.record(2)
        log.seal()
    log.tamper("DELETE FROM audit_seals WHERE id = 2")

    status, output = log.verify()

    assert status == 1
    assert "problem: Seal 2 is missing before seal 3 of " in output


def test_cut_chain_is_found_by_the_copy(log: LogUnderTest) -> None:
    for _ in range(2):
        ids = log.record(2)
        log.seal()
    log.tamper("DELETE FROM audit_seals WHERE id = 2")
    log.tamper("DELETE FROM audit_logs WHERE id >= :id", id=ids[0])

    status, output = log.verify()
    resealed = log.run("audit-log", "seal")

    assert status == resealed.exit_code == 1
    for text in (output, resealed.output):
        assert "but the database ends with seal 1: the chain was cut. If a backup of the database was restored" in text
    assert log.run("audit-log", "seal", "--replace-copy").exit_code == 0
    assert log.verify()[0] == 0


def test_chain_that_was_made_again_is_found_by_the_copy(log: LogUnderTest) -> None:
    ids = log.record(2)
    log.seal()
    log.tamper("DELETE FROM audit_seals")
    log.tamper("UPDATE audit_logs SET action = 'test.forged' WHERE id = :id", id=ids[0])
    resealed = log.run("audit-log", "seal")

    status, output = log.verify()

    assert status == resealed.exit_code == 1
    assert "Seal 1 differs from its copy in the storage: the chain was replaced" in output


@pytest.mark.parametrize("minutes", [40, 100])
def test_stop_of_sealing_is_found(log: LogUnderTest, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    log.record()
    log.seal()
    (unsealed,) = log.record()
    later = utc_now() + timedelta(minutes=minutes)
    monkeypatch.setattr("app.audit.verification.utc_now", lambda: later)

    status, output = log.verify()

    assert status == 1
    assert f"problem: Entry {unsealed} of " in output
    assert ("problem: The newest seal is of " in output) == (minutes > 90)


def test_log_is_read_in_portions(log: LogUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.audit.seals.BATCH", 3)
    monkeypatch.setattr("app.audit.verification.BATCH", 2)
    monkeypatch.setattr("app.audit.verification.SEALS_PAGE", 2)
    ids = log.record(16)
    log.seal()
    log.tamper("UPDATE audit_logs SET action = 'test.forged' WHERE id = :id", id=ids[14])

    status, output = log.verify()

    assert status == 1
    assert f"problem: Entry {ids[14]}: changed after the seal (seal 5 of " in output
    assert "audit log: 16 entries in 6 seals verified; 0 newer entries" in output


def test_many_problems_are_counted(log: LogUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.audit.commands.MAX_LINES", 1)
    log.record(2)
    log.seal()
    log.tamper("UPDATE audit_logs SET action = 'test.forged'")
    log.tamper("DELETE FROM audit_seals")

    status, output = log.verify()

    assert status == 1
    assert output.count("problem: ") == 1
