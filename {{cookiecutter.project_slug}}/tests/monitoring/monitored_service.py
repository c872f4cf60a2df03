"""The service under traffic and monitored: four web processes, a worker, beat, and Prometheus."""

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
from app.features import FEATURES
from tests.accounts.factory import PASSWORD
from tests.environments import OPERATOR, ROOT, basic_environment, production_environment
from tests.monitoring.local_configuration import accelerate_rules, local_prometheus
from tests.running.conftest import GUNICORN
from tests.servers import RunningService, free_port
from tests.servers.prometheus import PrometheusServer, start_prometheus

CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
FACTOR = 60  # rules are this much faster than in production: a window of an hour is a minute
WINDOW = "5s"  # the window of five minutes

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
class MonitoredService:
    """The URLs of the service, and its Prometheus."""

    web: str
    worker: str
    prometheus: PrometheusServer

    def scrape(self) -> str:
        """The metrics of web processes and worker."""
        responses = [requests.get(f"{url}/metrics", headers=OPERATOR, timeout=60) for url in (self.web, self.worker)]
        return "\n".join(response.text for response in responses)


@contextmanager
def monitored_service(
    database_url: str, redis_url: str, folder: Path, *, with_tasks: bool = True, alertmanager_port: int = 9
) -> Iterator[MonitoredService]:
    """Start the service, Prometheus and traffic; without tasks, neither worker nor beat."""
    ports = {"service": free_port(), "worker": free_port()}
    settings = {"PORT": str(ports["service"]), "WORKER_METRICS_PORT": str(ports["worker"]), **SETTINGS}
    environment = production_environment(database_url, redis_url, **settings)
    urls = {job: f"http://127.0.0.1:{port}" for job, port in ports.items()}
    with ExitStack() as running:
        web = running.enter_context(RunningService(GUNICORN, environment, folder=ROOT))
        prometheus = running.enter_context(start_prometheus(*_configuration(ports, folder, alertmanager_port)))
        if with_tasks:
            worker = _start_worker_and_beat(running, environment, folder)
            worker.wait_until_listening(ports["worker"], 240)
            running.enter_context(send_tasks(redis_url))
        web.wait_until_listening(ports["service"], 240)
        running.enter_context(send_requests(urls["service"]))
        yield MonitoredService(urls["service"], urls["worker"], prometheus)


def _configuration(ports: Mapping[str, int], folder: Path, alertmanager_port: int) -> tuple[Any, Any]:
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return local_prometheus(configuration, ports, folder, alertmanager_port), accelerate_rules(rules, FACTOR)


def _start_worker_and_beat(running: ExitStack, environment: Mapping[str, str], folder: Path) -> RunningService:
    """Start both, and return the worker."""
    (folder / "metrics").mkdir()
    worker_environment = {**environment, "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}
    worker = ["celery", "--app", "tests.running.fault_app:celery", "worker"]
    beat = ["celery", "--app", "wsgi:celery", "beat", "--schedule", str(folder / "schedule")]
    running.enter_context(RunningService(beat, environment, folder=ROOT))
    return running.enter_context(RunningService(worker, worker_environment, folder=ROOT))


@contextmanager
def repeat_in_thread(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` in a thread, ten times a second, until the context ends."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.wait(0.1):
            act()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def send_requests(url: str) -> Iterator[None]:
    """Send requests of a logged-in user, and logins with a wrong password."""
    paths = ("/health", "/ready", "/nothing", f"{API}/users/me", f"{API}/locations", f"{API}/locations/active")
    session = requests.Session()
    session.post(f"{url}{API}/auth/register", json=ANN, timeout=60)
    token = session.post(f"{url}{API}/auth/login", json=ANN, timeout=60).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"

    def send() -> None:
        for path in paths:
            session.get(url + path, timeout=60)
        session.post(f"{url}{API}/locations", json=HERE, timeout=60)
        requests.post(f"{url}{API}/auth/login", json={**ANN, "password": "a guess"}, timeout=60)

    with session, repeat_in_thread(send):
        yield


@contextmanager
def send_tasks(redis_url: str) -> Iterator[None]:
    """Send every scheduled task of the features once, and then tasks that succeed, fail, and succeed after a retry."""
    queue: Celery = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis_url)).extensions["celery"]
    for task in (task for feature in FEATURES for task in feature.schedules):
        queue.send_task(task)  # some set a gauge, which beat would do within a week

    def send() -> None:
        for task in ("fault.work", "fault.fail", "fault.try_twice"):
            queue.send_task(task)

    with repeat_in_thread(send):
        yield
    queue.close()
