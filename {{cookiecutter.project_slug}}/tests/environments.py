"""What processes under test are told by their environment."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRETS = {
    name: secrets.token_urlsafe(48)
    for name in ("SECRET_KEY", "JWT_SECRET_KEY", "MASTER_ENCRYPTION_KEY", "METRICS_TOKEN")
}
OPERATOR = {"Authorization": f"Bearer {SECRETS['METRICS_TOKEN']}"}


def basic_environment(**settings: str) -> dict[str, str]:
    """Enough to make an app."""
    return {"APP_ENV": "testing", "SERVICE_NAME": "service-under-test", **SECRETS, **settings}


def production_environment(database_url: str, redis_url: str, **settings: str) -> dict[str, str]:
    """Enough to start the service as it runs in production, with few processes and short waits."""
    return {
        "APP_ENV": "production",
        "SERVICE_NAME": "service-under-test",
        **SECRETS,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "BIND_ADDRESS": "127.0.0.1",
        "GUNICORN_WORKERS": "2",
        "WEB_REPLICAS": "1",
        "DB_WAIT_SECONDS": "10",
        "DRAIN_SECONDS": "0",
        "GUNICORN_GRACEFUL_TIMEOUT": "10",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **settings,
    }
