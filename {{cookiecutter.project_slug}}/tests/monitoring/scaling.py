"""The committed files with shorter times and other addresses, and otherwise as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.environments import SECRETS
from tests.servers.pager import PAGERDUTY, ROUTING_KEY, SLACK, Pager

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
RANGE = re.compile(r"(?<=[\[:])(\d+)([smhd])(?=[\]:])")  # of [5m], and both of [30d:5m]


def faster(rules: Any, times: float) -> Any:
    """The rules with windows and waits shorter by so many times, evaluated every second."""

    def shorten(found: re.Match[str]) -> str:
        return f"{max(1, round(int(found[1]) * SECONDS[found[2]] / times))}s"

    made = json.loads(RANGE.sub(shorten, json.dumps(rules)))
    for group in made["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = re.sub(r"(\d+)([smhd])", shorten, rule["for"])
    return made


def paging(configuration: Any, pager: Pager, folder: Path) -> Any:
    """Alertmanager's configuration with a local pager, keys in this folder, and hardly a wait before it tells."""
    (folder / "pagerduty").write_text(ROUTING_KEY)
    (folder / "slack").write_text(pager.url + SLACK)
    made = json.loads(json.dumps(configuration))
    made["global"] = {"pagerduty_url": pager.url + PAGERDUTY}
    made["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    receivers = {receiver["name"]: receiver for receiver in made["receivers"]}
    receivers["pagerduty"]["pagerduty_configs"][0]["routing_key_file"] = str(folder / "pagerduty")
    receivers["slack"]["slack_configs"][0]["api_url_file"] = str(folder / "slack")
    return made


def watching(configuration: Any, ports: Mapping[str, int], folder: Path, alertmanager: int) -> Any:
    """Prometheus's configuration with every job at a port of this machine, and asking every second."""
    (folder / "token").write_text(SECRETS["METRICS_TOKEN"])
    made = json.loads(json.dumps(configuration))
    made["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in made["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
        job["authorization"]["credentials_file"] = str(folder / "token")
    made["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]
    return made
