"""Signatures of seals: no seal confirms a forged one, and a change of the key keeps those of the earlier key."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.audit import seals, tasks
from app.audit.models import AuditLog, AuditSeal
from app.audit.seals import SealSigner
from app.platform.database.base import utc_now
from tests.audit.conftest import LogUnderTest
from tests.environments import SECRETS
from tests.log_capture import captured_log

pytestmark = [pytest.mark.req("P4"), pytest.mark.fault("F58"), pytest.mark.database]

SIGNER = SealSigner(["a secret of the test"])
NOW = timedelta(0)
OTHER_KEY = "Kp3v8sWq1Zt6yXn4Rb7mLd0cHf5gJa2e"
KEY_ID = SealSigner([SECRETS["MASTER_ENCRYPTION_KEY"]]).current
NEWEST = {"MASTER_ENCRYPTION_KEY": OTHER_KEY}
ROTATED = {**NEWEST, "LEGACY_ENCRYPTION_KEYS": SECRETS["MASTER_ENCRYPTION_KEY"]}


def ranges(log: LogUnderTest) -> list[tuple[int, int]]:
    """Return the last entry of each seal, and how many entries it lists."""
    with Session(log.engine) as session:
        return [(row.last_id, len(row.entries.split())) for row in session.execute(seals.seal_query())]


def test_seals_of_an_earlier_key_stay_verifiable(log: LogUnderTest) -> None:
    ids = log.record(2)
    log.seal()
    log.record(2)

    log.seal(**ROTATED)

    assert log.verify(**ROTATED)[0] == 0
    assert log.verify(**NEWEST)[0] == 0  # the signature of the second seal confirms the first
    log.tamper("UPDATE audit_logs SET action = 'test.forged' WHERE id = :id", id=ids[0])
    assert f"Entry {ids[0]}: changed after the seal" in log.verify(**NEWEST)[1]


def test_seals_without_a_known_key_are_no_proof(log: LogUnderTest) -> None:
    log.record(2)
    log.seal()

    status, output = log.verify(**NEWEST)

    assert status == 1
    assert "No signature confirms the newest seals: its key" in output
    assert "If that was a key of this service, add its secret to LEGACY_ENCRYPTION_KEYS" in output


def forge(engine: sa.Engine, seal_id: int, key_id: str, **values: object) -> None:
    """Insert a seal that follows the newest one, with a wrong signature."""
    with Session(engine) as session:
        newest = seals.newest_link(session)
        columns = {"created_at": utc_now(), "version": seals.VERSION, "last_id": newest.last_id, "entries": ""}
        signature = {"previous": newest.hash, "key_id": key_id, "signature": "forged"}
        session.add(AuditSeal(id=seal_id, **{**columns, **signature, **values}))
        session.commit()


@pytest.mark.parametrize(
    ("seal_id", "key_id", "problem"),
    [
        (2, "deadbeef", "Nothing confirms seal 2: its key deadbeef is not in MASTER_ENCRYPTION_KEY"),
        (2, KEY_ID, "Seal 2 was forged or changed: its signature is wrong"),
        (2**63 - 1, "deadbeef", f"Nothing confirms seal {2**63 - 1}: its key"),
    ],
    ids=["unknown key", "known key", "largest id"],
)
def test_no_seal_confirms_a_forged_one(log: LogUnderTest, seal_id: int, key_id: str, problem: str) -> None:
    log.record(2)
    log.seal()
    forge(log.engine, seal_id, key_id)
    log.record()

    result = log.run("audit-log", "seal")

    assert (result.exit_code, problem in result.output, "Traceback" in result.output) == (1, True, False)
    assert len(ranges(log)) == 2
    assert log.verify()[0] == 1
    log.tamper("DELETE FROM audit_seals WHERE id = :id", id=seal_id)
    log.seal()
    assert log.verify()[0] == 0


def test_history_that_was_made_again_without_a_key_is_not_confirmed(log: LogUnderTest, tmp_path: Path) -> None:
    ids = log.record(3)
    log.seal()
    log.tamper("UPDATE audit_logs SET action = 'test.forged' WHERE id = :id", id=ids[0])
    log.tamper("DELETE FROM audit_seals")
    with Session(log.engine) as session:
        rows = session.execute(seals.entry_query().order_by(AuditLog.id)).all()
    entries = " ".join(f"{row.id}:{seals.entry_hash(row, seals.VERSION)}" for row in rows)
    forge(log.engine, 1, "deadbeef", last_id=ids[-1], entries=entries)
    (tmp_path / "storage" / "audit-log" / "newest-seal.json").unlink()
    log.record()

    assert log.run("audit-log", "seal").exit_code == 1
    assert log.verify()[0] == 1


def test_task_reports_a_forged_seal(log: LogUnderTest) -> None:
    log.record()
    log.seal()
    forge(log.engine, 2, "deadbeef")
    with log.app().app_context(), captured_log() as lines:
        tasks.seal()

    assert "the audit log may have been changed: Nothing confirms seal 2" in lines.getvalue()


def test_seal_with_an_unusual_id_is_found(log: LogUnderTest) -> None:
    log.record()
    log.seal()
    with log.unprotected():
        for seal_id in (0, -7):
            forge(log.engine, seal_id, "deadbeef", last_id=2**63 - 1)
    log.record()
    log.seal()

    status, output = log.verify()

    assert (status, output.count("was forged: the service makes no seal with this id")) == (1, 2)
    assert "2 entries in 2 seals verified" in output


def test_next_seal_after_a_rotation_confirms_the_earlier_key(log: LogUnderTest) -> None:
    log.record()
    log.seal()

    log.seal(**ROTATED)

    assert [count for _, count in ranges(log)] == [1, 0]
    assert log.verify(**NEWEST)[0] == 0  # the seal and its copy


def test_rotation_without_the_earlier_key_needs_it_back(log: LogUnderTest) -> None:
    log.record()
    log.seal()

    stopped = log.run("audit-log", "seal", **NEWEST)
    copy_problem = log.verify(**NEWEST)[1]
    log.seal(**ROTATED)

    assert (stopped.exit_code, "add its secret to LEGACY_ENCRYPTION_KEYS" in stopped.output) == (1, True)
    assert "The copy of the newest seal in the storage (audit-log/newest-seal.json) cannot be checked" in copy_problem
    assert "was changed" not in copy_problem
    assert log.verify(**NEWEST)[0] == 0


def test_seals_of_a_lost_key_are_accepted_by_its_id(log: LogUnderTest) -> None:
    log.record()
    log.seal()

    wrong = log.run("audit-log", "seal", "--replace-copy", "--accept-key", "deadbeef", **NEWEST)
    right = log.run("audit-log", "seal", "--replace-copy", "--accept-key", KEY_ID, **NEWEST)

    assert (wrong.exit_code, right.exit_code) == (1, 0), right.output
    assert log.verify(**NEWEST)[0] == 0
    with Session(log.engine) as session:
        actions = session.scalars(sa.select(AuditLog.action).order_by(AuditLog.id)).all()
    assert actions == ["test.done", "audit.copy_replaced", "audit.key_accepted"]


def test_signature_needs_the_key_and_not_only_the_database(log: LogUnderTest) -> None:
    log.record(2)
    with Session(log.engine) as session:
        assert list(seals.seal(session, SIGNER, NOW)) == [2]
        seal = session.get_one(AuditSeal, 1)
    log.tamper("UPDATE audit_seals SET key_id = :key_id", key_id=KEY_ID)

    assert f"Seal {seal.id} of " in log.verify()[1]
