"""The benchmark: statistics, load generator, process statistics, choice of Python, and a complete short run."""

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
from bake import ROOT
from conftest import BakeFactory, clean_environment, run

from benchmarks.interpreter import default_version, find_python
from benchmarks.load_generator import RequestFailedError, generate_load
from benchmarks.paired_statistics import Quartiles, alternate, paired_ratio, percentile, quartiles
from benchmarks.process_stats import cpu_seconds, memory_mb, process_tree
from benchmarks.routes import HEALTH_CHECK, LOCATION_BATCH
from benchmarks.targets import LOWER_LIMITS, SCALING_LIMIT, UPPER_LIMITS, evaluate_targets
from benchmarks.text_table import format_table

SERVERS = {"service", "bare Flask", "FastAPI", "Django REST framework", "minimal WSGI"}
SCALING = "active users: p95 at 100 rows / at 10"
Responder = Callable[[BaseHTTPRequestHandler], None]


def test_paired_ratio_ignores_machine_drift() -> None:
    slowdown = iter([1.0, 1.1, 1.3, 1.6, 1.9, 2.4, 2.5, 2.9])

    pairs = alternate([lambda: 3 * next(slowdown), lambda: 2 * next(slowdown)], rounds=4)

    assert paired_ratio(pairs, float).median == pytest.approx(1.5, rel=0.05)


def test_every_other_round_runs_in_reverse() -> None:
    calls: list[str] = []

    def measure(name: str) -> str:
        calls.append(name)
        return name

    pairs = alternate([partial(measure, "a"), partial(measure, "b")], rounds=3)

    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert pairs == [("a", "b")] * 3


def test_quartiles_of_five_values_and_of_one() -> None:
    assert quartiles([5, 1, 2, 4, 3]) == Quartiles(3, 2, 4)
    assert quartiles([7]) == Quartiles(7, 7, 7)


@pytest.mark.parametrize(("fraction", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1, 100), (0.001, 1)])
def test_percentile_uses_nearest_rank(fraction: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), fraction) == value


def test_table_aligns_columns() -> None:
    lines = list(format_table(["route", "ms"], [["profile read", "1.5"], ["empty", "10.25"]]))

    assert lines == ["route            ms", "profile read    1.5", "empty         10.25"]


@pytest.mark.req("X4")
def test_target_is_met_at_its_limit_but_not_beyond() -> None:
    limits = UPPER_LIMITS | LOWER_LIMITS | {SCALING: SCALING_LIMIT}
    at_limits = {name: Quartiles(limit, 0, 0) for name, limit in limits.items()}
    beyond = {
        name: Quartiles(limit + (-0.01 if name in LOWER_LIMITS else 0.01), 0, 0) for name, limit in limits.items()
    }

    assert all(target.met for target in evaluate_targets(at_limits, [10, 100]))
    assert not any(target.met for target in evaluate_targets(beyond, [10, 100]))


def fake_python(path: Path, script: str) -> str:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def machine_without_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds the only PATH entry (`bin`) and the root of pyenv (`pyenv`), both missing."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def test_benchmark_uses_default_python_of_a_bake() -> None:
    answers = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))

    assert default_version() == answers["python_version"][0]


def test_python_on_path_is_preferred(machine_without_pythons: Path) -> None:
    on_path = fake_python(machine_without_pythons / "bin" / "python9.9", "echo 9.9")
    fake_python(machine_without_pythons / "pyenv" / "versions" / "9.9.1" / "bin" / "python9.9", "echo 9.9")

    assert find_python("9.9") == on_path


def test_newest_pyenv_python_replaces_a_broken_shim(machine_without_pythons: Path) -> None:
    fake_python(machine_without_pythons / "bin" / "python9.9", "echo 'command not found' >&2; exit 127")
    versions = machine_without_pythons / "pyenv" / "versions"
    fake_python(versions / "9.9.9" / "bin" / "python9.9", "echo 9.9")
    newest = fake_python(versions / "9.9.10" / "bin" / "python9.9", "echo 9.9")

    assert find_python("9.9") == newest


@pytest.mark.usefixtures("machine_without_pythons")
def test_running_python_is_the_fallback() -> None:
    assert find_python("9.9") == sys.executable


@contextmanager
def http_server(respond: Responder) -> Iterator[int]:
    """An HTTP server that handles every request with `respond`; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        do_GET = do_POST = respond  # noqa: N815  # names that BaseHTTPRequestHandler requires

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def send(handler: BaseHTTPRequestHandler, status: int = 200, body: bytes = b"x" * 300_000) -> None:
    handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    handler.send_response(status)
    handler.send_header("content-LENGTH", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_load_generator_counts_every_response_once() -> None:
    authorizations: list[str] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        send(handler)
        authorizations.append(handler.headers["Authorization"])

    with http_server(respond) as port:
        load = generate_load(port, LOCATION_BATCH.raw_requests(["one", "two"]), 0.3, connections=4)

    assert len(load.latencies) == len(authorizations) > 4
    assert set(authorizations) == {"Bearer one", "Bearer two"}
    assert all(0 < latency <= load.seconds for latency in load.latencies)


def test_request_is_resent_after_server_closes_connection() -> None:
    responses: list[str] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        send(handler)
        handler.close_connection = len(responses) < 4  # although the response announced keep-alive
        responses.append("")

    with http_server(respond) as port:
        load = generate_load(port, HEALTH_CHECK.raw_requests([""]), 0.3, connections=2)

    assert load.resent >= 4
    assert len(load.latencies) == len(responses) > 4


def test_error_response_stops_the_load_generator() -> None:
    with (
        http_server(lambda handler: send(handler, 429, b"slow down")) as port,
        pytest.raises(RequestFailedError, match=r"429(.|\n)*slow down"),
    ):
        generate_load(port, HEALTH_CHECK.raw_requests([""]), 0.3, connections=2)


def test_cpu_time_includes_living_and_ended_descendants() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\n"
    ended_child = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {burn!r}])\n{burn}"
    child = f"{ended_child}\nprint(flush=True)\ntime.sleep(60)"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, process_group=0) as process:
        assert process.stdout
        process.stdout.readline()

        assert len(process_tree(process.pid)) == 2
        assert 0.6 <= cpu_seconds(process.pid) < 1.5
        os.killpg(process.pid, 9)


def test_unique_set_size_excludes_memory_shared_with_parent() -> None:
    fork = "import os, sys, time\ndata = b'x' * 50_000_000\nos.fork()\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", fork], stdout=subprocess.PIPE, process_group=0) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.readline()
        memory = memory_mb(process.pid)

        assert memory["uss"] < 20 < memory["pss"]
        os.killpg(process.pid, 9)


@pytest.mark.req("X4")
def test_profile_reports_cpu_share_of_each_component(bake_service: BakeFactory, service_venv: Path) -> None:
    folders = os.pathsep.join(map(str, (bake_service(), ROOT)))
    command = [str(service_venv / "bin" / "python"), "-m", "benchmarks.profile"]

    output = run(command, bake_service(), clean_environment(PYTHONPATH=folders, PYTHONDONTWRITEBYTECODE="1"))

    shares = dict(re.findall(r"^(\w.*?) +(\d+)%$", output, re.MULTILINE))
    assert {"logging", "metrics", "tracing", "Flask and Werkzeug"} <= shares.keys()
    assert 95 <= sum(map(int, shares.values())) <= 105
    assert int(shares["Flask and Werkzeug"]) > int(shares["tracing"])


@pytest.fixture(scope="session")
def peers() -> Path:
    """The virtual environment of the peers; later test runs reuse it."""
    run(["make", "build/bench/peers/installed", f"PYTHON={sys.executable}"], ROOT)
    return ROOT / "build" / "bench" / "peers"


@pytest.mark.req("X4")
def test_smoke_run_reports_every_figure(
    bake_service: BakeFactory, service_venv: Path, peers: Path, tmp_path: Path
) -> None:
    service = shutil.copytree(bake_service(), tmp_path / "service", symlinks=True)
    results = tmp_path / "missing" / "bench.json"
    command = [str(service_venv / "bin" / "python"), "-m", "benchmarks", "--service", str(service)]
    command += ["--peers", str(peers), "--plan", "smoke", "--results", str(results)]

    output = run(command, ROOT, clean_environment(PYTHONPATH=str(service)))

    document = json.loads(results.read_text(encoding="utf-8"))
    assert document["rounds"] == 1
    assert document["machine"]["cores"] >= 1
    assert {"name", "value", "limit", "met"} <= document["targets"][0].keys()
    assert len(document["targets"]) == len(UPPER_LIMITS | LOWER_LIMITS) + 1
    assert [set(by_server) for by_server in document["figures"]["routes"].values()] == [SERVERS] * 4
    assert all(target["name"] in output for target in document["targets"])
    assert f"Service on Python {document['machine']['python']}, peers on Python" in output


@pytest.mark.req("X4")
def test_comparison_with_an_earlier_version_reports_each_route(
    bake_service: BakeFactory, service_venv: Path, tmp_path: Path
) -> None:
    service, earlier = (
        shutil.copytree(bake_service(), tmp_path / name, symlinks=True) for name in ("service", "earlier")
    )
    command = [str(service_venv / "bin" / "python"), "-m", "benchmarks.versions", "--service", str(service)]

    output = run(
        [*command, "--earlier", str(earlier), "--plan", "smoke"], ROOT, clean_environment(PYTHONPATH=str(service))
    )

    ratios = dict(re.findall(r" s  (\w[\w ]+): service / earlier: ([\d.]+)", output))
    assert ratios.keys() == {"profile read", "location write", "health check"}
    assert all(float(ratio) > 0 for ratio in ratios.values())


@pytest.mark.req("S13")
def test_overload_benchmark_reports_each_scenario(
    bake_service: BakeFactory, service_venv: Path, tmp_path: Path
) -> None:
    service = shutil.copytree(bake_service(), tmp_path / "service", symlinks=True)
    command = [str(service_venv / "bin" / "python"), "-m", "benchmarks.overload", "--service", str(service)]
    environment = clean_environment(PYTHONPATH=f"{service}{os.pathsep}{ROOT}")

    done = subprocess.run(
        [*command, "--seconds", "1", "--only", "Redis"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    rows = [line for line in done.stdout.splitlines() if line.startswith("full Redis")]
    assert len(rows) == 1, done.stdout + done.stderr
    assert "->" in rows[0]
