"""A test is run once, whatever the queue and the workers do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit.models import AuditLog
from app.audit.service import Origin
from app.data_files import runs
from app.data_files.models import DataFile, TestRun
from app.data_files.report import refusal
from app.data_files.tasks import resend_stalled, run_test
from app.database import now
from app.settings import settings_of
from app.storage import Storage, StorageUnavailable
from tests.data_files.factory import make_file, make_run, unreachable_storage

pytestmark = [pytest.mark.req("A4"), pytest.mark.usefixtures("storage")]

PATIENCE = timedelta(seconds=60)
LONG = timedelta(seconds=61)


@pytest.fixture
def file(app: Flask, session: Session, user: User) -> DataFile:
    return make_file(app, session, user)


def again(session: Session, run: TestRun) -> TestRun:
    """The row as it is now."""
    session.rollback()
    session.refresh(run)
    return run


def execute(app: Flask, run: TestRun) -> None:
    with app.app_context():
        run_test(run.id)


def test_a_test_is_run_and_its_report_kept(app: Flask, session: Session, file: DataFile) -> None:
    run = make_run(session, file)

    execute(app, run)

    done = again(session, run)
    assert (done.status, done.attempts) == ("passed", 1)
    assert done.report == {
        "rows": 2,
        "problem_count": 0,
        "columns": [
            {"name": "id", "type": "integer", "missing": 0},
            {"name": "name", "type": "text", "missing": 0},
            {"name": "born", "type": "time", "missing": 1},
        ],
        "problems": [],
    }
    assert done.started_at is not None
    assert done.finished_at is not None
    assert run.created_at <= done.started_at <= done.finished_at <= now()


def test_a_bad_file_fails_the_test_and_not_the_task(app: Flask, session: Session, user: User) -> None:
    run = make_run(session, make_file(app, session, user, b"[" * 5000, "deep.json"))

    execute(app, run)

    assert (again(session, run).status, run.attempts) == ("failed", 1)


@pytest.mark.parametrize("gone", ["row", "object"])
def test_a_file_that_is_gone_fails_the_test(
    app: Flask, session: Session, storage: Storage, file: DataFile, gone: str
) -> None:
    run = make_run(session, file)
    if gone == "object":
        storage.delete(file.storage_key)
    else:
        session.delete(file)
        session.commit()

    execute(app, run)

    done = again(session, run)
    assert (done.status, done.data_file_id is None) == ("failed", gone == "row")
    assert done.report is not None
    assert done.report["problems"] == [{"row": None, "message": "The file has been deleted."}]


def test_a_message_that_comes_twice_finds_nothing_to_do(app: Flask, session: Session, file: DataFile) -> None:
    run = make_run(session, file)
    execute(app, run)
    finished_at = again(session, run).finished_at

    execute(app, run)

    assert (again(session, run).attempts, run.finished_at) == (1, finished_at)


def test_of_many_workers_one_gets_the_test(app: Flask, session: Session, file: DataFile) -> None:
    run_id = make_run(session, file).id
    engine = session.get_bind()

    def claim(_: int) -> runs.Claim | None:
        with Session(engine) as own:
            return runs.claim(own, run_id, PATIENCE)

    with ThreadPoolExecutor(8) as pool:
        claims = [claimed for claimed in pool.map(claim, range(8)) if claimed]

    assert len(claims) == 1
    assert claims[0].attempt == 1


def test_a_test_under_way_is_nobody_else_s_until_it_gives_no_sign(session: Session, file: DataFile) -> None:
    busy = make_run(session, file, status="running", attempts=1)
    silent = make_run(session, file, status="running", attempts=1, silent_for=LONG)

    assert runs.claim(session, busy.id, PATIENCE) is None
    claimed = runs.claim(session, silent.id, PATIENCE)

    assert claimed is not None
    assert claimed.attempt == 2


def test_a_worker_that_comes_back_late_changes_nothing(session: Session, file: DataFile) -> None:
    run = make_run(session, file)
    late = runs.claim(session, run.id, PATIENCE)
    assert late is not None
    session.execute(sa.update(TestRun).values(seen_at=now() - LONG))
    second = runs.claim(session, run.id, PATIENCE)
    assert second is not None

    with pytest.raises(runs.Superseded):
        runs.give_sign(session, late)
    with pytest.raises(runs.Superseded):
        runs.end(session, late, refusal("of the late one"))
    runs.end(session, second, refusal("of the second"))
    with pytest.raises(runs.Superseded):
        runs.end(session, second, refusal("once more"))

    done = again(session, run)
    assert done.report is not None
    assert done.report["problems"][0]["message"] == "of the second"


def test_a_sign_keeps_a_test_from_being_taken(session: Session, file: DataFile) -> None:
    run = make_run(session, file)
    claim = runs.claim(session, run.id, PATIENCE)
    assert claim is not None
    session.execute(sa.update(TestRun).values(seen_at=now() - LONG))

    runs.give_sign(session, claim)

    assert runs.take_back(session, PATIENCE) == []
    assert again(session, run).seen_at > now() - PATIENCE


def test_signs_are_given_while_a_file_is_read(app: Flask, session: Session, user: User) -> None:
    run = make_run(session, make_file(app, session, user, b"a\n" + b"1\n" * 200))
    claim = runs.claim(session, run.id, PATIENCE)
    assert claim is not None
    signs = 0

    def sign() -> None:
        nonlocal signs
        signs += 1

    runs.run(app.extensions["storage"], claim, sign)

    assert signs > 100


def test_the_task_gives_signs_while_it_works(
    app: Flask, session: Session, file: DataFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(session, file)
    monkeypatch.setitem(app.extensions, "settings", replace(settings_of(app), TEST_RUN_STALE_SECONDS=0))

    execute(app, run)

    done = again(session, run)
    assert done.started_at is not None
    assert done.started_at < done.seen_at


def test_what_gives_no_sign_is_sent_again_and_nothing_else(app: Flask, session: Session, file: DataFile) -> None:
    lost = make_run(session, file, silent_for=LONG)
    abandoned = make_run(session, file, silent_for=LONG, status="running", attempts=4)
    make_run(session, file)
    make_run(session, file, status="running", attempts=1)
    make_run(session, file, silent_for=LONG, status="passed")
    make_run(session, file, silent_for=LONG, status="failed")

    first, second = runs.take_back(session, PATIENCE), runs.take_back(session, PATIENCE)

    assert sorted(first) == [lost.id, abandoned.id]
    assert second == []
    assert again(session, abandoned).status == "pending"


def test_two_who_send_again_at_a_time_do_not_send_the_same(session: Session, file: DataFile) -> None:
    made = [make_run(session, file, silent_for=LONG).id for _ in range(20)]
    engine = session.get_bind()

    def take(_: int) -> Sequence[int]:
        with Session(engine) as own:
            return runs.take_back(own, PATIENCE)

    with ThreadPoolExecutor(4) as pool:
        taken = [run_id for ids in pool.map(take, range(4)) for run_id in ids]

    assert sorted(taken) == sorted(made)


def test_after_five_attempts_a_test_has_failed(app: Flask, session: Session, file: DataFile) -> None:
    run = make_run(session, file, silent_for=LONG, status="running", attempts=5)

    assert runs.claim(session, run.id, PATIENCE) is None
    assert runs.take_back(session, PATIENCE) == []

    done = again(session, run)
    assert done.status == "failed"
    assert done.report is not None
    assert done.report["problems"][0]["message"] == "The test was begun 5 times and never came to its end."


def test_a_storage_that_is_away_leaves_the_test_for_later(
    app: Flask, session: Session, file: DataFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = unreachable_storage()
    run = make_run(session, file)
    with monkeypatch.context() as while_gone:
        while_gone.setitem(app.extensions, "storage", gone)
        with pytest.raises(StorageUnavailable):
            execute(app, run)
    status = again(session, run).status
    session.execute(sa.update(TestRun).values(seen_at=now() - LONG))
    session.commit()

    execute(app, run)

    assert status == "running"
    assert (again(session, run).status, run.attempts) == ("passed", 2)


def test_stalled_tests_are_sent_and_a_queue_that_is_away_loses_none(
    app: Flask, session: Session, file: DataFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(run_test, "send_if_possible", sent.append)
    run = make_run(session, file, silent_for=LONG)

    with app.app_context():
        resend_stalled()  # this message gets lost
        resend_stalled()
    session.execute(sa.update(TestRun).values(seen_at=now() - LONG))
    session.commit()
    with app.app_context():
        resend_stalled()

    assert sent == [run.id, run.id]


@pytest.mark.req("P4")
def test_beginning_a_test_is_told_to_the_auditor(
    session: Session, file: DataFile, audited: Callable[[], Sequence[AuditLog]]
) -> None:
    run = runs.begin(session, file, Origin("192.0.2.1", "a-request"))

    (entry,) = audited()
    assert (entry.action, entry.actor_id, entry.target_id) == ("test.begun", file.user_id, str(run.id))
