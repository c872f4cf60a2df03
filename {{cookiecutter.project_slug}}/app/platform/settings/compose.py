"""The settings that only compose.yaml reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.platform.settings.field_types import HTTP_SCHEMES
from app.platform.settings.fields import secret, text, url

# compose.yaml puts these values into URLs, where other characters would have to be percent-encoded.
URL_SAFE: dict[str, Any] = {
    "pattern": r"^[A-Za-z0-9_-]+$",
    "error": "Must contain only letters, digits, - and _: compose.yaml makes it a part of a URL.",
}


@dataclass(frozen=True, kw_only=True)
class ComposeSettings:
    """The settings that compose.yaml needs in addition to those of the service."""

    POSTGRES_DB: str = text("app", "Name of the database.", section="Compose only", **URL_SAFE)
    POSTGRES_USER: str = text("app", "Owner of the database, which migrates it.", **URL_SAFE)
    POSTGRES_PASSWORD: str | None = secret("Password of POSTGRES_USER.", "always", **URL_SAFE)
    POSTGRES_APP_USER: str = text("app_service", "Account that serves, without the right to alter tables.", **URL_SAFE)
    POSTGRES_APP_PASSWORD: str | None = secret("Password of POSTGRES_APP_USER.", "always", **URL_SAFE)
    REDIS_PASSWORD: str | None = secret("Password of Redis.", "always", **URL_SAFE)
    DOMAIN: str = text(
        "{{ cookiecutter.domain }}", "Host name of the service; PUBLIC_BASE_URL and TRUSTED_HOSTS are built from it."
    )
    REAL_IP_FROM: str | None = text(
        None,
        "Networks of a proxy in front of the shipped nginx, like 10.0.0.0/8,192.0.2.7; its X-Forwarded-For is used.",
        pattern=r"^[0-9A-Fa-f:.]+(/[0-9]+)?( *, *[0-9A-Fa-f:.]+(/[0-9]+)?)*$",
        error="Must be a comma-separated list of networks, like 10.0.0.0/8,192.0.2.7.",
    )
    GRAFANA_PASSWORD: str | None = secret("Password of the user admin in Grafana, the dashboards.")
    PAGERDUTY_ROUTING_KEY: str | None = text(
        None, "Key of PagerDuty's Events API v2, which receives critical alerts.", secret=True
    )
    SLACK_WEBHOOK_URL: str | None = url(HTTP_SCHEMES, "Slack's incoming webhook, which receives warnings.", secret=True)
