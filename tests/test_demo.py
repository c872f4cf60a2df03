"""`make demo` in a fresh copy of the template: answered, and gone without a trace when it stops."""

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
from baking import ROOT
from conftest import copy_template, plain_environment
from first_requests import shell_lines
from source_copy import SOURCE_NAME

DEMO_SECONDS = 600
STOP_SECONDS = 60
MARK = "DEMO_UNDER_TEST"


class Demo:
    """`make demo` in one folder; each process of it carries a mark, by which it is found when it is left behind."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of a template."""
        self.folder = folder
        self.mark = uuid.uuid4().hex

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it as the leader of a process group, as a terminal does."""
        return subprocess.Popen(
            ["make", "demo", f"PYTHON={sys.executable}", *arguments],
            cwd=self.folder,
            env=plain_environment(**{MARK: self.mark}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def marked(self) -> Iterator[tuple[int, str]]:
        """Yield id and command line of each living process with the mark."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended, or is somebody else's
                if f"{MARK}={self.mark}".encode() in (process / "environ").read_bytes():
                    yield int(process.name), (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()

    def left_behind(self) -> list[str]:
        """Return the processes that still carry the mark, a few seconds' grace given."""
        end = time.monotonic() + 5
        while (left := [command for _, command in self.marked()]) and time.monotonic() < end:
            time.sleep(0.1)
        return left

    def kill(self) -> None:
        """End what a failed test leaves."""
        for process, _ in self.marked():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template as it comes from a clone: nothing installed, nothing built."""
    return copy_template(tmp_path_factory.mktemp("clone") / "template")


@pytest.fixture
def demo(clone: Path) -> Iterator[Demo]:
    """A demo of the clone; only the first installs."""
    demo = Demo(clone)
    yield demo
    demo.kill()


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Read the process's output up to the line with `words`."""
    assert process.stdout
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    pytest.fail(f"{words!r} never came:\n{seen}")


@pytest.mark.req("T6")
def test_one_command_bakes_serves_and_shows_a_first_answer(demo: Demo, port: int) -> None:
    process = demo.start("ONCE=1", f"PORT={port}")
    said, _ = process.communicate(timeout=DEMO_SECONDS)
    print(said)

    assert process.returncode == 0, said
    shown = [line.removeprefix("$ ") for line in said.splitlines() if line.startswith("$ ")]
    assert shown == list(shell_lines(f"http://127.0.0.1:{port}"))
    assert re.findall(r"^(20\d) ", said, re.MULTILINE) == ["201", "200", "201", "200", "201", "202", "200", "200"]
    assert re.search(r'"status": ?"passed"', said)
    assert f"http://127.0.0.1:{port}/docs" in said
    assert demo.left_behind() == []


@pytest.mark.parametrize("readme", ["README.md", f"{SOURCE_NAME}/README.md"])
def test_the_readmes_show_the_conversation_word_for_word(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")

    assert "\n".join(["```sh", *shell_lines("http://127.0.0.1:8000"), "```"]) in text


@pytest.mark.req("T6")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda sign: sign.name)
def test_whoever_stops_it_sees_no_traceback_and_nothing_stays(demo: Demo, port: int, sign: signal.Signals) -> None:
    process = demo.start(f"PORT={port}")
    said = read_until(process, "until Ctrl-C stops it")
    os.killpg(process.pid, sign)
    rest, _ = process.communicate(timeout=STOP_SECONDS)

    assert "Traceback" not in said + rest
    assert "Stopped." in rest
    assert demo.left_behind() == []


@pytest.mark.req("T6")
def test_it_can_be_stopped_while_it_installs(demo: Demo, port: int) -> None:
    process = demo.start(f"PORT={port}")
    said = read_until(process, "Baking a service")
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=STOP_SECONDS)

    assert "Traceback" not in said + rest
    assert demo.left_behind() == []


@pytest.mark.req("T6")
def test_a_busy_port_is_named_with_the_way_round_it(demo: Demo) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = demo.start("ONCE=1", f"PORT={port}")
        said, _ = process.communicate(timeout=DEMO_SECONDS)

    assert process.returncode != 0
    assert f"Port {port} cannot be used" in said
    assert f"make demo PORT={port + 1}" in said
    assert "Traceback" not in said


@pytest.mark.req("T6")
@pytest.mark.parametrize("port", ["web", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(demo: Demo, port: str) -> None:
    process = demo.start("ONCE=1", f"PORT={port}")
    said, _ = process.communicate(timeout=DEMO_SECONDS)

    assert process.returncode != 0
    assert f"PORT={port} is no port" in said


READY_AND_NO_MORE = """#!/usr/bin/env python3
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Door(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    def do_POST(self):
        self.send_error(500)

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Door).serve_forever()
"""


@pytest.mark.req("T6")
@pytest.mark.parametrize(
    ("entrypoint", "words"),
    [
        ("#!/bin/sh\necho the floor is lava\nexit 7\n", "the floor is lava"),
        (READY_AND_NO_MORE, "/api/v1/auth/register was answered with status 500"),
    ],
    ids=["does not start", "answers with an error"],
)
def test_a_service_that_fails_fails_the_demo_in_words(
    demo: Demo,
    clone: Path,
    port: int,
    entrypoint: str,
    words: str,
) -> None:
    path = clone / SOURCE_NAME / "entrypoint.sh"
    whole = path.read_text(encoding="utf-8")
    path.write_text(entrypoint, encoding="utf-8")
    try:
        process = demo.start("ONCE=1", f"PORT={port}")
        said, _ = process.communicate(timeout=DEMO_SECONDS)
    finally:
        path.write_text(whole, encoding="utf-8")

    assert process.returncode != 0
    assert words in said
    assert "Traceback" not in said
    assert demo.left_behind() == []
