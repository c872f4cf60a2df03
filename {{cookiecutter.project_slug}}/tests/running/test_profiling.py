"""Profiles of a running service, of which the hottest function is planted."""

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

HOT = "hot_loop  tests/running/planted.py:"


@contextmanager
def again_and_again(*works: Callable[[], object]) -> Iterator[None]:
    """Do these things meanwhile."""
    over = threading.Event()

    def repeat(work: Callable[[], object]) -> None:
        while not over.is_set():
            work()
            time.sleep(0.05)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


def hottest(report: str, role: str) -> str:
    """The first function that a report tells of."""
    _, _, rest = report.partition(f"of a {role} process")
    _, _, lines = rest.partition("Most of their own used:\n")
    return lines.partition("\n")[0]


@pytest.mark.req("O7")
def test_the_hottest_function_of_the_web_and_of_the_tasks_tops_their_reports(
    start_web: StartWeb, redis: RedisServer, migrated_database: str, tmp_path: Path
) -> None:
    settings = {"STORAGE_URL": tmp_path.as_uri(), "WORKER_METRICS_PORT": "0"}
    environment = production_environment(migrated_database, redis.url, **settings)
    web = start_web([*GUNICORN, "tests.running.planted:app"], GUNICORN_WORKERS="1", **settings)
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis.url))
    celery: Celery = app.extensions["celery"]
    start = ["celery", "--app", "tests.running.planted:celery", "worker", "--concurrency", "1", "--loglevel", "INFO"]

    with RunningService(start, environment, folder=ROOT) as worker:
        worker.wait_until_printed("ready.", 60)
        with again_and_again(lambda: web.get("/planted/burn"), lambda: celery.send_task("planted.burn")):
            command = RunningService(["flask", "--app", "wsgi", "profile", "--seconds", "3"], environment, folder=ROOT)
            with command as asked:
                assert asked.wait(90) == 0, asked.output()
                report = asked.output()
        logged = [line for line in worker.lines() if line["message"] == "profile"]
    celery.close()

    assert HOT in hottest(report, "web"), report
    assert HOT in hottest(report, "worker"), report
    assert len(logged) == 1
    assert HOT in logged[0]["functions"][0]
    pages = list(tmp_path.glob("profiles/*.html"))
    assert len(pages) == 2
    assert all("hot_loop" in page.read_text() for page in pages)
