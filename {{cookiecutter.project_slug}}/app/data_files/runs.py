"""Rules and queries of tests: how one is begun, run by one worker at a time, taken from one that died, and ended.

Whatever the queue does, the row decides: a message that comes twice finds nothing to do, and a run whose message was
lost, or whose worker died, gives no sign any more and is sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.data_files.models import DataFile, TestRun
from app.data_files.reading import Sign
from app.data_files.report import Report, examine, refusal
from app.data_files.service import Cursor
from app.database import now
from app.pagination import before
from app.storage import Storage

MOST_ATTEMPTS = 5
SWEEP = 100  # runs that are sent again at a time
GONE = "The file has been deleted."
GIVEN_UP = f"The test was begun {MOST_ATTEMPTS} times and never came to its end."
OPEN = ("pending", "running")


class Superseded(Exception):
    """The run was given to somebody else, who thought that this worker had died; or it is gone."""


@dataclass(frozen=True)
class Claim:
    """The right to run a test and to end it, and the file to test; no file if it was deleted."""

    run_id: int
    attempt: int
    storage_key: str | None
    media_type: str | None


def begin(session: Session, file: DataFile, origin: audit.Origin) -> TestRun:
    """Have a file tested: keep that it is to be done. Whoever calls this then sends the task."""
    run = TestRun(user_id=file.user_id, data_file_id=file.id, file_name=file.name)
    session.add(run)
    session.flush()
    target = ("test", run.id)
    audit.record(session, "test.begun", actor_id=run.user_id, target=target, origin=origin, data_file_id=file.id)
    session.commit()
    return run


def history(session: Session, user_id: int, limit: int, cursor: Cursor | None) -> Sequence[TestRun]:
    """Up to `limit` + 1 tests of a user, newest first, from the cursor on."""
    query = sa.select(TestRun).where(TestRun.user_id == user_id)
    if cursor:
        query = query.where(before(TestRun.created_at, TestRun.id, cursor))
    return session.scalars(query.order_by(TestRun.created_at.desc(), TestRun.id.desc()).limit(limit + 1)).all()


def find(session: Session, user_id: int, run_id: int) -> TestRun | None:
    """The test with this id, if it is the user's."""
    return session.scalar(sa.select(TestRun).where(TestRun.id == run_id, TestRun.user_id == user_id))


def claim(session: Session, run_id: int, patience: timedelta) -> Claim | None:
    """The right to run a test that waits, or that gave no sign for so long; None when there is nothing to do."""
    time = now()
    silent = sa.and_(TestRun.status == "running", TestRun.seen_at < time - patience)
    free = sa.update(TestRun).where(
        TestRun.id == run_id,
        sa.or_(TestRun.status == "pending", silent),
        TestRun.attempts < MOST_ATTEMPTS,
    )
    values = {"status": "running", "attempts": TestRun.attempts + 1, "started_at": time, "seen_at": time}
    if not _rows(session, free.values(values)):
        session.rollback()
        return None
    file = sa.select(TestRun.attempts, DataFile.storage_key, DataFile.media_type).join_from(
        TestRun, DataFile, TestRun.data_file_id == DataFile.id, isouter=True
    )
    claimed = session.execute(file.where(TestRun.id == run_id)).one()
    session.commit()
    return Claim(run_id, *claimed)


def run(storage: Storage, claim: Claim, sign: Sign) -> Report:
    """Test the file; `sign` is called all the while. Raises `StorageUnavailable`, and what `sign` raises."""
    if claim.storage_key is None or claim.media_type is None:
        return refusal(GONE)
    try:
        with storage.open(claim.storage_key) as stream:
            return examine(stream, claim.media_type, sign)
    except FileNotFoundError:
        return refusal(GONE)


def give_sign(session: Session, claim: Claim) -> None:
    """Show that the worker lives; raises `Superseded`."""
    _change(session, claim, seen_at=now())


def end(session: Session, claim: Claim, report: Report) -> None:
    """Keep what came of a test; raises `Superseded`, so that there is one result whoever comes late."""
    status = "passed" if report.passed else "failed"
    _change(session, claim, status=status, report=report.as_json(), finished_at=now())


def take_back(session: Session, patience: timedelta) -> Sequence[int]:
    """The ids of tests to send again: nobody has given a sign of them for so long.

    Those that were begun `MOST_ATTEMPTS` times are ended instead.
    """
    silent = sa.and_(TestRun.status.in_(OPEN), TestRun.seen_at < now() - patience)
    given_up = {"status": "failed", "report": refusal(GIVEN_UP).as_json(), "finished_at": now()}
    session.execute(sa.update(TestRun).where(silent, TestRun.attempts >= MOST_ATTEMPTS).values(given_up))
    ids = session.scalars(sa.select(TestRun.id).where(silent).order_by(TestRun.seen_at).limit(SWEEP)).all()
    again = {"status": "pending", "seen_at": now()}
    # One by one, so that of two who do this at a time, each gets its own.
    taken = [id_ for id_ in ids if _rows(session, sa.update(TestRun).where(TestRun.id == id_, silent).values(again))]
    session.commit()
    return taken


def _change(session: Session, claim: Claim, **values: object) -> None:
    mine = sa.update(TestRun).where(
        TestRun.id == claim.run_id, TestRun.status == "running", TestRun.attempts == claim.attempt
    )
    changed = _rows(session, mine.values(values))
    session.commit()
    if not changed:
        raise Superseded


def _rows(session: Session, update: sa.Update) -> int:
    """How many rows an update changed."""
    return session.execute(update).rowcount  # type: ignore[attr-defined, no-any-return] # of a cursor's result
