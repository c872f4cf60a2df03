"""`scripts/check_env.py` says before a deploy what the boot would say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import ROOT, basic_environment
from tests.servers import clean_environment

pytestmark = pytest.mark.running

SCRIPT = ROOT / "scripts" / "check_env.py"


def check_env(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, env=clean_environment(environment), capture_output=True, text=True, check=False)


@pytest.mark.req("S3")
def test_a_good_environment() -> None:
    result = check_env(**basic_environment())

    assert result.returncode == 0
    assert "environment (testing): good" in result.stderr


@pytest.mark.req("S3")
def test_a_bad_environment_lists_everything() -> None:
    result = check_env(APP_ENV="production", DATABASE_URL="sqlite:///x.db")

    assert result.returncode == 1
    for name in ("SECRET_KEY", "JWT_SECRET_KEY", "MASTER_ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL"):
        assert f"error: {name}" in result.stderr
    assert "warning: SENTRY_DSN" in result.stderr


@pytest.mark.req("S3")
def test_a_file_for_compose_needs_the_passwords_and_not_the_addresses(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    given = {**basic_environment(), "POSTGRES_PASSWORD": "x" * 40}
    file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))

    result = check_env("--compose", "--env-file", str(file))

    errors = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert [line.split()[1] for line in errors] == ["REDIS_PASSWORD"]
    assert "environment (production): 1 to mend" in result.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = check_env("--env-file", str(tmp_path / ".env"))

    assert result.returncode == 2
    assert "copy .env.example to it" in result.stderr
