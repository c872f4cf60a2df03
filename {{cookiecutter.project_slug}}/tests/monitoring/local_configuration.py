"""The committed configuration with shorter times and local addresses, otherwise unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.environments import SECRETS
from tests.servers.fake_pagerduty import PAGERDUTY, ROUTING_KEY, SLACK, FakePagerDuty

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
RANGE = re.compile(r"(?<=[\[:])(\d+)([smhd])(?=[\]:])")  # one in [5m], two in [30d:5m]


def accelerate_rules(rules: Any, factor: float) -> Any:
    """The rules with windows and `for` divided by a factor, evaluated every second."""

    def shorten(match: re.Match[str]) -> str:
        return f"{max(1, round(int(match[1]) * SECONDS[match[2]] / factor))}s"

    result = json.loads(RANGE.sub(shorten, json.dumps(rules)))
    for group in result["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = re.sub(r"(\d+)([smhd])", shorten, rule["for"])
    return result


def local_alertmanager(configuration: Any, fake_pagerduty: FakePagerDuty, folder: Path) -> Any:
    """Alertmanager's configuration with a fake PagerDuty and Slack, keys in this folder, and short waits."""
    (folder / "pagerduty").write_text(ROUTING_KEY)
    (folder / "slack").write_text(fake_pagerduty.url + SLACK)
    result = json.loads(json.dumps(configuration))
    result["global"] = {"pagerduty_url": fake_pagerduty.url + PAGERDUTY}
    result["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    receivers = {receiver["name"]: receiver for receiver in result["receivers"]}
    receivers["pagerduty"]["pagerduty_configs"][0]["routing_key_file"] = str(folder / "pagerduty")
    receivers["slack"]["slack_configs"][0]["api_url_file"] = str(folder / "slack")
    return result


def local_prometheus(configuration: Any, ports: Mapping[str, int], folder: Path, alertmanager_port: int) -> Any:
    """Prometheus's configuration with each job at a local port, scraped every second."""
    (folder / "token").write_text(SECRETS["METRICS_TOKEN"])
    result = json.loads(json.dumps(configuration))
    result["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in result["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
        job["authorization"]["credentials_file"] = str(folder / "token")
    result["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]
    return result
