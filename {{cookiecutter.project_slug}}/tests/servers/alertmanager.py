"""A real Alertmanager for tests."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from .prometheus import find_program
from .server import Server


class AlertmanagerServer(Server):
    """An Alertmanager with its own configuration."""

    name = "alertmanager"

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        super().__init__()
        Path(self.folder, "alertmanager.yml").write_text(json.dumps(configuration))  # JSON is YAML

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Send alerts, as Prometheus does."""
        requests.post(f"{self.url}/api/v2/alerts", json=alerts, timeout=60).raise_for_status()

    def inhibited_alerts(self) -> set[str]:
        """Return the names of the alerts that other alerts inhibit."""
        alerts = requests.get(f"{self.url}/api/v2/alerts", params={"inhibited": "true"}, timeout=60).json()
        return {alert["labels"]["alertname"] for alert in alerts if alert["status"]["inhibitedBy"]}

    def command(self) -> list[str]:
        return [
            find_program("alertmanager", "prometheus-alertmanager"),  # Debian's name
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.RequestException:
            return False


def start_alertmanager(configuration: Mapping[str, Any]) -> AlertmanagerServer:
    """Start an Alertmanager without alerts on a free port of 127.0.0.1."""
    return AlertmanagerServer(configuration).start_on_a_free_port()
