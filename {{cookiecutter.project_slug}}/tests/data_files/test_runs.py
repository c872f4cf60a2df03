"""Each test has one result, even if messages are lost or repeated and workers die."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit.models import AuditLog
from app.data_files import runs
from app.data_files.models import DataFile, TestRun
from app.data_files.report import failed_report
from app.data_files.settings import DataFilesSettings
from app.data_files.tasks import requeue_stale, run_test
from app.platform.database.base import utc_now
from app.platform.storage import Storage, StorageUnavailable, storage_of
from app.platform.web.client_address import RequestOrigin
from tests.conftest import ReplaceComponent
from tests.data_files.factory import make_file, make_run
from tests.platform.storage.factory import unreachable_storage

pytestmark = [pytest.mark.req("A4"), pytest.mark.usefixtures("storage")]

STALE_AFTER = timedelta(seconds=60)
TOO_LONG = timedelta(seconds=61)


def reload(session: Session, run: TestRun) -> TestRun:
    """Return the run with the current values of its row."""
    session.rollback()
    session.refresh(run)
    return run


def execute(app: Flask, run: TestRun) -> None:
    with app.app_context():
        run_test(run.id)


def test_task_stores_report(app: Flask, session: Session, file: DataFile) -> None:
    run = make_run(session, file)

    execute(app, run)

    finished = reload(session, run)
    assert (finished.status, finished.attempts) == ("passed", 1)
    assert finished.report == {
        "rows": 2,
        "problem_count": 0,
        "columns": [
            {"name": "id", "type": "integer", "missing": 0},
            {"name": "name", "type": "text", "missing": 0},
            {"name": "born", "type": "time", "missing": 1},
        ],
        "problems": [],
    }
    assert finished.started_at is not None
    assert finished.finished_at is not None
    assert run.created_at <= finished.started_at <= finished.finished_at <= utc_now()


def test_malformed_file_fails_the_test_but_not_the_task(app: Flask, session: Session, user: User) -> None:
    run = make_run(session, make_file(app, session, user, b"[" * 5000, "deep.json"))

    execute(app, run)

    assert (reload(session, run).status, run.attempts) == ("failed", 1)


@pytest.mark.parametrize("deleted", ["row", "object"])
def test_deleted_file_fails_the_test(
    app: Flask, session: Session, storage: Storage, file: DataFile, deleted: str
) -> None:
    run = make_run(session, file)
    if deleted == "object":
        storage.delete(file.storage_key)
    else:
        session.delete(file)
        session.commit()

    execute(app, run)

    finished = reload(session, run)
    assert (finished.status, finished.data_file_id is None) == ("failed", deleted == "row")
    assert finished.report is not None
    assert finished.report["problems"] == [{"row": None, "message": "The file has been deleted."}]


def test_repeated_message_has_no_effect(app: Flask, session: Session, file: DataFile) -> None:
    run = make_run(session, file)
    execute(app, run)
    finished_at = reload(session, run).finished_at

    execute(app, run)

    assert (reload(session, run).attempts, run.finished_at) == (1, finished_at)


def test_one_of_many_workers_gets_the_lease(app: Flask, session: Session, file: DataFile) -> None:
    run_id = make_run(session, file).id
    engine = session.get_bind()

    def lease(_: int) -> runs.Lease | None:
        with Session(engine) as own:
            return runs.lease(own, run_id, STALE_AFTER)

    with ThreadPoolExecutor(8) as pool:
        leases = [found for found in pool.map(lease, range(8)) if found]

    assert len(leases) == 1
    assert leases[0].attempt == 1


def test_running_test_can_be_leased_only_when_stale(session: Session, file: DataFile) -> None:
    busy = make_run(session, file, status="running", attempts=1)
    stale = make_run(session, file, status="running", attempts=1, idle=TOO_LONG)

    assert runs.lease(session, busy.id, STALE_AFTER) is None
    lease = runs.lease(session, stale.id, STALE_AFTER)

    assert lease is not None
    assert lease.attempt == 2


def test_late_worker_changes_nothing(session: Session, file: DataFile) -> None:
    run = make_run(session, file)
    late = runs.lease(session, run.id, STALE_AFTER)
    assert late is not None
    session.execute(sa.update(TestRun).values(seen_at=utc_now() - TOO_LONG))
    second = runs.lease(session, run.id, STALE_AFTER)
    assert second is not None

    with pytest.raises(runs.LeaseLost):
        runs.record_heartbeat(session, late)
    with pytest.raises(runs.LeaseLost):
        runs.finish(session, late, failed_report("of the late worker"))
    runs.finish(session, second, failed_report("of the second worker"))
    with pytest.raises(runs.LeaseLost):
        runs.finish(session, second, failed_report("again"))

    finished = reload(session, run)
    assert finished.report is not None
    assert finished.report["problems"][0]["message"] == "of the second worker"


def test_heartbeat_keeps_the_lease(session: Session, file: DataFile) -> None:
    run = make_run(session, file)
    lease = runs.lease(session, run.id, STALE_AFTER)
    assert lease is not None
    session.execute(sa.update(TestRun).values(seen_at=utc_now() - TOO_LONG))

    runs.record_heartbeat(session, lease)

    assert runs.requeue_stale(session, STALE_AFTER) == []
    assert reload(session, run).seen_at > utc_now() - STALE_AFTER


def test_heartbeat_runs_while_the_file_is_read(app: Flask, session: Session, user: User) -> None:
    run = make_run(session, make_file(app, session, user, b"a\n" + b"1\n" * 200))
    lease = runs.lease(session, run.id, STALE_AFTER)
    assert lease is not None
    heartbeats = 0

    def heartbeat() -> None:
        nonlocal heartbeats
        heartbeats += 1

    runs.run(storage_of(app), lease, heartbeat)

    assert heartbeats > 100


def test_task_records_heartbeats(
    app: Flask, session: Session, file: DataFile, replace_component: ReplaceComponent
) -> None:
    run = make_run(session, file)
    replace_component(DataFilesSettings(TEST_RUN_STALE_SECONDS=0))

    execute(app, run)

    finished = reload(session, run)
    assert finished.started_at is not None
    assert finished.started_at < finished.seen_at


def test_only_stale_runs_are_requeued(app: Flask, session: Session, file: DataFile) -> None:
    lost = make_run(session, file, idle=TOO_LONG)
    abandoned = make_run(session, file, idle=TOO_LONG, status="running", attempts=4)
    make_run(session, file)
    make_run(session, file, status="running", attempts=1)
    make_run(session, file, idle=TOO_LONG, status="passed")
    make_run(session, file, idle=TOO_LONG, status="failed")

    first, second = runs.requeue_stale(session, STALE_AFTER), runs.requeue_stale(session, STALE_AFTER)

    assert sorted(first) == [lost.id, abandoned.id]
    assert second == []
    assert reload(session, abandoned).status == "pending"


def test_concurrent_requeues_return_different_runs(session: Session, file: DataFile) -> None:
    ids = [make_run(session, file, idle=TOO_LONG).id for _ in range(20)]
    engine = session.get_bind()

    def requeue(_: int) -> Sequence[int]:
        with Session(engine) as own:
            return runs.requeue_stale(own, STALE_AFTER)

    with ThreadPoolExecutor(4) as pool:
        requeued = [run_id for run_ids in pool.map(requeue, range(4)) for run_id in run_ids]

    assert sorted(requeued) == sorted(ids)


def test_run_fails_after_five_attempts(session: Session, file: DataFile) -> None:
    run = make_run(session, file, idle=TOO_LONG, status="running", attempts=5)

    assert runs.lease(session, run.id, STALE_AFTER) is None
    assert runs.requeue_stale(session, STALE_AFTER) == []

    finished = reload(session, run)
    assert finished.status == "failed"
    assert finished.report is not None
    assert finished.report["problems"][0]["message"] == "The test was started 5 times and never finished."


def test_run_is_repeated_after_storage_outage(
    app: Flask, session: Session, storage: Storage, file: DataFile, replace_component: ReplaceComponent
) -> None:
    run = make_run(session, file)
    replace_component(unreachable_storage())
    with pytest.raises(StorageUnavailable):
        execute(app, run)
    replace_component(storage)
    status = reload(session, run).status
    session.execute(sa.update(TestRun).values(seen_at=utc_now() - TOO_LONG))
    session.commit()

    execute(app, run)

    assert status == "running"
    assert (reload(session, run).status, run.attempts) == ("passed", 2)


def test_stale_run_is_requeued_after_lost_message(
    app: Flask, session: Session, file: DataFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(run_test, "try_delay", sent.append)
    run = make_run(session, file, idle=TOO_LONG)

    with app.app_context():
        requeue_stale()  # this message is lost
        requeue_stale()
    session.execute(sa.update(TestRun).values(seen_at=utc_now() - TOO_LONG))
    session.commit()
    with app.app_context():
        requeue_stale()

    assert sent == [run.id, run.id]


@pytest.mark.req("P4")
def test_start_of_a_test_is_audited(
    session: Session, file: DataFile, audit_entries: Callable[[], Sequence[AuditLog]]
) -> None:
    run = runs.create(session, file, RequestOrigin("192.0.2.1", "a-request"), max_unfinished=1)

    (entry,) = audit_entries()
    assert (entry.action, entry.actor_id, entry.target_id) == ("test.started", file.user_id, str(run.id))
