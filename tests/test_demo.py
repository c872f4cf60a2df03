"""`make demo` in a fresh copy of the template: all requests succeed, and no process is left when it stops."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from bake import ROOT
from conftest import clean_environment, copy_template
from copy_source import SOURCE_NAME
from first_requests import shell_commands

DEMO_SECONDS = 600
STOP_SECONDS = 60
MARKER_VARIABLE = "DEMO_UNDER_TEST"


class Demo:
    """`make demo` in one folder; an environment variable marks its processes, so leftover ones can be found."""

    def __init__(self, folder: Path) -> None:
        """Create the marker; nothing is started."""
        self.folder = folder
        self.marker = uuid.uuid4().hex

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the demo as the leader of a process group, as a terminal does."""
        return subprocess.Popen(
            ["make", "demo", f"PYTHON={sys.executable}", *arguments],
            cwd=self.folder,
            env=clean_environment(**{MARKER_VARIABLE: self.marker}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def processes(self) -> Iterator[tuple[int, str]]:
        """Yield id and command line of each running process with the marker."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # the process ended, or belongs to another user
                if f"{MARKER_VARIABLE}={self.marker}".encode() in (process / "environ").read_bytes():
                    yield int(process.name), (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()

    def leftover_processes(self) -> list[str]:
        """Return the command lines of processes that are still running after 5 seconds."""
        deadline = time.monotonic() + 5
        while (commands := [command for _, command in self.processes()]) and time.monotonic() < deadline:
            time.sleep(0.1)
        return commands

    def kill(self) -> None:
        """Kill the processes that a failed test leaves."""
        for process, _ in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of the template: nothing installed, nothing built."""
    return copy_template(tmp_path_factory.mktemp("clone") / "template")


@pytest.fixture
def demo(clone: Path) -> Iterator[Demo]:
    """A demo in the clone; only the first one installs."""
    demo = Demo(clone)
    yield demo
    demo.kill()


@pytest.fixture
def port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return the process's output up to the line that contains `text`."""
    assert process.stdout
    output = ""
    for line in process.stdout:
        output += line
        if text in line:
            return output
    pytest.fail(f"{text!r} is not in the output:\n{output}")


@pytest.mark.req("T6")
def test_demo_bakes_serves_and_sends_requests(demo: Demo, port: int) -> None:
    process = demo.start("ONCE=1", f"PORT={port}")
    output, _ = process.communicate(timeout=DEMO_SECONDS)
    print(output)

    assert process.returncode == 0, output
    commands = [line.removeprefix("$ ") for line in output.splitlines() if line.startswith("$ ")]
    assert commands == list(shell_commands(f"http://127.0.0.1:{port}"))
    assert re.findall(r"^(20\d) ", output, re.MULTILINE) == ["201", "200", "201", "200", "201", "202", "200", "200"]
    assert re.search(r'"status": ?"passed"', output)
    assert f"http://127.0.0.1:{port}/docs" in output
    assert demo.leftover_processes() == []


@pytest.mark.parametrize("readme", ["README.md", f"{SOURCE_NAME}/README.md"])
def test_readmes_contain_the_exact_commands(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")

    assert "\n".join(["```sh", *shell_commands("http://127.0.0.1:8000"), "```"]) in text


@pytest.mark.req("T6")
@pytest.mark.parametrize(
    "signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_signal_stops_demo_without_traceback_or_leftovers(demo: Demo, port: int, signal_number: signal.Signals) -> None:
    process = demo.start(f"PORT={port}")
    output = read_until(process, "Press Ctrl-C to stop it")
    os.killpg(process.pid, signal_number)
    rest, _ = process.communicate(timeout=STOP_SECONDS)

    assert "Traceback" not in output + rest
    assert "Stopped." in rest
    assert demo.leftover_processes() == []


@pytest.mark.req("T6")
def test_demo_can_be_stopped_during_installation(demo: Demo, port: int) -> None:
    process = demo.start(f"PORT={port}")
    output = read_until(process, "Baking a service")
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=STOP_SECONDS)

    assert "Traceback" not in output + rest
    assert demo.leftover_processes() == []


@pytest.mark.req("T6")
def test_busy_port_is_reported_with_a_free_one(demo: Demo) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = demo.start("ONCE=1", f"PORT={port}")
        output, _ = process.communicate(timeout=DEMO_SECONDS)

    assert process.returncode != 0
    assert f"Port {port} cannot be used" in output
    assert f"make demo PORT={port + 1}" in output
    assert "Traceback" not in output


@pytest.mark.req("T6")
@pytest.mark.parametrize("port", ["web", "0", "65536", "-1"])
def test_invalid_port_is_rejected(demo: Demo, port: str) -> None:
    process = demo.start("ONCE=1", f"PORT={port}")
    output, _ = process.communicate(timeout=DEMO_SECONDS)

    assert process.returncode != 0
    assert f"PORT={port} is not a port" in output


READY_BUT_BROKEN = """#!/usr/bin/env python3
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    def do_POST(self):
        self.send_error(500)

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.mark.req("T6")
@pytest.mark.parametrize(
    ("entrypoint", "message"),
    [
        ("#!/bin/sh\necho the disk is full\nexit 7\n", "the disk is full"),
        (READY_BUT_BROKEN, "/api/v1/auth/register returned status 500"),
    ],
    ids=["does not start", "returns an error"],
)
def test_failing_service_fails_the_demo_with_a_message(
    demo: Demo,
    clone: Path,
    port: int,
    entrypoint: str,
    message: str,
) -> None:
    path = clone / SOURCE_NAME / "entrypoint.sh"
    original = path.read_text(encoding="utf-8")
    path.write_text(entrypoint, encoding="utf-8")
    try:
        process = demo.start("ONCE=1", f"PORT={port}")
        output, _ = process.communicate(timeout=DEMO_SECONDS)
    finally:
        path.write_text(original, encoding="utf-8")

    assert process.returncode != 0
    assert message in output
    assert "Traceback" not in output
    assert demo.leftover_processes() == []
