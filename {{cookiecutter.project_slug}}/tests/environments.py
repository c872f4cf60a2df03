"""Environments of the processes under test."""

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
# Bounds that a slow machine would reach; tests of a bound set it.
NO_OVERLOAD = {
    "CONCURRENCY_HASHING": "64",
    "CONCURRENCY_QUERIES": "64",
    "CONCURRENCY_UPLOADS": "64",
    "CONCURRENCY_EXPORTS": "64",
    "DB_READ_TIMEOUT_MS": "60000",
    "GUNICORN_QUEUE_SECONDS": "60",
    "REQUEST_RECEIVE_SECONDS": "600",
}


def basic_environment(**settings: str) -> dict[str, str]:
    """Return the smallest environment of an app."""
    return {"APP_ENV": "testing", "SERVICE_NAME": "service-under-test", **SECRETS, **NO_OVERLOAD, **settings}


def production_environment(database_url: str, redis_url: str, **settings: str) -> dict[str, str]:
    """Return an environment to start the service as in production, with few processes and short waits."""
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
        "WORKER_METRICS_PORT": "0",  # the default port can serve one worker of the machine
        "GUNICORN_GRACEFUL_TIMEOUT": "10",
        **NO_OVERLOAD,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **settings,
    }
