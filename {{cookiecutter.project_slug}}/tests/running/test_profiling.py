"""Profiles of running processes show the hottest function."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery

from app import create_app
from tests.environments import ROOT, basic_environment, production_environment
from tests.running.conftest import GUNICORN, StartWeb
from tests.servers import RedisServer, RunningService

pytestmark = pytest.mark.running

HOT = "hot_loop  tests/running/fault_app.py:"


@contextmanager
def repeat(*functions: Callable[[], object]) -> Iterator[None]:
    """Call the functions repeatedly during the `with` block."""
    done = threading.Event()

    def call(work: Callable[[], object]) -> None:
        while not done.is_set():
            work()
            time.sleep(0.05)

    threads = [threading.Thread(target=call, args=(work,)) for work in functions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def hottest(report: str, role: str) -> str:
    """Return the first function of a report."""
    _, _, rest = report.partition(f"of a {role} process")
    _, _, lines = rest.partition("Functions by their own CPU time:\n")
    return lines.partition("\n")[0]


@pytest.mark.req("O7")
def test_profile_reports_start_with_the_hottest_function(
    start_web: StartWeb, redis: RedisServer, migrated_database: str, tmp_path: Path
) -> None:
    settings = {"STORAGE_URL": tmp_path.as_uri(), "WORKER_METRICS_PORT": "0"}
    environment = production_environment(migrated_database, redis.url, **settings)
    web = start_web([*GUNICORN, "tests.running.fault_app:app"], GUNICORN_WORKERS="1", **settings)
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis.url))
    celery: Celery = app.extensions["celery"]
    start = ["celery", "--app", "tests.running.fault_app:celery", "worker", "--concurrency", "1", "--loglevel", "INFO"]

    with RunningService(start, environment, folder=ROOT) as worker:
        worker.wait_until_printed("ready.", 300)
        with repeat(lambda: web.get("/faults/burn"), lambda: celery.send_task("fault.burn")):
            command = RunningService(["flask", "--app", "wsgi", "profile", "--seconds", "3"], environment, folder=ROOT)
            with command as profile:
                assert profile.wait(600) == 0, profile.output()
                report = profile.output()
        logged = [line for line in worker.lines() if line["message"] == "profile"]
    celery.close()

    assert HOT in hottest(report, "web"), report
    assert HOT in hottest(report, "worker"), report
    assert len(logged) == 1
    assert HOT in logged[0]["functions"][0]
    pages = list(tmp_path.glob("profiles/*.html"))
    assert len(pages) == 2
    assert all("hot_loop" in page.read_text() for page in pages)
