"""A real Prometheus for tests, and its tools."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from .processes import ServerError, clean_environment
from .server import Server

PACKAGES = "Debian's packages prometheus and prometheus-alertmanager"


class PrometheusServer(Server):
    """A Prometheus with its own configuration and rules; samples survive `restart`."""

    name = "prometheus"

    def __init__(self, configuration: Mapping[str, Any], rules: Mapping[str, Any]) -> None:
        super().__init__()
        # JSON is YAML.
        Path(self.folder, "prometheus.yml").write_text(json.dumps({**configuration, "rule_files": ["rules.yml"]}))
        Path(self.folder, "rules.yml").write_text(json.dumps(rules))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Return the current result of a query: series with `metric` (labels) and `value` (time, number as text)."""
        response = requests.get(f"{self.url}/api/v1/query", params={"query": promql}, timeout=60).json()
        if response["status"] != "success":
            raise ValueError(f"{promql}: {response['error']}")
        found: list[dict[str, Any]] = response["data"]["result"]
        return found

    def groups(self) -> list[dict[str, Any]]:
        """Return the rule groups, with the result of the last evaluation of each rule."""
        found: list[dict[str, Any]] = requests.get(f"{self.url}/api/v1/rules", timeout=60).json()["data"]["groups"]
        return found

    def command(self) -> list[str]:
        return [
            find_program("prometheus"),
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.RequestException:
            return False


def find_program(*names: str) -> str:
    """Return the first of these programs that the machine has; raises `ServerError` if it has none."""
    for name in names:
        if found := shutil.which(name):
            return found
    message = f"{names[0]} is missing. Install {PACKAGES}."
    raise ServerError(message)


def run_tool(name: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool or amtool; `stdout` has both output streams."""
    return subprocess.run(
        [find_program(name), *arguments],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


def start_prometheus(configuration: Mapping[str, Any], rules: Mapping[str, Any]) -> PrometheusServer:
    """Start a Prometheus without any samples on a free port of 127.0.0.1."""
    return PrometheusServer(configuration, rules).start_on_a_free_port()
