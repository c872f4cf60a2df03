#!/usr/bin/env python3
"""Check the environment of the service before a deploy; print every problem with its fix.

`python scripts/check_env.py --env-file .env --compose` also checks the settings that compose.yaml needs, and does not
require the settings that compose.yaml sets itself.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.features import FEATURE_SETTINGS
from app.platform.settings.checks import check_compose, check_settings
from app.platform.settings.compose import ComposeSettings
from app.platform.settings.declarations import VAULT_PATH
from app.platform.settings.env_file import EnvFile, read_env_file
from app.platform.settings.vault import overlay_vault

# What compose.yaml sets for the containers, as far as the value does not matter here; a test compares the names.
SET_BY_COMPOSE = {
    "APP_ENV": "production",
    "DATABASE_URL": "postgresql://set-by-compose@postgres/app",
    "MIGRATION_DATABASE_URL": "",
    "POSTGRES_PASSWORD": "",
    "REDIS_URL": "redis://redis:6379/0",
    "BIND_ADDRESS": "0.0.0.0",  # noqa: S104 - in a container
    "PORT": "8000",
    "FLOWER_PORT": "5555",
    "LOG_FILE": "",
    "TRUSTED_PROXIES": "1",
}
# What compose.yaml sets if .env does not; it fills in DOMAIN.
COMPOSE_DEFAULTS = {
    "STORAGE_URL": "file:///var/lib/uploads",
    "PUBLIC_BASE_URL": "https://{domain}",
    "TRUSTED_HOSTS": "{domain},localhost,127.0.0.1",
    "WEB_REPLICAS": "3",
}


def main() -> int:
    """Print problems and warnings; return 1 if there are problems, else 0."""
    parser = argparse.ArgumentParser(description="Check the environment of the service.")
    parser.add_argument("--env-file", type=Path, help="file of NAME=value lines; the environment takes precedence")
    parser.add_argument("--compose", action="store_true", help="check for `docker compose up`")
    options = parser.parse_args()
    if options.env_file and not options.env_file.is_file():
        parser.error(f"{options.env_file} does not exist: copy .env.example to it and fill in the secrets")
    file = read_env_file(options.env_file) if options.env_file else EnvFile()
    environ: Mapping[str, str] = {**{name: value for name, value in file.values.items() if value}, **os.environ}
    problems: list[str] = []
    if options.compose:
        problems = check_compose(environ)
        environ = with_compose(environ)
    checked = check_settings(overlay_vault(environ, VAULT_PATH), FEATURE_SETTINGS)
    problems = [problem for problem in checked.problems + problems if not is_in_file(problem, file)]
    return report(checked.settings.APP_ENV, file.problems + problems, checked.warnings)


def with_compose(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment of the containers that compose.yaml starts."""
    given = {name: value for name, value in environ.items() if value}
    domain = given.get("DOMAIN", ComposeSettings.DOMAIN)
    defaults = {name: value.format(domain=domain) for name, value in COMPOSE_DEFAULTS.items()}
    return {**defaults, **given, **SET_BY_COMPOSE}


def is_in_file(problem: str, file: EnvFile) -> bool:
    """Whether the problem is that a setting is not set, because the line that sets it has a problem of its own."""
    name, _, rest = problem.partition(" ")
    return rest.startswith("is not set.") and name in file.names - file.values.keys()


def report(app_env: str, problems: list[str], warnings: list[str]) -> int:
    """Print warnings, problems and a summary; return the exit status."""
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    for line in problems:
        print(f"error: {line}", file=sys.stderr)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    print(f"environment ({app_env}): {count if problems else 'OK'}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
