"""`scripts/check_env.py` reports the problems that would stop the service at startup."""

from __future__ import annotations

import runpy
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.environments import ROOT, basic_environment
from tests.servers import clean_environment

pytestmark = pytest.mark.running

SCRIPT = ROOT / "scripts" / "check_env.py"


def check_env(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, env=clean_environment(environment), capture_output=True, text=True, check=False)


@pytest.mark.req("S3")
def test_valid_environment_passes() -> None:
    result = check_env(**basic_environment())

    assert result.returncode == 0
    assert "environment (testing): OK" in result.stderr


@pytest.mark.req("S3")
def test_every_problem_and_warning_is_printed() -> None:
    result = check_env(APP_ENV="production", DATABASE_URL="sqlite:///x.db")

    assert result.returncode == 1
    for name in ("SECRET_KEY", "JWT_SECRET_KEY", "MASTER_ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL"):
        assert f"error: {name}" in result.stderr
    assert "warning: SENTRY_DSN" in result.stderr


@pytest.mark.req("S3")
def test_compose_requires_passwords_but_not_urls(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    passwords = {name: secrets.token_urlsafe(48) for name in ("POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD")}
    environment = {**basic_environment(), **passwords}
    file.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))

    result = check_env("--compose", "--env-file", str(file))

    errors = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert [line.split()[1] for line in errors] == ["REDIS_PASSWORD"]
    assert "environment (production): 1 problem" in result.stderr


def test_missing_env_file_is_an_error(tmp_path: Path) -> None:
    result = check_env("--env-file", str(tmp_path / ".env"))

    assert result.returncode == 2
    assert "copy .env.example to it" in result.stderr


@pytest.mark.fault("F7", "F38")
@pytest.mark.req("S3", "S10")
def test_compose_sets_hosts_and_proxies() -> None:
    passwords = {"POSTGRES_PASSWORD": "x" * 40, "POSTGRES_APP_PASSWORD": "z" * 40, "REDIS_PASSWORD": "y" * 40}

    outside = check_env(**{**basic_environment(), "APP_ENV": "production"})
    with_compose = check_env("--compose", **{**basic_environment(), **passwords})
    other_host = check_env("--compose", **{**basic_environment(), **passwords, "TRUSTED_HOSTS": "other.example"})

    for name in ("TRUSTED_HOSTS", "TRUSTED_PROXIES"):
        assert f"warning: {name}" in outside.stderr
        assert f"warning: {name}" not in with_compose.stderr
    assert "error: PUBLIC_BASE_URL has the host" in other_host.stderr


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    """A file with everything that compose.yaml needs."""
    names = ("POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD", "REDIS_PASSWORD")
    passwords = {name: secrets.token_urlsafe(48) for name in names}
    file = tmp_path / ".env"
    file.write_text("".join(f"{name}={value}\n" for name, value in {**basic_environment(), **passwords}.items()))
    return file


@pytest.mark.fault("F49")
@pytest.mark.req("S3")
def test_compose_causes_no_warning_about_what_it_sets(env_file: Path) -> None:
    result = check_env("--compose", "--env-file", str(env_file))

    warned = [line.split()[1] for line in result.stderr.splitlines() if line.startswith("warning")]
    assert (result.returncode, sorted(warned)) == (0, ["MAIL_SERVER", "SENTRY_DSN"])


@pytest.mark.fault("F49")
@pytest.mark.req("S3")
def test_compose_checks_the_values_that_it_passes_on(env_file: Path) -> None:
    env_file.write_text(env_file.read_text() + "STORAGE_URL=/uploads\nPUBLIC_BASE_URL=example\nPORT=none\n")

    result = check_env("--compose", "--env-file", str(env_file))

    errors = [line.split()[1] for line in result.stderr.splitlines() if line.startswith("error")]
    assert errors == ["PUBLIC_BASE_URL:", "STORAGE_URL:"]  # compose.yaml replaces PORT


@pytest.mark.fault("F49")
@pytest.mark.req("S3")
def test_settings_of_compose_are_those_of_its_file() -> None:
    script = runpy.run_path(str(SCRIPT))
    environment = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["x-app"]["environment"]

    assert set(environment) == {*script["SET_BY_COMPOSE"], *script["COMPOSE_DEFAULTS"]}
    for name, value in environment.items():
        assert ("${" + name + ":-" in value) == (name in script["COMPOSE_DEFAULTS"]), name


@pytest.mark.fault("F58")
@pytest.mark.req("P4")
def test_only_the_container_that_migrates_has_the_owner_of_the_database() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    environments = {name: service.get("environment", {}) for name, service in services.items()}

    for name in ("web", "worker", "beat", "flower"):
        assert "${POSTGRES_APP_USER" in environments[name]["DATABASE_URL"], name
        # An empty value replaces that of .env, which every container gets.
        assert (environments[name]["MIGRATION_DATABASE_URL"], environments[name]["POSTGRES_PASSWORD"]) == ("", ""), name
    assert "${POSTGRES_USER" in environments["migrate"]["MIGRATION_DATABASE_URL"]
    assert environments["migrate"]["DATABASE_URL"] == environments["web"]["DATABASE_URL"]


@pytest.mark.fault("F20")
@pytest.mark.req("S3")
def test_line_that_compose_reads_differently_is_rejected(env_file: Path) -> None:
    env_file.write_text(env_file.read_text() + "MAIL_PASSWORD=pa$word-1\n")

    result = check_env("--compose", "--env-file", str(env_file))

    assert result.returncode == 1
    assert "(MAIL_PASSWORD) has a $, which Docker Compose replaces: enclose the whole value in single" in result.stderr
    assert "pa$word" not in result.stderr


@pytest.mark.fault("F20")
@pytest.mark.req("S3")
def test_rejected_line_is_not_also_reported_as_missing(env_file: Path) -> None:
    env_file.write_text(env_file.read_text().replace("SECRET_KEY=", "SECRET_KEY= ", 1))

    result = check_env("--env-file", str(env_file))

    assert result.stderr.count("SECRET_KEY") == 1, result.stderr
