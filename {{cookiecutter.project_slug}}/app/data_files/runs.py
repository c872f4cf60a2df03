"""Rules and queries of test runs: one worker at a time runs a test; if it dies, another worker takes over.

The row decides, not the queue: a message that is delivered twice has no effect, and a run whose message is lost or
whose worker dies stops sending heartbeats and is requeued.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.audit import service as audit
from app.data_files.models import DataFile, TestRun
from app.data_files.reading import Heartbeat
from app.data_files.report import Report, failed_report, validate_file
from app.platform.api.pagination import CursorValue, newest_first
from app.platform.database.base import rows_changed, utc_now
from app.platform.personal_data import delete_in_portions
from app.platform.storage import Storage
from app.platform.web.client_address import RequestOrigin

MAX_ATTEMPTS = 5
REQUEUE_LIMIT = 100  # runs that one call requeues
FILE_DELETED = "The file has been deleted."
TOO_MANY_ATTEMPTS = f"The test was started {MAX_ATTEMPTS} times and never finished."
UNFINISHED = ("pending", "running")


class TooManyUnfinished(Exception):
    """The user has as many unfinished tests as one user may have."""


class LeaseLost(Exception):
    """Another worker leased the run because the heartbeat of this one was stale, or the run was deleted."""


@dataclass(frozen=True)
class Lease:
    """The right to run a test and to finish it. The file's fields are None if the file was deleted."""

    run_id: int
    attempt: int
    storage_key: str | None
    media_type: str | None


def create(session: Session, file: DataFile, origin: RequestOrigin, max_unfinished: int) -> TestRun:
    """Create a pending run; the caller then sends the task. Raises `TooManyUnfinished`."""
    accounts.lock(session, file.user_id)  # concurrent requests of the user are counted one after the other
    unfinished = sa.select(TestRun.id).where(TestRun.user_id == file.user_id, TestRun.status.in_(UNFINISHED))
    if len(session.scalars(unfinished.limit(max_unfinished)).all()) >= max_unfinished:
        session.rollback()
        raise TooManyUnfinished
    run = TestRun(user_id=file.user_id, data_file_id=file.id, file_name=file.name)
    session.add(run)
    session.flush()
    target = ("test", run.id)
    audit.record(session, "test.started", actor_id=run.user_id, target=target, origin=origin, data_file_id=file.id)
    session.commit()
    return run


def history(session: Session, user_id: int, limit: int, cursor: CursorValue | None) -> Sequence[TestRun]:
    """Return up to `limit` + 1 runs of a user after the cursor, newest first."""
    query = sa.select(TestRun).where(TestRun.user_id == user_id)
    return session.scalars(newest_first(query, TestRun.created_at, TestRun.id, limit, cursor)).all()


def find(session: Session, user_id: int, run_id: int) -> TestRun | None:
    """Return the run with this id, or None if the user has no such run."""
    return session.scalar(sa.select(TestRun).where(TestRun.id == run_id, TestRun.user_id == user_id))


def lease(session: Session, run_id: int, stale_after: timedelta) -> Lease | None:
    """Lease a run that is pending, or that had no heartbeat for `stale_after`; None if there is nothing to do."""
    time = utc_now()
    stale = sa.and_(TestRun.status == "running", TestRun.seen_at < time - stale_after)
    available = sa.update(TestRun).where(
        TestRun.id == run_id,
        sa.or_(TestRun.status == "pending", stale),
        TestRun.attempts < MAX_ATTEMPTS,
    )
    values = {"status": "running", "attempts": TestRun.attempts + 1, "started_at": time, "seen_at": time}
    if not rows_changed(session, available.values(values)):
        session.rollback()
        return None
    query = sa.select(TestRun.attempts, DataFile.storage_key, DataFile.media_type).join_from(
        TestRun, DataFile, TestRun.data_file_id == DataFile.id, isouter=True
    )
    row = session.execute(query.where(TestRun.id == run_id)).one()
    session.commit()
    return Lease(run_id, *row)


def run(storage: Storage, lease: Lease, heartbeat: Heartbeat) -> Report:
    """Test the file and call `heartbeat` at every read; raises `StorageUnavailable` and any error of `heartbeat`."""
    if lease.storage_key is None or lease.media_type is None:
        return failed_report(FILE_DELETED)
    try:
        with storage.open(lease.storage_key) as stream:
            return validate_file(stream, lease.media_type, heartbeat)
    except FileNotFoundError:
        return failed_report(FILE_DELETED)


def record_heartbeat(session: Session, lease: Lease) -> None:
    """Record that the worker is alive; raises `LeaseLost`."""
    _update_leased(session, lease, seen_at=utc_now())


def finish(session: Session, lease: Lease, report: Report) -> None:
    """Store the result of a run; raises `LeaseLost`, so that a late worker cannot store a second result."""
    status = "passed" if report.passed else "failed"
    _update_leased(session, lease, status=status, report=report.as_json(), finished_at=utc_now())


def requeue_stale(session: Session, stale_after: timedelta) -> Sequence[int]:
    """Make runs without a heartbeat for `stale_after` pending and return their ids, for the caller to send.

    Runs that were started `MAX_ATTEMPTS` times fail instead.
    """
    stale = sa.and_(TestRun.status.in_(UNFINISHED), TestRun.seen_at < utc_now() - stale_after)
    failed = {"status": "failed", "report": failed_report(TOO_MANY_ATTEMPTS).as_json(), "finished_at": utc_now()}
    session.execute(sa.update(TestRun).where(stale, TestRun.attempts >= MAX_ATTEMPTS).values(failed))
    ids = session.scalars(sa.select(TestRun.id).where(stale).order_by(TestRun.seen_at).limit(REQUEUE_LIMIT)).all()
    pending = {"status": "pending", "seen_at": utc_now()}
    updates = [(id_, sa.update(TestRun).where(TestRun.id == id_, stale).values(pending)) for id_ in ids]
    # One update per run: if two processes do this at once, each run is requeued by one of them.
    requeued = [id_ for id_, update in updates if rows_changed(session, update)]
    session.commit()
    return requeued


def delete_all(session: Session, user_id: int) -> Iterator[None]:
    """Delete a user's runs in portions; yields after each."""
    for _ in delete_in_portions(session, TestRun, user_id, (TestRun.created_at, TestRun.id)):
        yield


def _update_leased(session: Session, lease: Lease, **values: object) -> None:
    leased = sa.update(TestRun).where(
        TestRun.id == lease.run_id, TestRun.status == "running", TestRun.attempts == lease.attempt
    )
    changed = rows_changed(session, leased.values(values))
    session.commit()
    if not changed:
        raise LeaseLost
