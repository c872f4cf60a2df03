"""Nothing grows with the number of requests: neither the memory nor the open files of any process."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from app.features import FEATURE_SETTINGS
from app.platform.settings.declarations import Settings
from app.platform.settings.fields import declarations
from tests.running.conftest import StartWeb
from tests.servers import RunningService
from tests.servers.receiver import Received, start_receiver
from tests.soak.client import BUSY, register
from tests.soak.footprint import Footprint, footprints, growth
from tests.soak.traffic import send_traffic

pytestmark = [pytest.mark.running, pytest.mark.soak]

# SOAK_REQUESTS= shortens a run while the test itself is developed; caches fill during the first fifth.
REQUESTS = int(os.environ.get("SOAK_REQUESTS", "50000"))
PARTS = 5
MAX_GROWTH = 0.05
MAX_BUSY_SHARE = 0.1
ACCOUNTS = 20
IDLE_SECONDS = 30


def generous_limits() -> dict[str, str]:
    """Return every rate limit, raised so that 20 accounts may send all requests; mails stay limited."""
    declared = {
        name: declaration
        for settings in (Settings, *FEATURE_SETTINGS)
        for name, declaration in declarations(settings).items()
        if name.startswith("RATELIMIT_") and "/" in str(declaration.default)
    }
    return dict.fromkeys(declared, "1000000/hour") | {"RATELIMIT_FORGOT_PASSWORD": "60/minute"}


@pytest.fixture
def traces() -> Iterator[Mapping[str, str]]:
    """The settings that send traces to a receiver, which forgets them."""
    with start_receiver() as receiver:
        receiver.received = Forgetful()
        yield {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_TRACES_SAMPLER_ARG": "0"}


class Forgetful(list[Received]):
    """A list that stays empty."""

    def append(self, _: Received) -> None:
        """Drop the item."""


@pytest.mark.req("X3")
@pytest.mark.fault("F12")
def test_memory_and_open_files_stay_flat(
    start_web: StartWeb,
    start_worker: Callable[..., RunningService],
    traces: Mapping[str, str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # pytest keeps every record, and a record of a repeated request keeps the connections of its client open.
    caplog.set_level(logging.ERROR, logger="urllib3")
    logins = {"ACCESS_TOKEN_SECONDS": "86400", "STEP_UP_SECONDS": "86400"}
    settings = {**generous_limits(), **traces, **logins, "STORAGE_URL": tmp_path.as_uri()}
    settings["GUNICORN_MAX_REQUESTS"] = "10000000"  # no process is replaced
    worker = start_worker(["worker", "--loglevel", "WARNING", "--concurrency", "1"], **settings)
    web = start_web(**settings)
    accounts = [register(web.url) for _ in range(ACCOUNTS)]
    roots = [web.process.pid, worker.pid]

    history = []
    for part in range(PARTS):
        unexpected = send_traffic(web.url, accounts, REQUESTS // PARTS, part)
        assert unexpected.pop(BUSY, 0) <= MAX_BUSY_SHARE * REQUESTS / PARTS
        assert not unexpected, unexpected.most_common(10)
        history.append(settled(roots))
        print(*(f"{pid} {found}" for pid, found in history[-1].items()), sep="\n", flush=True)

    assert growth(history[0], history[-1], MAX_GROWTH) == []


def settled(roots: Sequence[int]) -> Mapping[int, Footprint]:
    """Return the footprints once open connections and queued tasks have ended: nothing changes for a second."""
    deadline = time.monotonic() + IDLE_SECONDS
    before: Mapping[int, Footprint] = {}
    after = footprints(roots)
    while before != after and time.monotonic() < deadline:
        time.sleep(1)
        before, after = after, footprints(roots)
    return after
