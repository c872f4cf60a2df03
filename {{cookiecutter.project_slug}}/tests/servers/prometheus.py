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
    """Scrapes and evaluates what its configuration says; its samples stay over ``restart``."""

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
        """Return what a query comes to now: series with ``metric`` (labels) and ``value`` (time and number as text)."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": promql}, timeout=10).json()
        if answer["status"] != "success":
            raise ValueError(f"{promql}: {answer['error']}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def groups(self) -> list[dict[str, Any]]:
        """Return the groups of rules, each with how the last evaluation of every rule went."""
        found: list[dict[str, Any]] = requests.get(f"{self.url}/api/v1/rules", timeout=10).json()["data"]["groups"]
        return found

    def command(self) -> list[str]:
        return [
            find_program("prometheus"),
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.RequestException:
            return False


def find_program(*names: str) -> str:
    """Find the first of these programs that the machine has."""
    for name in names:
        if found := shutil.which(name):
            return found
    message = f"There is no {names[0]} here. Install {PACKAGES}."
    raise ServerError(message)


def run_tool(name: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool or amtool; what it says on both channels is in ``stdout``."""
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
