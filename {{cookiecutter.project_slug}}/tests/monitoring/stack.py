"""The service under traffic, with somebody who watches: four web processes, a worker, beat, and Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from celery import Celery

from app import create_app
from tests.accounts.factory import PASSWORD
from tests.environments import OPERATOR, ROOT, basic_environment, production_environment
from tests.monitoring.scaling import faster, watching
from tests.running.conftest import GUNICORN
from tests.servers import RunningService, free_port
from tests.servers.prometheus import PrometheusServer, start_prometheus

CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
TIMES = 60  # faster than in production: an hour's window is a minute
WINDOW = "5s"  # what is left of five minutes

API = "/api/v1"
ANN = {"email": "ann@example.org", "password": PASSWORD}
HERE = {"latitude": 48.2, "longitude": 16.4}
SETTINGS = {
    "GUNICORN_WORKERS": "4",
    "CELERY_CONCURRENCY": "1",
    "ENABLE_DB_PROFILING": "true",
    "RATELIMIT_READ": "1000000/minute",
    "RATELIMIT_LIST": "1000000/minute",
    "RATELIMIT_LOCATIONS": "1000000/minute",
}


@dataclass(frozen=True)
class Watched:
    """The service's addresses, and the Prometheus that watches it."""

    web: str
    worker: str
    prometheus: PrometheusServer

    def scrape(self) -> str:
        """What web processes and worker show of themselves."""
        answers = [requests.get(f"{url}/metrics", headers=OPERATOR, timeout=10) for url in (self.web, self.worker)]
        return "\n".join(answer.text for answer in answers)


@contextmanager
def watched(
    database_url: str, redis_url: str, folder: Path, *, with_tasks: bool = True, alertmanager: int = 9
) -> Iterator[Watched]:
    """Start all of it, or leave out what runs tasks, and traffic that goes on until the end."""
    ports = {"service": free_port(), "worker": free_port()}
    settings = {"PORT": str(ports["service"]), "WORKER_METRICS_PORT": str(ports["worker"]), **SETTINGS}
    environment = production_environment(database_url, redis_url, **settings)
    addresses = {job: f"http://127.0.0.1:{port}" for job, port in ports.items()}
    with ExitStack() as running:
        web = running.enter_context(RunningService(GUNICORN, environment, folder=ROOT))
        prometheus = running.enter_context(start_prometheus(*_files(ports, folder, alertmanager)))
        if with_tasks:
            worker = _start_tasks(running, environment, folder)
            worker.wait_until_listening(ports["worker"], 60)
            running.enter_context(tasks(redis_url))
        web.wait_until_listening(ports["service"], 60)
        running.enter_context(traffic(addresses["service"]))
        yield Watched(addresses["service"], addresses["worker"], prometheus)


def _files(ports: Mapping[str, int], folder: Path, alertmanager: int) -> tuple[Any, Any]:
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return watching(configuration, ports, folder, alertmanager), faster(rules, TIMES)


def _start_tasks(running: ExitStack, environment: Mapping[str, str], folder: Path) -> RunningService:
    """Start a worker and beat; returns the worker."""
    (folder / "counts").mkdir()
    counting = {**environment, "PROMETHEUS_MULTIPROC_DIR": str(folder / "counts")}
    worker = ["celery", "--app", "tests.running.planted:celery", "worker"]
    beat = ["celery", "--app", "wsgi:celery", "beat", "--schedule", str(folder / "schedule")]
    running.enter_context(RunningService(beat, environment, folder=ROOT))
    return running.enter_context(RunningService(worker, counting, folder=ROOT))


@contextmanager
def again_and_again(act: Callable[[], None]) -> Iterator[None]:
    """Do that in a thread, ten times a second, until the end."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(0.1):
            act()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def traffic(url: str) -> Iterator[None]:
    """Somebody who signs in and asks for one thing after another, and somebody who guesses at passwords."""
    paths = ("/health", "/ready", "/nothing", f"{API}/users/me", f"{API}/locations", f"{API}/locations/active")
    session = requests.Session()
    session.post(f"{url}{API}/auth/register", json=ANN, timeout=30)
    token = session.post(f"{url}{API}/auth/login", json=ANN, timeout=30).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"

    def ask() -> None:
        for path in paths:
            session.get(url + path, timeout=30)
        session.post(f"{url}{API}/locations", json=HERE, timeout=30)
        requests.post(f"{url}{API}/auth/login", json={**ANN, "password": "a guess"}, timeout=30)

    with session, again_and_again(ask):
        yield


@contextmanager
def tasks(redis_url: str) -> Iterator[None]:
    """Tasks that end well, badly, and at the second try."""
    queue: Celery = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis_url)).extensions["celery"]
    queue.send_task("privacy.check_keys")  # beat would, within a week

    def send() -> None:
        for task in ("planted.work", "planted.fail", "planted.try_twice"):
            queue.send_task(task)

    with again_and_again(send):
        yield
    queue.close()
