"""A real browser in a container that can connect to the proxy only."""

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
RUN useradd --create-home --uid 1000 browser
USER browser
WORKDIR /home/browser
"""
FOLDER = "/home/browser"
# Chromium's sandbox needs privileges that a container does not have; the other flags stop its background requests.
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --window-size=1280,4000 "
    "--enable-logging=stderr --virtual-time-budget=20000"
)
PAGE_LOAD_SECONDS = 180


@dataclass(frozen=True)
class PageLoad:
    """The result of a page load: the final HTML, the requests of the page, the errors in the browser's console."""

    html: str
    requests: Mapping[str, str]  # URL to status line or error
    console_errors: list[str]


class Browser:
    """Chromium on a Docker network; it resolves no host name except `name`, to the container `host`."""

    def __init__(self, network: str, host: str, name: str) -> None:
        """Start the browser's container."""
        docker("build", "--tag", IMAGE, "-", stdin=DOCKERFILE, seconds=900)
        self._container = docker("run", "--detach", "--init", "--network", network, IMAGE, "sleep", "infinity").strip()
        self._rules = f"MAP {name} {host}, MAP * ~NOTFOUND, EXCLUDE {host}"

    def close(self) -> None:
        """Remove the container."""
        docker("rm", "--force", "--volumes", self._container)

    def load(self, url: str) -> PageLoad:
        """Load a page and wait until its scripts have run."""
        html = self._run(url, "--dump-dom --log-net-log=net.json")
        log = self._read("log").splitlines()
        console = [line for line in log if "CONSOLE" in line]
        errors = [line for line in console if "Content Security Policy" in line or "error" in line.lower()]
        return PageLoad(html, page_requests(json.loads(self._read("net.json")), url), errors)

    def screenshot(self, url: str, file: Path) -> None:
        """Write a screenshot of the page to `file`."""
        self._run(url, "--screenshot=page.png")
        docker("cp", f"{self._container}:{FOLDER}/page.png", str(file))

    def write(self, name: str, text: str) -> str:
        """Write a page into the container and return its URL."""
        docker("exec", "--interactive", self._container, "tee", name, stdin=text.encode())
        return f"file://{FOLDER}/{name}"

    def _run(self, url: str, options: str) -> str:
        chromium = f'chromium {FLAGS} {options} --host-resolver-rules="$0" --user-data-dir=profile "$1"'
        command = f"rm -rf profile && exec {chromium} 2>log"
        return docker("exec", self._container, "sh", "-c", command, self._rules, url, seconds=PAGE_LOAD_SECONDS)

    def _read(self, name: str) -> str:
        return docker("exec", self._container, "cat", name)


def page_requests(net_log: Mapping[str, Any], page_url: str) -> dict[str, str]:
    """Return the outcome of each request of the page at `page_url`, without the browser's own requests."""
    names = {number: name for name, number in net_log["constants"]["logEventTypes"].items()}
    started, outcomes = {}, {}
    for event in net_log["events"]:
        source, kind, params = event["source"]["id"], names[event["type"]], event.get("params", {})
        if kind == "URL_REQUEST_START_JOB" and "url" in params:
            if params["url"] == page_url or params.get("initiator", "").startswith(("http", "file", "null")):
                started[source] = params["url"]
        elif kind == "HTTP_TRANSACTION_READ_RESPONSE_HEADERS":
            outcomes[source] = params["headers"][0]
        elif params.get("net_error"):
            outcomes[source] = f"error {params['net_error']}"
    return {url: outcomes.get(source, "no response") for source, url in started.items()}
