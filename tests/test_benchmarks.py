"""What `make bench` finds can be believed: the arithmetic, the load, what is counted, and the servers' answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from baking import ROOT
from conftest import Bakery, plain_environment, run

from benchmarks.cost import cpu_seconds, family, memory
from benchmarks.load import NotAnsweredError, drive
from benchmarks.pairs import Spread, alternate, percentile, ratio, spread
from benchmarks.routes import BATCH_OF_LOCATIONS, HEALTH
from benchmarks.tables import table
from benchmarks.targets import AT_LEAST, AT_MOST, targets

SERVERS = {"service", "bare Flask", "FastAPI", "Django REST framework", "floor"}
GROWTH = "active users: p95 at 100 rows / at 10"
Answer = Callable[[BaseHTTPRequestHandler], None]


def test_a_machine_that_slows_down_changes_no_ratio() -> None:
    slowness = iter([1.0, 1.1, 1.3, 1.6, 1.9, 2.4, 2.5, 2.9])

    pairs = alternate([lambda: 3 * next(slowness), lambda: 2 * next(slowness)], rounds=4)

    assert ratio(pairs, float).median == pytest.approx(1.5, rel=0.05)


def test_every_other_round_goes_backwards() -> None:
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return name

    pairs = alternate([partial(ask, "a"), partial(ask, "b")], rounds=3)

    assert asked == ["a", "b", "b", "a", "a", "b"]
    assert pairs == [("a", "b")] * 3


def test_a_spread_is_the_median_with_its_quartiles() -> None:
    assert spread([5, 1, 2, 4, 3]) == Spread(3, 2, 4)
    assert spread([7]) == Spread(7, 7, 7)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1, 100), (0.001, 1)])
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_a_table_has_straight_columns() -> None:
    lines = list(table(["route", "ms"], [["profile read", "1.5"], ["empty", "10.25"]]))

    assert lines == ["route            ms", "profile read    1.5", "empty         10.25"]


@pytest.mark.req("X4")
def test_a_target_is_met_at_its_limit_and_not_beyond() -> None:
    at_limits = {name: Spread(limit, 0, 0) for name, limit in (AT_MOST | AT_LEAST | {GROWTH: 1.5}).items()}
    beyond = {
        name: Spread(found.median + (-0.01 if name in AT_LEAST else 0.01), 0, 0) for name, found in at_limits.items()
    }

    assert all(target.met for target in targets(at_limits, [10, 100]))
    assert not any(target.met for target in targets(beyond, [10, 100]))


@contextmanager
def answering(answer: Answer) -> Iterator[int]:
    """A server that answers every request so; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        do_GET = do_POST = answer  # noqa: N815  # the names that the library asks for

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def say(handler: BaseHTTPRequestHandler, status: int = 200, body: bytes = b"x" * 300_000) -> None:
    handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    handler.send_response(status)
    handler.send_header("content-LENGTH", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_every_answer_is_waited_for_and_counted_once() -> None:
    answered: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        say(handler)
        answered.append(handler.headers["Authorization"])

    with answering(answer) as port:
        traffic = drive(port, BATCH_OF_LOCATIONS.messages(["one", "two"]), 0.3, connections=4)

    assert len(traffic.latencies) == len(answered) > 4
    assert set(answered) == {"Bearer one", "Bearer two"}
    assert all(0 < latency <= traffic.seconds for latency in traffic.latencies)


def test_a_request_is_sent_again_when_the_server_has_closed_the_connection() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        say(handler)
        handler.close_connection = len(answered) < 4  # after it said that the connection is kept
        answered.append("")

    answered: list[str] = []
    with answering(answer) as port:
        traffic = drive(port, HEALTH.messages([""]), 0.3, connections=2)

    assert traffic.resent >= 4
    assert len(traffic.latencies) == len(answered) > 4


def test_a_refusal_is_no_answer() -> None:
    with (
        answering(lambda handler: say(handler, 429, b"slow down")) as port,
        pytest.raises(NotAnsweredError, match=r"429(.|\n)*slow down"),
    ):
        drive(port, HEALTH.messages([""]), 0.3, connections=2)


def test_cpu_time_is_that_of_a_process_and_all_that_came_of_it() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\n"
    ended_child = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {burn!r}])\n{burn}"
    living = f"{ended_child}\nprint(flush=True)\ntime.sleep(60)"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {living!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, process_group=0) as process:
        assert process.stdout
        process.stdout.readline()

        assert len(family(process.pid)) == 2
        assert 0.6 <= cpu_seconds(process.pid) < 1.5
        os.killpg(process.pid, 9)


def test_memory_that_is_shared_with_a_parent_is_not_its_own() -> None:
    fork = "import os, sys, time\nheld = b'x' * 50_000_000\nos.fork()\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", fork], stdout=subprocess.PIPE, process_group=0) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.readline()
        own = memory(process.pid)

        assert own["unshared"] < 20 < own["proportional"]
        os.killpg(process.pid, 9)


@pytest.mark.req("X4")
def test_an_empty_answer_is_told_by_what_its_time_goes_to(baked: Bakery, service_venv: Path) -> None:
    folders = os.pathsep.join(map(str, (baked(), ROOT)))
    command = [str(service_venv / "bin" / "python"), "-m", "benchmarks.profile"]

    said = run(command, baked(), plain_environment(PYTHONPATH=folders, PYTHONDONTWRITEBYTECODE="1"))

    found = dict(re.findall(r"^(\w.*?) +(\d+)%$", said, re.MULTILINE))
    assert {"log line", "counts", "traces", "Flask and Werkzeug"} <= found.keys()
    assert 95 <= sum(map(int, found.values())) <= 105
    assert int(found["Flask and Werkzeug"]) > int(found["traces"])


@pytest.fixture(scope="session")
def peers() -> Path:
    """The environment of the service's peers, kept from one run to the next."""
    run(["make", "build/bench/peers/installed", f"PYTHON={sys.executable}"], ROOT)
    return ROOT / "build" / "bench" / "peers"


@pytest.mark.req("X4")
def test_the_whole_run_finds_every_figure_and_its_servers_answer_alike(
    baked: Bakery, service_venv: Path, peers: Path, tmp_path: Path
) -> None:
    service = shutil.copytree(baked(), tmp_path / "service", symlinks=True)
    results = tmp_path / "deeper" / "bench.json"
    command = [str(service_venv / "bin" / "python"), "-m", "benchmarks", "--service", str(service)]
    command += ["--peers", str(peers), "--plan", "smoke", "--results", str(results)]

    said = run(command, ROOT, plain_environment(PYTHONPATH=str(service)))

    found = json.loads(results.read_text(encoding="utf-8"))
    assert found["rounds"] == 1
    assert found["machine"]["cores"] >= 1
    assert {"name", "value", "limit", "met"} <= found["targets"][0].keys()
    assert len(found["targets"]) == len(AT_MOST | AT_LEAST) + 1
    assert [set(by_server) for by_server in found["figures"]["routes"].values()] == [SERVERS] * 4
    assert all(target["name"] in said for target in found["targets"])
