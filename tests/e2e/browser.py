"""A real browser, in a container that reaches the proxy and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.engine import docker

IMAGE = "cookiecutter-flask-service-browser:e2e"
DOCKERFILE = b"""
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends chromium fonts-liberation
RUN useradd --create-home --uid 1000 somebody
USER somebody
WORKDIR /home/somebody
"""
FOLDER = "/home/somebody"
# The sandbox needs rights that a container does not have; the rest keeps the browser from making calls of its own.
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --window-size=1280,4000 "
    "--enable-logging=stderr --virtual-time-budget=20000"
)
VISIT_SECONDS = 180


@dataclass(frozen=True)
class Visit:
    """What came of opening an address: the page as it was in the end, its requests, and what the browser logged."""

    page: str
    requests: Mapping[str, str]  # the first line of each answer, or the error
    complaints: list[str]


class Browser:
    """Chromium on a network of the engine's, knowing no host but `host`."""

    def __init__(self, network: str, host: str) -> None:
        """Start a container to run it in."""
        docker("build", "--tag", IMAGE, "-", stdin=DOCKERFILE, seconds=900)
        self._container = docker("run", "--detach", "--init", "--network", network, IMAGE, "sleep", "infinity").strip()
        self._rules = f"MAP * ~NOTFOUND, EXCLUDE {host}"

    def close(self) -> None:
        """Remove the container."""
        docker("rm", "--force", "--volumes", self._container)

    def visit(self, address: str) -> Visit:
        """Open an address, and wait until the page has settled."""
        page = self._run(address, "--dump-dom --log-net-log=net.json")
        log = self._read("log").splitlines()
        said = [line for line in log if "CONSOLE" in line]
        complaints = [line for line in said if "Content Security Policy" in line or "error" in line.lower()]
        return Visit(page, requests(json.loads(self._read("net.json")), address), complaints)

    def picture(self, address: str, file: Path) -> None:
        """Write a picture of the page."""
        self._run(address, "--screenshot=page.png")
        docker("cp", f"{self._container}:{FOLDER}/page.png", str(file))

    def write(self, name: str, text: str) -> str:
        """Put a page into the container; returns its address."""
        docker("exec", "--interactive", self._container, "tee", name, stdin=text.encode())
        return f"file://{FOLDER}/{name}"

    def _run(self, address: str, options: str) -> str:
        started = f'chromium {FLAGS} {options} --host-resolver-rules="$0" --user-data-dir=profile "$1"'
        command = f"rm -rf profile && exec {started} 2>log"
        return docker("exec", self._container, "sh", "-c", command, self._rules, address, seconds=VISIT_SECONDS)

    def _read(self, name: str) -> str:
        return docker("exec", self._container, "cat", name)


def requests(net_log: Mapping[str, Any], address: str) -> dict[str, str]:
    """Return what became of each request of the page at `address`; the browser makes some of its own."""
    names = {number: name for name, number in net_log["constants"]["logEventTypes"].items()}
    began, ended = {}, {}
    for event in net_log["events"]:
        source, kind, told = event["source"]["id"], names[event["type"]], event.get("params", {})
        if kind == "URL_REQUEST_START_JOB" and "url" in told:
            if told["url"] == address or told.get("initiator", "").startswith(("http", "file", "null")):
                began[source] = told["url"]
        elif kind == "HTTP_TRANSACTION_READ_RESPONSE_HEADERS":
            ended[source] = told["headers"][0]
        elif told.get("net_error"):
            ended[source] = f"error {told['net_error']}"
    return {url: ended.get(source, "no answer") for source, url in began.items()}
