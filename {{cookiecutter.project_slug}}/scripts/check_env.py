#!/usr/bin/env python3
"""Says whether the environment can run the service: every problem at once, each with what to do about it.

Before a deploy: `python scripts/check_env.py --env-file .env --compose`, which also checks what compose.yaml needs, and
does not ask for the addresses that compose.yaml makes up itself.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.configuration import check, check_compose
from app.security.vault import with_vault
from app.settings import VAULT_PATH

# What compose.yaml sets by itself.
MADE_BY_COMPOSE = {
    "APP_ENV": "production",
    "DATABASE_URL": "postgresql://made-by-compose@postgres/app",
    "REDIS_URL": "redis://redis:6379/0",
    "PUBLIC_BASE_URL": "https://made-by-compose",
}


def main() -> int:
    """Print problems and warnings; the exit status says whether there were problems."""
    parser = argparse.ArgumentParser(description="Check the environment of the service.")
    parser.add_argument("--env-file", type=Path, help="read NAME=value lines from here, below the environment")
    parser.add_argument("--compose", action="store_true", help="check for `docker compose up`")
    options = parser.parse_args()
    if options.env_file and not options.env_file.is_file():
        parser.error(f"there is no file {options.env_file}: copy .env.example to it, and fill in the secrets")
    environ = environment(options.env_file)
    problems: list[str] = []
    if options.compose:
        problems = check_compose(environ)
        environ = {**environ, **MADE_BY_COMPOSE}
    settings, more, warnings = check(with_vault(environ, VAULT_PATH))
    return report(settings.APP_ENV, more + problems, warnings)


def environment(env_file: Path | None) -> Mapping[str, str]:
    """The process's environment, over what the file says."""
    from_file = {name: value for name, value in dotenv_values(env_file).items() if value} if env_file else {}
    return {**from_file, **os.environ}


def report(environment_name: str, problems: list[str], warnings: list[str]) -> int:
    """Print the findings."""
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    for line in problems:
        print(f"error: {line}", file=sys.stderr)
    verdict = f"{len(problems)} to mend" if problems else "good"
    print(f"environment ({environment_name}): {verdict}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
